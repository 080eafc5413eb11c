//! Kinds of workloads that Windlass does not know, as a repository describes them: where their fields are.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::model::WorkloadRef;

/// A kind whose controller updates all pods but as many as its partition says, those with the highest ordinals first, as a
/// StatefulSet's does (Kruise's "StatefulSet-like" workloads).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DescribedKind {
    pub group: String,
    pub kind: String,
    /// As the API's addresses have it.
    pub plural: String,
    /// The number of pods.
    pub replicas: FieldPath,
    /// The pod template.
    pub template: FieldPath,
    /// The number of pods that stay old.
    pub partition: FieldPath,
    pub status: StatusPaths,
}

/// Where a described kind's status says how its pods are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusPaths {
    /// The generation of the object that its controller has seen.
    pub observed_generation: FieldPath,
    /// All pods.
    pub replicas: FieldPath,
    /// Pods of the newest template.
    pub updated_replicas: FieldPath,
    /// All Ready pods.
    pub ready_replicas: FieldPath,
    /// Ready pods of the newest template.
    pub updated_ready_replicas: FieldPath,
}

impl DescribedKind {
    /// What `kubectl` and code generators make of a kind's name: `GameSet` → `gamesets`.
    pub fn plural_of(kind: &str) -> String {
        let word = kind.to_ascii_lowercase();
        let hisses = ["s", "x", "z", "ch", "sh"].iter().any(|end| word.ends_with(end));
        match word.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u'])) {
            _ if hisses => format!("{word}es"),
            Some(stem) => format!("{stem}ies"),
            None => format!("{word}s"),
        }
    }

    /// Whether an object of this `apiVersion` and kind is one, in whatever version.
    pub fn fits(&self, api_version: &str, kind: &str) -> bool {
        kind == self.kind && api_version.split_once('/').is_some_and(|(group, _)| group == self.group)
    }
}

/// The pod template of the kinds that Windlass knows.
const TEMPLATE: [&str; 2] = ["spec", "template"];
/// Their number of pods.
const REPLICAS: [&str; 2] = ["spec", "replicas"];

impl WorkloadRef {
    /// A workload of a kind that Windlass knows, or of one whose fields nobody asks for.
    pub fn new(api_version: impl Into<String>, kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self { api_version: api_version.into(), kind: kind.into(), name: name.into(), described: None }
    }

    /// Keys from the workload's root to its pod template.
    pub fn template(&self) -> Vec<&str> {
        self.described.as_ref().map_or_else(|| TEMPLATE.to_vec(), |kind| kind.template.keys())
    }

    /// The same as a JSON pointer.
    pub fn template_pointer(&self) -> String {
        pointer(&self.template())
    }

    /// Keys from the workload's root to the number of pods that it shall have.
    pub fn replicas(&self) -> Vec<&str> {
        self.described.as_ref().map_or_else(|| REPLICAS.to_vec(), |kind| kind.replicas.keys())
    }

    /// The same as a JSON pointer.
    pub fn replicas_pointer(&self) -> String {
        pointer(&self.replicas())
    }
}

/// No key of a path has a character that a pointer would escape.
fn pointer(keys: &[&str]) -> String {
    keys.iter().flat_map(|key| ["/", key]).collect()
}

/// Where a field of an object is: keys from its root, below `spec` or `status`. Written with dots between them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldPath(Vec<String>);

/// Why a text is no [`FieldPath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoPath(&'static str);

/// Characters of a path: no field of an object lies deeper.
const LONGEST: usize = 200;

impl FieldPath {
    /// The path that `text` names below `root` (`spec`, `status`).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn below(root: &str, text: &str) -> Result<Self, NoPath> {
        if text.len() > LONGEST {
            return Err(NoPath("it is longer than 200 characters"));
        }
        let keys: Vec<&str> = text.split('.').collect();
        let is_key = |key: &&str| {
            key.starts_with(|first: char| first.is_ascii_alphabetic())
                && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if !keys.iter().all(is_key) {
            return Err(NoPath("a key has letters, digits, `-` and `_`, and begins with a letter"));
        }
        match keys.as_slice() {
            [first, _, ..] if *first == root => Ok(Self(keys.into_iter().map(str::to_owned).collect())),
            [first] if *first == root => Err(NoPath("that is the whole of it, and no field")),
            _ if root == "spec" => Err(NoPath("Windlass writes below `spec` only")),
            _ => Err(NoPath("Windlass reads this below `status` only")),
        }
    }

    pub fn keys(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }

    /// As a JSON pointer.
    pub fn pointer(&self) -> String {
        pointer(&self.keys())
    }

    /// Whether one of the two lies in the other, or they are the same.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0) || other.0.starts_with(&self.0)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl TryFrom<String> for FieldPath {
    type Error = NoPath;

    fn try_from(text: String) -> Result<Self, NoPath> {
        Self::below(if text.starts_with("status.") { "status" } else { "spec" }, &text)
    }
}

impl From<FieldPath> for String {
    fn from(path: FieldPath) -> Self {
        path.to_string()
    }
}
