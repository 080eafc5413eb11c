//! `windlass validate`: every finding of files and folders, with its place. Nothing but the files is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::api::{self, Diagnostic, Document, Known, Meaning, ObjectName, Severity};
use crate::metrics::template;

use super::folder;

mod charts;
mod kinds;
mod routes;
mod scopes;
mod show;

pub use scopes::Shared;
pub use show::{render_github, render_json, render_text};

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// By file, then by place.
    pub findings: Vec<Diagnostic>,
    pub files_checked: usize,
    /// Directories with several Rollouts.
    pub shared: Vec<Shared>,
}

impl Outcome {
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// Whether there are no errors; warnings do not count.
    pub fn passed(&self) -> bool {
        self.count(Severity::Error) == 0
    }
}

/// An error of a document at the place of `path`; `field` is how it is called.
fn fault(
    code: &'static str,
    document: &Document,
    path: &[&str],
    field: String,
    message: String,
    hint: Option<String>,
) -> Diagnostic {
    let place = document.locate(path);
    Diagnostic {
        code,
        severity: Severity::Error,
        file: document.file().to_owned(),
        line: place.line,
        column: place.column,
        length: place.length.max(1),
        field,
        message,
        snippet: None,
        hint,
    }
}

/// What the query templates of a Rollout may not hold.
fn queries(document: &Document) -> Vec<Diagnostic> {
    let Meaning::Rollout(rollout) = document.meaning() else { return Vec::new() };
    let wrong = |(index, metric): (usize, &api::Metric)| {
        let cause = template::check(&metric.query).err()?;
        let number = index.to_string();
        let field = format!("spec.analysis.metrics[{index}].query");
        let at = ["spec", "analysis", "metrics", &number, "query"];
        Some(fault("metric-query", document, &at, field, cause.to_string(), None))
    };
    rollout.metrics.iter().enumerate().filter_map(wrong).collect()
}

/// Reads files and, in folders, all `.yaml` and `.yml` files below, and judges each document alone and with those of its
/// directory. `metric_sources`: the names that the operator defined; where `None`, those of the Config documents among the
/// files count, and where there are none either, names of sources are not judged.
pub fn run(paths: &[PathBuf], metric_sources: Option<&[String]>) -> Outcome {
    let mut walk = Walk::default();
    for path in paths {
        walk.given(path);
    }
    let mut defined: Vec<String> = metric_sources.unwrap_or_default().to_vec();
    let mut is_defined = metric_sources.is_some();
    for document in &walk.documents {
        if let Meaning::Config(config) = document.1.meaning() {
            is_defined = true;
            defined.extend(config.sources.iter().map(|source| source.name.clone()));
        }
    }
    let mut by_folder: BTreeMap<&Path, Vec<&Document>> = BTreeMap::new();
    for (folder, document) in &walk.documents {
        if matches!(document.meaning(), Meaning::Rollout(_) | Meaning::TrafficRouting(_)) {
            by_folder.entry(folder).or_default().push(document);
        }
    }
    let mut found = Vec::new();
    for document in by_folder.values().flatten() {
        found.extend(queries(document));
    }
    let mut shared = Vec::new();
    for (folder, documents) in &by_folder {
        let shown = documents.first().and_then(|document| Path::new(document.file()).parent()).unwrap_or_else(|| Path::new(""));
        if let Some((directory, findings)) = scopes::judge(folder, &shown.display().to_string(), documents) {
            shared.push(directory);
            found.extend(findings);
        }
        // What helm makes of a chart elsewhere is no file in this folder.
        let is_rendered =
            |document: &&Document| matches!(document.meaning(), Meaning::Rollout(rollout) if rollout.helm.is_some());
        let known = if documents.iter().any(is_rendered) { Known::Unknown } else { known(folder) };
        found.extend(api::validate_together(documents, &known, is_defined.then_some(&defined)));
        found.extend(documents.iter().flat_map(|document| charts::judge(folder, document)));
        found.extend(documents.iter().flat_map(|document| routes::judge(folder, document)));
        found.extend(documents.iter().filter_map(|document| kinds::judge(folder, document)));
    }
    for (root, document) in &walk.documents {
        if let Meaning::Repository(repository) = document.meaning() {
            let mut sources: Vec<String> = by_folder.keys().filter_map(|folder| below(root, folder)).collect();
            sources.extend(repository.sources.iter().flatten().cloned());
            if sources.is_empty() {
                // No app yet: judge what the settings alone say.
                sources.extend(repository.paths.iter().map(|(from, _)| from.clone()));
            }
            if sources.is_empty() {
                sources.push(String::new());
            }
            found.extend(api::validate_repository(document, None, &sources));
        }
    }
    drop(by_folder);
    found.append(&mut walk.findings);
    found.sort_by(|left, right| left.order().cmp(&right.order()));
    found.dedup();
    Outcome { findings: found, files_checked: walk.seen.len(), shared }
}

