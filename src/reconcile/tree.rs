//! A source commit as a tree that renderers read.

use std::cell::RefCell;
use std::collections::HashMap;

use super::layout::join;
use crate::git::{Entry, EntryKind, Oid, Repo};
use crate::source::{Item, ItemKind, SourceError, Tree};

/// No source file is larger.
const LIMIT: usize = 10 << 20;

pub struct GitTree<'a> {
    repo: &'a dyn Repo,
    commit: Oid,
    /// What listed directories hold, so that a walk does not begin at the root for each of its paths.
    known: RefCell<HashMap<String, Entry>>,
}

impl<'a> GitTree<'a> {
    pub fn new(repo: &'a dyn Repo, commit: Oid) -> Self {
        Self { repo, commit, known: RefCell::default() }
    }

    fn entry(&self, path: &str) -> Result<Option<Entry>, SourceError> {
        if let Some(entry) = self.known.borrow().get(path) {
            return Ok(Some(entry.clone()));
        }
        self.repo.entry(self.commit, path).map_err(repository)
    }
}

impl Tree for GitTree<'_> {
    fn list(&self, directory: &str) -> Result<Option<Vec<Item>>, SourceError> {
        let Some(entry) = self.entry(directory)? else { return Ok(None) };
        if entry.kind != EntryKind::Directory {
            return Ok(None);
        }
        let item = |entry: Entry| Item {
            name: entry.name,
            kind: match entry.kind {
                EntryKind::Directory => ItemKind::Directory,
                EntryKind::File | EntryKind::Executable => ItemKind::File,
                EntryKind::Symlink => ItemKind::Symlink,
                EntryKind::Submodule => ItemKind::Submodule,
            },
        };
        let entries = self.repo.list(entry.id).map_err(repository)?;
        let mut known = self.known.borrow_mut();
        for entry in &entries {
            known.insert(join(directory, &entry.name), entry.clone());
        }
        Ok(Some(entries.into_iter().map(item).collect()))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let refused = |cause: &str| SourceError::Refused { path: path.to_owned(), cause: cause.to_owned() };
        match self.entry(path)? {
            None => Err(refused("there is no such file")),
            Some(entry) => match entry.kind {
                EntryKind::File | EntryKind::Executable => self.repo.blob(entry.id, LIMIT).map_err(repository),
                EntryKind::Symlink => Err(refused("a symbolic link; links are not followed")),
                EntryKind::Submodule => Err(refused("a submodule; submodules are not fetched")),
                EntryKind::Directory => Err(refused("a directory, not a file")),
            },
        }
    }

    fn identity(&self, path: &str) -> Result<Option<String>, SourceError> {
        Ok(self.entry(path)?.map(|entry| entry.id.to_string()))
    }
}

fn repository(error: crate::git::GitError) -> SourceError {
    SourceError::Repository(error.to_string())
}
