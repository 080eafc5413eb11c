//! What a plain YAML word means.

/// A single value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// May be infinite or not a number.
    Float(f64),
    Text(String),
}

impl Scalar {
    /// The meaning of an unquoted word: YAML 1.2's core schema, and beyond it what kubectl reads as a number (`0644`,
    /// `1_000`). Booleans are strict: `yes`, `no`, `on` and `off` are texts, so that nothing is guessed.
    pub(crate) fn plain(word: &str) -> Self {
        match word {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Null,
            "true" | "True" | "TRUE" => return Self::Bool(true),
            "false" | "False" | "FALSE" => return Self::Bool(false),
            ".nan" | ".NaN" | ".NAN" => return Self::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Self::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => return Self::Float(f64::NEG_INFINITY),
            _ => {}
        }
        if let Some(int) = integer(word) {
            return Self::Int(int);
        }
        if is_float(word)
            && let Ok(float) = word.parse()
        {
            return Self::Float(float);
        }
        Self::Text(word.to_owned())
    }

    pub(super) fn what(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool(value) => format!("the boolean {value}"),
            Self::Int(value) => format!("the number {value}"),
            Self::Float(value) => format!("the number {value}"),
            Self::Text(text) => format!("the text `{}`", text.chars().take(60).collect::<String>()),
        }
    }
}

fn integer(word: &str) -> Option<i64> {
    let (sign, rest) = match word.split_at_checked(1) {
        Some(("-", rest)) => (-1, rest),
        Some(("+", rest)) => (1, rest),
        _ => (1, word),
    };
    let (radix, digits) = match rest.split_at_checked(2) {
        Some(("0x" | "0X", digits)) => (16, digits),
        Some(("0o", digits)) => (8, digits),
        Some(("0b", digits)) => (2, digits),
        _ if rest.len() > 1 && rest.starts_with('0') && rest.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) => (8, rest),
        _ => (10, rest),
    };
    let begins = digits.starts_with(|first: char| first.is_digit(radix));
    if !begins || !digits.chars().all(|digit| digit.is_digit(radix) || digit == '_') {
        return None;
    }
    i64::from_str_radix(&digits.replace('_', ""), radix).ok().and_then(|value| value.checked_mul(sign))
}

fn is_float(word: &str) -> bool {
    let body = word.strip_prefix(['+', '-']).unwrap_or(word);
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (body, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(part)
        && !(whole.is_empty() && part.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let text = |word: &str| Scalar::Text(word.to_owned());
        for (word, means) in [
            ("0644", Scalar::Int(420)),
            ("08", Scalar::Int(8)),
            ("0o17", Scalar::Int(15)),
            ("0x1F", Scalar::Int(31)),
            ("1_000", Scalar::Int(1000)),
            ("-3", Scalar::Int(-3)),
            ("0.05", Scalar::Float(0.05)),
            ("1e3", Scalar::Float(1000.0)),
            ("yes", text("yes")),
            ("off", text("off")),
            ("20%", text("20%")),
            ("5m", text("5m")),
            ("-", text("-")),
            (".", text(".")),
            ("_1", text("_1")),
            ("99999999999999999999", Scalar::Float(1e20)),
            ("é", text("é")),
        ] {
            assert_eq!(Scalar::plain(word), means, "{word}");
        }
        assert!(matches!(Scalar::plain(".nan"), Scalar::Float(value) if value.is_nan()));
    }
}
