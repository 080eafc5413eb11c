//! What the cluster shows of a commit. Observers only ever read.

mod address;
pub mod argocd;
pub mod flux;
pub mod kubernetes;
mod lineage;
pub mod timed;
mod wake;
mod words;

pub use argocd::{ArgoCdOptions, ArgoCdServer};
pub use kubernetes::settings::{Action, ClusterReader, Kind};
pub use kubernetes::{KubernetesObserver, KubernetesOptions, Watching};
pub use lineage::{Lineage, Live, Place};
pub use timed::Timed;
pub use wake::Wake;

/// The annotation by which a live workload tells which commit's content it came from: a Git tree id.
pub const COMMIT_TREE: &str = "windlass.dev/commit-tree";

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The namespace of the live workload.
    pub namespace: String,
    /// `apiVersion`, for example `apps/v1`.
    pub api_version: String,
    pub kind: String,
    pub name: String,
    /// Where a kind that this program does not know has its fields.
    pub described: Option<Described>,
    /// The value of the `windlass.dev/commit-tree` annotation that the applied commit carries.
    pub mark: String,
    /// The commit's time, seconds since 1970 UTC.
    pub committed_at: i64,
    /// The moment of the look, seconds since 1970 UTC.
    pub now: i64,
}

/// A kind of workload that the repository describes. Fields are keys from the object's root, with dots between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// As the API's addresses have it.
    pub plural: String,
    /// The number of pods that it shall have.
    pub replicas: String,
    /// The number of pods that stay old.
    pub partition: String,
    /// What the commit says there; `None`: nothing of its own.
    pub kept: Option<u32>,
    /// Whether stable pods are coming back.
    pub returning: bool,
    pub status: StatusFields,
}

/// Where its status counts pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusFields {
    pub observed_generation: String,
    /// All pods.
    pub replicas: String,
    /// Pods of the newest template.
    pub updated_replicas: String,
    pub ready_replicas: String,
    /// Ready pods of the newest template.
    pub updated_ready_replicas: String,
}

/// What an observer saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The commit that the target names, or one of the same content, was applied, and the controllers have taken it up.
    pub applied: bool,
    /// `None` where the observer looks at no workload (`timed`), or the workload does not exist.
    pub workload: Option<Workload>,
    /// What is missing, in words, where `applied` is false; else what its status does not say, for a wait that this may explain.
    pub missing: Option<String>,
}

impl Sighting {
    /// The same, where an applier has also been asked: what it says is missing comes first. The workload must carry the commit's mark in
    /// any case, so that an applier's word alone is never enough.
    #[must_use]
    pub fn behind(mut self, missing: Option<String>) -> Self {
        self.applied &= missing.is_none();
        self.missing = missing.or(self.missing);
        self
    }
}

/// A workload's pods, counted by its controllers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workload {
    /// `spec.replicas`.
    pub size: u32,
    /// All pods.
    pub replicas: u32,
    /// Pods of the newest template.
    pub updated: u32,
    /// Those of them that are Ready.
    pub updated_ready: u32,
    /// All Ready pods.
    pub ready: u32,
    /// All available pods (Ready for `minReadySeconds`).
    pub available: u32,
    /// The label by which the controller tells the newest template's pods apart, for example
    /// (`pod-template-hash`, `5d4f8c7b9`).
    pub revision_label: Option<(String, String)>,
    /// Of a DaemonSet of `apps/v1`, the nodes that have a pod of it or of its canary, and whether one is Ready there.
    pub nodes: Vec<(String, bool)>,
}

/// Reads what runs.
pub trait Observer {
    fn observe(&self, target: &Target) -> Result<Sighting, ObserveError>;
}

/// Why nothing could be seen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObserveError {
    #[error("cannot reach the cluster: {0}")]
    Unreachable(String),
    /// Forbidden, a kind that is not served, no kubeconfig.
    #[error("{cause}")]
    Refused { cause: String, hint: Option<String> },
}
