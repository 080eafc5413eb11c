//! `windlass.dev/v1alpha1` Repository: `.windlass.yaml` in a repository's root.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Metadata;
use super::windlass::{Delivery, Observe};

/// A repository's own settings; every field has a default.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "Windlass Repository")]
#[allow(dead_code, reason = "apiVersion, kind and metadata are part of the schema")]
pub(crate) struct Repository {
    /// `windlass.dev/v1alpha1`.
    pub(crate) api_version: String,
    /// `Repository`.
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) metadata: Option<Metadata>,
    /// The branch with the user's own manifests. Default: the branch that the remote's HEAD names.
    #[serde(default)]
    pub(crate) source_branch: Option<String>,
    /// The branch that Argo CD or Flux watches; only Windlass writes there. Default `deploy`.
    #[serde(default)]
    pub(crate) live_branch: Option<String>,
    #[serde(default)]
    pub(crate) live: Option<Live>,
    /// Source directories that hold apps. Default: every directory with a Rollout file.
    #[serde(default)]
    pub(crate) sources: Option<Vec<String>>,
    /// Source path prefix to live path prefix; the longest prefix that fits is replaced. Default: the same path.
    #[serde(default)]
    pub(crate) paths: BTreeMap<String, String>,
    /// How convergence is observed. Default `kubernetes: {}`.
    #[serde(default)]
    pub(crate) observe: Option<Observe>,
    /// Author and committer of Windlass' commits.
    #[serde(default)]
    pub(crate) author: Option<Author>,
    /// The only versions of kustomize and helm that may render the sources. Default: whatever is there.
    #[serde(default)]
    pub(crate) renderers: Option<Renderers>,
    /// How moves reach the live branch. Default `commit`.
    #[serde(default)]
    pub(crate) delivery: Option<Delivery>,
    /// Kinds of workloads that Windlass does not know, with a partition as a StatefulSet has one.
    #[serde(default)]
    pub(crate) workloads: Vec<Workload>,
}

/// A kind of workload whose controller keeps as many pods old as its partition says, the highest ordinals being updated first.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Workload {
    /// The API group, without the version.
    pub(crate) group: String,
    pub(crate) kind: String,
    /// The plural in the API's addresses (`kubectl api-resources` shows it). Default: the
    /// kind's name in small letters, with an `s` (`es`, `ies`).
    #[serde(default)]
    pub(crate) plural: Option<String>,
    pub(crate) paths: WorkloadPaths,
    /// Where its status counts pods. Default: the fields of these names in `status`.
    #[serde(default)]
    pub(crate) status: Option<WorkloadStatus>,
}

/// Where the workload's fields are: keys with dots between them, from the object's root, below `spec`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct WorkloadPaths {
    /// The number of pods. Default `spec.replicas`.
    #[serde(default)]
    pub(crate) replicas: Option<String>,
    /// The pod template. Default `spec.template`.
    #[serde(default)]
    pub(crate) template: Option<String>,
    /// The number of pods that stay old, as `spec.updateStrategy.rollingUpdate.partition` of a StatefulSet.
    pub(crate) partition: String,
}

impl WorkloadPaths {
    /// Field and path of each, defaults filled in.
    pub(crate) fn all(&self) -> [(&'static str, &str); 3] {
        [
            ("replicas", self.replicas.as_deref().unwrap_or("spec.replicas")),
            ("template", self.template.as_deref().unwrap_or("spec.template")),
            ("partition", &self.partition),
        ]
    }
}

/// Where the workload's status says how its pods are: keys with dots between them, from the object's root, below `status`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct WorkloadStatus {
    /// The generation that the controller has seen. Default `status.observedGeneration`.
    #[serde(default)]
    pub(crate) observed_generation: Option<String>,
    /// All pods. Default `status.replicas`.
    #[serde(default)]
    pub(crate) replicas: Option<String>,
    /// Pods of the newest template. Default `status.updatedReplicas`.
    #[serde(default)]
    pub(crate) updated_replicas: Option<String>,
    /// Ready pods. Default `status.readyReplicas`.
    #[serde(default)]
    pub(crate) ready_replicas: Option<String>,
    /// Ready pods of the newest template. Default `status.updatedReadyReplicas`.
    #[serde(default)]
    pub(crate) updated_ready_replicas: Option<String>,
}

impl WorkloadStatus {
    /// Field and path of each that is said.
    pub(crate) fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("observedGeneration", &self.observed_generation),
            ("replicas", &self.replicas),
            ("updatedReplicas", &self.updated_replicas),
            ("readyReplicas", &self.ready_replicas),
            ("updatedReadyReplicas", &self.updated_ready_replicas),
        ];
        all.into_iter().filter_map(|(field, path)| Some((field, path.as_deref()?)))
    }
}

/// Versions of external renderers, as these tell them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Renderers {
    /// For example `v4.3.0`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(crate) helm: Option<String>,
    /// For example `v5.8.1`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(crate) kustomize: Option<String>,
}

/// Where the live branch is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Live {
    /// Another repository for the live branch: an https, http, ssh or file URL, or `user@host:path`, without credentials. Whoever runs
    /// Windlass must name it too (`--live-repo`). Default: the repository of the source.
    #[serde(default)]
    pub(crate) url: Option<String>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Author {
    #[schemars(length(min = 1))]
    pub(crate) name: String,
    #[schemars(length(min = 1))]
    pub(crate) email: String,
}
