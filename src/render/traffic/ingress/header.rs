//! Header changes as Higress and MSE take them: annotations `…-update`, `…-add` (a header a line, name and value apart by a
//! space) and `…-remove` (names apart by commas). What the user has there comes first.

use serde_json::Value;

use crate::api::HeaderModifier;
use crate::manifest::Object;

/// Adds the step's changes to the annotations with this prefix; gives back why it cannot.
pub(super) fn control(canary: &mut Object, prefix: &str, change: &HeaderModifier) -> Result<(), String> {
    let lines =
        |pairs: &[(String, String)]| -> Vec<String> { pairs.iter().map(|(name, value)| format!("{name} {value}")).collect() };
    let wanted =
        [("update", lines(&change.set), "\n"), ("add", lines(&change.add), "\n"), ("remove", change.remove.clone(), ",")];
    for (suffix, entries, between) in wanted {
        if entries.is_empty() {
            continue;
        }
        if let Some(entry) = entries.iter().find(|entry| entry.chars().any(char::is_control)) {
            return Err(format!("a line break in a header (`{}`)", entry.escape_debug()));
        }
        let key = format!("{prefix}-{suffix}");
        let there = canary.get("/metadata/annotations").and_then(|all| all.get(&key)).and_then(Value::as_str);
        let mut parts: Vec<String> =
            there.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).into_iter().collect();
        parts.extend(entries);
        canary.set(&["metadata", "annotations", &key], Value::String(parts.join(between)));
    }
    Ok(())
}
