//! A source commit as a tree that renderers read.

use crate::git::{EntryKind, Oid, Repo};
use crate::source::{Item, ItemKind, SourceError, Tree};

/// No source file is larger.
const LIMIT: usize = 10 << 20;

pub struct GitTree<'a> {
    pub repo: &'a dyn Repo,
    pub commit: Oid,
}

impl Tree for GitTree<'_> {
    fn list(&self, directory: &str) -> Result<Option<Vec<Item>>, SourceError> {
        let Some(entry) = self.repo.entry(self.commit, directory).map_err(repository)? else { return Ok(None) };
        if entry.kind != EntryKind::Directory {
            return Ok(None);
        }
        let item = |entry: crate::git::Entry| Item {
            name: entry.name,
            kind: match entry.kind {
                EntryKind::Directory => ItemKind::Directory,
                EntryKind::File | EntryKind::Executable => ItemKind::File,
                EntryKind::Symlink => ItemKind::Symlink,
                EntryKind::Submodule => ItemKind::Submodule,
            },
        };
        Ok(Some(self.repo.list(entry.id).map_err(repository)?.into_iter().map(item).collect()))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let refused = |cause: &str| SourceError::Refused { path: path.to_owned(), cause: cause.to_owned() };
        match self.repo.entry(self.commit, path).map_err(repository)? {
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
        Ok(self.repo.entry(self.commit, path).map_err(repository)?.map(|entry| entry.id.to_string()))
    }
}

fn repository(error: crate::git::GitError) -> SourceError {
    SourceError::Repository(error.to_string())
}
