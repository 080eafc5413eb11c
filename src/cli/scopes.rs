//! Whose the objects of a directory with several Rollouts are, for people and as JSON.

use serde_json::{Value, json};

use crate::render::scope::Scopes;

/// A line for each Rollout, and one for the rest.
pub(super) fn lines(place: &str, scopes: &Scopes) -> Vec<String> {
    let mut parts: std::collections::BTreeMap<Option<&str>, Vec<String>> = std::collections::BTreeMap::new();
    for (key, owner, reached) in scopes.all() {
        let by = if owner.is_none() && !reached.is_empty() { format!(" ({})", reached.join(", ")) } else { String::new() };
        parts.entry(owner).or_default().push(format!("{key}{by}"));
    }
    let rest = parts.remove(&None);
    let mut lines = vec![format!("scopes of {}", if place.is_empty() { "." } else { place })];
    for (name, objects) in parts {
        lines.push(format!("  {:<8} {}", name.unwrap_or_default(), objects.join(", ")));
    }
    if let Some(objects) = rest {
        lines.push(format!("  {:<8} {}", "rest", objects.join(", ")));
        lines.push(
            "  the rest is shared or reached by none: it follows the source at once, and no rollback touches it".to_owned(),
        );
        let shared: Vec<String> = scopes.common().map(ToString::to_string).collect();
        if !shared.is_empty() {
            lines.push(format!("  but {}: a shared routing changes it while a release needs that", shared.join(", ")));
        }
    }
    lines
}

/// One entry for each object; `scope` is null for the rest.
pub(super) fn as_json(scopes: &Scopes) -> Value {
    let entry = |(key, owner, reached): (&crate::manifest::ObjectKey, Option<&str>, Vec<&str>)| {
        json!({
            "group": key.group,
            "kind": key.kind,
            "namespace": key.namespace,
            "name": key.name,
            "scope": owner,
            "reachedBy": reached,
        })
    };
    Value::Array(scopes.all().map(entry).collect())
}
