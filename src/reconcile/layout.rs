//! Where things stand on the live branch, and how they are written.
//!
//! ```text
//! <live path>/<kind>-<name>.yaml                    what the applier reads
//! <live path>/hydrator.metadata
//! .windlass/<live path>/<Rollout name>/state        JSON
//! .windlass/<live path>/<Rollout name>/rollout      the Rollout in force, JSON
//! .windlass/<live path>/<Rollout name>/lua/…        the scripts in force, by their paths in the source's .windlass/lua
//! .windlass/<live path>/<Rollout name>/stable/…     slots: the rendered objects, one a file
//! .windlass/<live path>/<Rollout name>/candidate/…
//! .windlass/<live path>/_rest/record                only where several Rollouts share the path, JSON
//! .windlass/_source                                 only where the source is in another repository
//! ```
//! No file below `.windlass/` ends in `.yaml`, `.yml` or `.json`, so no applier takes it for a manifest.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::Trouble;
use crate::api::Rollout;
use crate::engine::State;
use crate::git::{Entry, EntryKind, Oid, Repo};
use crate::manifest::{self, Object, ObjectSet};
use crate::render;

/// The folder of everything that is not for appliers.
pub const HOME: &str = ".windlass";
/// What is no Rollout's alone, where an app's name would stand.
pub const REST: &str = "_rest";
/// Says in one line which repository a live branch is made from that is in another one.
pub const SOURCE: &str = ".windlass/_source";
const SUFFIX: &str = ".manifest";
/// The folder of an app's scripts. They are files of their own, so that a person can read what changed in one.
const LUA: &str = "lua";
/// No state, spec or manifest is larger.
const LIMIT: usize = 16 << 20;

/// One app on the live branch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId {
    /// Relative to the branch's root, `""` for the root.
    pub path: String,
    /// The Rollout's name.
    pub name: String,
}

impl std::fmt::Display for AppId {
    /// `prod/checkout`, or `prod:checkout` where the path does not end in the Rollout's name.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.path.rsplit('/').next() {
            Some(last) if last == self.name => f.write_str(&self.path),
            _ if self.path.is_empty() => f.write_str(&self.name),
            _ => write!(f, "{}:{}", self.path, self.name),
        }
    }
}

impl AppId {
    /// The folder of the app's state and slots.
    pub fn home(&self) -> String {
        join(&join(HOME, &self.path), &self.name)
    }
}

/// Joins two relative paths, either of which may be empty.
pub fn join(a: &str, b: &str) -> String {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b.to_owned(),
        (_, true) => a.to_owned(),
        _ => format!("{a}/{b}"),
    }
}

/// The folder of what several Rollouts of one live path share. No Rollout can be called so.
pub fn rest_home(path: &str) -> String {
    join(&join(HOME, path), REST)
}

/// Whether several Rollouts share a live path, or have shared it.
pub fn has_rest(repo: &dyn Repo, commit: Oid, path: &str) -> Result<bool, Trouble> {
    Ok(repo.entry(commit, &rest_home(path))?.is_some())
}

/// The live path's files.
pub fn live_files(objects: &ObjectSet, metadata: &str) -> Result<BTreeMap<String, Vec<u8>>, Trouble> {
    let mut files = files(objects, ".yaml")?;
    files.insert("hydrator.metadata".to_owned(), metadata.as_bytes().to_vec());
    Ok(files)
}

fn files(objects: &ObjectSet, suffix: &str) -> Result<BTreeMap<String, Vec<u8>>, Trouble> {
    files_beside(objects, suffix, &BTreeSet::new())
}

/// One file for each object. `taken`: names without their ending that stand there for other objects.
pub(super) fn files_beside(
    objects: &ObjectSet,
    suffix: &str,
    taken: &BTreeSet<String>,
) -> Result<BTreeMap<String, Vec<u8>>, Trouble> {
    let stems = objects.file_stems_beside(taken);
    let mut files = BTreeMap::new();
    for (key, object) in objects.iter() {
        let stem = stems.get(key).ok_or_else(|| Trouble::Defect(format!("no file name for {key}")))?;
        if files.insert(format!("{stem}{suffix}"), manifest::write(object).into_bytes()).is_some() {
            return Err(Trouble::Content {
                path: format!("{stem}{suffix}"),
                cause: format!("two objects want this file: {key} is one"),
            });
        }
    }
    Ok(files)
}

