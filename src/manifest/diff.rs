//! Which fields of an object differ.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::object::Object;

/// One field that differs. `None`: it is not there on that side.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// For example `spec.template.spec.containers[app].image`; empty for the whole object.
    pub path: String,
    pub old: Option<Value>,
    pub new: Option<Value>,
}

/// The differences, in the order of sorted keys. List entries are told apart by `name` where all have one of their own,
/// by index (from 0) elsewhere.
pub fn diff(old: Option<&Object>, new: Option<&Object>) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    match (old, new) {
        (Some(old), Some(new)) => mappings("", old.as_map(), new.as_map(), &mut changes),
        (None, None) => {}
        (old, new) => {
            changes.push(FieldChange { path: String::new(), old: old.map(Object::to_value), new: new.map(Object::to_value) });
        }
    }
    changes
}

/// [`diff`] for human eyes: the values of a `Secret` are `(hidden)`.
pub fn diff_shown(old: Option<&Object>, new: Option<&Object>) -> Vec<FieldChange> {
    let mut changes = diff(old, new);
    // Of a change from one kind to another, too, either side may be the Secret.
    if [old, new].into_iter().flatten().any(|object| object.kind() == "Secret") {
        for change in &mut changes {
            let hide = |value: Option<Value>| value.map(|value| hidden(&change.path, value));
            change.old = hide(change.old.take());
            change.new = hide(change.new.take());
        }
    }
    changes
}

/// Fields of a Secret that carry its values: the data, and the copy of it that `kubectl apply` leaves.
const SECRET_FIELDS: [&str; 3] = ["data", "stringData", "metadata.annotations"];

fn hidden(path: &str, value: Value) -> Value {
    let below = |field: &str| path.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    if SECRET_FIELDS.iter().any(|field| below(field)) {
        return hide_all(value);
    }
    match value {
        Value::Object(map) => {
            let inner = map.into_iter().map(|(key, value)| {
                let path = join(path, &key);
                (key, hidden(&path, value))
            });
            Value::Object(inner.collect())
        }
        other => other,
    }
}

fn hide_all(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.into_iter().map(|(key, value)| (key, hide_all(value))).collect()),
        _ => Value::String("(hidden)".to_owned()),
    }
}

fn values(path: &str, old: &Value, new: &Value, changes: &mut Vec<FieldChange>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => mappings(path, old, new, changes),
        (Value::Array(old), Value::Array(new)) => match (names(old), names(new)) {
            (Some(old_names), Some(new_names)) => named(path, (old, &old_names), (new, &new_names), changes),
            _ => {
                for index in 0..old.len().max(new.len()) {
                    either(&format!("{path}[{index}]"), old.get(index), new.get(index), changes);
                }
            }
        },
        _ if old != new => {
            changes.push(FieldChange { path: path.to_owned(), old: Some(old.clone()), new: Some(new.clone()) });
        }
        _ => {}
    }
}

fn either(path: &str, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<FieldChange>) {
    match (old, new) {
        (Some(old), Some(new)) => values(path, old, new, changes),
        (None, None) => {}
        _ => changes.push(FieldChange { path: path.to_owned(), old: old.cloned(), new: new.cloned() }),
    }
}

fn mappings(path: &str, old: &Map<String, Value>, new: &Map<String, Value>, changes: &mut Vec<FieldChange>) {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        either(&join(path, key), old.get(key), new.get(key), changes);
    }
}

/// The entries' names, where every entry has one of its own.
fn names(values: &[Value]) -> Option<Vec<&str>> {
    let names: Vec<&str> = values.iter().map(|value| value.get("name").and_then(Value::as_str)).collect::<Option<Vec<_>>>()?;
    let unique: BTreeSet<&str> = names.iter().copied().collect();
    (unique.len() == names.len()).then_some(names)
}

fn named(path: &str, old: (&[Value], &[&str]), new: (&[Value], &[&str]), changes: &mut Vec<FieldChange>) {
    let find = |(values, names): (&[Value], &[&str]), name: &str| {
        names.iter().position(|other| *other == name).and_then(|index| values.get(index)).cloned()
    };
    let added = new.1.iter().filter(|name| !old.1.contains(name));
    for name in old.1.iter().chain(added) {
        either(&format!("{path}[{name}]"), find(old, name).as_ref(), find(new, name).as_ref(), changes);
    }
    // The order of containers or variables can matter: a new order of the same entries is a change of the list.
    let order = |from: &[&str], other: &[&str]| -> Vec<Value> {
        from.iter().filter(|name| other.contains(name)).map(|name| Value::from(*name)).collect()
    };
    let (before, after) = (order(old.1, new.1), order(new.1, old.1));
    if before != after {
        changes.push(FieldChange { path: path.to_owned(), old: Some(before.into()), new: Some(after.into()) });
    }
}

fn join(path: &str, key: &str) -> String {
    let simple =
        !key.is_empty() && key.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '-'));
    match (simple, path.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{path}.{key}"),
        (false, _) => format!("{path}[{}]", Value::String(key.to_owned())),
    }
}
