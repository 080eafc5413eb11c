//! Tells Secrets that were written by people from Secrets that a renderer made.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Files, SourceError};
use crate::manifest::{self, Object};

/// All values of Secrets in files that are manifests (patches are files too), `data` and `stringData` told apart.
pub(super) fn written(files: &Files) -> BTreeSet<(&'static str, String)> {
    let mut written = BTreeSet::new();
    for value in documents(files) {
        gather(&value, &mut written);
    }
    written
}

/// Refuses a Secret with a value that nobody wrote: Git would keep for ever what nobody has put there. `maker`: who made it
/// and how; `written`: whether a text of a field (`data` or `stringData`) stands in the source.
pub(super) fn refuse_made(
    directory: &str,
    objects: &[Object],
    maker: &str,
    written: impl Fn(&'static str, &str) -> bool,
) -> Result<(), SourceError> {
    let secrets = objects.iter().filter(|object| is_secret(&object.to_value()));
    match secrets.into_iter().find(|object| texts(&object.to_value()).any(|(field, text)| !written(field, &text))) {
        None => Ok(()),
        Some(secret) => Err(SourceError::Refused {
            path: directory.to_owned(),
            cause: format!(
                "{} has data that {maker}; Git would keep it for ever: use a secret store or a \
                 sealed Secret, or set `allowSecrets: true`",
                secret.key()
            ),
        }),
    }
}

/// A renderer's message without what it must not show: kustomize prints whole objects, Secrets among them. Go's form
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
    for (path, content) in files.iter().filter(|(path, _)| path.ends_with(".yaml") || path.ends_with(".yml")) {
        // Values of a chart, by their keys.
        let Ok(text) = str::from_utf8(content) else { continue };
        for raw in manifest::values(path, text).unwrap_or_default().iter().filter(|raw| raw.value.get("kind").is_none()) {
            each_scalar(&raw.value, "", &mut |key, text| {
                let key = key.to_ascii_lowercase();
                if ["secret", "password", "passwd", "token", "credential", "apikey", "privatekey"]
                    .iter()
                    .any(|word| key.contains(word))
                {
                    known.insert(("data", text));
                }
            });
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
        values
            .filter(|value| !value.is_null())
            .map(move |value| (field, value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
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

/// The texts of a chart: values, and what stands in templates.
pub(super) struct Texts<'a> {
    scalars: BTreeSet<String>,
    texts: Vec<&'a str>,
    files: &'a Files,
}

impl<'a> Texts<'a> {
    pub(super) fn of(files: &'a Files) -> Self {
        let texts: Vec<(&String, &str)> =
            files.iter().filter_map(|(path, content)| Some((path, str::from_utf8(content).ok()?))).collect();
        let mut scalars = BTreeSet::new();
        for (path, text) in &texts {
            for raw in manifest::values(path, text).unwrap_or_default() {
                each_scalar(&raw.value, "", &mut |_, text| {
                    scalars.insert(text);
                });
            }
        }
        Self { scalars, texts: texts.into_iter().map(|(_, text)| text).collect(), files }
    }

    /// Whether a Secret's text is one of the source: a value, a file, or lines that all stand in values or templates. What `data` has is
    /// decoded before.
    pub(super) fn holds(&self, field: &str, text: &str) -> bool {
        use base64::Engine as _;
        let bytes = (field == "data").then(|| base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()).flatten();
        if bytes.as_ref().is_some_and(|bytes| self.files.values().any(|file| file == bytes)) {
            return true;
        }
        let decoded = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let text = decoded.as_deref().unwrap_or(text);
        let stands = |line: &str| {
            let line = line.trim();
            self.scalars.iter().any(|scalar| scalar.contains(line)) || self.texts.iter().any(|text| text.contains(line))
        };
        self.scalars.contains(text) || text.lines().all(stands)
    }
}

/// Every text, number and truth value, with the key that it stands under.
fn each_scalar(value: &Value, key: &str, found: &mut dyn FnMut(&str, String)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| each_scalar(value, key, found)),
        Value::Array(values) => values.iter().for_each(|value| each_scalar(value, key, found)),
        Value::String(text) => found(key, text.clone()),
        Value::Null => {}
        other => found(key, other.to_string()),
    }
}
