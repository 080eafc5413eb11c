//! Routings that the Rollouts of a live path share: which are in force, and what they change in the rest.
//!
//! A routing is in force while any app's shape names it. The live branch remembers the routings and the objects that they know
//! as the user wrote them, so that the commit of an app which is the first to need one, or the last, also changes the routes;
//! nothing of the source is needed for that.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Trouble;
use super::layout::{self, AppId};
use super::parts::{self, Parts};
use crate::api::SharedRouting;
use crate::engine::State;
use crate::git::{Change, Oid, Repo};
use crate::manifest::{self, ObjectKey, ObjectSet};
use crate::render::{self, traffic};

/// The file of the rest's home that says which routings there are.
const FILE: &str = "routings";
/// The folder of the rest's home with the objects that they know.
const PLAIN: &str = "plain";

/// The shared routings of a live path.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Switch {
    said: Said,
    /// Their Services and routes as the user wrote them.
    plain: ObjectSet,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Said {
    /// The names of those in force.
    on: BTreeSet<String>,
    routings: Vec<SharedRouting>,
}

/// The shared routings that the live branch remembers of a live path; `None` where it has none.
pub(super) fn recorded(repo: &dyn Repo, commit: Oid, path: &str) -> Result<Option<Switch>, Trouble> {
    let home = layout::rest_home(path);
    let file = layout::join(&home, FILE);
    let Some(content) = layout::read_file(repo, commit, &file)? else { return Ok(None) };
    let wrong = |error: serde_json::Error| Trouble::Content { path: file.clone(), cause: error.to_string() };
    let said = serde_json::from_slice(&content).map_err(wrong)?;
    let plain = layout::read_slots(repo, commit, &layout::join(&home, PLAIN))?.unwrap_or_default();
    Ok(Some(Switch { said, plain }))
}

/// The routings that apps need.
fn needed<'a>(apps: impl IntoIterator<Item = &'a State>) -> BTreeSet<String> {
    apps.into_iter().filter_map(|state| state.shape.shared.clone()).collect()
}

impl Switch {
    /// What `apps` need of the routings that the source has, with its objects.
    pub(super) fn of<'a>(routings: &[SharedRouting], objects: &ObjectSet, apps: impl IntoIterator<Item = &'a State>) -> Self {
        let said = Said { on: BTreeSet::new(), routings: routings.to_vec() };
        Self { said, plain: traffic::known_to(objects, routings) }.turned(&needed(apps))
    }

    /// The same where `needed` are needed.
    fn turned(mut self, needed: &BTreeSet<String>) -> Self {
        let names = self.said.routings.iter().map(|routing| &routing.name);
        self.said.on = names.filter(|name| needed.contains(*name)).cloned().collect();
        self
    }

    /// A digest of what the source asks of the rest: its objects, before anything is in force, and the routings.
    pub(super) fn digest(&self, rest: &ObjectSet) -> String {
        let objects = render::set_digest(rest);
        if self.is_empty() {
            return objects;
        }
        manifest::digest(&json!([objects, self.said.routings]))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.said.routings.is_empty()
    }

    pub(super) fn in_force(&self) -> impl Iterator<Item = &SharedRouting> {
        self.said.routings.iter().filter(|routing| self.said.on.contains(&routing.name))
    }

    /// Changes the rest's objects, which are as the user wrote them.
    pub(super) fn apply(&self, rest: &mut ObjectSet) -> Result<(), Trouble> {
        let changed = traffic::share(&self.plain, self.in_force())
            .map_err(|error| Trouble::Invalid(format!("the shared routings cannot be carried out: {error}")))?;
        changed.values().for_each(|object| drop(rest.insert(object.clone())));
        Ok(())
    }

    /// Brings the rest's objects back to how the user wrote them. No script is asked: this is what a rollback needs.
    pub(super) fn take_back(&self, rest: &mut ObjectSet) {
        for (key, object) in self.plain.iter() {
            // Services that Rollouts have are none of the rest's.
            if rest.get(key).is_some() {
                rest.insert(object.clone());
            }
        }
        let added: Vec<ObjectKey> = rest.iter().map(|(key, _)| key.clone()).filter(|key| self.has_added(key)).collect();
        added.iter().for_each(|key| drop(rest.remove(key)));
    }

    fn has_added(&self, key: &ObjectKey) -> bool {
        self.plain.get(key).is_none() && self.in_force().any(|shared| traffic::adds(shared, key))
    }

    /// Its files in the rest's home.
    pub(super) fn files(&self) -> Result<BTreeMap<String, Vec<u8>>, Trouble> {
        let mut files = BTreeMap::new();
        if !self.is_empty() {
            files.insert(FILE.to_owned(), layout::pretty(&self.said)?);
            for (name, content) in layout::slot_files(&self.plain)? {
                files.insert(format!("{PLAIN}/{name}"), content);
            }
        }
        Ok(files)
    }

    /// What is new in force, and what ends, against an earlier time; in sentences.
    pub(super) fn news(&self, before: Option<&Self>) -> Vec<String> {
        let none = BTreeSet::new();
        let then = before.map_or(&none, |before| &before.said.on);
        let begins = self.said.on.iter().filter(|name| !then.contains(*name));
        let begins = begins.map(|name| format!("The shared routing `{name}` comes into force."));
        let ends = then
            .iter()
            .filter(|name| !self.said.on.contains(*name))
            .map(|name| format!("No release needs the shared routing `{name}` any more: its routes are as you wrote them."));
        begins.chain(ends).collect()
    }
}

