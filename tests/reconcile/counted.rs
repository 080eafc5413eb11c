//! A repository that counts what is read of it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use windlass::git::{Change, CommitInfo, Entry, GitError, Heads, NewCommit, Oid, Push, Repo};
use windlass::sim::git::MemoryGit;

#[derive(Clone)]
pub(crate) struct Counted {
    git: Rc<RefCell<MemoryGit>>,
    reads: Rc<Cell<usize>>,
}

impl Counted {
    pub(crate) fn new(git: MemoryGit) -> Self {
        Self { git: Rc::new(RefCell::new(git)), reads: Rc::default() }
    }

    /// How many objects were asked for in the meantime.
    pub(crate) fn reads(&self, work: impl FnOnce()) -> usize {
        self.reads.set(0);
        work();
        self.reads.get()
    }

    fn read<T>(&self, read: impl FnOnce(&MemoryGit) -> T) -> T {
        self.reads.set(self.reads.get() + 1);
        read(&self.git.borrow())
    }
}

impl Repo for Counted {
    fn fetch(&mut self) -> Result<Heads, GitError> {
        self.git.borrow_mut().fetch()
    }
    fn entry(&self, commit: Oid, path: &str) -> Result<Option<Entry>, GitError> {
        self.read(|git| git.entry(commit, path))
    }
    fn list(&self, tree: Oid) -> Result<Vec<Entry>, GitError> {
        self.read(|git| git.list(tree))
    }
    fn blob(&self, id: Oid, limit: usize) -> Result<Vec<u8>, GitError> {
        self.read(|git| git.blob(id, limit))
    }
    fn commit(&self, id: Oid) -> Result<CommitInfo, GitError> {
        self.read(|git| git.commit(id))
    }
    fn write(&mut self, parent: Option<Oid>, commit: &NewCommit) -> Result<Oid, GitError> {
        self.git.borrow_mut().write(parent, commit)
    }
    fn tree_of(&mut self, parent: Option<Oid>, changes: &[Change]) -> Result<Oid, GitError> {
        self.git.borrow_mut().tree_of(parent, changes)
    }
    fn entry_in(&self, tree: Oid, path: &str) -> Result<Option<Entry>, GitError> {
        self.read(|git| git.entry_in(tree, path))
    }
    fn push(&mut self, old: Option<Oid>, new: Oid) -> Result<Push, GitError> {
        self.git.borrow_mut().push(old, new)
    }
    fn resolve(&mut self, name: &str) -> Result<Option<Oid>, GitError> {
        self.git.borrow_mut().resolve(name)
    }
    fn live_branch(&self) -> String {
        self.git.borrow().live_branch()
    }
    fn set_live_branch(&mut self, name: &str) -> Result<(), GitError> {
        self.git.borrow_mut().set_live_branch(name)
    }
    fn set_source_branch(&mut self, name: &str) -> Result<(), GitError> {
        self.git.borrow_mut().set_source_branch(name)
    }
    fn source_branch(&self) -> Option<String> {
        self.git.borrow().source_branch()
    }
    fn same_branch(&self) -> bool {
        self.git.borrow().same_branch()
    }
    fn address(&self) -> String {
        self.git.borrow().address()
    }
}
