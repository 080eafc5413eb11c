//! From a source directory to manifests: plain YAML, kustomize and Helm charts. Files are read by object id and written nowhere but
//! into a throw-away folder for an external renderer.

mod collect;
mod discover;
mod folder;
mod helm;
mod kustomize;
mod own;
mod paths;
mod plain;
mod program;
mod renderer;
mod secrets;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use discover::{Known, find_rollouts};
pub use folder::Folder;
pub use helm::Chart;
pub use paths::check as check_path;

use crate::manifest::Object;

/// The files that a render may read: paths relative to the repository's root → content.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Reads files of one source commit. Implementations refuse symbolic links, submodules and files above the limit.
pub trait Tree {
    /// The names and kinds in a directory; `None` where there is none.
    fn list(&self, directory: &str) -> Result<Option<Vec<Item>>, SourceError>;
    /// A file's content.
    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError>;
    /// The identity of what is at `path`: equal ids, equal content, also of directories. `None`: nothing is there.
    fn identity(&self, path: &str) -> Result<Option<String>, SourceError>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub name: String,
    pub kind: ItemKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    Directory,
    File,
    Symlink,
    Submodule,
}

/// What a source directory gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// All objects except Rollouts, each key once.
    pub objects: Vec<Object>,
    /// Files with a Rollout document in them: path and text.
    pub rollouts: Vec<(String, String)>,
    /// What the result depends on: path → identity at that commit. While all are the same, so is the result.
    pub inputs: BTreeMap<String, String>,
    /// The command that renders this source, for `hydrator.metadata`.
    pub command: Option<String>,
}

/// Why a source gave no manifests. `path` is relative to the repository's root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// A file that we cannot read as manifests; the text shows file, line and column.
    #[error("{text}")]
    Invalid { path: String, text: String },
    /// A link, a submodule, a path out of the repository, too much of something.
    #[error("{path}: {cause}")]
    Refused { path: String, cause: String },
    /// The external renderer failed, took too long or is not there.
    #[error("{renderer} in {path}: {cause}")]
    Renderer { renderer: String, path: String, cause: String, hint: Option<String> },
    /// The repository could not be read.
    #[error("{0}")]
    Repository(String),
}

/// How a source is rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Let a renderer's own Secret data through (`allowSecrets: true` of a Rollout).
    pub allow_secrets: bool,
    /// The kustomize program: a path, or a name that is looked up in `PATH`.
    pub kustomize: PathBuf,
    /// The only version of it that may render, for example `v5.8.1`; `None`: whatever is there.
    pub kustomize_version: Option<String>,
    /// The helm program, likewise.
    pub helm: PathBuf,
    /// The only version of it that may render, for example `v4.3.0`.
    pub helm_version: Option<String>,
    /// What the Rollout says of the chart; `None`: a chart is rendered with its own values.
    pub chart: Option<Chart>,
    /// How long one run of an external renderer may take.
    pub timeout: Duration,
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            allow_secrets: false,
            kustomize: PathBuf::from("kustomize"),
            kustomize_version: None,
            helm: PathBuf::from("helm"),
            helm_version: None,
            chart: None,
            timeout: Duration::from_secs(30),
            limits: Limits::default(),
        }
    }
}

/// How much one source may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    pub files: usize,
    /// Bytes of all files.
    pub bytes: usize,
    pub objects: usize,
    /// Bytes that an external renderer may print.
    pub output: usize,
    /// Bytes of memory that an external renderer may use, where the system can limit that (Linux).
    pub memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { files: 5_000, bytes: 50 << 20, objects: 10_000, output: 10 << 20, memory: 2 << 30 }
    }
}

/// Renders a source directory (relative to the root, `""` for the root itself): by kustomize where there is a
/// kustomization, by helm where there is a chart or the Rollout names one, as plain manifests elsewhere.
///
/// Symbolic links and submodules in the directory are refused, never followed. The same tree gives the same result.
pub fn render(tree: &dyn Tree, directory: &str, options: &Options) -> Result<Rendered, SourceError> {
    paths::check(directory)?;
    let refused = |cause: &str| Err(SourceError::Refused { path: directory.to_owned(), cause: cause.to_owned() });
    let reader = collect::Reader::new(tree, &options.limits);
    match reader.kind(directory)? {
        Some(ItemKind::Directory) => {}
        Some(_) => return refused("a source is a directory, and this is a file"),
        None => return refused("there is no such directory"),
    }
    let kind = renderer(tree, directory, options)?;
    match (kind, &options.chart) {
        (Some(RendererKind::Kustomize), Some(_)) => {
            refused("`source.helm` says that helm renders this directory, and its kustomization that kustomize does: remove one")
        }
        (Some(RendererKind::Kustomize), _) => kustomize::render(tree, directory, options),
        (Some(RendererKind::Helm), chart) => helm::render(tree, directory, &chart.clone().unwrap_or_default(), options),
        (None, _) => plain::render(tree, directory, &options.limits),
    }
}

/// A program that renders sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RendererKind {
    Kustomize,
    Helm,
}

/// The program that a directory needs: kustomize where there is a kustomization, helm where there is a chart or
/// [`Options::chart`] names one.
pub fn renderer(tree: &dyn Tree, directory: &str, options: &Options) -> Result<Option<RendererKind>, SourceError> {
    let entries = collect::Reader::new(tree, &options.limits).list(directory)?;
    let has = |test: fn(&str) -> bool| entries.iter().any(|(_, item)| item.kind == ItemKind::File && test(&item.name));
    Ok(if has(is_kustomization) {
        Some(RendererKind::Kustomize)
    } else if options.chart.is_some() || has(is_chart) {
        Some(RendererKind::Helm)
    } else {
        None
    })
}

/// The version that the program tells, for example `v5.8.1`.
pub fn renderer_version(kind: RendererKind, options: &Options) -> Result<String, SourceError> {
    match kind {
        RendererKind::Kustomize => kustomize::version(options),
        RendererKind::Helm => helm::version(options),
    }
}

/// Whether a program's version is the one that is wanted; `v5.8.1` and `5.8.1` are the same.
pub fn is_version(found: &str, wanted: &str) -> bool {
    found.trim_start_matches('v') == wanted.trim_start_matches('v')
}

/// The files directly in a directory that hold a Rollout, path and text: one of them may say how helm renders it.
pub fn rollouts_beside(tree: &dyn Tree, directory: &str, limits: &Limits) -> Result<Vec<(String, String)>, SourceError> {
    paths::check(directory)?;
    let mut reader = collect::Reader::new(tree, limits);
    if reader.kind(directory)? != Some(ItemKind::Directory) {
        return Ok(Vec::new());
    }
    own::beside(&mut reader, directory)
}

fn is_kustomization(name: &str) -> bool {
    matches!(name, "kustomization.yaml" | "kustomization.yml" | "Kustomization")
}

fn is_chart(name: &str) -> bool {
    name == "Chart.yaml"
}