/// What an app's commit does to the shared routings.
#[derive(Default)]
pub(super) struct Turn {
    pub changes: Vec<Change>,
    /// What is to be told of it.
    pub why: Vec<String>,
}

/// What follows for the shared routings from an app's new state. `root`: the tree with the app's own files changed already.
///
/// Where a person's change stands in the rest, nothing: it must be settled first, and then the rest follows.
pub(super) fn turn(repo: &mut dyn Repo, parent: Oid, root: Oid, app: &AppId, state: &State) -> Result<Turn, Trouble> {
    let Some(before) = recorded(repo, parent, &app.path)? else { return Ok(Turn::default()) };
    let mut parts = Parts::read(repo, parent, &app.path)?;
    let was = parts.apps.insert(app.name.clone(), state.clone()).and_then(|was| was.shape.shared);
    if was == state.shape.shared {
        return Ok(Turn::default());
    }
    let after = before.clone().turned(&needed(parts.apps.values()));
    if after == before {
        let users = |name: &String| {
            let users = parts.apps.iter().filter(|(user, state)| **user != app.name && state.shape.shared.as_ref() == Some(name));
            users.map(|(user, _)| format!("`{user}`")).collect::<Vec<_>>().join(" and ")
        };
        let in_force = |name: &Option<String>| name.clone().filter(|name| after.said.on.contains(name));
        let left = in_force(&was).map(|name| format!("The shared routing `{name}` stays in force for {}.", users(&name)));
        let joined = in_force(&state.shape.shared)
            .map(|name| format!("The shared routing `{name}` is in force already, for {}.", users(&name)));
        return Ok(Turn { changes: Vec::new(), why: left.into_iter().chain(joined).collect() });
    }
    let Some(record) = parts.record.clone().filter(|_| parts.is_as_left()) else {
        let why = "What people changed in what the Rollouts share must be settled first: the shared routing stays as it stands.";
        return Ok(Turn { changes: Vec::new(), why: vec![why.to_owned()] });
    };
    let own: BTreeSet<String> = parts.loose().into_iter().filter(|name| name != parts::METADATA).collect();
    let mut rest = ObjectSet::default();
    for objects in parts::objects_by_file(repo, parent, &app.path, own.iter().cloned())?.values() {
        objects.values().for_each(|object| drop(rest.insert(object.clone())));
    }
    before.take_back(&mut rest);
    match after.apply(&mut rest) {
        Err(trouble) if state.shape.shared.is_none() => {
            // Who lets go of one is not held by another that does not work.
            return Ok(Turn { changes: Vec::new(), why: vec![format!("The shared routings stay as they stand: {trouble}.")] });
        }
        result => result?,
    }
    let entries = layout::own_entries(repo, root, &app.path)?;
    let written = parts::rewrite(repo, Some(parent), &app.path, (&entries, &own), &rest)?;
    let mut changes = vec![Change::Root { tree: root }];
    changes.extend(written.changes.iter().cloned());
    let tree = repo.tree_of(Some(parent), &changes)?;
    let entries = layout::own_entries(repo, tree, &app.path)?;
    let names = written.names.iter().map(String::as_str).chain([parts::METADATA]);
    let files = names.filter_map(|name| Some((name.to_owned(), entries.get(name)?.id.to_string()))).collect();
    let record = parts::Record { files, parent: Some(parent.to_string()), ..record };
    let mut changes = written.changes;
    changes.push(parts::home(&app.path, &record, &after)?);
    Ok(Turn { changes, why: after.news(Some(&before)) })
}
