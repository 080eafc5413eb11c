//! Objects of one Git repository: read by id, written as trees.

use std::collections::BTreeMap;

use git2::{FileMode, ObjectType, Repository, Signature, Time, Tree};

use super::{Change, CommitInfo, Entry, EntryKind, GitError, NewCommit, Oid, Person};

fn content(path: &str, cause: impl std::fmt::Display) -> GitError {
    GitError::Content { path: path.to_owned(), cause: cause.to_string() }
}

/// The parts of a relative path. Whatever could lead out of the tree, or into `.git`, is refused.
pub(super) fn parts(path: &str) -> Result<Vec<&str>, GitError> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let bad = |part: &&str| {
        part.is_empty()
            || *part == "."
            || *part == ".."
            || part.eq_ignore_ascii_case(".git")
            || part.to_ascii_lowercase().starts_with("git~")
            || part.len() > 255
            || part.chars().any(|character| character == '\\' || character.is_control())
    };
    let parts: Vec<&str> = path.split('/').collect();
    if path.len() > 4096 || parts.iter().any(|part| bad(part)) {
        return Err(content(&path.escape_debug().to_string(), "not a path inside the repository"));
    }
    Ok(parts)
}

fn kind(mode: i32) -> EntryKind {
    match mode {
        0o040000 => EntryKind::Directory,
        0o120000 => EntryKind::Symlink,
        0o160000 => EntryKind::Submodule,
        0o100755 => EntryKind::Executable,
        _ => EntryKind::File,
    }
}

pub(super) fn entry_in(repo: &Repository, root: Oid, path: &str) -> Result<Option<Entry>, GitError> {
    let mut found = Entry { name: String::new(), kind: EntryKind::Directory, id: root };
    for part in parts(path)? {
        if found.kind != EntryKind::Directory {
            return Ok(None);
        }
        let tree = repo.find_tree(found.id).map_err(|error| content(path, error.message()))?;
        let Some(entry) = tree.get_name(part) else { return Ok(None) };
        found = Entry { name: part.to_owned(), kind: kind(entry.filemode()), id: entry.id() };
    }
    Ok(Some(found))
}

pub(super) fn entry(repo: &Repository, commit: Oid, path: &str) -> Result<Option<Entry>, GitError> {
    let commit = repo.find_commit(commit).map_err(|error| content(path, error.message()))?;
    entry_in(repo, commit.tree_id(), path)
}

pub(super) fn list(repo: &Repository, tree: Oid) -> Result<Vec<Entry>, GitError> {
    let tree = repo.find_tree(tree).map_err(|error| content(&tree.to_string(), error.message()))?;
    let read = |entry: git2::TreeEntry<'_>| {
        let name = entry.name().map_err(|_| content(&tree.id().to_string(), "a file name is not UTF-8"))?.to_owned();
        Ok(Entry { name, kind: kind(entry.filemode()), id: entry.id() })
    };
    tree.iter().map(read).collect()
}

pub(super) fn blob(repo: &Repository, id: Oid, limit: usize) -> Result<Vec<u8>, GitError> {
    let odb = repo.odb().map_err(|error| content(&id.to_string(), error.message()))?;
    let (size, kind) = odb.read_header(id).map_err(|error| content(&id.to_string(), error.message()))?;
    if kind != ObjectType::Blob {
        return Err(content(&id.to_string(), "not a file"));
    }
    if size > limit {
        return Err(content(&id.to_string(), format!("{size} bytes; at most {limit} are read")));
    }
    let object = odb.read(id).map_err(|error| content(&id.to_string(), error.message()))?;
    Ok(object.data().to_vec())
}

pub(super) fn commit(repo: &Repository, id: Oid) -> Result<CommitInfo, GitError> {
    let commit = repo.find_commit(id).map_err(|error| content(&id.to_string(), error.message()))?;
    let author = commit.author();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(CommitInfo {
        id,
        tree: commit.tree_id(),
        parent: commit.parent_id(0).ok(),
        author: Person { name: text(author.name_bytes()), email: text(author.email_bytes()) },
        time: commit.committer().when().seconds(),
        message: text(commit.message_raw_bytes()),
    })
}

/// What a directory becomes: the changes below it, merged.
#[derive(Default)]
struct Node<'a> {
    /// All other files of this directory go.
    only_files: bool,
    /// Everything that was here goes.
    fresh: bool,
    files: BTreeMap<&'a str, &'a [u8]>,
    removed: Vec<&'a str>,
    directories: BTreeMap<&'a str, Self>,
}

impl<'a> Node<'a> {
    fn at(&mut self, path: &'a str) -> Result<&mut Self, GitError> {
        let mut node = self;
        for part in parts(path)? {
            node = node.directories.entry(part).or_default();
        }
        Ok(node)
    }

