//! A live path that several Rollouts share: whose its files are.
//!
//! Each app's state names its own files. What is no app's is the rest's; its record says how Windlass left it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Trouble;
use super::layout::{self, AppId};
use super::switch::Switch;
use crate::engine::{SourceFacts, State};
use crate::git::{Change, Entry, EntryKind, Oid, Repo};
use crate::manifest::{ObjectKey, ObjectSet};

/// The only version that is read.
const VERSION: u32 = 1;
/// Which source commit the rest came from, for tools that read it; the applier passes it over.
pub(super) const METADATA: &str = "hydrator.metadata";
const SUFFIX: &str = ".yaml";

/// How Windlass left the rest of a live path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Record {
    pub version: u32,
    pub source: SourceFacts,
    /// A digest of what it came from (`Switch::digest`).
    pub digest: String,
    /// Name → Git's id of the content.
    pub files: BTreeMap<String, String>,
    /// A digest of objects that a person has reverted: it is not written again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// The commit that this one was made on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    pub at: Timestamp,
}

impl Record {
    pub(super) fn of(source: SourceFacts, digest: String, at: Timestamp) -> Self {
        Self { version: VERSION, source, digest, files: BTreeMap::new(), rejected: None, parent: None, at }
    }

    /// The change that writes it.
    pub(super) fn change(&self, path: &str) -> Result<Change, Trouble> {
        Ok(Change::File { path: layout::join(&layout::rest_home(path), "record"), content: layout::pretty(self)? })
    }
}

/// The change that writes the home of a rest: its record, and the routings that Rollouts share.
pub(super) fn home(path: &str, record: &Record, switch: &Switch) -> Result<Change, Trouble> {
    let mut files = switch.files()?;
    files.insert("record".to_owned(), layout::pretty(record)?);
    Ok(Change::Directory { directory: layout::rest_home(path), files })
}

/// Everything that is recorded of one live path at one commit.
pub(super) struct Parts {
    pub record: Option<Record>,
    /// The apps by the Rollouts' names.
    pub apps: BTreeMap<String, State>,
    /// The files that stand there.
    pub entries: BTreeMap<String, Entry>,
}

/// The record of a live path's rest; `None` where it has none: its files are one app's.
pub(super) fn record(repo: &dyn Repo, commit: Oid, path: &str) -> Result<Option<Record>, Trouble> {
    let file = layout::join(&layout::rest_home(path), "record");
    let Some(content) = layout::read_file(repo, commit, &file)? else { return Ok(None) };
    let record: Record =
        serde_json::from_slice(&content).map_err(|error| Trouble::Content { path: file.clone(), cause: error.to_string() })?;
    match record.version {
        VERSION => Ok(Some(record)),
        other => Err(Trouble::Content { path: file, cause: format!("version {other}: this windlass reads version 1") }),
    }
}

/// The record of a live path that apps share is not there.
pub(super) fn missing(path: &str) -> Trouble {
    let cause = "it is missing, and says which files of the live path are no Rollout's: `git revert` the commit that removed it";
    Trouble::Content { path: layout::join(&layout::rest_home(path), "record"), cause: cause.to_owned() }
}

impl Parts {
    pub(super) fn read(repo: &dyn Repo, commit: Oid, path: &str) -> Result<Self, Trouble> {
        let mut apps = BTreeMap::new();
        let home = repo.entry(commit, &layout::join(layout::HOME, path))?;
        for entry in home.map(|home| repo.list(home.id)).transpose()?.into_iter().flatten() {
            let id = AppId { path: path.to_owned(), name: entry.name };
            if entry.kind == EntryKind::Directory
                && layout::is_recorded(repo, commit, &id)?
                && let Some(state) = layout::read_state(repo, commit, &id)?
            {
                apps.insert(id.name, state);
            }
        }
        let entries = layout::own_entries(repo, repo.commit(commit)?.tree, path)?;
        Ok(Self { record: record(repo, commit, path)?, apps, entries })
    }

