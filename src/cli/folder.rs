//! The manifest files of a source folder on disk, for commands that look at files without a repository.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::api::MAX_BYTES;

/// The names that kustomize takes.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Folders of folders in each other that are followed.
const MAX_DEPTH: usize = 50;

/// What a folder renders to, as far as files alone can tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Folder {
    pub(super) files: Vec<PathBuf>,
    /// The namespace that a kustomization gives to everything.
    pub(super) namespace: Option<String>,
}

/// Why only a renderer could tell what a folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NeedsRenderer(pub(super) String);

/// Whether a file is one of those that hold manifests.
pub(super) fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// The folder's kustomization file.
pub(super) fn kustomization(folder: &Path) -> Option<PathBuf> {
    KUSTOMIZATIONS.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// Whether the path is a kustomization file by its name.
pub(super) fn is_kustomization(path: &Path) -> bool {
    path.file_name().is_some_and(|name| KUSTOMIZATIONS.iter().any(|known| name == OsStr::new(known)))
}

/// At most one byte more than the language reads of a file; what is longer is refused there.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The entries of a folder by name. Symbolic links are entries of their own kind.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<(PathBuf, std::fs::FileType)>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        entries.push((entry.path(), entry.file_type()?));
    }
    entries.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(entries)
}

/// The manifest files that a folder stands for: all YAML files in it and below, or those that its kustomization names.
pub(super) fn manifests(folder: &Path) -> Result<Folder, NeedsRenderer> {
    let mut found = Folder::default();
    collect(folder, &mut found, 0)?;
    Ok(found)
}

fn collect(folder: &Path, found: &mut Folder, depth: usize) -> Result<(), NeedsRenderer> {
    let because = |what: String| NeedsRenderer(format!("{}: {what}", folder.display()));
    if depth > MAX_DEPTH {
        return Err(because("too many folders in each other".to_owned()));
    }
    if let Some(file) = kustomization(folder) {
        return kustomize(folder, &file, found, depth);
    }
    if folder.join("Chart.yaml").is_file() {
        return Err(because("a Helm chart".to_owned()));
    }
    for (path, kind) in entries(folder).map_err(|error| because(error.to_string()))? {
        if kind.is_dir() && path.file_name() != Some(OsStr::new(".git")) {
            collect(&path, found, depth + 1)?;
        } else if kind.is_file() && is_yaml(&path) {
            found.files.push(path);
        }
    }
    Ok(())
}

fn kustomize(folder: &Path, file: &Path, found: &mut Folder, depth: usize) -> Result<(), NeedsRenderer> {
    let because = |what: String| NeedsRenderer(format!("{}: {what}", file.display()));
    let bytes = read(file).map_err(|error| because(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| because("no UTF-8 text".to_owned()))?;
    let value: Value = serde_saphyr::from_str(&text).map_err(|error| because(error.to_string()))?;
    // What adds objects or changes names in ways that only kustomize knows.
    let opaque =
        ["namePrefix", "nameSuffix", "helmCharts", "helmChartInflationGenerator", "components", "generators", "transformers"];
    if let Some(field) = opaque.iter().find(|field| value.get(**field).is_some()) {
        return Err(because(format!("`{field}` needs kustomize itself")));
    }
    for field in ["resources", "bases"] {
        for resource in value.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            let path = folder.join(resource);
            if path.is_file() {
                found.files.push(path);
            } else if path.is_dir() && kustomization(&path).is_some() {
                collect(&path, found, depth + 1)?;
            } else {
                return Err(because(format!("`{resource}` is not here")));
            }
        }
    }
    // The outermost one wins: it is applied last.
    if let Some(namespace) = value.get("namespace").and_then(Value::as_str) {
        found.namespace = Some(namespace.to_owned());
    }
    Ok(())
}
