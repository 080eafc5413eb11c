//! From a source directory to manifests: plain YAML and kustomize. Files are read by object id and written nowhere but
//! into a throw-away folder for an external renderer.

use std::collections::BTreeMap;

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
