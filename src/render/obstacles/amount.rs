//! Kubernetes' resource quantities: `500m`, `2Gi`, `1e3`. The library for them brings 33 packages, two versions of `rand` among them.

/// A quantity, in billionths of its unit (a core, a byte, a pod): the smallest part that Kubernetes knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Amount(i128);

const UNIT: i128 = 1_000_000_000;

impl Amount {
    /// Reads a quantity as apimachinery's `resource.ParseQuantity` does: sign, decimal number, then a binary suffix, a decimal
    /// one, or an exponent. `None`: it is none, or is too large to be told. Parts below a billionth are rounded up.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c)).unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (negative, number) = match number.strip_prefix('-') {
            Some(number) => (true, number),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.chars().all(|digit| digit.is_ascii_digit());
        if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) || part.len() > 18 {
            return None;
        }
        let mantissa: i128 = format!("0{whole}{part}").parse().ok()?;
        let below = 10i128.pow(u32::try_from(part.len()).ok()?);
        let (times, over) = factor(suffix)?;
        let all = mantissa.checked_mul(times)?.checked_mul(UNIT)?;
        let parts = below.checked_mul(over)?;
        let value = all.checked_add(parts - 1)? / parts;
        Some(Self(if negative { -value } else { value }))
    }

    pub(super) fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    pub(super) fn times(self, count: u32) -> Option<Self> {
        self.0.checked_mul(i128::from(count)).map(Self)
    }

    /// As a person would write it: bytes with a binary suffix, others in units or thousandths.
    pub(super) fn shown(self, resource: &str) -> String {
        let whole = |unit: i128| (self.0 % unit == 0).then(|| self.0 / unit);
        let bytes = ["memory", "storage"].iter().any(|word| resource.ends_with(word));
        if bytes && self.0 != 0 {
            for (suffix, power) in [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)] {
                if let Some(count) = whole(UNIT << power) {
                    return format!("{count}{suffix}");
                }
            }
        }
        match (whole(UNIT), whole(UNIT / 1000)) {
            (Some(units), _) => units.to_string(),
            (None, Some(thousandths)) => format!("{thousandths}m"),
            (None, None) => format!("{}n", self.0),
        }
    }
}

/// What a suffix multiplies with, and divides by.
fn factor(suffix: &str) -> Option<(i128, i128)> {
    let decimal = |power: u32| Some((10i128.checked_pow(power)?, 1));
    match suffix {
        "" => Some((1, 1)),
        "n" => Some((1, UNIT)),
        "u" => Some((1, 1_000_000)),
        "m" => Some((1, 1000)),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => Some((1 << 10, 1)),
        "Mi" => Some((1 << 20, 1)),
        "Gi" => Some((1 << 30, 1)),
        "Ti" => Some((1 << 40, 1)),
        "Pi" => Some((1 << 50, 1)),
        "Ei" => Some((1 << 60, 1)),
        _ => {
            let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let size = 10i128.checked_pow(power.unsigned_abs())?;
            Some(if power < 0 { (1, size) } else { (size, 1) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Amount;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        let same = [
            ("1", "1000m"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1.", "1"),
            ("+2", "2"),
            ("2Gi", "2048Mi"),
            ("1G", "1000M"),
            ("1e3", "1k"),
            ("1E-3", "1m"),
            ("1E", "1000P"),
            ("1500u", "1500000n"),
            ("0.5Ki", "512"),
        ];
        for (one, other) in same {
            assert_eq!(Amount::parse(one), Amount::parse(other), "{one} {other}");
            assert!(Amount::parse(one).is_some(), "{one}");
        }
        assert!(Amount::parse("-1") < Amount::parse("0") && Amount::parse("999m") < Amount::parse("1"));
        for no in
            ["", "m", ".", "1 Gi", "1gi", "1e", "1e99", "--1", "1.2.3", "\u{0661}", "99999999999999999999999999999999999999999"]
        {
            assert_eq!(Amount::parse(no), None, "{no}");
        }
    }

    #[test]
    fn quantities_are_shown_as_people_write_them() {
        for (text, resource, shown) in [
            ("12", "pods", "12"),
            ("5500m", "requests.cpu", "5500m"),
            ("6000m", "cpu", "6"),
            ("12288Mi", "limits.memory", "12Gi"),
            ("1000", "memory", "1000"),
            ("0", "memory", "0"),
            ("1n", "cpu", "1n"),
        ] {
            assert_eq!(Amount::parse(text).map(|amount| amount.shown(resource)), Some(shown.to_owned()), "{text}");
        }
    }
}
