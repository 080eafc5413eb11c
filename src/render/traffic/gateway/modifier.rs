//! Header changes of a step as a RequestHeaderModifier filter. The API takes one such filter in a list, and one entry
//! for each header in it, so the step's changes are joined with those that the user has there: what the result does to a
//! request is the user's filter first and the step's after it.

use serde_json::{Map, Value, json};

use crate::api::HeaderModifier;

const TYPE: &str = "RequestHeaderModifier";

/// Joins `change` into the `filters` of a rule or a backendRef.
pub(super) fn add(owner: &mut Map<String, Value>, change: &HeaderModifier) {
    if change.set.is_empty() && change.add.is_empty() && change.remove.is_empty() {
        return;
    }
    let filters = owner.entry("filters").or_insert_with(|| json!([]));
    if !filters.is_array() {
        *filters = json!([]);
    }
    let Value::Array(filters) = filters else { return };
    let ours = |filter: &Value| filter.get("type").and_then(Value::as_str) == Some(TYPE);
    match filters.iter_mut().find(|filter| ours(filter)) {
        Some(filter) => {
            let there = Changes::of(filter.get("requestHeaderModifier"));
            filter["requestHeaderModifier"] = there.then(change).value();
        }
        None => filters.push(json!({"type": TYPE, "requestHeaderModifier": Changes::default().then(change).value()})),
    }
}

#[derive(Default)]
struct Changes {
    set: Vec<(String, String)>,
    add: Vec<(String, String)>,
    remove: Vec<String>,
}

impl Changes {
    fn of(modifier: Option<&Value>) -> Self {
        let list = |field: &str| modifier.and_then(|modifier| modifier.get(field)).and_then(Value::as_array);
        let pairs = |field: &str| -> Vec<(String, String)> {
            let text = |pair: &Value, key: &str| pair.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            list(field).into_iter().flatten().map(|pair| (text(pair, "name"), text(pair, "value"))).collect()
        };
        let names = list("remove").into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        Self { set: pairs("set"), add: pairs("add"), remove: names }
    }

    fn then(mut self, change: &HeaderModifier) -> Self {
        for (name, value) in &change.set {
            self.forget(name);
            self.set.push((name.clone(), value.clone()));
        }
        for (name, value) in &change.add {
            if self.remove.iter().any(|there| there.eq_ignore_ascii_case(name)) {
                // Removed and then added is set.
                self.forget(name);
                self.set.push((name.clone(), value.clone()));
            } else if let Some((_, there)) =
                self.set.iter_mut().chain(&mut self.add).find(|(there, _)| there.eq_ignore_ascii_case(name))
            {
                // Several values of one header are one list (RFC 9110, 5.3).
                there.push(',');
                there.push_str(value);
            } else {
                self.add.push((name.clone(), value.clone()));
            }
        }
        for name in &change.remove {
            self.forget(name);
            self.remove.push(name.clone());
        }
        self
    }

    fn forget(&mut self, name: &str) {
        let other = |there: &str| !there.eq_ignore_ascii_case(name);
        self.set.retain(|(there, _)| other(there));
        self.add.retain(|(there, _)| other(there));
        self.remove.retain(|there| other(there));
    }

    fn value(&self) -> Value {
        let pairs = |pairs: &[(String, String)]| -> Vec<Value> {
            pairs.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
        };
        let mut fields = Map::new();
        for (field, list) in [("set", pairs(&self.set)), ("add", pairs(&self.add))] {
            if !list.is_empty() {
                fields.insert(field.to_owned(), Value::Array(list));
            }
        }
        if !self.remove.is_empty() {
            fields.insert("remove".to_owned(), json!(self.remove));
        }
        Value::Object(fields)
    }
}
