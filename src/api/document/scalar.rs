//! Values that may be written in two ways.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// Kubernetes' IntOrString: `3` or `20%`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum IntOrString {
    Int(i32),
    Text(String),
}

impl IntOrString {
    /// The value if it is a percentage (`"20%"`); as Kubernetes reads it, so `"20"` and `"2.5%"` are none.
    pub(crate) fn percent(&self) -> Option<i64> {
        match self {
            Self::Int(_) => None,
            Self::Text(text) => percent(text),
        }
    }
}

/// A text of the form `N%`.
pub(crate) fn percent(text: &str) -> Option<i64> {
    text.strip_suffix('%')?.parse().ok()
}

impl JsonSchema for IntOrString {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "IntOrString".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["integer", "string"], "format": "int-or-string" })
    }
}

/// A length of time in whole seconds: a number of seconds, or units as in Go (`90s`, `5m`, `1h30m`). At most a year.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Duration(u32);

/// A year of 365 days, seconds.
const LONGEST: u64 = 365 * 24 * 3600;

impl Duration {
    pub(crate) fn seconds(self) -> u32 {
        self.0
    }

    /// Takes a number of seconds.
    pub(crate) fn from_seconds(seconds: i64) -> Result<Self, String> {
        match u64::try_from(seconds) {
            Err(_) => Err("a duration cannot be negative".to_owned()),
            Ok(seconds) if seconds > LONGEST => Err("a duration is at most a year (8760h)".to_owned()),
            Ok(seconds) => u32::try_from(seconds).map(Self).map_err(|error| error.to_string()),
        }
    }

    /// Reads `90`, `90s`, `5m`, `1h30m`, `1.5h`; the whole must be full seconds.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('-') {
            return Err("a duration cannot be negative".to_owned());
        }
        if let Ok(seconds) = text.parse() {
            return Self::from_seconds(seconds);
        }
        let bad = || format!("`{text}` is no duration; write `90s`, `5m` or `1h30m`, or a number of seconds");
        let (mut rest, mut total) = (text, 0_u64);
        if rest.is_empty() || rest.len() > 40 {
            return Err(bad());
        }
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
            let (number, tail) = rest.split_at(end);
            let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_end);
            let unit = match unit {
                "ms" => 1_u64,
                "s" => 1000,
                "m" => 60_000,
                "h" => 3_600_000,
                _ => return Err(bad()),
            };
            let (whole, part) = number.split_once('.').unwrap_or((number, ""));
            let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| bad())? };
            let mut millis = whole.checked_mul(unit).ok_or_else(bad)?;
            if number.is_empty() || number == "." || part.len() > 9 || part.contains('.') {
                return Err(bad());
            }
            if !part.is_empty() {
                let scale = 10_u64.pow(u32::try_from(part.len()).map_err(|_| bad())?);
                let part: u64 = part.parse().map_err(|_| bad())?;
                millis = part.checked_mul(unit).and_then(|more| millis.checked_add(more / scale)).ok_or_else(bad)?;
            }
            total = total.checked_add(millis).ok_or_else(bad)?;
            rest = tail;
        }
        if !total.is_multiple_of(1000) {
            return Err(format!("`{text}` is not a whole number of seconds"));
        }
        i64::try_from(total / 1000).map_err(|_| bad()).and_then(Self::from_seconds)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Seconds(i64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Seconds(seconds) => Self::from_seconds(seconds),
            Written::Text(text) => Self::parse(&text),
        }
        .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "format": "go-duration",
            "minimum": 0,
            "maximum": LONGEST,
            "pattern": "^([0-9]+|(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ms|s|m|h))+)$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("1.5h", 5400), ("0s", 0), ("1000ms", 1)] {
            assert_eq!(Duration::parse(text).map(Duration::seconds), Ok(seconds), "{text}");
        }
        for text in
            ["", "5", "x", "5x", "m", "5m3", "-5m", "1d", "1.5s", "9999999h", "1..5h", ".s", "5 m", "99999999999999999999h", "éh"]
        {
            assert_eq!(Duration::parse(text).is_ok(), text == "5", "{text}");
        }
    }
}
