//! `windlass.dev/v1alpha1` Config: the operator's `windlass.yaml`, which no repository's author can change.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Metadata, NotYet};

/// What the operator gives to every repository.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "Windlass Config")]
#[allow(dead_code, reason = "apiVersion, kind and metadata are part of the schema")]
pub(crate) struct Config {
    /// `windlass.dev/v1alpha1`.
    pub(crate) api_version: String,
    /// `Config`.
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) metadata: Option<Metadata>,
    /// Metric sources; a Rollout names one of them.
    #[serde(default)]
    pub(crate) sources: Vec<Source>,
    /// The cluster that is read. Default: as kubectl finds it.
    #[serde(default)]
    pub(crate) cluster: Option<Cluster>,
    /// Argo CD's own API; the observer `argocd` then asks it instead of the cluster. Default: the cluster is asked.
    #[serde(default)]
    pub(crate) argocd: Option<ArgoCd>,
}

/// Argo CD's API server.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ArgoCd {
    /// `https`; what stands before `/api/v1`.
    pub(crate) server: String,
    /// A file with a token of an account that may `get` the Applications; read anew for each look.
    #[serde(default)]
    pub(crate) token_file: Option<String>,
    /// A PEM file of certificate authorities, believed instead of the system's.
    #[serde(default)]
    pub(crate) ca_file: Option<String>,
}

/// A metric source: a name and exactly one kind.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(dead_code, reason = "what is not supported yet is refused before this type is made")]
pub(crate) struct Source {
    #[schemars(length(min = 1))]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) prometheus: Option<Prometheus>,
    /// Not supported yet.
    #[serde(default)]
    pub(crate) datadog: Option<NotYet>,
    /// Not supported yet.
    #[serde(default)]
    pub(crate) cloud_watch: Option<NotYet>,
    /// Not supported yet.
    #[serde(default)]
    pub(crate) new_relic: Option<NotYet>,
    /// Not supported yet.
    #[serde(default)]
    pub(crate) graphite: Option<NotYet>,
    /// Not supported yet.
    #[serde(default)]
    pub(crate) influxdb: Option<NotYet>,
    /// Not supported yet.
    #[serde(default)]
    pub(crate) dynatrace: Option<NotYet>,
    /// Not supported yet.
    #[serde(default)]
    pub(crate) stackdriver: Option<NotYet>,
    /// Not supported yet.
    #[serde(default)]
    pub(crate) web: Option<NotYet>,
}

/// Prometheus, or what speaks its API (Thanos, Mimir, VictoriaMetrics).
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Prometheus {
    /// `http` or `https`; what stands before `/api/v1/query`.
    pub(crate) url: String,
    /// A file with the token, read anew for each query.
    #[serde(default)]
    pub(crate) bearer_token_file: Option<String>,
    /// Headers to send.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
}

/// A cluster by kubeconfig.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Cluster {
    /// A kubeconfig file.
    #[serde(default)]
    pub(crate) kubeconfig: Option<String>,
    /// A context of it.
    #[serde(default)]
    pub(crate) context: Option<String>,
}
