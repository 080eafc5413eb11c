//! Which documents are for Windlass and not for the cluster.

use std::collections::BTreeMap;

use serde_json::Value;

use super::collect::{Reader, is_manifest};
use super::{ItemKind, SourceError};
use crate::manifest::{self, Document, Object, ObjectKey};

/// A Rollout of Kruise's or of ours, in any version.
pub(super) fn is_rollout(value: &Value) -> bool {
    matches!(group_and_kind(value), Some(("rollouts.kruise.io" | "windlass.dev", "Rollout")))
}

/// A document that says how to release: a Rollout, or a routing that Rollouts share.
fn is_release(value: &Value) -> bool {
    is_rollout(value) || matches!(group_and_kind(value), Some(("rollouts.kruise.io" | "windlass.dev", "TrafficRouting")))
}

/// A document that never reaches the cluster: one about releases, a repository's or an operator's settings.
fn is_ours(value: &Value) -> bool {
    is_release(value) || matches!(group_and_kind(value), Some(("windlass.dev", "Repository" | "Config")))
}

fn group_and_kind(value: &Value) -> Option<(&str, &str)> {
    let text = |field: &str| value.get(field).and_then(Value::as_str);
    let (group, _) = text("apiVersion")?.split_once('/')?;
    Some((group, text("kind")?))
}

/// Whether a file may hold a document of this kind: a cheap look at its bytes.
fn may_hold(content: &[u8], kind: &str) -> bool {
    let has = |word: &[u8]| content.windows(word.len()).any(|part| part == word);
    has(kind.as_bytes()) && (has(b"rollouts.kruise.io") || has(b"windlass.dev"))
}

/// Whether a file holds a Rollout. One that cannot be read counts when a line of it says so: its error must show.
pub(super) fn holds_rollout(content: &[u8]) -> bool {
    holds(content, "Rollout", is_rollout)
}

/// Whether a file holds a routing that Rollouts share.
fn holds_routing(content: &[u8]) -> bool {
    holds(content, "TrafficRouting", is_release)
}

fn holds(content: &[u8], kind: &str, is_it: fn(&Value) -> bool) -> bool {
    if !may_hold(content, kind) {
        return false;
    }
    let text = String::from_utf8_lossy(content);
    match manifest::values("", &text) {
        Ok(values) => values.iter().any(|raw| {
            let items = raw.value.get("items").and_then(Value::as_array);
            is_it(&raw.value) || items.is_some_and(|items| items.iter().any(is_it))
        }),
        Err(_) => text.lines().any(|line| line.split_once("kind:").is_some_and(|(_, found)| found.trim() == kind)),
    }
}

/// The files directly in `directory` that hold a Rollout, or a routing that Rollouts share: path and text.
pub(super) fn beside(reader: &mut Reader<'_>, directory: &str) -> Result<Vec<(String, String)>, SourceError> {
    let mut found = Vec::new();
    for (path, item) in reader.list(directory)? {
        if item.kind != ItemKind::File || !is_manifest(&item.name) {
            continue;
        }
        let content = reader.read(&path)?;
        if holds_rollout(&content) || holds_routing(&content) {
            let text = reader.text(&path)?;
            found.push((path, text));
        }
    }
    Ok(found)
}

/// The documents of several files, sorted into those for the cluster and those about releases.
pub(super) struct Sorted {
    pub(super) objects: Vec<Object>,
    pub(super) rollouts: Vec<(String, String)>,
    places: BTreeMap<ObjectKey, String>,
    limit: usize,
}

impl Sorted {
    pub(super) fn new(limit: usize) -> Self {
        Self { objects: Vec::new(), rollouts: Vec::new(), places: BTreeMap::new(), limit }
    }

    /// Takes the documents of a file. A file with a Rollout or a shared routing in it goes to `rollouts` as it is, so that findings in it have
    /// their lines; its other documents are objects like any.
    pub(super) fn file(&mut self, path: &str, text: &str) -> Result<(), SourceError> {
        let invalid = |error: manifest::ReadError| SourceError::Invalid { path: path.to_owned(), text: error.to_string() };
        let mut whole = false;
        for raw in manifest::values(path, text).map_err(invalid)? {
            if is_ours(&raw.value) {
                whole |= is_release(&raw.value);
                continue;
            }
            for document in raw.objects(path, text).map_err(invalid)? {
                self.document(path, document)?;
            }
        }
        if whole {
            self.rollouts.push((path.to_owned(), text.to_owned()));
        }
        Ok(())
    }

    /// Takes one object. One about releases that was an entry of a list becomes a text of its own.
    pub(super) fn document(&mut self, path: &str, document: Document) -> Result<(), SourceError> {
        let Document { object, line, .. } = document;
        let value = object.to_value();
        if is_ours(&value) {
            if is_release(&value) {
                self.rollouts.push((path.to_owned(), manifest::write(&object)));
            }
            return Ok(());
        }
        let refused = |cause: String| Err(SourceError::Refused { path: path.to_owned(), cause });
        if self.objects.len() >= self.limit {
            return refused(format!("the source makes more than {} objects", self.limit));
        }
        if let Some(other) = self.places.insert(object.key(), format!("{path}:{line}")) {
            return refused(format!("{} stands twice, at {other} and at {path}:{line}: remove one of them", object.key()));
        }
        self.objects.push(object);
        Ok(())
    }
}
