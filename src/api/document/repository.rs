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
