//! Trees with changes in them. Only the directories on a changed path are read and written; what stands beside it keeps
//! its id and its mode, whatever it is.

use super::path::{RepoPath, part_error, shown};
use super::tree_read::{self, TreeError, checked};
use super::{Change, GitError, Oid};
use git2::{FileMode, Repository};
use std::collections::BTreeMap;

const SYMLINK: i32 = 0o120_000;
const SUBMODULE: i32 = 0o160_000;
const DIRECTORY: i32 = 0o040_000;
const FILE: i32 = 0o100_644;

/// A directory being changed: the tree it was, and what is different.
#[derive(Default)]
struct Directory {
    base: Option<Oid>,
    changed: BTreeMap<String, Slot>,
}

enum Slot {
    Gone,
    File(Oid),
    Directory(Directory),
}

/// Writes `base` (`None`: the empty tree) with `changes` made in their order. Gives the new tree's id.
pub(super) fn tree(repo: &Repository, base: Option<Oid>, changes: &[Change]) -> Result<Oid, TreeError> {
    let mut root = Directory { base, changed: BTreeMap::new() };
    for change in changes {
        apply(repo, &mut root, change)?;
    }
    match write(repo, &root)? {
        Some(id) => Ok(id),
        // The one empty tree that Git knows is that of an empty branch.
        None => Ok(repo.treebuilder(None)?.write()?),
    }
}

fn apply(repo: &Repository, root: &mut Directory, change: &Change) -> Result<(), TreeError> {
    match change {
        Change::Root { tree } => *root = Directory { base: Some(*tree), changed: BTreeMap::new() },
        Change::Files { directory, files } => {
            let path = RepoPath::new(directory)?;
            let target = root.descend(repo, &path, path.parts())?;
            for (name, mode) in target.names(repo)? {
                match mode {
                    SYMLINK => return Err(content(&path.join(&name)?, "a symbolic link among the files that are ours").into()),
                    DIRECTORY | SUBMODULE => {}
                    _ => {
                        target.changed.insert(name, Slot::Gone);
                    }
                }
            }
            for (name, bytes) in files {
                if let Some(cause) = part_error(name).or(name.contains('/').then_some("a file's name holds a /")) {
                    return Err(content_at(&format!("{directory}/{name}"), cause).into());
                }
                target.put(repo, &path, name, bytes)?;
            }
        }
        Change::Directory { directory, files } => {
            let path = RepoPath::new(directory)?;
            let mut fresh = Directory::default();
            for (name, bytes) in files {
                let relative = RepoPath::new(name)?;
                fresh.put_below(repo, &relative, bytes)?;
            }
            match split(&path) {
                None => *root = fresh,
                Some((parents, last)) => {
                    let parent = root.descend(repo, &path, parents.iter().copied())?;
                    if matches!(parent.mode(repo, last)?, Some(SYMLINK | SUBMODULE)) {
                        return Err(content(&path, "a symbolic link or a submodule stands where the directory belongs").into());
                    }
                    parent.changed.insert(last.to_owned(), Slot::Directory(fresh));
                }
            }
        }
        Change::File { path, content: bytes } => root.put_below(repo, &RepoPath::new(path)?, bytes)?,
        Change::Remove { path } => {
            let path = RepoPath::new(path)?;
            let Some((parents, last)) = split(&path) else {
                return Err(content_at("", "the root of a branch cannot be removed").into());
            };
            let parent = root.descend(repo, &path, parents.iter().copied())?;
            if parent.mode(repo, last)?.is_some() {
                parent.changed.insert(last.to_owned(), Slot::Gone);
            }
        }
    }
    Ok(())
}

impl Directory {
    /// What stands under `name` now: its kind as Git's mode, `None` for nothing.
    fn mode(&self, repo: &Repository, name: &str) -> Result<Option<i32>, TreeError> {
        Ok(match self.changed.get(name) {
            Some(Slot::Gone) => None,
            Some(Slot::File(_)) => Some(FILE),
            Some(Slot::Directory(directory)) => (!directory.is_empty(repo)?).then_some(DIRECTORY),
            None => match self.base {
                Some(base) => tree_read::tree(repo, base)?.get_name(name).map(|entry| entry.filemode()),
                None => None,
            },
        })
    }

    /// Everything directly in this directory as it stands now.
    fn names(&self, repo: &Repository) -> Result<Vec<(String, i32)>, TreeError> {
        let mut names = BTreeMap::new();
        if let Some(base) = self.base {
            for entry in checked(&tree_read::tree(repo, base)?)? {
                names.insert(entry.name, entry.mode);
            }
        }
        for (name, slot) in &self.changed {
            match slot {
                Slot::Gone => names.remove(name),
                Slot::File(_) => names.insert(name.clone(), FILE),
                Slot::Directory(_) => names.insert(name.clone(), DIRECTORY),
            };
        }
        Ok(names.into_iter().collect())
    }

