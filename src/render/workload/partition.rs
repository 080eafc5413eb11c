//! The sums of partitions: how many pods stay at the old version.

use serde_json::{Value, json};

use super::Reach;
use crate::manifest::Object;

/// Pods that stay old.
pub(super) fn old(reach: Reach) -> u32 {
    reach.size.saturating_sub(reach.to)
}

/// The partition as a number of pods.
pub(super) fn pods(reach: Reach) -> Value {
    json!(old(reach))
}

/// Whether the field at `path` keeps pods at an old version.
pub(super) fn holds_back(workload: &Object, path: &[&str]) -> bool {
    match workload.get(&format!("/{}", path.join("/"))) {
        None | Some(Value::Null) => false,
        Some(Value::Number(pods)) => pods.as_u64() != Some(0),
        Some(Value::String(text)) => !matches!(text.as_str(), "0" | "0%"),
        Some(_) => true,
    }
}
