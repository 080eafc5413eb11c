//! Git in memory, with Git's own object ids. One [`Remote`] is what a forge would keep; each [`MemoryGit`] is one process
//! with a mirror of its own, so that several can race for the branch. Faults are planned ahead, by number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::git::{Change, CommitInfo, Entry, EntryKind, GitError, Heads, NewCommit, Oid, Push, Repo};

mod objects;
mod remote;
mod tree;

use objects::Store;
pub use remote::Remote;

/// One thing that goes wrong. Fetches, pushes and effects are counted from 1, each process for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// This fetch does not reach the remote.
    FailFetch(u64),
    /// This fetch is answered by a replica that is `behind` ref updates old.
    StaleFetch { fetch: u64, behind: usize },
    /// This push does not reach the remote.
    FailPush(u64),
    /// This push is done, and its answer is lost.
    LosePushReply(u64),
    /// The process dies before this effect has happened.
    CrashBefore(u64),
    /// The process dies after this effect has happened, before it learns of it.
    CrashAfter(u64),
}

/// The cause in the error of a process that has died.
const DEAD: &str = "the process was ended by the test's plan";

/// Whether an error is the death of the process, which no caller can handle.
pub fn is_crash(error: &GitError) -> bool {
    matches!(error, GitError::Mirror { cause, .. } if cause == DEAD)
}

/// One process' view of a [`Remote`].
#[derive(Debug, Clone)]
pub struct MemoryGit {
    remote: Remote,
    mirror: Store,
    /// The live head at the last fetch or push.
    seen: Option<Oid>,
    faults: BTreeSet<Fault>,
    fetches: u64,
    pushes: u64,
    effects: u64,
    dead: bool,
}

impl MemoryGit {
    /// A new process with an empty mirror.
    pub fn open(remote: &Remote) -> Self {
        Self {
            remote: remote.clone(),
            mirror: Store::default(),
            seen: None,
            faults: BTreeSet::new(),
            fetches: 0,
            pushes: 0,
            effects: 0,
            dead: false,
        }
    }

    /// The process that takes the place of this one: the mirror is still on its disk, the faults are over.
    pub fn restart(&self) -> Self {
        Self { mirror: self.mirror.clone(), seen: self.seen, ..Self::open(&self.remote) }
    }

    pub fn plan(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.extend(faults);
    }

    /// How many effects (fetches, commits written, pushes) this process has had or tried. A test that crashes at each of
    /// them runs once without faults to learn the number.
    pub fn effects(&self) -> u64 {
        self.effects
    }

    fn death(&mut self) -> GitError {
        self.dead = true;
        GitError::Mirror { path: self.remote.address(), cause: DEAD.to_owned() }
    }

    fn unreachable(&self, cause: &str) -> GitError {
        GitError::Unreachable { address: self.remote.address(), cause: cause.to_owned() }
    }

    /// Runs one effect, unless the process dies before or after it.
    fn effect<T>(&mut self, effect: impl FnOnce(&mut Self) -> Result<T, GitError>) -> Result<T, GitError> {
        if self.dead {
            return Err(self.death());
        }
        self.effects += 1;
        let number = self.effects;
        if self.faults.contains(&Fault::CrashBefore(number)) {
            return Err(self.death());
        }
        let done = effect(self);
        if self.faults.contains(&Fault::CrashAfter(number)) { Err(self.death()) } else { done }
    }

    fn alive(&self) -> Result<(), GitError> {
        if self.dead { Err(GitError::Mirror { path: self.remote.address(), cause: DEAD.to_owned() }) } else { Ok(()) }
    }
}

