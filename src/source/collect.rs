//! Reads the files of a directory, within limits.

use super::{Files, Item, ItemKind, Limits, SourceError, Tree, paths};

/// Reads of one render: every file once, counted.
pub(super) struct Reader<'a> {
    pub(super) tree: &'a dyn Tree,
    limits: &'a Limits,
    pub(super) files: Files,
    bytes: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(tree: &'a dyn Tree, limits: &'a Limits) -> Self {
        Self { tree, limits, files: Files::new(), bytes: 0 }
    }

    /// The entries of a directory by path, sorted. A link or a submodule among them is refused.
    pub(super) fn list(&self, directory: &str) -> Result<Vec<(String, Item)>, SourceError> {
        let Some(items) = self.tree.list(directory)? else {
            return Err(SourceError::Refused { path: directory.to_owned(), cause: "there is no such directory".to_owned() });
        };
        let mut entries = Vec::new();
        for item in items {
            let path = paths::entry(directory, &item.name)?;
            refuse_links(&path, item.kind)?;
            entries.push((path, item));
        }
        entries.sort_by(|left, right| left.0.cmp(&right.0));
        if entries.windows(2).any(|pair| matches!(pair, [left, right] if left.0 == right.0)) {
            return Err(SourceError::Refused {
                path: directory.to_owned(),
                cause: "two entries of the directory have one name".to_owned(),
            });
        }
        Ok(entries)
    }

    /// What is at a path, found without following anything: `None` where nothing is.
    pub(super) fn kind(&self, path: &str) -> Result<Option<ItemKind>, SourceError> {
        paths::check(path)?;
        let mut directory = String::new();
        let mut kind = ItemKind::Directory;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if kind != ItemKind::Directory {
                return Ok(None);
            }
            let Some(items) = self.tree.list(&directory)? else { return Ok(None) };
            let Some(item) = items.into_iter().find(|item| item.name == part) else { return Ok(None) };
            directory = paths::entry(&directory, part)?;
            refuse_links(&directory, item.kind)?;
            kind = item.kind;
        }
        Ok(Some(kind))
    }

    /// A file's content, kept in `files`.
    pub(super) fn read(&mut self, path: &str) -> Result<Vec<u8>, SourceError> {
        if let Some(content) = self.files.get(path) {
            return Ok(content.clone());
        }
        let content = self.tree.read(path)?;
        self.bytes = self.bytes.saturating_add(content.len());
        let too_much = |cause: String| Err(SourceError::Refused { path: path.to_owned(), cause });
        if self.files.len() >= self.limits.files {
            return too_much(format!("the source has more than {} files", self.limits.files));
        }
        if self.bytes > self.limits.bytes {
            return too_much(format!("the source's files have more than {} bytes", self.limits.bytes));
        }
        self.files.insert(path.to_owned(), content.clone());
        Ok(content)
    }

    /// A file's text.
    pub(super) fn text(&mut self, path: &str) -> Result<String, SourceError> {
        String::from_utf8(self.read(path)?).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            SourceError::Invalid { path: path.to_owned(), text: format!("{path}: no UTF-8 text (byte {})", at + 1) }
        })
    }

    /// Everything in a directory and below it.
    pub(super) fn everything(&mut self, directory: &str) -> Result<(), SourceError> {
        for (path, item) in self.list(directory)? {
            match item.kind {
                ItemKind::Directory => self.everything(&path)?,
                _ => {
                    self.read(&path)?;
                }
            }
        }
        Ok(())
    }
}

fn refuse_links(path: &str, kind: ItemKind) -> Result<(), SourceError> {
    let cause = match kind {
        ItemKind::Directory | ItemKind::File => return Ok(()),
        ItemKind::Symlink => "a symbolic link, which is never followed: put the file itself here",
        ItemKind::Submodule => "a submodule, which is never fetched: put its files here",
    };
    Err(SourceError::Refused { path: path.to_owned(), cause: cause.to_owned() })
}

/// Whether a file's name says that it holds manifests.
pub(super) fn is_manifest(name: &str) -> bool {
    !name.starts_with('.') && [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending))
}