/// All files of an app's home.
pub fn home_files(
    state: &State,
    rollout: &Rollout,
    stable: &ObjectSet,
    candidate: Option<&ObjectSet>,
) -> Result<BTreeMap<String, Vec<u8>>, Trouble> {
    let mut all = BTreeMap::new();
    for (slot, objects) in [("stable", Some(stable)), ("candidate", candidate)] {
        for (name, content) in objects.map(|objects| files(objects, SUFFIX)).transpose()?.unwrap_or_default() {
            all.insert(format!("{slot}/{name}"), content);
        }
    }
    all.insert("state".to_owned(), pretty(state)?);
    let mut rollout = rollout.clone();
    for (path, text) in rollout.take_scripts() {
        all.insert(format!("{LUA}/{path}"), text.into_bytes());
    }
    all.insert("rollout".to_owned(), pretty(&rollout)?);
    Ok(all)
}

pub(super) fn pretty<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, Trouble> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| Trouble::Defect(error.to_string()))?;
    text.push(b'\n');
    Ok(text)
}

/// `hydrator.metadata`, as Argo CD's source hydrator and GitOps Promoter read it.
pub fn metadata(source_commit: &str, repo_url: &str, command: Option<&str>) -> String {
    let commands: Vec<&str> = command.into_iter().collect();
    let value = json!({"commands": commands, "drySha": source_commit, "repoURL": repo_url});
    format!("{value:#}\n")
}

/// Reads the recorded state of an app.
pub fn read_state(repo: &dyn Repo, commit: Oid, app: &AppId) -> Result<Option<State>, Trouble> {
    let path = join(&app.home(), "state");
    let Some(content) = read_file(repo, commit, &path)? else { return Ok(None) };
    let version = serde_json::from_slice::<serde_json::Value>(&content).ok().and_then(|value| value.get("version")?.as_u64());
    if let Some(version) = version.filter(|version| *version != u64::from(crate::engine::STATE_VERSION)) {
        return Err(Trouble::Content { path, cause: format!("state of version {version}: this windlass reads version 1") });
    }
    serde_json::from_slice(&content).map(Some).map_err(|error| Trouble::Content { path, cause: error.to_string() })
}

/// Reads the recorded Rollout of an app, with the scripts that were in force with it.
pub fn read_rollout(repo: &dyn Repo, commit: Oid, app: &AppId) -> Result<Option<Rollout>, Trouble> {
    let path = join(&app.home(), "rollout");
    let Some(content) = read_file(repo, commit, &path)? else { return Ok(None) };
    let mut rollout: Rollout =
        serde_json::from_slice(&content).map_err(|error| Trouble::Content { path, cause: error.to_string() })?;
    let mut scripts = BTreeMap::new();
    for wanted in rollout.wanted_scripts() {
        let path = join(&join(&app.home(), LUA), &wanted);
        if let Some(content) = read_file(repo, commit, &path)? {
            let text = String::from_utf8(content).map_err(|_| Trouble::Content { path, cause: "not UTF-8".to_owned() })?;
            scripts.insert(wanted, text);
        }
    }
    rollout.give_scripts(&scripts);
    Ok(Some(rollout))
}

/// Reads a slot (`stable` or `candidate`).
pub fn read_slot(repo: &dyn Repo, commit: Oid, app: &AppId, slot: &str) -> Result<Option<ObjectSet>, Trouble> {
    read_objects(repo, commit, &join(&app.home(), slot), SUFFIX)
}

/// The files that hold objects in a home, as slots are written.
pub(super) fn slot_files(objects: &ObjectSet) -> Result<BTreeMap<String, Vec<u8>>, Trouble> {
    files(objects, SUFFIX)
}

