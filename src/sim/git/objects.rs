//! Git objects by id, in Git's own formats, so that an id here is the id that Git would give.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use git2::ObjectType;

use crate::git::{CommitInfo, Entry, EntryKind, GitError, NewCommit, Oid, Person};
use crate::sim::git::tree;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Object {
    Blob(Vec<u8>),
    Tree(Vec<Entry>),
    Commit(CommitInfo),
}

/// A set of objects. Copies share the content.
#[derive(Debug, Clone, Default)]
pub(super) struct Store(BTreeMap<Oid, Arc<Object>>);

fn content(path: impl std::fmt::Display, cause: impl std::fmt::Display) -> GitError {
    GitError::Content { path: path.to_string(), cause: cause.to_string() }
}

impl Store {
    pub(super) fn has(&self, id: Oid) -> bool {
        self.0.contains_key(&id)
    }

    fn put(&mut self, kind: ObjectType, bytes: &[u8], object: impl FnOnce(Oid) -> Object) -> Result<Oid, GitError> {
        let id = Oid::hash_object(kind, bytes).map_err(|error| content("object", error.message()))?;
        self.0.entry(id).or_insert_with(|| Arc::new(object(id)));
        Ok(id)
    }

    pub(super) fn blob(&self, id: Oid) -> Result<&[u8], GitError> {
        match self.0.get(&id).map(AsRef::as_ref) {
            Some(Object::Blob(content)) => Ok(content),
            Some(_) => Err(content(id, "is no file")),
            None => Err(content(id, "is not in the mirror")),
        }
    }

    pub(super) fn tree(&self, id: Oid) -> Result<Vec<Entry>, GitError> {
        match self.0.get(&id).map(AsRef::as_ref) {
            Some(Object::Tree(entries)) => Ok(entries.clone()),
            Some(_) => Err(content(id, "is no directory")),
            None => Err(content(id, "is not in the mirror")),
        }
    }

    pub(super) fn commit(&self, id: Oid) -> Result<CommitInfo, GitError> {
        match self.0.get(&id).map(AsRef::as_ref) {
            Some(Object::Commit(info)) => Ok(info.clone()),
            Some(_) => Err(content(id, "is no commit")),
            None => Err(content(id, "is not in the mirror")),
        }
    }

    pub(super) fn put_blob(&mut self, bytes: &[u8]) -> Result<Oid, GitError> {
        self.put(ObjectType::Blob, bytes, |_| Object::Blob(bytes.to_vec()))
    }

    /// Sorts as Git does: a directory's name ends in `/`.
    pub(super) fn put_tree(&mut self, mut entries: Vec<Entry>) -> Result<Oid, GitError> {
        entries.sort_by_cached_key(|entry| {
            format!("{}{}", entry.name, if entry.kind == EntryKind::Directory { "/" } else { "" }).into_bytes()
        });
        let mut bytes = Vec::new();
        for entry in &entries {
            let mode = match entry.kind {
                EntryKind::Directory => "40000",
                EntryKind::File => "100644",
                EntryKind::Executable => "100755",
                EntryKind::Symlink => "120000",
                EntryKind::Submodule => "160000",
            };
            bytes.extend_from_slice(format!("{mode} {}\0", entry.name).as_bytes());
            bytes.extend_from_slice(entry.id.as_bytes());
        }
        self.put(ObjectType::Tree, &bytes, |_| Object::Tree(entries))
    }

    /// A commit with its changes on top of `parent`.
    pub(super) fn write(&mut self, parent: Option<Oid>, commit: &NewCommit) -> Result<Oid, GitError> {
        let root = parent.map(|parent| self.commit(parent)).transpose()?.map(|commit| commit.tree);
        let tree = tree::change(self, root, &commit.changes)?;
        self.put_commit(tree, parent, &commit.author, commit.time, &commit.message)
    }

    fn put_commit(&mut self, tree: Oid, parent: Option<Oid>, author: &Person, time: i64, message: &str) -> Result<Oid, GitError> {
        let Person { name, email } = author;
        if name.is_empty() || [name, email].iter().any(|text| text.contains(['<', '>', '\n', '\0'])) {
            return Err(content("author", format!("`{name} <{email}>` cannot stand in a commit")));
        }
        let mut text = format!("tree {tree}\n");
        if let Some(parent) = parent {
            text.push_str(&format!("parent {parent}\n"));
        }
        text.push_str(&format!("author {name} <{email}> {time} +0000\ncommitter {name} <{email}> {time} +0000\n\n{message}"));
        self.put(ObjectType::Commit, text.as_bytes(), |id| {
            Object::Commit(CommitInfo { id, tree, parent, author: author.clone(), time, message: message.to_owned() })
        })
    }

    /// Copies what `commit` needs and is not here yet.
    pub(super) fn take(&mut self, from: &Self, commit: Oid) -> Result<(), GitError> {
        let mut wanted = vec![commit];
        while let Some(id) = wanted.pop() {
            if self.has(id) {
                continue;
            }
            let object = from.0.get(&id).ok_or_else(|| content(id, "is not in the mirror"))?;
            match object.as_ref() {
                Object::Blob(_) => {}
                Object::Tree(entries) => {
                    let inside = entries.iter().filter(|entry| entry.kind != EntryKind::Submodule);
                    wanted.extend(inside.map(|entry| entry.id));
                }
                Object::Commit(info) => wanted.extend([Some(info.tree), info.parent].into_iter().flatten()),
            }
            self.0.insert(id, Arc::clone(object));
        }
        Ok(())
    }

    /// Whether `old` is `new` or one of its ancestors.
    pub(super) fn is_ancestor(&self, old: Oid, new: Oid) -> Result<bool, GitError> {
        let mut seen = BTreeSet::new();
        let mut next = Some(new);
        while let Some(id) = next {
            if id == old {
                return Ok(true);
            }
            if !seen.insert(id) {
                break;
            }
            next = self.commit(id)?.parent;
        }
        Ok(false)
    }
}