/// The objects that a directory renders to, where the files say it.
fn known(folder: &Path) -> Known {
    let Ok(folder) = folder::manifests(folder) else { return Known::Unknown };
    let mut objects: Vec<ObjectName> = Vec::new();
    for file in &folder.files {
        let Ok(bytes) = folder::read(file) else { return Known::Unknown };
        let result = api::read_bytes(&file.display().to_string(), &bytes);
        // What cannot be read may hold the object that is looked for; the file's own findings say so where it is judged.
        if result.findings.iter().any(|finding| matches!(finding.code, "yaml-syntax" | "not-text" | "too-large" | "too-deep")) {
            return Known::Unknown;
        }
        objects.extend(result.objects);
    }
    if let Some(namespace) = &folder.namespace {
        for object in &mut objects {
            object.namespace = Some(namespace.clone());
        }
    }
    Known::All(objects)
}

/// `folder` relative to `root`, with `/`; `None` where it is not below.
fn below(root: &Path, folder: &Path) -> Option<String> {
    let parts = folder.strip_prefix(root).ok()?.iter().map(OsStr::to_str).collect::<Option<Vec<_>>>()?;
    Some(parts.join("/"))
}

#[derive(Default)]
struct Walk {
    seen: BTreeSet<PathBuf>,
    /// With the real path of the directory that each is in.
    documents: Vec<(PathBuf, Document)>,
    findings: Vec<Diagnostic>,
    kinds: kinds::Kinds,
}

impl Walk {
    fn complain(&mut self, path: &Path, severity: Severity, code: &'static str, message: String, hint: Option<&str>) {
        self.findings.push(Diagnostic {
            code,
            severity,
            file: path.display().to_string(),
            line: 1,
            column: 1,
            length: 1,
            field: String::new(),
            message,
            snippet: None,
            hint: hint.map(str::to_owned),
        });
    }

    /// A path that the user gave: a link is followed here, and a file is read whatever its name.
    fn given(&mut self, path: &Path) {
        match std::fs::metadata(path) {
            Err(error) => self.complain(path, Severity::Error, "unreadable", format!("cannot read this: {error}"), None),
            Ok(metadata) if metadata.is_dir() => self.folder(path),
            Ok(metadata) if metadata.is_file() => self.file(path),
            Ok(_) => self.complain(path, Severity::Error, "unreadable", "neither a file nor a folder".to_owned(), None),
        }
    }

    fn folder(&mut self, folder: &Path) {
        let entries = match folder::entries(folder) {
            Ok(entries) => entries,
            Err(error) => {
                return self.complain(folder, Severity::Error, "unreadable", format!("cannot list this folder: {error}"), None);
            }
        };
        // Templates are no YAML; `plan` has them rendered.
        let is_chart = folder.join("Chart.yaml").is_file();
        for (path, kind) in entries {
            let name = path.file_name().unwrap_or_default();
            if kind.is_symlink() {
                if folder::is_yaml(&path) || path.is_dir() {
                    let message = "a symbolic link is not followed".to_owned();
                    let hint = "name its target to have that judged";
                    self.complain(&path, Severity::Warning, "symlink", message, Some(hint));
                }
            } else if kind.is_dir() {
                if name != ".git" && !(is_chart && (name == "templates" || name == "charts")) {
                    self.folder(&path);
                }
            } else if kind.is_file() && folder::is_yaml(&path) && !folder::is_kustomization(&path) {
                self.file(&path);
            }
        }
    }

    fn file(&mut self, path: &Path) {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let folder = real.parent().map(Path::to_owned).unwrap_or_default();
        if !self.seen.insert(real) {
            return;
        }
        match folder::read(path) {
            Err(error) => self.complain(path, Severity::Error, "unreadable", format!("cannot read this file: {error}"), None),
            Ok(bytes) => {
                let shown = path.display().to_string();
                let mut result = api::read_bytes(&shown, &bytes);
                if result.names_unknown_kind {
                    result = api::read_bytes_with(&shown, &bytes, self.kinds.of(&folder));
                }
                self.findings.append(&mut result.findings);
                self.documents.extend(result.documents.into_iter().map(|document| (folder.clone(), document)));
            }
        }
    }
}
