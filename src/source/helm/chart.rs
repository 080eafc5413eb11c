//! What a chart says of itself, as far as it must be known before and after helm has read it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::collect::Reader;
use super::super::{Files, ItemKind, SourceError, paths};
use crate::manifest::{self, Document};

fn refused(path: &str, cause: String) -> SourceError {
    SourceError::Refused { path: path.to_owned(), cause }
}

/// Reads `Chart.yaml` and gives the chart's name. Refuses what helm would have to fetch or to follow elsewhere.
pub(super) fn check(reader: &mut Reader<'_>, place: &str) -> Result<String, SourceError> {
    let file = paths::entry(place, "Chart.yaml")?;
    if reader.kind(&file)? != Some(ItemKind::File) {
        return Err(refused(place, "there is no Chart.yaml in it, so it is no Helm chart".to_owned()));
    }
    let chart = mapping(reader, &file)?;
    let Some(name) = chart.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) else {
        return Err(refused(&file, "the chart has no `name`".to_owned()));
    };
    let mut wanted = names(&chart);
    // Charts of `apiVersion: v1` list them in a file of their own.
    let requirements = paths::entry(place, "requirements.yaml")?;
    if reader.kind(&requirements)? == Some(ItemKind::File) {
        wanted.extend(names(&mapping(reader, &requirements)?));
    }
    let vendored = vendored(reader, place)?;
    let is_there = |wanted: &str| {
        vendored.iter().any(|vendored| match vendored {
            Vendored::Folder(name) => name == wanted,
            // `redis-18.1.0.tgz`: helm looks into it, and says so where it is another chart.
            Vendored::Archive(file) => file.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('-')),
        })
    };
    if let Some(missing) = wanted.iter().find(|wanted| !is_there(wanted)) {
        return Err(refused(
            &file,
            format!(
                "the chart depends on `{missing}`, which is not in its `charts/`, and nothing is fetched: run `helm dependency \
                 update {}` and commit `charts/`",
                if place.is_empty() { "." } else { place }
            ),
        ));
    }
    for (path, content) in &reader.files {
        let is_schema = path == "values.schema.json" || path.ends_with("/values.schema.json");
        if is_schema && leads_elsewhere(&String::from_utf8_lossy(content)) {
            let cause = "its `$ref` leads out of the file, and nothing is fetched: put the definition in the file, under `$defs`";
            return Err(refused(path, cause.to_owned()));
        }
    }
    Ok(name.to_owned())
}

fn mapping(reader: &mut Reader<'_>, path: &str) -> Result<Value, SourceError> {
    let text = reader.text(path)?;
    let values =
        manifest::values(path, &text).map_err(|error| SourceError::Invalid { path: path.to_owned(), text: error.to_string() })?;
    Ok(values.into_iter().next().map_or(Value::Null, |raw| raw.value))
}

fn names(chart: &Value) -> BTreeSet<String> {
    let entries = chart.get("dependencies").and_then(Value::as_array).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.get("name")?.as_str()?.to_owned())).collect()
}

enum Vendored {
    /// A chart's folder, by the name in its `Chart.yaml`.
    Folder(String),
    /// A packed chart, by its file's name.
    Archive(String),
}

fn vendored(reader: &mut Reader<'_>, place: &str) -> Result<Vec<Vendored>, SourceError> {
    let charts = paths::entry(place, "charts")?;
    if reader.kind(&charts)? != Some(ItemKind::Directory) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for (path, item) in reader.list(&charts)? {
        match item.kind {
            ItemKind::Directory => {
                let file = paths::entry(&path, "Chart.yaml")?;
                if reader.kind(&file)? == Some(ItemKind::File)
                    && let Some(name) = mapping(reader, &file)?.get("name").and_then(Value::as_str)
                {
                    found.push(Vendored::Folder(name.to_owned()));
                }
            }
            _ if item.name.ends_with(".tgz") => found.push(Vendored::Archive(item.name)),
            _ => {}
        }
    }
    Ok(found)
}

/// Whether a JSON schema refers to another file or to the network. One that is no JSON is helm's to refuse.
fn leads_elsewhere(schema: &str) -> bool {
    fn within(value: &Value) -> bool {
        match value {
            Value::Object(map) => map.iter().any(|(key, value)| {
                let reference = value.as_str().filter(|_| matches!(key.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef"));
                reference.is_some_and(|reference| !reference.starts_with('#')) || within(value)
            }),
            Value::Array(values) => values.iter().any(within),
            _ => false,
        }
    }
    serde_json::from_str(schema).is_ok_and(|value: Value| within(&value))
}

/// Whether a template uses a function that reads the clock, or where it cannot be seen, since the chart is packed.
pub(super) fn may_read_the_time(files: &Files) -> bool {
    let is_template = |path: &str| path.starts_with("templates/") || path.contains("/templates/");
    files.iter().any(|(path, content)| {
        path.ends_with(".tgz")
            || is_template(path)
                && String::from_utf8_lossy(content)
                    .split(|character: char| !character.is_ascii_alphanumeric())
                    .any(|word| matches!(word, "now" | "ago" | "date" | "dateInZone" | "htmlDate" | "htmlDateInZone"))
    })
}

/// helm's message with the paths that the files have in the repository: helm begins them with the chart's name.
pub(super) fn in_repository(message: &str, name: &str, place: &str) -> String {
    let mut shown = String::new();
    let mut rest = message;
    let own = format!("{name}/");
    while let Some(at) = rest.find(&own) {
        let (before, after) = rest.split_at(at);
        let inner = after.get(own.len()..).unwrap_or_default();
        let is_first = !before.ends_with(|last: char| last.is_alphanumeric() || matches!(last, '/' | '-' | '_' | '.'));
        shown.push_str(before);
        if is_first && ["templates/", "charts/", "values.yaml", "crds/"].iter().any(|part| inner.starts_with(part)) {
            shown.push_str(place);
            shown.push_str(if place.is_empty() { "" } else { "/" });
        } else {
            shown.push_str(&own);
        }
        rest = inner;
    }
    shown + rest
}

/// Takes the hooks out. Tests never belong to an installation; any other hook is an order of events that a branch of manifests
/// does not have, so it is refused, unless the Rollout says that it may be left out.
pub(super) fn without_hooks(place: &str, documents: Vec<Document>, skip: bool) -> Result<Vec<Document>, SourceError> {
    let mut refused_hooks = Vec::new();
    let mut kept = Vec::new();
    for document in documents {
        match document.object.text("/metadata/annotations/helm.sh~1hook") {
            None => kept.push(document),
            Some(hook) if hook.split(',').all(|event| event.trim().starts_with("test")) => {}
            Some(hook) => refused_hooks.push(format!("{} ({hook})", document.object.key())),
        }
    }
    if skip || refused_hooks.is_empty() {
        return Ok(kept);
    }
    Err(refused(
        place,
        format!(
            "the chart has hooks, which a branch of manifests cannot run before or after others: {}; turn them off by the chart's \
             values, or set `source.helm.hooks: skip` and run what they do yourself",
            refused_hooks.join(", ")
        ),
    ))
}
