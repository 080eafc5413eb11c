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
    for value in documents(files) {
        gather(&value, &mut written);
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

/// A message of kustomize's without what it must not show: kustomize prints whole objects, Secrets among them. Go's form
/// of an object is cut, and known values of Secrets are hidden.
pub(super) fn hide(message: &str, files: &Files) -> String {
    let mut shown = String::new();
    for (index, line) in message.lines().enumerate() {
        if index > 0 {
            shown.push('\n');
        }
        match (line.find("map["), line.rfind('}')) {
            (Some(start), Some(end)) if start < end => {
                shown.push_str(line.get(..start).unwrap_or_default());
                shown.push_str("{…}");
                shown.push_str(line.get(end + 1..).unwrap_or_default());
            }
            _ => shown.push_str(line),
        }
    }
    let mut known = BTreeSet::new();
    for value in documents(files) {
        gather(&value, &mut known);
        for generator in value.get("secretGenerator").and_then(Value::as_array).into_iter().flatten() {
            let literals = generator.get("literals").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            known.extend(literals.filter_map(|literal| Some(("data", literal.split_once('=')?.1.to_owned()))));
        }
    }
    for (_, secret) in known.iter().filter(|(_, secret)| secret.len() > 2) {
        shown = shown.replace(secret.as_str(), "(hidden)");
    }
    shown
}

/// Everything that can be read as YAML. Files that are no manifests (a script, a certificate) hold no Secret.
fn documents(files: &Files) -> impl Iterator<Item = Value> {
    let texts = files.iter().filter_map(|(path, content)| Some((path, str::from_utf8(content).ok()?)));
    let secret = texts.filter(|(_, text)| text.to_ascii_lowercase().contains("secret"));
    secret.flat_map(|(path, text)| manifest::values(path, text).unwrap_or_default()).map(|raw| raw.value)
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
