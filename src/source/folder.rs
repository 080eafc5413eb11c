//! A folder on disk as a source tree, for commands that look at a work tree.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Item, ItemKind, SourceError, Tree, paths};

/// The largest file that is read, bytes.
const LARGEST: u64 = 50 << 20;

/// Reads below `root`; `.git` is not seen, links are told and never followed. Identities are kept: use a new `Folder` for
/// a new look at the disk.
pub struct Folder {
    root: PathBuf,
    identities: RefCell<BTreeMap<String, Option<String>>>,
}

impl Folder {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), identities: RefCell::new(BTreeMap::new()) }
    }

    /// The place of a path on disk, when no part of it is a link.
    fn place(&self, path: &str) -> Result<PathBuf, SourceError> {
        paths::check(path)?;
        let mut place = self.root.clone();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            place.push(part);
            if fs::symlink_metadata(&place).is_ok_and(|metadata| metadata.is_symlink()) {
                return Err(SourceError::Refused {
                    path: path.to_owned(),
                    cause: "a symbolic link is on the way, which is never followed".to_owned(),
                });
            }
        }
        Ok(place)
    }
}

impl Folder {
    fn file_identity(&self, path: &str) -> Result<String, SourceError> {
        let mut file = fs::File::open(self.place(path)?).map_err(|error| failed(path, &error))?;
        let (mut digest, mut part) = (Sha256::new(), [0u8; 16 << 10]);
        loop {
            let read = file.read(&mut part).map_err(|error| failed(path, &error))?;
            match part.get(..read) {
                None | Some([]) => return Ok(hex::encode(digest.finalize())),
                Some(bytes) => digest.update(bytes),
            }
        }
    }
}

fn failed(path: &str, error: &io::Error) -> SourceError {
    SourceError::Repository(format!("cannot read {}: {error}", if path.is_empty() { "the folder" } else { path }))
}

fn kind(place: &Path, metadata: &fs::Metadata) -> Option<ItemKind> {
    if metadata.is_symlink() {
        Some(ItemKind::Symlink)
    } else if metadata.is_dir() {
        // A work tree of another repository inside this one is a submodule.
        let inner = fs::symlink_metadata(place.join(".git")).is_ok();
        Some(if inner { ItemKind::Submodule } else { ItemKind::Directory })
    } else {
        metadata.is_file().then_some(ItemKind::File)
    }
}

impl Tree for Folder {
    fn list(&self, directory: &str) -> Result<Option<Vec<Item>>, SourceError> {
        let place = self.place(directory)?;
        match fs::metadata(&place) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Ok(None),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(failed(directory, &error)),
        }
        let mut items = Vec::new();
        for entry in fs::read_dir(&place).map_err(|error| failed(directory, &error))? {
            let entry = entry.map_err(|error| failed(directory, &error))?;
            let metadata = fs::symlink_metadata(entry.path()).map_err(|error| failed(directory, &error))?;
            let name = entry.file_name().into_string().map_err(|name| SourceError::Refused {
                path: directory.to_owned(),
                cause: format!("the name {name:?} in it is no UTF-8 text"),
            })?;
            // Sockets and the like are nothing that Git would keep.
            if let (Some(kind), false) = (kind(&entry.path(), &metadata), name == ".git") {
                items.push(Item { name, kind });
            }
        }
        items.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(Some(items))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let place = self.place(path)?;
        if !fs::symlink_metadata(&place).map_err(|error| failed(path, &error))?.is_file() {
            return Err(SourceError::Refused { path: path.to_owned(), cause: "not a file".to_owned() });
        }
        let file = fs::File::open(&place).map_err(|error| failed(path, &error))?;
        let mut content = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut content).map_err(|error| failed(path, &error))?;
        if content.len() as u64 > LARGEST {
            return Err(SourceError::Refused { path: path.to_owned(), cause: format!("the file has more than {LARGEST} bytes") });
        }
        Ok(content)
    }

    /// SHA-256 of a file's content, or of a directory's names, kinds and identities.
    fn identity(&self, path: &str) -> Result<Option<String>, SourceError> {
        if let Some(known) = self.identities.borrow().get(path) {
            return Ok(known.clone());
        }
        let identity = match self.list(path)? {
            Some(items) => {
                let mut digest = Sha256::new();
                for item in items {
                    let below = if path.is_empty() { item.name.clone() } else { format!("{path}/{}", item.name) };
                    let identity = match item.kind {
                        ItemKind::Directory | ItemKind::File => self.identity(&below)?,
                        ItemKind::Symlink | ItemKind::Submodule => None,
                    };
                    digest.update(format!("{:?} {} {:?}\n", item.kind, identity.unwrap_or_default(), item.name));
                }
                Some(hex::encode(digest.finalize()))
            }
            None if fs::symlink_metadata(self.place(path)?).is_ok_and(|metadata| metadata.is_file()) => {
                Some(self.file_identity(path)?)
            }
            None => None,
        };
        self.identities.borrow_mut().insert(path.to_owned(), identity.clone());
        Ok(identity)
    }
}