    fn is_empty(&self, repo: &Repository) -> Result<bool, TreeError> {
        for (name, mode) in self.names(repo)? {
            match self.changed.get(&name) {
                Some(Slot::Directory(directory)) if mode == DIRECTORY && directory.is_empty(repo)? => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The directory at `parts` below this one, made where there is none.
    fn descend<'path>(
        &mut self,
        repo: &Repository,
        path: &RepoPath,
        parts: impl Iterator<Item = &'path str>,
    ) -> Result<&mut Self, TreeError> {
        let mut current = self;
        for part in parts {
            let base = match current.mode(repo, part)? {
                None => None,
                Some(DIRECTORY) => match current.base {
                    Some(base) => tree_read::tree(repo, base)?.get_name(part).map(|entry| entry.id()),
                    None => None,
                },
                Some(mode) => {
                    let kind = match mode {
                        SYMLINK => "a symbolic link",
                        SUBMODULE => "a submodule",
                        _ => "a file",
                    };
                    return Err(content(path, &format!("{part} is {kind}, but a directory is needed there")).into());
                }
            };
            let slot = current.changed.entry(part.to_owned());
            let slot = slot.or_insert_with(|| Slot::Directory(Self { base, changed: BTreeMap::new() }));
            if !matches!(slot, Slot::Directory(_)) {
                *slot = Slot::Directory(Self::default());
            }
            let Slot::Directory(next) = slot else {
                return Err(content(path, "a directory is needed here").into());
            };
            current = next;
        }
        Ok(current)
    }

    fn put_below(&mut self, repo: &Repository, path: &RepoPath, bytes: &[u8]) -> Result<(), TreeError> {
        let Some((parents, last)) = split(path) else {
            return Err(content_at("", "a file needs a name").into());
        };
        let parent = self.descend(repo, path, parents.iter().copied())?;
        parent.put_at(repo, path, last, bytes)
    }

    fn put(&mut self, repo: &Repository, directory: &RepoPath, name: &str, bytes: &[u8]) -> Result<(), TreeError> {
        self.put_at(repo, &directory.join(name)?, name, bytes)
    }

    fn put_at(&mut self, repo: &Repository, path: &RepoPath, name: &str, bytes: &[u8]) -> Result<(), TreeError> {
        let cause = match self.mode(repo, name)? {
            Some(SYMLINK) => "a symbolic link stands where the file belongs",
            Some(SUBMODULE) => "a submodule stands where the file belongs",
            Some(DIRECTORY) => "a directory stands where the file belongs",
            _ => {
                self.changed.insert(name.to_owned(), Slot::File(repo.blob(bytes)?));
                return Ok(());
            }
        };
        Err(content(path, cause).into())
    }
}

/// Writes the directory; `None` where nothing is left of it, since Git has no empty directories.
fn write(repo: &Repository, directory: &Directory) -> Result<Option<Oid>, TreeError> {
    if directory.changed.is_empty() {
        return Ok(directory.base);
    }
    let base = directory.base.map(|id| tree_read::tree(repo, id)).transpose()?;
    if let Some(base) = &base {
        // A tree that breaks Git's rules is not carried into a commit of ours.
        checked(base)?;
    }
    let mut builder = repo.treebuilder(base.as_ref())?;
    for (name, slot) in &directory.changed {
        let entry = match slot {
            Slot::Gone => None,
            Slot::File(id) => Some((*id, FileMode::Blob)),
            Slot::Directory(directory) => write(repo, directory)?.map(|id| (id, FileMode::Tree)),
        };
        match entry {
            Some((id, mode)) => {
                builder.insert(name, id, mode.into())?;
            }
            None if builder.get(name)?.is_some() => builder.remove(name)?,
            None => {}
        }
    }
    if builder.is_empty() { Ok(None) } else { Ok(Some(builder.write()?)) }
}

fn split(path: &RepoPath) -> Option<(Vec<&str>, &str)> {
    let mut parts: Vec<&str> = path.parts().collect();
    let last = parts.pop()?;
    Some((parts, last))
}

fn content(path: &RepoPath, cause: &str) -> GitError {
    content_at(path.as_str(), cause)
}

fn content_at(path: &str, cause: &str) -> GitError {
    GitError::Content { path: shown(path), cause: cause.into() }
}