    fn file(&mut self, path: &'a str, bytes: &'a [u8]) -> Result<(), GitError> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        parts(path)?;
        self.at(directory)?.files.insert(name, bytes);
        Ok(())
    }
}

/// The id of the tree that `parent`'s tree becomes by the changes. Only objects on the changed paths are written.
pub(super) fn tree_of(repo: &Repository, parent: Option<Oid>, changes: &[Change]) -> Result<Oid, GitError> {
    let mut root = Node::default();
    for change in changes {
        match change {
            Change::Files { directory, files } => {
                let node = root.at(directory)?;
                node.only_files = true;
                for (name, bytes) in files {
                    node.file(name, bytes)?;
                }
            }
            Change::Directory { directory, files } => {
                let node = root.at(directory)?;
                node.fresh = true;
                for (path, bytes) in files {
                    node.file(path, bytes)?;
                }
            }
            Change::File { path, content } => root.file(path, content)?,
            Change::Remove { path } => {
                parts(path)?;
                let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
                root.at(directory)?.removed.push(name);
            }
        }
    }
    let before = match parent {
        Some(parent) => {
            Some(repo.find_commit(parent).and_then(|commit| commit.tree()).map_err(|error| content("", error.message()))?)
        }
        None => None,
    };
    let written = write(repo, before.as_ref(), &root, "")?;
    match written {
        Some(tree) => Ok(tree),
        None => repo.treebuilder(None).and_then(|builder| builder.write()).map_err(|error| content("", error.message())),
    }
}

/// Writes a directory; `None` where nothing is left in it.
fn write(repo: &Repository, before: Option<&Tree<'_>>, node: &Node<'_>, path: &str) -> Result<Option<Oid>, GitError> {
    let fail = |error: git2::Error| content(path, error.message());
    let before = before.filter(|_| !node.fresh);
    let mut builder = repo.treebuilder(before).map_err(fail)?;
    if let (true, Some(before)) = (node.only_files, before) {
        for entry in before.iter().filter(|entry| entry.kind() != Some(ObjectType::Tree)) {
            builder.remove(entry.name_bytes_str()).map_err(fail)?;
        }
    }
    for name in &node.removed {
        if builder.get(name).map_err(fail)?.is_some() {
            builder.remove(name).map_err(fail)?;
        }
    }
    for (name, bytes) in &node.files {
        let full = format!("{path}/{name}");
        match builder.get(name).map_err(fail)?.map(|entry| kind(entry.filemode())) {
            None | Some(EntryKind::File | EntryKind::Executable) => {}
            Some(other) => {
                return Err(content(full.trim_start_matches('/'), format!("a {other:?} stands where a file shall be")));
            }
        }
        let id = repo.blob(bytes).map_err(fail)?;
        builder.insert(name, id, FileMode::Blob.into()).map_err(fail)?;
    }
    for (name, child) in &node.directories {
        let full = format!("{path}/{name}");
        let full = full.trim_start_matches('/');
        let entry = builder.get(name).map_err(fail)?.map(|entry| (kind(entry.filemode()), entry.id()));
        let old = match entry {
            None => None,
            Some((EntryKind::Directory, id)) => Some(repo.find_tree(id).map_err(fail)?),
            Some((other, _)) => return Err(content(full, format!("a {other:?} stands where a directory shall be"))),
        };
        match write(repo, old.as_ref(), child, full)? {
            Some(id) => {
                builder.insert(name, id, FileMode::Tree.into()).map_err(fail)?;
            }
            None if old.is_some() => builder.remove(name).map_err(fail)?,
            None => {}
        }
    }
    if builder.is_empty() {
        return Ok(None);
    }
    builder.write().map(Some).map_err(fail)
}

trait NameBytes {
    fn name_bytes_str(&self) -> &str;
}

impl NameBytes for git2::TreeEntry<'_> {
    fn name_bytes_str(&self) -> &str {
        self.name().unwrap_or_default()
    }
}

/// Writes a commit. Equal input, equal id.
pub(super) fn write_commit(repo: &Repository, parent: Option<Oid>, new: &NewCommit) -> Result<Oid, GitError> {
    let fail = |error: git2::Error| content("commit", error.message());
    let tree = repo.find_tree(tree_of(repo, parent, &new.changes)?).map_err(fail)?;
    let signature = Signature::new(&new.author.name, &new.author.email, &Time::new(new.time, 0)).map_err(fail)?;
    let parent = parent.map(|parent| repo.find_commit(parent)).transpose().map_err(fail)?;
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    repo.commit(None, &signature, &signature, &new.message, &tree, &parents).map_err(fail)
}
