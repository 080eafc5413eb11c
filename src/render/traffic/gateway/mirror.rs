//! Copies of requests for the canary Service: a RequestMirror filter beside those that the rule has.

use serde_json::{Map, Value, json};

use super::Target;

/// Mirrors `percent` of the requests of a rule. `field`: what the API calls that part; all of them is its default.
pub(super) fn add(rule: &mut Map<String, Value>, target: &Target, canary: &str, field: &str, percent: u32) {
    let stable = rule.get("backendRefs").and_then(Value::as_array).into_iter().flatten();
    let Some(stable) = stable.into_iter().find(|reference| target.has_share(reference)) else { return };
    let mut reference = target.to_canary(stable, canary);
    if let Value::Object(fields) = &mut reference {
        fields.remove("weight");
        fields.remove("filters");
    }
    let mut mirror = json!({"backendRef": reference});
    if percent < 100 {
        mirror[field] = json!(percent);
    }
    let filters = rule.entry("filters").or_insert_with(|| json!([]));
    if let Value::Array(filters) = filters {
        filters.push(json!({"type": "RequestMirror", "requestMirror": mirror}));
    }
}
