//! The canonical form of an object. It is written here and by no library, since a commit is checked byte for byte for
//! years: an upgrade must not change a quote.
//!
//! Keys are sorted, except that `apiVersion`, `kind` and `metadata` come first. Lists stand at their key's indentation.
//! A text of several lines is a literal block where that is exact, every other text is on one line, quoted unless every
//! reader takes it for a text.

use serde_json::{Map, Value};

use super::object::Object;
use super::scalar;

/// An object as YAML, with a line feed at its end. Reading it gives the same object.
pub fn write(object: &Object) -> String {
    let mut out = String::new();
    mapping(&mut out, object.as_map(), 0, true);
    out
}

/// Any value in the same form, its keys sorted.
pub fn write_value(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => mapping(&mut out, map, 0, false),
        Value::Array(values) if !values.is_empty() => sequence(&mut out, values, 0),
        leaf => {
            scalar_value(&mut out, leaf, 0);
            out.push('\n');
        }
    }
    out
}

fn sorted(map: &Map<String, Value>, first: bool) -> Vec<(&String, &Value)> {
    let rank = |key: &str| match key {
        "apiVersion" if first => 0,
        "kind" if first => 1,
        "metadata" if first => 2,
        _ => 3,
    };
    let mut entries: Vec<(&String, &Value)> = map.iter().collect();
    entries.sort_by(|(left, _), (right, _)| (rank(left), left).cmp(&(rank(right), right)));
    entries
}

/// Block mapping, each line but the first indented: the caller stands where the first key goes.
fn mapping(out: &mut String, map: &Map<String, Value>, indent: usize, top: bool) {
    for (index, (key, value)) in sorted(map, top).into_iter().enumerate() {
        if index > 0 {
            spaces(out, indent);
        }
        key_text(out, key, indent);
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                spaces(out, indent + 2);
                mapping(out, inner, indent + 2, false);
            }
            Value::Array(values) if !values.is_empty() => {
                out.push('\n');
                spaces(out, indent);
                sequence(out, values, indent);
            }
            leaf => {
                out.push(' ');
                scalar_value(out, leaf, indent + 2);
                out.push('\n');
            }
        }
    }
}

fn sequence(out: &mut String, values: &[Value], indent: usize) {
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            spaces(out, indent);
        }
        out.push_str("- ");
        match value {
            Value::Object(inner) if !inner.is_empty() => mapping(out, inner, indent + 2, false),
            Value::Array(inner) if !inner.is_empty() => sequence(out, inner, indent + 2),
            leaf => {
                scalar_value(out, leaf, indent + 2);
                out.push('\n');
            }
        }
    }
}

/// A key and its colon. YAML lets a simple key be 1,024 characters long; longer ones take the explicit form.
fn key_text(out: &mut String, key: &str, indent: usize) {
    let text = if scalar::is_plain_safe(key) && !key.contains(':') { key.to_owned() } else { quoted(key) };
    if text.chars().count() > 1000 {
        out.push_str("? ");
        out.push_str(&text);
        out.push('\n');
        spaces(out, indent);
        out.push(':');
    } else {
        out.push_str(&text);
        out.push(':');
    }
}

fn scalar_value(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => out.push_str(&scalar::float_text(float)),
            _ => out.push_str(&number.to_string()),
        },
        Value::String(text) if is_block(text) => block(out, text, indent),
        Value::String(text) if scalar::is_plain_safe(text) => out.push_str(text),
        Value::String(text) => out.push_str(&quoted(text)),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
    }
}

/// Whether a literal block holds this text exactly for every reader: it has several lines, starts with a visible
/// character and does not end in a line of blanks.
fn is_block(text: &str) -> bool {
    let body = text.trim_end_matches('\n');
    (body.contains('\n') || text.len() > body.len())
        && !body.starts_with([' ', '\t', '\n'])
        && !body.is_empty()
        && !body.lines().next_back().is_some_and(|line| line.trim().is_empty())
        && !text.chars().any(scalar::needs_escape)
}

fn block(out: &mut String, text: &str, indent: usize) {
    let body = text.trim_end_matches('\n');
    let ends = text.len() - body.len();
    out.push_str(match ends {
        0 => "|-",
        1 => "|",
        _ => "|+",
    });
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            spaces(out, indent);
            out.push_str(line);
        }
    }
    for _ in 1..ends {
        out.push('\n');
    }
}

/// Double quotes, with the escapes that YAML 1.1 and 1.2 share.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            _ if !scalar::needs_escape(character) => out.push(character),
            _ => match u32::from(character) {
                code @ 0..=0xff => out.push_str(&format!("\\x{code:02X}")),
                code @ 0x100..=0xffff => out.push_str(&format!("\\u{code:04X}")),
                code => out.push_str(&format!("\\U{code:08X}")),
            },
        }
    }
    out.push('"');
    out
}

fn spaces(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}
