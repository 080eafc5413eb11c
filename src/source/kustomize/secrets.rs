//! Tells Secrets that were written by people from Secrets that the build made.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::{Files, SourceError};
use crate::manifest::{self, Object};

/// Refuses a Secret with a value that stands in no Secret of the source's files (patches are files too): Git would keep
/// for ever what nobody has put there.
pub(super) fn refuse_made(directory: &str, objects: &[Object], files: &Files) -> Result<(), SourceError> {
    let secrets: Vec<&Object> = objects.iter().filter(|object| is_secret(&object.to_value())).collect();
    if secrets.is_empty() {
        return Ok(());
    }
    let mut written = BTreeSet::new();
    for (path, content) in files {
        let Ok(text) = str::from_utf8(content) else { continue };
        // Files that are no manifests (a script, a certificate) hold no Secret's text.
        for raw in manifest::values(path, text).unwrap_or_default() {
            gather(&raw.value, &mut written);
        }
    }
    let made = |object: &&&Object| texts(&object.to_value()).any(|text| !written.contains(&text));
    match secrets.iter().find(made) {
        None => Ok(()),
        Some(secret) => Err(SourceError::Refused {
            path: directory.to_owned(),
            cause: format!(
                "{} has data that kustomize made (secretGenerator); Git would keep it for ever: use a secret store or a \
                 sealed Secret, or set `allowSecrets: true`",
                secret.key()
            ),
        }),
    }
}

fn is_secret(value: &Value) -> bool {
    value.get("kind").and_then(Value::as_str) == Some("Secret") && value.get("apiVersion").and_then(Value::as_str) == Some("v1")
}

/// The values of a Secret, `data` and `stringData` told apart.
fn texts(secret: &Value) -> impl Iterator<Item = (&'static str, String)> {
    ["data", "stringData"].into_iter().flat_map(|field| {
        let values = secret.get(field).and_then(Value::as_object).into_iter().flat_map(|map| map.values());
        values.map(move |value| (field, value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
    })
}

/// The values of all Secrets in a document: itself, entries of lists, and patches that stand in a kustomization.
fn gather(value: &Value, written: &mut BTreeSet<(&'static str, String)>) {
    if is_secret(value) {
        written.extend(texts(value));
        return;
    }
    for field in ["items", "patches", "patchesStrategicMerge"] {
        for entry in value.get(field).and_then(Value::as_array).into_iter().flatten() {
            match entry.as_str().or_else(|| entry.get("patch").and_then(Value::as_str)) {
                Some(inline) if inline.contains("Secret") => {
                    for raw in manifest::values("", inline).unwrap_or_default().iter().filter(|raw| is_secret(&raw.value)) {
                        written.extend(texts(&raw.value));
                    }
                }
                _ if field == "items" => gather(entry, written),
                _ => {}
            }
        }
    }
}
