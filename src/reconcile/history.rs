//! Who brought an app to where it stands, read from the live branch's commits.

use std::collections::{HashMap, HashSet};

use super::compare::differ;
use super::layout::{self, AppId, HOME};
use super::{Memory, Trouble};
use crate::engine::{History, State};
use crate::git::{CommitInfo, EntryKind, Heads, Oid, Repo};

/// Looks whether the newest changes of the app's folders are ours.
///
/// Every state names the commit that it was made on. A commit that brings a state on any other parent has copied it: that is
/// what `git revert` does. The walk goes back to the commit that brought the present state and ends there, or where the
/// mirror's history ends; its result is remembered.
pub(super) fn of(
    repo: &dyn Repo,
    heads: &Heads,
    app: &AppId,
    state: Option<&State>,
    memory: &mut Memory,
) -> Result<History, Trouble> {
    let Some(live) = heads.live else { return Ok(History::Ours) };
    if memory.rewritten.contains_key(app) {
        return Ok(History::Rewritten);
    }
    let root = repo.commit(live)?.tree;
    let Some(state) = state else { return first_contact(repo, live, root, app) };
    let home = repo.entry(live, &app.home())?.map(|entry| entry.id);
    let mut undone = None;
    if memory.verified.get(app).copied() != home {
        let newest = brought(repo, live, &app.home(), memory)?;
        // `None`: brought by a commit that the mirror does not hold, long ago.
        if let Some(newest) = newest.filter(|newest| Some(newest.parent.to_string()) != state.parent) {
            let made_on = |commit: Oid| -> Result<Option<String>, Trouble> {
                Ok(layout::read_state(repo, commit, app).ok().flatten().and_then(|state| state.parent))
            };
            if !restored(repo, &newest, &app.home(), home, made_on)? {
                undone = Some(newest);
            }
        }
    }
    if layout::part_id(repo, root, &app.path, &state.files)? != state.tree {
        let at = |commit: Oid| layout::part_id(repo, repo.commit(commit)?.tree, &app.path, &state.files);
        let newest = introduced(repo, live, at)?;
        let (commit, by) = newest.map_or_else(|| (live, "somebody".to_owned()), |newest| (newest.id, newest.author.name));
        // Before a revert is answered, too: the answer would write over what somebody has put there.
        let newer = undone.map(|undone| layout::read_state(repo, undone.parent, app)).transpose()?.flatten().map(Box::new);
        return Ok(History::Foreign { commit: commit.to_string(), by, newer });
    }
    if let Some(undone) = undone {
        return reverted(repo, &undone, app);
    }
    if let Some(home) = home {
        memory.verified.insert(app.clone(), home);
    }
    Ok(History::Ours)
}

/// The newest commit that changed a home; `None`: it lies before all that the mirror holds.
pub(super) fn brought(repo: &dyn Repo, live: Oid, home: &str, memory: &mut Memory) -> Result<Option<Brought>, Trouble> {
    let walk = memory.walk.take().filter(|walk| walk.head == live);
    let mut walk = walk.map_or_else(|| Walk::from(repo, live), Ok)?;
    let newest = walk.brought(repo, home)?;
    memory.walk = Some(walk);
    Ok(newest)
}

/// Forgets what is known of homes that have changed since the last look, those too that are again as they were: another process
/// may have gone on, and a person may have reverted that.
pub(super) fn forget_changed(repo: &dyn Repo, live: Oid, memory: &mut Memory) -> Result<(), Trouble> {
    let Some(known) = memory.head.filter(|known| *known != live) else { return Ok(()) };
    if repo.commit(live)?.parent == Some(known) {
        // One commit cannot come and go: what it has changed is seen as another.
        return Ok(());
    }
    let mut walk = Walk::from(repo, live)?;
    match walk.since(repo, known)? {
        Some(changed) => {
            if !changed.is_empty() {
                memory.verified.retain(|app, _| !changed.contains(app.home().as_str()));
                memory.rest.rouse(&changed);
            }
        }
        None => {
            memory.verified.clear();
            memory.rest.forget();
        }
    }
    memory.walk = Some(walk);
    Ok(())
}

/// Whether a home that somebody has copied is where Windlass had left it: a revert was reverted. True where only people have
/// changed it since Windlass wrote it. `made_on` gives the commit that the record at a commit says it was made on.
pub(super) fn restored(
    repo: &dyn Repo,
    newest: &Brought,
    home: &str,
    present: Option<Oid>,
    made_on: impl Fn(Oid) -> Result<Option<String>, Trouble>,
) -> Result<bool, Trouble> {
    let at = |commit: Oid| -> Result<Option<Oid>, Trouble> { Ok(repo.entry(commit, home)?.map(|entry| entry.id)) };
    let mut commit = newest.parent;
    let mut stands = at(commit)?;
    loop {
        let parent = repo.commit(commit)?.parent.filter(|parent| repo.commit(*parent).is_ok());
        // What stands at the first commit, or at the border of the mirror's history, was brought before all that is known.
        let Some(parent) = parent else { return Ok(stands == present) };
        let before = at(parent)?;
        if before != stands && made_on(commit)? == Some(parent.to_string()) {
            return Ok(stands == present);
        }
        (commit, stands) = (parent, before);
    }
}

