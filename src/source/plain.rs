//! A directory of manifests as they are.
//!
//! All `*.yaml`, `*.yml` and `*.json` files are taken, those in subdirectories too. Left out are hidden files and
//! directories, and a subdirectory that is a source of its own: one with a Rollout, a kustomization or a chart directly
//! in it, with all that is below it.

use std::collections::BTreeMap;

use super::collect::{Reader, is_manifest};
use super::own::{Sorted, holds_rollout};
use super::{Item, ItemKind, Limits, Rendered, SourceError, Tree, is_chart, is_kustomization};

pub(super) fn render(tree: &dyn Tree, directory: &str, limits: &Limits) -> Result<Rendered, SourceError> {
    let mut reader = Reader::new(tree, limits);
    let entries = reader.list(directory)?;
    let mut found = Vec::new();
    manifests(&mut reader, entries, &mut found)?;
    let mut sorted = Sorted::new(limits.objects);
    for path in &found {
        let text = reader.text(path)?;
        sorted.file(path, &text)?;
    }
    if sorted.objects.is_empty() {
        if let Some(chart) = chart_below(&reader, directory)? {
            return Err(SourceError::Refused {
                path: directory.to_owned(),
                cause: format!(
                    "no manifests in this directory, but a chart in `{chart}`: name it in the Rollout, `source.helm.chart`"
                ),
            });
        }
        return Err(SourceError::Refused {
            path: directory.to_owned(),
            cause: "no manifests in this directory: it needs at least one *.yaml, *.yml or *.json file with a Kubernetes object"
                .to_owned(),
        });
    }
    let mut inputs = BTreeMap::new();
    if let Some(identity) = tree.identity(directory)? {
        inputs.insert(directory.to_owned(), identity);
    }
    Ok(Rendered { objects: sorted.objects, rollouts: sorted.rollouts, inputs, command: None })
}

fn manifests(reader: &mut Reader<'_>, entries: Vec<(String, Item)>, found: &mut Vec<String>) -> Result<(), SourceError> {
    for (path, item) in entries {
        if item.name.starts_with('.') {
            continue;
        }
        if item.kind == ItemKind::Directory {
            let inner = reader.list(&path)?;
            if !is_source(reader, &inner)? {
                manifests(reader, inner, found)?;
            }
        } else if is_manifest(&item.name) {
            reader.read(&path)?;
            found.push(path);
        }
    }
    Ok(())
}

/// The first directory in this one that holds a chart.
fn chart_below(reader: &Reader<'_>, directory: &str) -> Result<Option<String>, SourceError> {
    for (path, item) in reader.list(directory)? {
        if item.kind == ItemKind::Directory
            && reader.list(&path)?.iter().any(|(_, item)| item.kind == ItemKind::File && is_chart(&item.name))
        {
            return Ok(Some(item.name));
        }
    }
    Ok(None)
}

/// Whether these are the entries of a source of its own.
fn is_source(reader: &mut Reader<'_>, entries: &[(String, Item)]) -> Result<bool, SourceError> {
    let files = || entries.iter().filter(|(_, item)| item.kind == ItemKind::File);
    if files().any(|(_, item)| is_kustomization(&item.name) || is_chart(&item.name)) {
        return Ok(true);
    }
    for (path, _) in files().filter(|(_, item)| is_manifest(&item.name)) {
        if holds_rollout(&reader.read(path)?) {
            return Ok(true);
        }
    }
    Ok(false)
}
