//! Looking into trees, and changing them without touching what lies beside the change.

use std::collections::BTreeMap;

use crate::git::{Change, Entry, EntryKind, GitError, Oid};
use crate::sim::git::objects::Store;

fn parts(path: &str) -> Result<Vec<&str>, GitError> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let parts: Vec<&str> = path.split('/').collect();
    let bad = |part: &&str| {
        part.is_empty() || *part == "." || *part == ".." || part.eq_ignore_ascii_case(".git") || part.contains('\0')
    };
    if parts.iter().any(bad) {
        return Err(GitError::Content { path: path.to_owned(), cause: "no path inside a tree".to_owned() });
    }
    Ok(parts)
}

/// What is at `path` below `tree`; the root is a directory without a name.
pub(super) fn entry(store: &Store, tree: Oid, path: &str) -> Result<Option<Entry>, GitError> {
    let mut found = Entry { name: String::new(), kind: EntryKind::Directory, id: tree };
    for part in parts(path)? {
        if found.kind != EntryKind::Directory {
            return Ok(None);
        }
        match store.tree(found.id)?.into_iter().find(|entry| entry.name == part) {
            Some(entry) => found = entry,
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

/// A tree on its way: only the directories on the path of a change are opened.
enum Node {
    Stored(EntryKind, Oid),
    New(Vec<u8>),
    Open(BTreeMap<String, Self>),
}

fn open(store: &Store, tree: Oid) -> Result<BTreeMap<String, Node>, GitError> {
    Ok(store.tree(tree)?.into_iter().map(|entry| (entry.name, Node::Stored(entry.kind, entry.id))).collect())
}

impl Node {
    fn is_directory(&self) -> bool {
        matches!(self, Self::Open(_) | Self::Stored(EntryKind::Directory, _))
    }

    /// Its entries, opened; something that is no directory becomes an empty one.
    fn entries(&mut self, store: &Store) -> Result<&mut BTreeMap<String, Self>, GitError> {
        if let Self::Stored(EntryKind::Directory, id) = self {
            *self = Self::Open(open(store, *id)?);
        }
        if !matches!(self, Self::Open(_)) {
            *self = Self::Open(BTreeMap::new());
        }
        match self {
            Self::Open(entries) => Ok(entries),
            _ => Err(GitError::Content { path: String::new(), cause: "is no directory".to_owned() }),
        }
    }

    fn directory<'a>(&'a mut self, store: &Store, path: &[&str]) -> Result<&'a mut BTreeMap<String, Self>, GitError> {
        let mut entries = self.entries(store)?;
        for part in path {
            entries = entries.entry((*part).to_owned()).or_insert_with(|| Self::Open(BTreeMap::new())).entries(store)?;
        }
        Ok(entries)
    }

    fn put(&mut self, store: &Store, path: &[&str], content: &[u8]) -> Result<(), GitError> {
        let Some((name, parents)) = path.split_last() else {
            return Err(GitError::Content { path: String::new(), cause: "the root is no file".to_owned() });
        };
        self.directory(store, parents)?.insert((*name).to_owned(), Self::New(content.to_vec()));
        Ok(())
    }

    /// Whether something is at `path`, without making directories on the way.
    fn remove(&mut self, store: &Store, path: &[&str]) -> Result<(), GitError> {
        let Some((first, rest)) = path.split_first() else {
            self.entries(store)?.clear();
            return Ok(());
        };
        let entries = self.entries(store)?;
        if rest.is_empty() {
            entries.remove(*first);
            return Ok(());
        }
        match entries.get_mut(*first).filter(|node| node.is_directory()) {
            Some(node) => node.remove(store, rest),
            None => Ok(()),
        }
    }

    /// Writes what is new. `None`: nothing is left, and Git keeps no empty directories.
    fn write(self, store: &mut Store, root: bool) -> Result<Option<(EntryKind, Oid)>, GitError> {
        match self {
            Self::Stored(kind, id) => Ok(Some((kind, id))),
            Self::New(content) => Ok(Some((EntryKind::File, store.put_blob(&content)?))),
            Self::Open(nodes) => {
                let mut entries = Vec::new();
                for (name, node) in nodes {
                    if let Some((kind, id)) = node.write(store, false)? {
                        entries.push(Entry { name, kind, id });
                    }
                }
                if entries.is_empty() && !root {
                    return Ok(None);
                }
                Ok(Some((EntryKind::Directory, store.put_tree(entries)?)))
            }
        }
    }
}

/// The tree that `root` (`None`: an empty one) becomes by `changes`, in their order.
pub(super) fn change(store: &mut Store, root: Option<Oid>, changes: &[Change]) -> Result<Oid, GitError> {
    let mut node = root.map_or_else(|| Node::Open(BTreeMap::new()), |id| Node::Stored(EntryKind::Directory, id));
    for change in changes {
        match change {
            Change::Root { tree } => node = Node::Stored(EntryKind::Directory, *tree),
            Change::Files { directory, files } => {
                let path = parts(directory)?;
                node.directory(store, &path)?.retain(|_, node| node.is_directory());
                for (name, content) in files {
                    if name.contains('/') {
                        let cause = format!("is not directly in `{directory}`");
                        return Err(GitError::Content { path: name.clone(), cause });
                    }
                    node.put(store, &[path.as_slice(), &parts(name)?].concat(), content)?;
                }
            }
            Change::Directory { directory, files } => {
                let path = parts(directory)?;
                node.remove(store, &path)?;
                for (name, content) in files {
                    node.put(store, &[path.as_slice(), &parts(name)?].concat(), content)?;
                }
            }
            Change::File { path, content } => node.put(store, &parts(path)?, content)?,
            Change::Remove { path } => node.remove(store, &parts(path)?)?,
        }
    }
    match node.write(store, true)? {
        Some((_, id)) => Ok(id),
        None => store.put_tree(Vec::new()),
    }
}