/// Reads what [`slot_files`] wrote.
pub(super) fn read_slots(repo: &dyn Repo, commit: Oid, directory: &str) -> Result<Option<ObjectSet>, Trouble> {
    read_objects(repo, commit, directory, SUFFIX)
}

/// Reads the objects of a live path.
pub fn read_live(repo: &dyn Repo, commit: Oid, path: &str) -> Result<Option<ObjectSet>, Trouble> {
    read_objects(repo, commit, path, ".yaml")
}

/// Reads the objects of an app's part of its live path: of `files`, or all where there are none named.
pub fn read_part(repo: &dyn Repo, commit: Oid, path: &str, files: &[String]) -> Result<Option<ObjectSet>, Trouble> {
    if files.is_empty() {
        return read_live(repo, commit, path);
    }
    let mut set = ObjectSet::default();
    for file in files {
        for object in read_manifests(repo, commit, &join(path, file))? {
            set.insert(object);
        }
    }
    Ok(Some(set))
}

/// The objects of one file of a live path; none where it is not there.
pub fn read_manifests(repo: &dyn Repo, commit: Oid, path: &str) -> Result<Vec<Object>, Trouble> {
    let Some(content) = read_file(repo, commit, path)? else { return Ok(Vec::new()) };
    manifests(path, content)
}

fn manifests(path: &str, content: Vec<u8>) -> Result<Vec<Object>, Trouble> {
    let wrong = |cause: String| Trouble::Content { path: path.to_owned(), cause };
    let text = String::from_utf8(content).map_err(|_| wrong("not UTF-8".to_owned()))?;
    let documents = manifest::read(path, &text).map_err(|error| wrong(error.to_string()))?;
    Ok(documents.into_iter().map(|document| document.object).collect())
}

/// The objects of a live path as a person left them, without what Windlass had added to them.
pub fn adoptable(repo: &dyn Repo, commit: Oid, app: &AppId, rollout: &Rollout, files: &[String]) -> Result<ObjectSet, Trouble> {
    let mut objects = read_part(repo, commit, &app.path, files)?.unwrap_or_default();
    let mut workload = render::unlabelled(render::find_workload(&objects, &rollout.workload)?, &rollout.workload);
    workload.remove(&["metadata", "annotations", render::COMMIT_TREE]);
    objects.insert(workload);
    Ok(objects)
}

fn read_objects(repo: &dyn Repo, commit: Oid, directory: &str, suffix: &str) -> Result<Option<ObjectSet>, Trouble> {
    let Some(tree) = repo.entry(commit, directory)? else { return Ok(None) };
    let mut set = ObjectSet::default();
    for entry in repo.list(tree.id)?.into_iter().filter(|entry| entry.name.ends_with(suffix)) {
        let path = join(directory, &entry.name);
        if !matches!(entry.kind, EntryKind::File | EntryKind::Executable) {
            return Err(Trouble::Content { path, cause: "not a plain file".to_owned() });
        }
        for object in manifests(&path, repo.blob(entry.id, LIMIT)?)? {
            set.insert(object);
        }
    }
    Ok(Some(set))
}

/// A file's content at a commit; `None` where there is none.
pub fn read_file(repo: &dyn Repo, commit: Oid, path: &str) -> Result<Option<Vec<u8>>, Trouble> {
    match repo.entry(commit, path)? {
        None => Ok(None),
        Some(entry) if matches!(entry.kind, EntryKind::File | EntryKind::Executable) => Ok(Some(repo.blob(entry.id, LIMIT)?)),
        Some(_) => Err(Trouble::Content { path: path.to_owned(), cause: "not a plain file".to_owned() }),
    }
}