impl Repo for MemoryGit {
    fn fetch(&mut self) -> Result<Heads, GitError> {
        self.effect(|git| {
            git.fetches += 1;
            let number = git.fetches;
            if git.faults.contains(&Fault::FailFetch(number)) {
                return Err(git.unreachable("connection timed out"));
            }
            let behind = git.faults.iter().find_map(|fault| match fault {
                Fault::StaleFetch { fetch, behind } if *fetch == number => Some(*behind),
                _ => None,
            });
            let remote = Arc::clone(&git.remote.shared);
            let remote = remote::lock(&remote);
            let refs = remote.refs_behind(behind.unwrap_or(0));
            let source = refs.get(&remote.source).copied().ok_or_else(|| GitError::Refused {
                address: git.remote.address(),
                cause: format!("no branch `{}`", remote.source),
                hint: None,
            })?;
            let live = refs.get(&remote.live).copied();
            for head in [Some(source), live].into_iter().flatten() {
                git.mirror.take(&remote.store, head)?;
            }
            let rewritten = match (git.seen, live) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(seen), Some(live)) => !git.mirror.is_ancestor(seen, live)?,
            };
            git.seen = live;
            Ok(Heads { source, live, rewritten })
        })
    }

    fn entry(&self, commit: Oid, path: &str) -> Result<Option<Entry>, GitError> {
        self.alive()?;
        tree::entry(&self.mirror, self.mirror.commit(commit)?.tree, path)
    }

    fn list(&self, tree: Oid) -> Result<Vec<Entry>, GitError> {
        self.alive()?;
        self.mirror.tree(tree)
    }

    fn blob(&self, id: Oid, limit: usize) -> Result<Vec<u8>, GitError> {
        self.alive()?;
        let content = self.mirror.blob(id)?;
        if content.len() > limit {
            let cause = format!("{} bytes are more than the {limit} allowed", content.len());
            return Err(GitError::Content { path: id.to_string(), cause });
        }
        Ok(content.to_vec())
    }

    fn commit(&self, id: Oid) -> Result<CommitInfo, GitError> {
        self.alive()?;
        self.mirror.commit(id)
    }

    fn write(&mut self, parent: Option<Oid>, commit: &NewCommit) -> Result<Oid, GitError> {
        self.effect(|git| git.mirror.write(parent, commit))
    }

    fn tree_of(&mut self, parent: Option<Oid>, changes: &[Change]) -> Result<Oid, GitError> {
        self.alive()?;
        let root = parent.map(|parent| self.mirror.commit(parent)).transpose()?.map(|commit| commit.tree);
        tree::change(&mut self.mirror, root, changes)
    }

    fn entry_in(&self, tree: Oid, path: &str) -> Result<Option<Entry>, GitError> {
        self.alive()?;
        tree::entry(&self.mirror, tree, path)
    }

    fn push(&mut self, old: Option<Oid>, new: Oid) -> Result<Push, GitError> {
        self.effect(|git| {
            git.pushes += 1;
            let number = git.pushes;
            if git.faults.contains(&Fault::FailPush(number)) {
                return Err(git.unreachable("connection timed out"));
            }
            if let Some(old) = old
                && !git.mirror.is_ancestor(old, new)?
            {
                let cause = format!("{new} is no descendant of {old}");
                return Err(GitError::Refused { address: git.remote.address(), cause, hint: None });
            }
            let remote = Arc::clone(&git.remote.shared);
            let mut remote = remote::lock(&remote);
            let branch = remote.live.clone();
            let now = remote.refs.get(&branch).copied();
            let push = if now == old && now != Some(new) {
                remote.store.take(&git.mirror, new)?;
                remote.set(&branch, Some(new));
                Push::Done
            } else if remote.store.has(new) && now.map(|now| remote.store.is_ancestor(new, now)).transpose()? == Some(true) {
                Push::Done
            } else {
                Push::Moved
            };
            if git.faults.contains(&Fault::LosePushReply(number)) {
                return Err(git.unreachable("connection reset while waiting for the answer"));
            }
            if push == Push::Done && now == old {
                git.seen = Some(new);
            }
            Ok(push)
        })
    }

    fn resolve(&mut self, name: &str) -> Result<Option<Oid>, GitError> {
        self.alive()?;
        let known = |id: &Oid| self.mirror.commit(*id).is_ok();
        Ok(self.remote.head(name).or_else(|| Oid::from_str(name).ok()).filter(known))
    }

    fn live_branch(&self) -> String {
        remote::lock(&self.remote.shared).live.clone()
    }

    fn set_live_branch(&mut self, name: &str) -> Result<(), GitError> {
        name.clone_into(&mut remote::lock(&self.remote.shared).live);
        Ok(())
    }

    fn set_source_branch(&mut self, name: &str) -> Result<(), GitError> {
        name.clone_into(&mut remote::lock(&self.remote.shared).source);
        Ok(())
    }

    fn source_branch(&self) -> Option<String> {
        Some(remote::lock(&self.remote.shared).source.clone())
    }

    fn same_branch(&self) -> bool {
        let remote = remote::lock(&self.remote.shared);
        remote.source == remote.live
    }

    fn address(&self) -> String {
        self.remote.address()
    }
}

/// Every file below `path` of a commit: path relative to it → content. Links and submodules are left out.
fn files_of(store: &Store, commit: Oid, path: &str) -> Result<BTreeMap<String, Vec<u8>>, GitError> {
    fn below(store: &Store, tree: Oid, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) -> Result<(), GitError> {
        for entry in store.tree(tree)? {
            let name = format!("{prefix}{}", entry.name);
            match entry.kind {
                EntryKind::Directory => below(store, entry.id, &format!("{name}/"), found)?,
                EntryKind::File | EntryKind::Executable => {
                    found.insert(name, store.blob(entry.id)?.to_vec());
                }
                EntryKind::Symlink | EntryKind::Submodule => {}
            }
        }
        Ok(())
    }
    let mut found = BTreeMap::new();
    if let Some(entry) = tree::entry(store, store.commit(commit)?.tree, path)?.filter(|e| e.kind == EntryKind::Directory) {
        below(store, entry.id, "", &mut found)?;
    }
    Ok(found)
}
