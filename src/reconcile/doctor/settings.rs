//! Where appliers' settings are read: the cluster, and the manifests of the source branch.

use std::collections::BTreeSet;

use serde_json::Value;

use super::finding::{Area, Finding};
use super::objects::Item;
use crate::manifest;
use crate::observe::{ClusterReader, Kind, ObserveError};
use crate::source::{ItemKind, SourceError, Tree};

const fn kind(group: &'static str, version: &'static str, kind: &'static str, plural: &'static str) -> Kind<'static> {
    Kind { group, version, kind, plural }
}

/// Flux' and Argo CD's objects. Without those that are needed, whether an app is applied is not known.
const KINDS: [(Kind, bool); 5] = [
    (kind("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations"), true),
    (kind("source.toolkit.fluxcd.io", "v1", "GitRepository", "gitrepositories"), true),
    (kind("notification.toolkit.fluxcd.io", "v1", "Receiver", "receivers"), false),
    (kind("argoproj.io", "v1alpha1", "Application", "applications"), true),
    (kind("argoproj.io", "v1alpha1", "AppProject", "appprojects"), false),
];
const CONFIG_MAP: Kind = kind("", "v1", "ConfigMap", "configmaps");
/// Files of a source branch that are looked through at most, and directories below each other.
const FILES: usize = 20_000;
const DEEPEST: usize = 20;

/// What the cluster holds of appliers.
#[derive(Debug, Default)]
pub(super) struct FromCluster {
    pub items: Vec<Item>,
    /// The ConfigMaps of Argo CD.
    pub argocd: Vec<Item>,
    /// What could not be read.
    pub findings: Vec<Finding>,
    /// Everything that is needed to say who applies what was read.
    pub is_complete: bool,
    /// The cluster did not answer at all.
    pub unreachable: Option<ObserveError>,
}

pub(super) fn from_cluster(reader: &ClusterReader) -> FromCluster {
    let mut read = FromCluster { is_complete: true, ..FromCluster::default() };
    for (kind, is_needed) in KINDS {
        match reader.list(kind, None) {
            Ok(list) => read.items.extend(list.into_iter().flatten().map(item)),
            Err(error @ ObserveError::Unreachable(_)) => {
                return FromCluster { unreachable: Some(error), ..FromCluster::default() };
            }
            Err(ObserveError::Refused { cause, hint }) => {
                read.is_complete &= !is_needed;
                let finding = Finding::unknown(
                    "applier-settings",
                    Area::Applier,
                    format!("{}s", kind.kind),
                    format!("cannot be read: {cause}"),
                );
                read.findings.push(match hint {
                    Some(hint) => finding.mend(hint),
                    None => finding,
                });
            }
        }
    }
    let namespaces: BTreeSet<String> =
        read.items.iter().filter(|item| item.kind() == "Application").map(|item| item.namespace().to_owned()).collect();
    for namespace in namespaces {
        match reader.get(CONFIG_MAP, &namespace, "argocd-cm") {
            Ok(Some(value)) => read.argocd.push(item(value)),
            // Applications may live in other namespaces than Argo CD itself.
            Ok(None) => {}
            Err(error) => {
                let seen = format!("cannot be read, so its health rules are not known: {error}");
                read.findings.push(
                    Finding::unknown("applier-settings", Area::Applier, format!("ConfigMap {namespace}/argocd-cm"), seen)
                        .mend(format!("grant verb get on the ConfigMap argocd-cm in namespace {namespace}")),
                );
            }
        }
    }
    read
}

fn item(value: Value) -> Item {
    Item { value, file: None, in_cluster: true }
}

/// The appliers' objects that stand in files of the source branch. What cannot be read as manifests (templates of charts) is
/// passed over; a repository that cannot be read is an error.
pub(super) fn from_source(tree: &dyn Tree) -> Result<Vec<Item>, SourceError> {
    let mut found = Vec::new();
    let mut left = FILES;
    walk(tree, "", 0, &mut left, &mut found)?;
    Ok(found)
}

fn walk(tree: &dyn Tree, directory: &str, depth: usize, left: &mut usize, found: &mut Vec<Item>) -> Result<(), SourceError> {
    let Some(entries) = tree.list(directory)? else { return Ok(()) };
    for entry in entries {
        let path = crate::reconcile::layout::join(directory, &entry.name);
        let is_yaml = entry.name.ends_with(".yaml") || entry.name.ends_with(".yml");
        match entry.kind {
            ItemKind::Directory if depth < DEEPEST && !entry.name.starts_with('.') => walk(tree, &path, depth + 1, left, found)?,
            ItemKind::File if is_yaml && *left > 0 => {
                *left -= 1;
                match tree.read(&path) {
                    Ok(content) => found.extend(appliers(&path, &content)),
                    Err(error @ SourceError::Repository(_)) => return Err(error),
                    Err(_) => {}
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn appliers(path: &str, content: &[u8]) -> Vec<Item> {
    let Ok(text) = std::str::from_utf8(content) else { return Vec::new() };
    if !KINDS.iter().any(|(kind, _)| text.contains(kind.group)) {
        return Vec::new();
    }
    let Ok(documents) = manifest::read(path, text) else { return Vec::new() };
    let is_applier = |item: &Item| KINDS.iter().any(|(kind, _)| kind.group == item.group() && kind.kind == item.kind());
    let items = documents.into_iter().map(|document| Item {
        value: document.object.to_value(),
        file: Some(path.to_owned()),
        in_cluster: false,
    });
    items.filter(is_applier).collect()
}

/// Those of the cluster, with their files, and those that stand in files only.
pub(super) fn together(mut cluster: Vec<Item>, files: Vec<Item>) -> Vec<Item> {
    for written in files {
        let is_same = |item: &&mut Item| {
            (item.group(), item.kind(), item.namespace(), item.name())
                == (written.group(), written.kind(), written.namespace(), written.name())
        };
        match cluster.iter_mut().find(is_same) {
            Some(item) => item.file = written.file,
            None => cluster.push(written),
        }
    }
    cluster
}
