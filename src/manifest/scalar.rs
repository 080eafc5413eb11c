//! What a plain scalar means. The rules are those of the YAML reader that kubectl, Argo CD and the API server's clients
//! share (`sigs.k8s.io/yaml`, YAML 1.1 with a few forms of 1.2): `no` is false, `0644` is 420, `1_000` is 1000.

use serde_json::{Number, Value};

/// The meaning of an unquoted scalar without a tag. `Err` carries the cause: a number that JSON does not have.
pub(super) fn plain(text: &str) -> Result<Value, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf" | "-.INF" => {
            return Err(format!("`{text}` is no number that a manifest can hold"));
        }
        _ => {}
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
        return Ok(Value::String(text.to_owned()));
    }
    // A leading dot goes straight to the float reader there, which knows no underscores.
    let digits = if text.starts_with('.') { text.to_owned() } else { text.replace('_', "") };
    if let Some(number) = integer(&digits) {
        return Ok(Value::Number(number));
    }
    if is_float(&digits) {
        return match digits.parse::<f64>() {
            Ok(float) if float.is_finite() => Ok(Number::from_f64(float).map_or(Value::Null, Value::Number)),
            // Out of range: that reader keeps the text.
            _ => Ok(Value::String(text.to_owned())),
        };
    }
    Ok(Value::String(text.to_owned()))
}

/// Decimal, `0x`, `0b`, `0o` and the old octal form `0644`, with a sign. `08` is decimal, as it is no octal number.
fn integer(text: &str) -> Option<Number> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let prefix = unsigned.get(..2).map(str::to_ascii_lowercase);
    let (radix, digits) = match prefix.as_deref() {
        Some("0x") => (16, unsigned.get(2..)?),
        Some("0b") => (2, unsigned.get(2..)?),
        Some("0o") => (8, unsigned.get(2..)?),
        _ if unsigned.len() > 1 && unsigned.starts_with('0') && !unsigned.contains(['8', '9']) => (8, unsigned.get(1..)?),
        _ => (10, unsigned),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        let value = 0i64.checked_sub_unsigned(magnitude)?;
        return Some(Number::from(value));
    }
    Some(Number::from(magnitude))
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => all_digits(fraction),
        Some((whole, fraction)) => all_digits(whole) && (fraction.is_empty() || all_digits(fraction)),
        None => all_digits(mantissa),
    };
    mantissa_fits && exponent.is_none_or(all_digits)
}

/// A float's text in the form that YAML 1.1 and 1.2 readers all take for a float: with a dot and a signed exponent.
pub(super) fn float_text(float: f64) -> String {
    let text = format!("{float:?}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let dot = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    format!("{mantissa}{dot}e{sign}{exponent}")
}

/// Whether every YAML reader takes this text, unquoted in a block, for exactly this string. When in doubt: no.
pub(super) fn is_plain_safe(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let starts_well = match first {
        '0'..='9' => return is_quantity(text),
        '/' | '$' | '(' => true,
        '-' => text.trim_start_matches('-').starts_with(|next: char| next.is_ascii_alphabetic()) && !text.starts_with("---"),
        _ => first.is_alphabetic(),
    };
    const WORDS: [&str; 11] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"];
    let bare = text.trim_start_matches('-');
    if !starts_well || text.ends_with([' ', ':']) || WORDS.iter().any(|word| bare.eq_ignore_ascii_case(word)) {
        return false;
    }
    let safe = |character: char| !needs_escape(character) && !matches!(character, '\n' | '\t');
    text.chars().all(safe) && !text.contains(": ") && !text.contains(" #")
}

/// A number with a unit that makes it a text for everybody: `100m`, `1.5Gi`, `25%`, `30s`.
fn is_quantity(text: &str) -> bool {
    const UNITS: [&str; 18] = ["%", "m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "s", "h", "ms", "us", "ns"];
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    UNITS.contains(&unit) && is_float(number)
}

/// Whether a character must be written as an escape: what YAML cannot hold as it is, what tools mangle, and what would
/// make a shown text differ from its bytes (direction marks, zero-width characters). Tab and line feed are not in it.
pub(super) fn needs_escape(character: char) -> bool {
    match character {
        '\t' | '\n' => false,
        '\u{a0}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => character.is_control() || (u32::from(character) & 0xfffe) == 0xfffe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_scalars_mean_what_kubectl_takes_them_for() {
        let cases = [
            ("no", json!(false)),
            ("y", json!(true)),
            ("On", json!(true)),
            ("nULL", json!("nULL")),
            ("~", Value::Null),
            ("0644", json!(420)),
            ("0_7", json!(7)),
            ("08", json!(8)),
            ("-08", json!(-8)),
            ("0o644", json!(420)),
            ("0x1F", json!(31)),
            ("-0x1", json!(-1)),
            ("0b11", json!(3)),
            ("0b12", json!("0b12")),
            ("0x", json!("0x")),
            ("1_000", json!(1000)),
            ("1_0.5", json!(10.5)),
            ("_1", json!("_1")),
            ("-_1", json!(-1)),
            ("0_", json!(0)),
            ("+5", json!(5)),
            ("+.5", json!(0.5)),
            (".5", json!(0.5)),
            ("1.", json!(1.0)),
            ("1e3", json!(1000.0)),
            ("1e", json!("1e")),
            ("1.2.3", json!("1.2.3")),
            ("12:30:45", json!("12:30:45")),
            ("2024-01-01", json!("2024-01-01")),
            ("=", json!("=")),
            ("18446744073709551615", json!(18_446_744_073_709_551_615u64)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("99999999999999999999", json!(1e20)),
            ("9e999", json!("9e999")),
            ("100m", json!("100m")),
        ];
        for (text, value) in cases {
            assert_eq!(plain(text).unwrap(), value, "{text}");
        }
        for text in [".nan", "-.inf", "+.Inf"] {
            assert!(plain(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_plain_reads_as_the_same_text() {
        for text in ["100m", "1.5Gi", "25%", "30s", "nginx:1.25", "--port=80", "-c", "/bin/sh", "a b", "a#b", "$(X)"] {
            assert!(is_plain_safe(text), "{text}");
            assert_eq!(plain(text).unwrap(), json!(text));
        }
        for text in ["", "no", "Y", "NULL", "1", "0x1F", "1e3", "=", "<<", "~", "- a", "---", "a: b", "a #b", "a:", "-nan"] {
            assert!(!is_plain_safe(text), "{text}");
        }
    }
}
