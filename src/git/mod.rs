//! Git as a store of trees: objects are read by id, trees are written directly, and the only write to a branch is a
//! compare-and-swap. No worktree is ever made.

mod address;
mod apart;
mod folder;
mod history;
mod http;
mod mirror;
mod network;
mod objects;
mod options;
mod packet;
mod path;
mod program;
mod secret;
mod smart;
mod ssh;
mod store;
pub mod trailers;
mod tree_read;
mod tree_write;
mod wire;

pub use address::{is_same, name_of, takes_credentials_of};
pub use apart::Apart;
pub use network::Network;
pub use options::Options;
pub use path::RepoPath;
pub use secret::{Credentials, Secret};
pub use ssh::Ssh;
pub use store::Store;

use std::collections::BTreeMap;

/// An object id. Git's own SHA-1 ids, in the store and in the simulated world alike.
pub use git2::Oid;

/// What a tree entry is. Symbolic links and submodules are told apart so that nobody follows them by accident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    Directory,
    File,
    Executable,
    Symlink,
    Submodule,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub kind: EntryKind,
    pub id: Oid,
}

/// The two branches that matter, as the remote had them at the last fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heads {
    pub source: Oid,
    /// `None` where the live branch does not exist yet.
    pub live: Option<Oid>,
    /// Whether the live branch was rewritten: the head that was seen before is no ancestor of the new one.
    pub rewritten: bool,
}

/// What is read of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    pub id: Oid,
    pub tree: Oid,
    /// The first parent; `None` for a root commit and at the border of a shallow clone.
    pub parent: Option<Oid>,
    pub author: Person,
    /// The committer's time, seconds since 1970 UTC.
    pub time: i64,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    pub email: String,
}

/// One change to a tree. Paths are relative to the branch's root, with `/` between the parts; `""` is the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Everything becomes this tree, which `tree_of` gave; what follows is changed in it.
    Root { tree: Oid },
    /// The files directly in this directory become exactly these; directories in it stay.
    Files { directory: String, files: BTreeMap<String, Vec<u8>> },
    /// The directory becomes exactly this tree of files (relative paths), whatever it held.
    Directory { directory: String, files: BTreeMap<String, Vec<u8>> },
    /// One file.
    File { path: String, content: Vec<u8> },
    /// A file or a directory goes.
    Remove { path: String },
}

/// A commit to be made. Its id depends on nothing else than what stands here and its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit {
    pub changes: Vec<Change>,
    pub message: String,
    pub author: Person,
    /// Author's and committer's time, seconds since 1970 UTC.
    pub time: i64,
}

/// The answer to a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Push {
    /// The branch stands at our commit (or it did, and somebody has built on it since).
    Done,
    /// The branch has moved: fetch and decide again.
    Moved,
}