/// The identity of a live path's own files: Git's tree id where it holds nothing else, else a digest of its files, since
/// directories in it belong to other apps.
pub fn live_id(repo: &dyn Repo, root: Oid, path: &str) -> Result<String, Trouble> {
    let Some(tree) = repo.entry_in(root, path)? else { return Ok(String::new()) };
    let entries = repo.list(tree.id)?;
    let own = |name: &str| !(path.is_empty() && name == ".gitattributes");
    if entries.iter().all(|entry| entry.kind != EntryKind::Directory && own(&entry.name)) {
        return Ok(tree.id.to_string());
    }
    Ok(digest_of(entries.iter().filter(|entry| entry.kind != EntryKind::Directory && own(&entry.name))))
}

/// The identity of an app's part of its live path: of `files`, or of all where there are none named.
pub fn part_id(repo: &dyn Repo, root: Oid, path: &str, files: &[String]) -> Result<String, Trouble> {
    if files.is_empty() {
        return live_id(repo, root, path);
    }
    Ok(digest_of(own_entries(repo, root, path)?.values().filter(|entry| files.contains(&entry.name))))
}

fn digest_of<'a>(entries: impl Iterator<Item = &'a Entry>) -> String {
    let files = entries.map(|entry| json!([entry.name, entry.id.to_string(), format!("{:?}", entry.kind)])).collect();
    manifest::digest(&serde_json::Value::Array(files)).chars().take(40).collect()
}

/// The files directly in a live path, by name. Of the root's own files `.gitattributes` is nobody's.
pub fn own_entries(repo: &dyn Repo, root: Oid, path: &str) -> Result<BTreeMap<String, Entry>, Trouble> {
    let Some(tree) = repo.entry_in(root, path)?.filter(|entry| entry.kind == EntryKind::Directory) else {
        return Ok(BTreeMap::new());
    };
    let entries = repo.list(tree.id)?.into_iter();
    let own = |entry: &Entry| entry.kind != EntryKind::Directory && !(path.is_empty() && entry.name == ".gitattributes");
    Ok(entries.filter(own).map(|entry| (entry.name.clone(), entry)).collect())
}

/// The app whose home is at a path of the live branch, if it is one.
pub fn app_at(home: &str) -> Option<AppId> {
    let inner = home.strip_prefix(HOME)?.strip_prefix('/')?;
    let (path, name) = inner.rsplit_once('/').unwrap_or(("", inner));
    Some(AppId { path: path.to_owned(), name: name.to_owned() })
}

/// Whether [`recorded_apps`] would name this app.
pub fn is_recorded(repo: &dyn Repo, commit: Oid, app: &AppId) -> Result<bool, Trouble> {
    let has_state = |home: &str| -> Result<bool, Trouble> {
        Ok(repo.entry(commit, &join(home, "state"))?.is_some_and(|entry| entry.kind == EntryKind::File))
    };
    let in_slot = is_slot(&app.name) && has_state(&join(HOME, &app.path))?;
    Ok(!in_slot && has_state(&app.home())?)
}

fn is_slot(name: &str) -> bool {
    matches!(name, "stable" | "candidate" | LUA)
}

/// All apps that have a state on the live branch.
pub fn recorded_apps(repo: &dyn Repo, commit: Oid) -> Result<Vec<AppId>, Trouble> {
    let mut apps = Vec::new();
    if let Some(home) = repo.entry(commit, HOME)?.filter(|entry| entry.kind == EntryKind::Directory) {
        walk(repo, home.id, "", &mut apps)?;
    }
    apps.sort();
    Ok(apps)
}

fn walk(repo: &dyn Repo, tree: Oid, path: &str, apps: &mut Vec<AppId>) -> Result<(), Trouble> {
    let entries = repo.list(tree)?;
    let is_app = entries.iter().any(|entry| entry.name == "state" && entry.kind == EntryKind::File);
    if is_app {
        let (path, name) = path.rsplit_once('/').unwrap_or(("", path));
        apps.push(AppId { path: path.to_owned(), name: name.to_owned() });
    }
    for entry in entries.into_iter().filter(|entry| entry.kind == EntryKind::Directory) {
        if is_app && is_slot(&entry.name) {
            continue;
        }
        walk(repo, entry.id, &join(path, &entry.name), apps)?;
    }
    Ok(())
}
