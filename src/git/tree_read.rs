//! Trees as they are read: entries by path, links never followed, and no tree that breaks Git's own rules.

use super::path::{RepoPath, shown};
use super::{Entry, EntryKind, GitError, Oid};
use git2::{ObjectType, Repository, Tree};

/// The largest tree that is read (bytes): about half a million entries.
pub(super) const LARGEST_TREE: usize = 32 << 20;

/// Why something cannot be read: what it is (`GitError::Content`), or libgit2 could not.
pub(super) enum TreeError {
    Said(GitError),
    Git(git2::Error),
}

impl From<GitError> for TreeError {
    fn from(error: GitError) -> Self {
        Self::Said(error)
    }
}

impl From<git2::Error> for TreeError {
    fn from(error: git2::Error) -> Self {
        Self::Git(error)
    }
}

/// A tree, whose size is looked at before it is read.
pub(super) fn tree(repo: &Repository, id: Oid) -> Result<Tree<'_>, TreeError> {
    let (size, kind) = repo.odb()?.read_header(id)?;
    if kind == ObjectType::Tree && size > LARGEST_TREE {
        let cause = format!("a tree of {size} bytes, but no more than {LARGEST_TREE} are read");
        return Err(GitError::Content { path: id.to_string(), cause }.into());
    }
    Ok(repo.find_tree(id)?)
}

/// One entry, with its mode as Git writes it (normalised: 0o100644, 0o100755, 0o120000, 0o160000, 0o040000).
pub(super) struct Raw {
    pub(super) name: String,
    pub(super) mode: i32,
    pub(super) id: Oid,
}

/// The entries of a tree, which is refused where a checkout of it could leave its folder: names with `/`, `.`, `..`, `.git`,
/// no name, the same name twice, names that are not UTF-8.
pub(super) fn checked(tree: &Tree<'_>) -> Result<Vec<Raw>, GitError> {
    let mut entries: Vec<Raw> = Vec::with_capacity(tree.len());
    let refuse = |name: &str, cause: &str| GitError::Content {
        path: shown(name),
        cause: format!("the tree {} is broken: {cause}", tree.id()),
    };
    for entry in tree {
        let name = str::from_utf8(entry.name_bytes())
            .map_err(|_| refuse(&String::from_utf8_lossy(entry.name_bytes()), "the name is not UTF-8"))?;
        if name.is_empty() || name == "." || name == ".." || name.contains('/') || name.eq_ignore_ascii_case(".git") {
            return Err(refuse(name, "no entry may have this name"));
        }
        if entries.iter().rev().take(2).any(|previous| previous.name == name) {
            return Err(refuse(name, "the name stands there twice"));
        }
        entries.push(Raw { name: name.to_owned(), mode: entry.filemode(), id: entry.id() });
    }
    Ok(entries)
}

/// What a mode stands for.
pub(super) fn kind(mode: i32) -> EntryKind {
    match mode {
        0o040_000 => EntryKind::Directory,
        0o120_000 => EntryKind::Symlink,
        0o160_000 => EntryKind::Submodule,
        0o100_755 => EntryKind::Executable,
        _ => EntryKind::File,
    }
}

/// The entry at `path` below `tree`. A symbolic link or a submodule on the way is an error that names it; a file on the way
/// means that there is nothing at the path.
pub(super) fn find(repo: &Repository, root: Oid, path: &RepoPath) -> Result<Option<Entry>, TreeError> {
    let mut current = Entry { name: String::new(), kind: EntryKind::Directory, id: root };
    for part in path.parts() {
        match current.kind {
            EntryKind::Directory => {}
            EntryKind::File | EntryKind::Executable => return Ok(None),
            EntryKind::Symlink | EntryKind::Submodule => {
                let kind = if current.kind == EntryKind::Symlink { "symbolic link" } else { "submodule" };
                let cause = format!("{} is a {kind}, which is never followed", shown(&current.name));
                return Err(GitError::Content { path: shown(path.as_str()), cause }.into());
            }
        }
        let tree = tree(repo, current.id)?;
        match tree.get_name(part) {
            Some(entry) => current = Entry { name: part.to_owned(), kind: kind(entry.filemode()), id: entry.id() },
            None => return Ok(None),
        }
    }
    Ok(Some(current))
}
