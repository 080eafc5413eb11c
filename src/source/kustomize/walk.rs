//! Follows kustomizations to the files that they refer to.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::collect::Reader;
use super::super::{ItemKind, SourceError, is_kustomization, paths};
use crate::manifest;

pub(super) struct Walked {
    /// The path of the kustomization that was asked for.
    pub(super) kustomization: String,
    /// All kustomization directories on the way; what they use is below them, as kustomize demands.
    pub(super) roots: BTreeSet<String>,
    /// All files that are referred to.
    pub(super) reached: BTreeSet<String>,
}

/// Reads everything that the kustomization in `directory` needs.
pub(super) fn walk(reader: &mut Reader<'_>, directory: &str) -> Result<Walked, SourceError> {
    let mut walked = Walked { kustomization: String::new(), roots: BTreeSet::new(), reached: BTreeSet::new() };
    walked.kustomization = walked.root(reader, directory)?;
    Ok(walked)
}

/// Fields that list files, directories with a kustomization, or (the last four) documents written in place.
const LISTS: [&str; 9] = [
    "resources",
    "bases",
    "components",
    "crds",
    "configurations",
    "generators",
    "transformers",
    "validators",
    "patchesStrategicMerge",
];
/// Fields whose files are documents with references of their own.
const PLUGINS: [&str; 3] = ["generators", "transformers", "validators"];

fn refused(path: &str, cause: String) -> SourceError {
    SourceError::Refused { path: path.to_owned(), cause }
}

impl Walked {
    /// A directory with a kustomization. Gives the kustomization's path.
    fn root(&mut self, reader: &mut Reader<'_>, directory: &str) -> Result<String, SourceError> {
        let entries = reader.tree.list(directory)?.unwrap_or_default();
        let mut names = entries.iter().filter(|item| is_kustomization(&item.name));
        let (Some(name), None) = (names.next(), names.next()) else {
            return Err(refused(directory, "a directory that a kustomization lists needs one kustomization.yaml".to_owned()));
        };
        let path = paths::entry(directory, &name.name)?;
        if !self.roots.insert(directory.to_owned()) {
            return Ok(path);
        }
        self.file(reader, &path)?;
        let text = reader.text(&path)?;
        let invalid = |error: manifest::ReadError| SourceError::Invalid { path: path.clone(), text: error.to_string() };
        for raw in manifest::values(&path, &text).map_err(invalid)? {
            self.document(reader, &path, directory, &raw.value)?;
        }
        Ok(path)
    }

    fn file(&mut self, reader: &mut Reader<'_>, path: &str) -> Result<(), SourceError> {
        // Links are told by the directory, not by the file.
        match reader.kind(path)? {
            Some(ItemKind::File) => {}
            _ => return Err(refused(path, "there is no such file".to_owned())),
        }
        reader.read(path)?;
        self.reached.insert(path.to_owned());
        Ok(())
    }

    /// A kustomization, or the document of a generator or transformer, which uses the same fields.
    fn document(&mut self, reader: &mut Reader<'_>, from: &str, root: &str, value: &Value) -> Result<(), SourceError> {
        for field in ["helmCharts", "helmChartInflationGenerator", "helmGlobals"] {
            if value.get(field).is_some() {
                return Err(refused(
                    from,
                    format!("`{field}`: kustomize does not run helm here; make the chart a source of its own"),
                ));
            }
        }
        let entries = |value: &'_ Value, field: &str| match value.get(field) {
            Some(Value::Array(entries)) => entries.clone(),
            Some(single) => vec![single.clone()],
            None => Vec::new(),
        };
        for field in LISTS {
            for entry in entries(value, field) {
                if let Some(entry) = entry.as_str().filter(|entry| !is_inline(entry)) {
                    self.entry(reader, from, root, entry, PLUGINS.contains(&field))?;
                }
            }
        }
        for field in ["patches", "patchesJson6902", "replacements", "openapi"] {
            for entry in entries(value, field) {
                if let Some(path) = entry.get("path").and_then(Value::as_str) {
                    self.entry(reader, from, root, path, false)?;
                }
            }
        }
        let mut sources = vec![value.clone()];
        for field in ["configMapGenerator", "secretGenerator"] {
            sources.extend(entries(value, field));
        }
        for source in &sources {
            for field in ["files", "envs", "env", "path", "paths"] {
                for entry in entries(source, field) {
                    if let Some(entry) = entry.as_str().filter(|entry| !is_inline(entry)) {
                        // `key=path` of a generator.
                        let path = if field == "files" { entry.split_once('=').map_or(entry, |(_, path)| path) } else { entry };
                        self.entry(reader, from, root, path, false)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, reader: &mut Reader<'_>, from: &str, root: &str, entry: &str, plugin: bool) -> Result<(), SourceError> {
        if is_remote(entry) {
            return Err(refused(
                from,
                format!("`{}` is not in this repository, and nothing is fetched: put a copy of it here", shown(entry)),
            ));
        }
        let path = paths::join(root, entry)?;
        match reader.kind(&path)? {
            Some(ItemKind::Directory) => self.root(reader, &path).map(drop),
            Some(_) => {
                let known = self.reached.contains(&path);
                self.file(reader, &path)?;
                if plugin && !known {
                    let text = reader.text(&path)?;
                    let invalid =
                        |error: manifest::ReadError| SourceError::Invalid { path: path.clone(), text: error.to_string() };
                    for raw in manifest::values(&path, &text).map_err(invalid)? {
                        self.document(reader, &path, root, &raw.value)?;
                    }
                }
                Ok(())
            }
            None => Err(refused(from, format!("`{}` does not exist in this repository", shown(entry)))),
        }
    }
}

/// A document that stands where a path could.
fn is_inline(entry: &str) -> bool {
    entry.contains('\n') || entry.contains(": ") || entry.trim_start().starts_with('{')
}

/// An address in one of the forms that kustomize fetches from.
fn is_remote(entry: &str) -> bool {
    let first = entry.split('/').next().unwrap_or_default();
    entry.contains("://")
        || entry.contains("?ref=")
        || entry.contains("?version=")
        || entry.starts_with("git::")
        || (first.contains(':') && !first.starts_with('.'))
        || matches!(first, "github.com" | "gitlab.com" | "bitbucket.org")
}

fn shown(text: &str) -> String {
    // An address may carry credentials before its `@`.
    let text = match text.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => text.to_owned(),
    };
    text.chars().filter(|character| !character.is_control()).take(200).collect()
}
