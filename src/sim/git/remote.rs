//! The remote, and what people do there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::git::{Change, CommitInfo, EntryKind, GitError, NewCommit, Oid, Person};
use crate::sim::git::objects::Store;
use crate::sim::git::{files_of, tree};

/// A repository with a source branch and a live branch. Copies are the same repository.
#[derive(Debug, Clone)]
pub struct Remote {
    pub(super) shared: Arc<Mutex<Shared>>,
    name: String,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) refs: BTreeMap<String, Oid>,
    /// The refs before each update, oldest first.
    before: Vec<BTreeMap<String, Oid>>,
    pub(super) source: String,
    pub(super) live: String,
}

pub(super) fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn set(&mut self, branch: &str, to: Option<Oid>) {
        self.before.push(self.refs.clone());
        match to {
            Some(id) => self.refs.insert(branch.to_owned(), id),
            None => self.refs.remove(branch),
        };
    }

    /// The refs as they were `updates` updates ago; never before the source branch was there.
    pub(super) fn refs_behind(&self, updates: usize) -> &BTreeMap<String, Oid> {
        let at = self.before.len().saturating_sub(updates);
        let usable = self.before.iter().skip(at).find(|refs| refs.contains_key(&self.source));
        if updates == 0 { &self.refs } else { usable.unwrap_or(&self.refs) }
    }

    fn head(&self, branch: &str) -> Result<Oid, GitError> {
        let missing = || GitError::Content { path: branch.to_owned(), cause: "no such branch".to_owned() };
        self.refs.get(branch).copied().ok_or_else(missing)
    }
}

impl Remote {
    /// An empty repository; `name` is what messages call it.
    pub fn new(name: &str, source: &str, live: &str) -> Self {
        let shared = Shared {
            store: Store::default(),
            refs: BTreeMap::new(),
            before: Vec::new(),
            source: source.to_owned(),
            live: live.to_owned(),
        };
        Self { shared: Arc::new(Mutex::new(shared)), name: name.to_owned() }
    }

    pub fn address(&self) -> String {
        format!("memory:{}", self.name)
    }

    pub fn head(&self, branch: &str) -> Option<Oid> {
        lock(&self.shared).refs.get(branch).copied()
    }

    /// How often a branch was updated: nothing else counts as a write.
    pub fn updates(&self) -> usize {
        lock(&self.shared).before.len()
    }

    /// Somebody commits to a branch, which is made where it is missing.
    pub fn commit(&self, branch: &str, commit: &NewCommit) -> Result<Oid, GitError> {
        let mut shared = lock(&self.shared);
        let parent = shared.refs.get(branch).copied();
        let id = shared.store.write(parent, commit)?;
        shared.set(branch, Some(id));
        Ok(id)
    }

    /// A developer puts these files (path → content; `None` removes) on the source branch.
    pub fn commit_source(&self, files: &[(&str, Option<&str>)], message: &str, time: i64) -> Result<Oid, GitError> {
        let branch = lock(&self.shared).source.clone();
        self.commit(&branch, &by_hand(files, message, time))
    }

    /// Somebody other than Windlass commits to the live branch.
    pub fn commit_live(&self, files: &[(&str, Option<&str>)], message: &str, time: i64) -> Result<Oid, GitError> {
        let branch = lock(&self.shared).live.clone();
        self.commit(&branch, &by_hand(files, message, time))
    }

    /// `git revert`: takes back what `commit` changed, on top of the branch. A path that has changed since is a conflict,
    /// and an error.
    pub fn revert(&self, branch: &str, commit: Oid, time: i64) -> Result<Oid, GitError> {
        let changes = {
            let shared = lock(&self.shared);
            let info = shared.store.commit(commit)?;
            let empty = BTreeMap::new;
            let before = info.parent.map(|parent| files_of(&shared.store, parent, "")).transpose()?.unwrap_or_else(empty);
            let after = files_of(&shared.store, commit, "")?;
            let now = files_of(&shared.store, shared.head(branch)?, "")?;
            let mut changes = Vec::new();
            let touched = before.keys().chain(after.keys().filter(|path| !before.contains_key(*path)));
            for path in touched.filter(|path| before.get(*path) != after.get(*path)) {
                if now.get(path) != after.get(path) {
                    let cause = format!("has changed since {commit}: the revert is in conflict");
                    return Err(GitError::Content { path: path.clone(), cause });
                }
                changes.push(match before.get(path) {
                    Some(content) => Change::File { path: path.clone(), content: content.clone() },
                    None => Change::Remove { path: path.clone() },
                });
            }
            let title = info.message.lines().next().unwrap_or_default();
            (changes, format!("Revert \"{title}\"\n\nThis reverts commit {commit}.\n"))
        };
        let (changes, message) = changes;
        self.commit(branch, &NewCommit { changes, message, author: person(), time })
    }

    /// Moves a branch anywhere, as a force push does.
    pub fn force_push(&self, branch: &str, to: Oid) -> Result<(), GitError> {
        let mut shared = lock(&self.shared);
        shared.store.commit(to)?;
        shared.set(branch, Some(to));
        Ok(())
    }

    pub fn delete_branch(&self, branch: &str) {
        lock(&self.shared).set(branch, None);
    }

    /// The commits of a branch, newest first, along first parents.
    pub fn log(&self, branch: &str) -> Result<Vec<CommitInfo>, GitError> {
        let shared = lock(&self.shared);
        let mut log = Vec::new();
        let mut next = shared.refs.get(branch).copied();
        while let Some(id) = next {
            let info = shared.store.commit(id)?;
            next = info.parent;
            log.push(info);
        }
        Ok(log)
    }

    /// The files below `path` of a commit, relative to it.
    pub fn files(&self, commit: Oid, path: &str) -> Result<BTreeMap<String, Vec<u8>>, GitError> {
        files_of(&lock(&self.shared).store, commit, path)
    }

    /// The id of the tree at `path` of a commit; `None` where there is no directory.
    pub fn tree(&self, commit: Oid, path: &str) -> Result<Option<Oid>, GitError> {
        let shared = lock(&self.shared);
        let entry = tree::entry(&shared.store, shared.store.commit(commit)?.tree, path)?;
        Ok(entry.filter(|entry| entry.kind == EntryKind::Directory).map(|entry| entry.id))
    }
}

fn person() -> Person {
    Person { name: "Alice".to_owned(), email: "alice@example.com".to_owned() }
}

fn by_hand(files: &[(&str, Option<&str>)], message: &str, time: i64) -> NewCommit {
    let change = |(path, content): &(&str, Option<&str>)| match content {
        Some(content) => Change::File { path: (*path).to_owned(), content: content.as_bytes().to_vec() },
        None => Change::Remove { path: (*path).to_owned() },
    };
    NewCommit { changes: files.iter().map(change).collect(), message: message.to_owned(), author: person(), time }
}