/// One walk from the live head back through its commits, as far as somebody asks: with many apps, each walking for itself
/// would go over the same commits again and again.
pub(super) struct Walk {
    head: Oid,
    /// The commit that is looked at next.
    next: Option<CommitInfo>,
    /// By directory below the apps' homes: the newest commit that changed it.
    found: HashMap<String, Brought>,
}

/// A commit that brought what stands somewhere.
#[derive(Clone)]
pub(super) struct Brought {
    pub id: Oid,
    pub parent: Oid,
    pub by: String,
}

impl Walk {
    fn from(repo: &dyn Repo, head: Oid) -> Result<Self, Trouble> {
        Ok(Self { head, next: Some(repo.commit(head)?), found: HashMap::new() })
    }

    /// The newest commit that changed a home; `None` where none did since the first commit, or since the border of the
    /// mirror's history.
    fn brought(&mut self, repo: &dyn Repo, home: &str) -> Result<Option<Brought>, Trouble> {
        loop {
            if let Some(brought) = self.found.get(home) {
                return Ok(Some(brought.clone()));
            }
            if !self.step(repo)? {
                return Ok(None);
            }
        }
    }

    /// The homes that any commit after `known` has changed, and directories below them; `None` where the walk does not come to
    /// `known`.
    fn since(&mut self, repo: &dyn Repo, known: Oid) -> Result<Option<HashSet<&str>>, Trouble> {
        while self.next.as_ref().is_none_or(|commit| commit.id != known) {
            if !self.step(repo)? {
                return Ok(None);
            }
        }
        Ok(Some(self.found.keys().map(String::as_str).collect()))
    }

    /// Takes in what the next commit has changed; `false` where the mirror's history ends.
    fn step(&mut self, repo: &dyn Repo) -> Result<bool, Trouble> {
        let Some(commit) = self.next.take() else { return Ok(false) };
        let Some(older) = commit.parent.and_then(|parent| repo.commit(parent).ok()) else { return Ok(false) };
        let homes = |tree: Oid| -> Result<Option<Oid>, Trouble> {
            let entry = repo.entry_in(tree, HOME)?.filter(|entry| entry.kind == EntryKind::Directory);
            Ok(entry.map(|entry| entry.id))
        };
        let brought = Brought { id: commit.id, parent: older.id, by: commit.author.name };
        let mut note = |path: &str, kind: EntryKind| {
            if kind == EntryKind::Directory && !self.found.contains_key(path) {
                self.found.insert(path.to_owned(), brought.clone());
            }
        };
        differ(repo, HOME, homes(older.tree)?, homes(commit.tree)?, &mut usize::MAX.clone(), &mut note)?;
        self.next = Some(older);
        Ok(true)
    }
}

/// The live path must be empty when Windlass meets an app: what stands there is somebody's.
fn first_contact(repo: &dyn Repo, live: Oid, root: Oid, app: &AppId) -> Result<History, Trouble> {
    if repo.entry_in(root, &layout::rest_home(&app.path))?.is_some() {
        // Other Rollouts share the path. Whose its files are is looked at where this one's are written.
        return Ok(History::Ours);
    }
    empty(repo, live, root, &app.path)?;
    Ok(History::Ours)
}

/// Refuses a live path with files in it that Windlass does not know.
pub(super) fn empty(repo: &dyn Repo, live: Oid, root: Oid, path: &str) -> Result<(), Trouble> {
    let Some(tree) = repo.entry_in(root, path)? else { return Ok(()) };
    let files = repo.list(tree.id)?.into_iter().filter(|entry| entry.kind == EntryKind::File);
    let own = |name: &str| path.is_empty() && name == ".gitattributes";
    if files.into_iter().any(|entry| !own(&entry.name)) {
        let path = if path.is_empty() { "the live branch's root".to_owned() } else { path.to_owned() };
        return Err(Trouble::Content {
            path,
            cause: format!(
                "files stand here that Windlass did not write (at {}); remove them from the live branch, or map the app to another live path",
                &live.to_string()[..10]
            ),
        });
    }
    Ok(())
}

/// The commit that brought what `at` gives of `from`; `None` where the mirror's history does not reach that far.
pub(super) fn introduced<T: PartialEq>(
    repo: &dyn Repo,
    from: Oid,
    at: impl Fn(Oid) -> Result<T, Trouble>,
) -> Result<Option<CommitInfo>, Trouble> {
    let present = at(from)?;
    let mut commit = repo.commit(from)?;
    while let Some(parent) = commit.parent {
        let Ok(older) = repo.commit(parent) else { return Ok(None) };
        if at(parent)? != present {
            break;
        }
        commit = older;
    }
    Ok(Some(commit))
}

/// Whether `wanted` is `from` or one of the commits that it was built on, as far as the mirror's history reaches.
pub(super) fn reaches(repo: &dyn Repo, from: Oid, wanted: Oid) -> bool {
    let mut next = Some(from);
    while let Some(id) = next.filter(|id| *id != wanted) {
        next = repo.commit(id).ok().and_then(|commit| commit.parent);
    }
    next.is_some()
}

fn reverted(repo: &dyn Repo, newest: &Brought, app: &AppId) -> Result<History, Trouble> {
    let by = newest.by.clone();
    Ok(match layout::read_state(repo, newest.parent, app)? {
        Some(newer) => History::Reverted { commit: newest.id.to_string(), by, newer: Box::new(newer) },
        None => History::Foreign { commit: newest.id.to_string(), by, newer: None },
    })
}