    /// The names of all files that are an app's.
    pub(super) fn owned(&self) -> BTreeSet<&str> {
        let named = self.apps.values().flat_map(|state| state.files.iter().map(String::as_str));
        let whole = self.apps.values().any(|state| state.files.is_empty());
        if whole { self.entries.keys().map(String::as_str).collect() } else { named.collect() }
    }

    /// The names of all files that are no app's.
    pub(super) fn loose(&self) -> Vec<String> {
        let owned = self.owned();
        self.entries.keys().filter(|name| !owned.contains(name.as_str())).cloned().collect()
    }

    /// Whether the rest stands as it was left. Files that an app has taken since do not count.
    pub(super) fn is_as_left(&self) -> bool {
        let Some(record) = &self.record else { return true };
        let owned = self.owned();
        let left = |(name, entry): (&String, &Entry)| {
            owned.contains(name.as_str()) || record.files.get(name) == Some(&entry.id.to_string())
        };
        let there = |name: &String| owned.contains(name.as_str()) || self.entries.contains_key(name);
        self.entries.iter().all(left) && record.files.keys().all(there)
    }
}

/// An app's files as they are to be, beside what others have.
pub(super) struct Files {
    pub changes: Vec<Change>,
    pub names: Vec<String>,
}

/// The changes that make `objects` the files of a part, which has `own` now.
///
/// # Errors
/// Somebody else has a file for one of the objects.
pub(super) fn rewrite(
    repo: &dyn Repo,
    commit: Option<Oid>,
    path: &str,
    (entries, own): (&BTreeMap<String, Entry>, &BTreeSet<String>),
    objects: &ObjectSet,
) -> Result<Files, Trouble> {
    let others = entries.keys().filter(|name| !own.contains(*name));
    let taken: BTreeSet<String> = others.filter_map(|name| Some(name.strip_suffix(SUFFIX)?.to_owned())).collect();
    let alone = objects.file_stems();
    for (key, stem) in &alone {
        if taken.contains(stem) && holds(repo, commit, &layout::join(path, &format!("{stem}{SUFFIX}")), key)? {
            let cause = format!(
                "{key} stands here already, and is not this Rollout's: another of the same live path has it, or a person"
            );
            return Err(Trouble::Content { path: layout::join(path, &format!("{stem}{SUFFIX}")), cause });
        }
    }
    let files = layout::files_beside(objects, SUFFIX, &taken)?;
    let names: Vec<String> = files.keys().cloned().collect();
    let gone = own.iter().filter(|name| !files.contains_key(*name) && entries.contains_key(*name));
    let mut changes: Vec<Change> = gone.map(|name| Change::Remove { path: layout::join(path, name) }).collect();
    changes.extend(files.into_iter().map(|(name, content)| Change::File { path: layout::join(path, &name), content }));
    Ok(Files { changes, names })
}

fn holds(repo: &dyn Repo, commit: Option<Oid>, file: &str, key: &ObjectKey) -> Result<bool, Trouble> {
    let Some(commit) = commit else { return Ok(false) };
    Ok(layout::read_manifests(repo, commit, file)?.iter().any(|object| object.key() == *key))
}

/// Whether a file of a live path is called as Windlass calls its own.
pub(super) fn is_manifest(name: &str) -> bool {
    name.ends_with(SUFFIX)
}

/// The files of a live path with the objects in them, of those that are named.
pub(super) fn objects_by_file(
    repo: &dyn Repo,
    commit: Oid,
    path: &str,
    names: impl IntoIterator<Item = String>,
) -> Result<BTreeMap<String, ObjectSet>, Trouble> {
    let mut files = BTreeMap::new();
    for name in names.into_iter().filter(|name| is_manifest(name)) {
        let objects = layout::read_manifests(repo, commit, &layout::join(path, &name))?;
        files.insert(name, objects.into_iter().collect());
    }
    Ok(files)
}
