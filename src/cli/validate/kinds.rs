//! The kinds of workloads that the settings of a folder's repository describe.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::api::{self, DescribedKind, Diagnostic, Document, Meaning};
use crate::cli::folder;
use crate::cli::init::REPOSITORY_FILE;
use crate::manifest::ObjectSet;
use crate::render::{self, RenderError, workload};
use crate::source::{self, Folder, Options};

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

/// What of a workload is not as its kind is described, in sources that no program renders.
pub(super) fn judge(directory: &Path, document: &Document) -> Option<Diagnostic> {
    let Meaning::Rollout(rollout) = document.meaning() else { return None };
    let rendered_elsewhere =
        folder::kustomization(directory).is_some() || directory.join("Chart.yaml").is_file() || rollout.helm.is_some();
    if rollout.workload.described.is_none() || rendered_elsewhere {
        return None;
    }
    // A source that cannot be read, or has no such workload, has findings of its own.
    let rendered = source::render(&Folder::new(directory), "", &Options::default()).ok()?;
    let objects: ObjectSet = rendered.objects.into_iter().collect();
    let object = render::find_workload(&objects, &rollout.workload).ok()?;
    let error = workload::Kind::of(&rollout.workload).ok()?.check(object, rollout.style).err()?;
    let message = match error {
        RenderError::Unusable { what, name, cause } => format!("{what} `{name}` is not as described: {cause}"),
        other => other.to_string(),
    };
    let hint = format!("mend the path under `workloads` in {REPOSITORY_FILE}, or the object (docs/tasks/own-kinds.md)");
    Some(super::fault("not-as-described", document, &["spec", "workloadRef"], "spec.workloadRef".to_owned(), message, Some(hint)))
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
