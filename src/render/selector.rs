//! Label selectors, as Kubernetes judges them.

use serde_json::{Map, Value};

/// Whether a Service's plain selector picks pods with these labels. An empty one picks none.
pub(crate) fn plain(selector: Option<&Value>, labels: &Map<String, Value>) -> bool {
    match selector {
        Some(Value::Object(wanted)) if !wanted.is_empty() => wanted.iter().all(|(key, value)| labels.get(key) == Some(value)),
        _ => false,
    }
}

/// Whether a `LabelSelector` picks pods with these labels. An empty one picks all; none at all picks none.
pub(crate) fn full(selector: Option<&Value>, labels: &Map<String, Value>) -> bool {
    let Some(selector) = selector else { return false };
    let equal = match selector.get("matchLabels") {
        Some(Value::Object(wanted)) => wanted.iter().all(|(key, value)| labels.get(key) == Some(value)),
        _ => true,
    };
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    equal && expressions.is_none_or(|list| list.iter().all(|expression| holds(expression, labels)))
}

fn holds(expression: &Value, labels: &Map<String, Value>) -> bool {
    let text = |field: &str| expression.get(field).and_then(Value::as_str).unwrap_or_default();
    let present = labels.get(text("key"));
    let among = || {
        let values = expression.get("values").and_then(Value::as_array);
        present.is_some_and(|present| values.is_some_and(|values| values.contains(present)))
    };
    match text("operator") {
        "In" => among(),
        "NotIn" => !among(),
        "Exists" => present.is_some(),
        "DoesNotExist" => present.is_none(),
        _ => false,
    }
}
