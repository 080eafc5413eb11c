//! A live branch as a row of steps: each commit with what it changed and how the app stood before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::shared::{self, Shared};
use crate::api::Rollout;
use crate::engine::State;
use crate::git::trailers::Message;
use crate::git::{CommitInfo, EntryKind, Oid, Repo};
use crate::manifest::ObjectSet;
use crate::reconcile::Trouble;
use crate::reconcile::layout::{self, AppId};

/// How an app stands at a commit.
#[derive(Debug, Clone)]
pub(super) struct Side {
    pub state: State,
    pub rollout: Rollout,
    pub live: ObjectSet,
    pub stable: ObjectSet,
    pub candidate: Option<ObjectSet>,
}

/// One app at one commit, and at its parent.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub app: AppId,
    pub before: Option<Rc<Side>>,
    pub after: Option<Rc<Side>>,
}

/// What was read of each app last: the next commit begins with it.
#[derive(Debug, Default)]
pub(super) struct Cache(BTreeMap<AppId, (Oid, Option<Rc<Side>>)>);

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub commit: CommitInfo,
    pub message: Message,
    /// Whether it is Windlass' own: it carries the trailers, and Windlass' author.
    pub ours: bool,
    pub empty: bool,
    pub paths: Vec<String>,
    /// Apps whose home has changed.
    pub changes: Vec<Change>,
    /// The routings that Rollouts of the app's live path share, where it has any.
    pub shared: Option<Shared>,
}

/// The commits of a branch along first parents, oldest first.
pub(super) fn commits(repo: &dyn Repo, head: Oid) -> Result<Vec<CommitInfo>, Trouble> {
    let mut found = vec![repo.commit(head)?];
    while let Some(parent) = found.last().and_then(|commit| commit.parent) {
        found.push(repo.commit(parent)?);
    }
    found.reverse();
    Ok(found)
}

pub(super) fn read(repo: &dyn Repo, commit: &CommitInfo, cache: &mut Cache) -> Result<Step, Trouble> {
    let before = commit.parent.map(|parent| repo.commit(parent)).transpose()?;
    let mut paths = Vec::new();
    differences(repo, before.as_ref().map(|before| before.tree), Some(commit.tree), "", &mut paths)?;
    let message = Message::parse(&commit.message);
    let mut apps: BTreeSet<AppId> = layout::recorded_apps(repo, commit.id)?.into_iter().collect();
    if let Some(before) = &before {
        apps.extend(layout::recorded_apps(repo, before.id)?);
    }
    let mut changes = Vec::new();
    for app in apps {
        let home = |at: Oid| -> Result<Option<Oid>, Trouble> { Ok(repo.entry(at, &app.home())?.map(|entry| entry.id)) };
        let was = before.as_ref().map(|before| home(before.id)).transpose()?.flatten();
        if was != home(commit.id)? {
            let before = before.as_ref().map(|before| cache.side(repo, before.id, &app)).transpose()?.flatten();
            changes.push(Change { before, after: cache.side(repo, commit.id, &app)?, app });
        }
    }
    let path = shared::path(changes.iter().map(|change| &change.app));
    let shared = match (&before, path) {
        (Some(before), Some(path)) => shared::read(repo, commit.id, before.id, path)?,
        _ => None,
    };
    Ok(Step {
        shared,
        ours: message.only("Windlass-Release").is_some(),
        empty: before.is_some_and(|before| before.tree == commit.tree),
        commit: commit.clone(),
        message,
        paths,
        changes,
    })
}

impl Cache {
    fn side(&mut self, repo: &dyn Repo, commit: Oid, app: &AppId) -> Result<Option<Rc<Side>>, Trouble> {
        if let Some((_, side)) = self.0.get(app).filter(|(known, _)| *known == commit) {
            return Ok(side.clone());
        }
        let side = side(repo, commit, app)?.map(Rc::new);
        self.0.insert(app.clone(), (commit, side.clone()));
        Ok(side)
    }
}

fn side(repo: &dyn Repo, commit: Oid, app: &AppId) -> Result<Option<Side>, Trouble> {
    let Some(state) = layout::read_state(repo, commit, app)? else { return Ok(None) };
    let missing = || Trouble::Content { path: app.home(), cause: "the recorded Rollout is missing".to_owned() };
    let live = layout::read_part(repo, commit, &app.path, &state.files)?.unwrap_or_default();
    Ok(Some(Side {
        state,
        rollout: layout::read_rollout(repo, commit, app)?.ok_or_else(missing)?,
        live,
        stable: layout::read_slot(repo, commit, app, "stable")?.unwrap_or_default(),
        candidate: layout::read_slot(repo, commit, app, "candidate")?,
    }))
}

/// Paths of all files that differ between two trees.
fn differences(repo: &dyn Repo, a: Option<Oid>, b: Option<Oid>, at: &str, found: &mut Vec<String>) -> Result<(), Trouble> {
    if a == b {
        return Ok(());
    }
    let list = |tree: Option<Oid>| tree.map(|tree| repo.list(tree)).transpose().map(Option::unwrap_or_default);
    let (old, new) = (list(a)?, list(b)?);
    let names: BTreeSet<&str> = old.iter().chain(&new).map(|entry| entry.name.as_str()).collect();
    for name in names {
        let of = |entries: &[crate::git::Entry]| entries.iter().find(|entry| entry.name == name).cloned();
        let (was, is) = (of(&old), of(&new));
        if was == is {
            continue;
        }
        let path = layout::join(at, name);
        let tree = |entry: &Option<crate::git::Entry>| {
            entry.as_ref().filter(|entry| entry.kind == EntryKind::Directory).map(|entry| entry.id)
        };
        let file = |entry: &Option<crate::git::Entry>| entry.as_ref().is_some_and(|entry| entry.kind != EntryKind::Directory);
        if file(&was) || file(&is) {
            found.push(path.clone());
        }
        differences(repo, tree(&was), tree(&is), &path, found)?;
    }
    Ok(())
}
