//! `rollouts.kruise.io/v1alpha1` Rollout (Kruise Rollouts, `api/v1alpha1/rollout_types.go`).

use schemars::JsonSchema;
use serde::Deserialize;

use super::kruise::{HeaderModifier, NamedMatch, PatchPodTemplateMetadata, Pause, TrafficRouting, WorkloadRef};
use super::{IntOrString, Metadata, Status};

/// A Rollout of OpenKruise in its first version.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "Kruise Rollout v1alpha1")]
#[allow(dead_code, reason = "apiVersion, kind and status are part of the schema")]
pub(crate) struct Rollout {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) metadata: Metadata,
    pub(crate) spec: Spec,
    #[serde(default)]
    pub(crate) status: Option<Status>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Spec {
    pub(crate) object_ref: ObjectRef,
    #[serde(default)]
    pub(crate) disabled: bool,
    pub(crate) strategy: Strategy,
    /// Deprecated; no effect.
    #[serde(default, rename = "rolloutID")]
    pub(crate) rollout_id: Option<String>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ObjectRef {
    #[serde(default)]
    pub(crate) workload_ref: Option<WorkloadRef>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Strategy {
    #[serde(default)]
    pub(crate) paused: bool,
    #[serde(default)]
    pub(crate) canary: Option<Canary>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Canary {
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub(crate) steps: Vec<Step>,
    #[serde(default)]
    pub(crate) traffic_routings: Vec<TrafficRouting>,
    #[serde(default)]
    pub(crate) failure_threshold: Option<IntOrString>,
    #[serde(default)]
    pub(crate) patch_pod_template_metadata: Option<PatchPodTemplateMetadata>,
    #[serde(default)]
    pub(crate) disable_generate_canary_service: bool,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Step {
    /// Share of requests for the new version, percent; also the share of pods where `replicas` is missing.
    #[serde(default)]
    pub(crate) weight: Option<i32>,
    #[serde(default)]
    pub(crate) replicas: Option<IntOrString>,
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) matches: Vec<HttpMatch>,
    #[serde(default)]
    pub(crate) request_header_modifier: Option<HeaderModifier>,
    #[serde(default)]
    pub(crate) pause: Option<Pause>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct HttpMatch {
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) headers: Vec<NamedMatch>,
}
