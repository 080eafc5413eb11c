//! The kinds of workloads that the settings of a folder's repository describe.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::api::{self, DescribedKind, Meaning};
use crate::cli::folder;
use crate::cli::init::REPOSITORY_FILE;

/// What was found for each folder.
#[derive(Default)]
pub(super) struct Kinds(BTreeMap<PathBuf, Vec<DescribedKind>>);

impl Kinds {
    /// Kinds that files in `folder` (a real path) may name. Settings that cannot be read describe none; they have findings of their
    /// own where they are judged.
    pub(super) fn of(&mut self, folder: &Path) -> &[DescribedKind] {
        self.0.entry(folder.to_owned()).or_insert_with(|| read(folder))
    }
}

/// The settings stand in the repository's root, at or above the folder.
fn read(folder: &Path) -> Vec<DescribedKind> {
    let root = folder.ancestors().find(|above| above.join(REPOSITORY_FILE).is_file() || above.join(".git").exists());
    let Some(file) = root.map(|root| root.join(REPOSITORY_FILE)).filter(|file| file.is_file()) else { return Vec::new() };
    let Ok(bytes) = folder::read(&file) else { return Vec::new() };
    let documents = api::read_bytes(REPOSITORY_FILE, &bytes).documents.into_iter();
    let kinds = documents.filter_map(|document| match document.into_meaning() {
        Meaning::Repository(repository) => Some(repository.workloads),
        _ => None,
    });
    kinds.flatten().collect()
}
