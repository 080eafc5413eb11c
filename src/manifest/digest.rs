//! The name of a content.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// SHA-256, in hex, of the value's JSON with sorted keys and no spaces: equal values, equal digests, in whatever order
/// their keys came.
pub fn digest(value: &Value) -> String {
    let mut text = String::new();
    canonical(&mut text, value);
    hex::encode(Sha256::digest(text.as_bytes()))
}

fn canonical(out: &mut String, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                canonical(out, value);
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                canonical(out, value);
            }
            out.push(']');
        }
        leaf => out.push_str(&leaf.to_string()),
    }
}
