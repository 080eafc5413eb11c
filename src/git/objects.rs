//! Reading single objects from the mirror: sizes before contents, and a note where something is broken.

use super::path::RepoPath;
use super::store::Store;
use super::tree_read::{self, LARGEST_TREE, TreeError};
use super::{Entry, GitError, Oid};
use git2::{Commit, ErrorClass, ErrorCode, ObjectType, Repository, Tree};

/// The largest commit that is read (bytes).
const LARGEST_COMMIT: usize = 1 << 20;

impl Store {
    /// An error of libgit2 while it read or wrote the mirror.
    pub(super) fn failed(&self, error: &git2::Error) -> GitError {
        if !matches!(error.class(), ErrorClass::Os | ErrorClass::Filesystem | ErrorClass::Reference | ErrorClass::Invalid) {
            return self.unreadable(self.mirror.error(error));
        }
        self.mirror.error(error)
    }

    /// Notes that the mirror cannot be trusted: the next fetch makes it anew.
    pub(super) fn unreadable(&self, error: GitError) -> GitError {
        self.broken.set(true);
        self.mirror.mark_broken();
        error
    }

    pub(super) fn repo(&self) -> &Repository {
        self.mirror.repo()
    }

    /// Looks at an object's size before it is read.
    pub(super) fn check_size(&self, id: Oid, kind: ObjectType, limit: usize) -> Result<(), GitError> {
        let odb = self.repo().odb().map_err(|error| self.failed(&error))?;
        let content = |cause: String| GitError::Content { path: id.to_string(), cause };
        match odb.read_header(id) {
            Ok((size, found)) if found == kind && size <= limit => Ok(()),
            Ok((size, found)) if found == kind => Err(content(format!("{size} bytes, but no more than {limit} are read"))),
            Ok((_, found)) => Err(content(format!("a {found} stands where a {kind} is needed"))),
            // A commit that is here is here with its whole tree.
            Err(error) if error.code() == ErrorCode::NotFound && kind == ObjectType::Commit => {
                Err(content("this commit is not in the mirror, which does not hold the whole history".into()))
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    pub(super) fn find_commit(&self, id: Oid) -> Result<Commit<'_>, GitError> {
        self.check_size(id, ObjectType::Commit, LARGEST_COMMIT)?;
        self.repo().find_commit(id).map_err(|error| self.failed(&error))
    }

    pub(super) fn find_tree(&self, id: Oid) -> Result<Tree<'_>, GitError> {
        self.check_size(id, ObjectType::Tree, LARGEST_TREE)?;
        self.repo().find_tree(id).map_err(|error| self.failed(&error))
    }

    pub(super) fn find(&self, tree: Oid, path: &str) -> Result<Option<Entry>, GitError> {
        let path = RepoPath::new(path)?;
        tree_read::find(self.repo(), tree, &path).map_err(|error| self.tree_failed(error))
    }

    pub(super) fn tree_failed(&self, error: TreeError) -> GitError {
        match error {
            TreeError::Said(error) => error,
            TreeError::Git(error) => self.failed(&error),
        }
    }
}