/// The repository, as the reconcile loop needs it; or the two, where the live branch has one of its own.
pub trait Repo {
    /// Asks the remote for both branches and fetches what is new.
    fn fetch(&mut self) -> Result<Heads, GitError>;
    /// The entry at `path` in the tree of `commit`; the root is a directory without a name.
    fn entry(&self, commit: Oid, path: &str) -> Result<Option<Entry>, GitError>;
    /// The entries of a tree, in Git's order.
    fn list(&self, tree: Oid) -> Result<Vec<Entry>, GitError>;
    /// A file's content; more than `limit` bytes is an error.
    fn blob(&self, id: Oid, limit: usize) -> Result<Vec<u8>, GitError>;
    fn commit(&self, id: Oid) -> Result<CommitInfo, GitError>;
    /// Writes a commit on `parent` (`None`: a root commit) without publishing it. Gives its id.
    fn write(&mut self, parent: Option<Oid>, commit: &NewCommit) -> Result<Oid, GitError>;
    /// The tree that `write` would give `commit`, of which only the changes count.
    fn tree_of(&mut self, parent: Option<Oid>, changes: &[Change]) -> Result<Oid, GitError>;
    /// The entry at `path` below a tree that `tree_of` gave.
    fn entry_in(&self, tree: Oid, path: &str) -> Result<Option<Entry>, GitError>;
    /// Moves the live branch from `old` (`None`: it must not exist) to `new`, a descendant of `old`, or not at all.
    fn push(&mut self, old: Option<Oid>, new: Oid) -> Result<Push, GitError>;
    /// Whether the remote would let us push to the live branch, as far as it tells beforehand. Nothing is changed. `fetch` comes first.
    ///
    /// # Errors
    /// `Refused`: it would not; any other: not known.
    fn may_push(&mut self) -> Result<(), GitError> {
        Err(GitError::Unreachable { address: self.address(), cause: "it cannot be asked".to_owned() })
    }
    /// The commit that a branch, tag or id means; `None` where the repository knows none of that name.
    fn resolve(&mut self, name: &str) -> Result<Option<Oid>, GitError>;
    /// The name of the live branch.
    fn live_branch(&self) -> String;
    /// Takes another live branch; `fetch` must follow.
    fn set_live_branch(&mut self, name: &str) -> Result<(), GitError>;
    /// Takes another source branch; `fetch` must follow.
    fn set_source_branch(&mut self, name: &str) -> Result<(), GitError>;
    /// The name of the source branch, as far as it is known.
    fn source_branch(&self) -> Option<String>;
    /// Whether source and live branch are one and the same.
    fn same_branch(&self) -> bool;
    /// How the source's repository is called in messages: an address without credentials.
    fn address(&self) -> String;
    /// Whether the live branch is in another repository than the source.
    fn is_apart(&self) -> bool {
        false
    }
    /// The address of the repository with the live branch, as [`Repo::address`].
    fn live_address(&self) -> String {
        self.address()
    }
    /// As [`Repo::resolve`], in the repository with the live branch.
    fn resolve_live(&mut self, name: &str) -> Result<Option<Oid>, GitError> {
        self.resolve(name)
    }
    /// By what name the live branch remembers which repository it is made from; `None`: it need not, or it is not known.
    fn source_name(&self) -> Option<String> {
        None
    }
}

/// Why a Git operation did not work. No message ever holds credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// The remote did not answer, or broke off: worth another try.
    #[error("cannot reach {address}: {cause}")]
    Unreachable { address: String, cause: String },
    /// Trying again will not help.
    #[error("{address}: {cause}")]
    Refused { address: String, cause: String, hint: Option<String> },
    /// The repository holds something that we do not read.
    #[error("{path}: {cause}")]
    Content { path: String, cause: String },
    /// The mirror on this machine is broken or cannot be written.
    #[error("the mirror at {path}: {cause}")]
    Mirror { path: String, cause: String },
}

impl GitError {
    /// A way out, where there is one to tell.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { hint, .. } => hint.clone(),
            Self::Unreachable { cause, .. } => Some(unreachable_hint(cause).into()),
            Self::Mirror { .. } => Some(
                "it is only a copy of the remote and can be removed at any time; make room, or keep it elsewhere (`--cache FOLDER`)"
                    .into(),
            ),
            Self::Content { .. } => None,
        }
    }
}

/// Nothing was lost in any of these cases; what can be looked at differs.
fn unreachable_hint(cause: &str) -> &'static str {
    if cause.contains("the proxy") {
        "check the proxy (HTTPS_PROXY) and its rules; hosts in NO_PROXY are reached without it"
    } else if cause.contains("name is not known") || cause.contains("Could not resolve hostname") {
        "check the name in the address; where only a proxy knows it, name the proxy (HTTPS_PROXY)"
    } else if cause.contains("onnection refused") {
        "check host and port, and whether the server runs"
    } else if cause.contains("lock") {
        "another push may be at work: the next try goes on from here; a lock that stays was left by a crash on the server, for its \
         operator to remove"
    } else {
        "nothing is lost: the next run goes on from here, and `run --watch` tries again by itself"
    }
}
