//! `rollouts.kruise.io/v1beta1` Rollout (Kruise Rollouts, `api/v1beta1/rollout_types.go` and `trafficrouting.go`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{IntOrString, Metadata, Status};

/// A Rollout of OpenKruise, as Windlass reads it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "Kruise Rollout v1beta1", rename = "KruiseRollout")]
#[allow(dead_code, reason = "apiVersion, kind and status are part of the schema")]
pub(crate) struct Rollout {
    /// `rollouts.kruise.io/v1beta1`.
    pub(crate) api_version: String,
    /// `Rollout`.
    pub(crate) kind: String,
    pub(crate) metadata: Metadata,
    pub(crate) spec: Spec,
    #[serde(default)]
    pub(crate) status: Option<Status>,
}

/// What is rolled out, and how.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "KruiseSpec")]
pub(crate) struct Spec {
    pub(crate) workload_ref: WorkloadRef,
    /// Freeze the app where it stands. Default false.
    #[serde(default)]
    pub(crate) disabled: bool,
    pub(crate) strategy: Strategy<Step>,
}

/// The workload whose new versions are rolled out; in the Rollout's own namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct WorkloadRef {
    /// For example `apps/v1`.
    pub(crate) api_version: String,
    /// For example `Deployment`.
    pub(crate) kind: String,
    pub(crate) name: String,
}

/// Exactly one of `canary` and `blueGreen`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", bound(deserialize = "S: Deserialize<'de>"))]
#[schemars(rename = "Strategy")]
pub(crate) struct Strategy<S> {
    /// Hold every move except rollback. Default false.
    #[serde(default)]
    pub(crate) paused: bool,
    #[serde(default)]
    pub(crate) canary: Option<Canary<S>>,
    #[serde(default)]
    pub(crate) blue_green: Option<BlueGreen<S>>,
}

/// New pods take the place of old ones, step by step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", bound(deserialize = "S: Deserialize<'de>"))]
#[schemars(rename = "Canary")]
pub(crate) struct Canary<S> {
    /// The steps, in order; at least one.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub(crate) steps: Vec<S>,
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) traffic_routings: Vec<TrafficRouting>,
    /// How many updated pods of a batch may be unready: pods, or percent of the updated pods (rounded up). Default 0.
    #[serde(default)]
    pub(crate) failure_threshold: Option<IntOrString>,
    /// Labels and annotations for the pods of the second Deployment.
    #[serde(default)]
    pub(crate) patch_pod_template_metadata: Option<PatchPodTemplateMetadata>,
    /// Run the new version in a second Deployment, `<name>-canary`. Default false.
    #[serde(default)]
    pub(crate) enable_extra_workload_for_canary: bool,
    /// The name of a TrafficRouting of the same directory, which several Rollouts share.
    #[serde(default)]
    pub(crate) traffic_routing_ref: Option<String>,
    /// Keep to the stable Service alone. Default false.
    #[serde(default)]
    pub(crate) disable_generate_canary_service: bool,
}

/// New pods stand beside all old ones until the release is complete.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", bound(deserialize = "S: Deserialize<'de>"))]
#[schemars(rename = "BlueGreen")]
pub(crate) struct BlueGreen<S> {
    /// The steps, in order; at least one.
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub(crate) steps: Vec<S>,
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) traffic_routings: Vec<TrafficRouting>,
    /// How many updated pods of a batch may be unready: pods, or percent of the updated pods (rounded up). Default 0.
    #[serde(default)]
    pub(crate) failure_threshold: Option<IntOrString>,
    /// The name of a TrafficRouting of the same directory, which several Rollouts share.
    #[serde(default)]
    pub(crate) traffic_routing_ref: Option<String>,
    /// Keep to the stable Service alone. Default false.
    #[serde(default)]
    pub(crate) disable_generate_canary_service: bool,
}

/// One step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "KruiseStep")]
pub(crate) struct Step {
    /// Updated pods at the end of this step, counted from the release's start: pods, or percent (rounded up).
    #[serde(default)]
    pub(crate) replicas: Option<IntOrString>,
    /// Share of requests for the new version, for example `20%`.
    #[serde(default)]
    pub(crate) traffic: Option<String>,
    /// Requests for the new version by what they carry; any one of them suffices.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) matches: Vec<HttpMatch>,
    /// Changes to the headers of the requests for the new version.
    #[serde(default)]
    pub(crate) request_header_modifier: Option<HeaderModifier>,
    /// What to wait for after the step. Without a duration, and without `pause`: until somebody approves.
    #[serde(default)]
    pub(crate) pause: Option<Pause>,
}

/// A pause after a step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "KruisePause")]
pub(crate) struct Pause {
    /// Seconds.
    #[serde(default)]
    pub(crate) duration: Option<i32>,
}

/// How requests reach the workload.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TrafficRouting {
    /// The stable Service; required.
    #[serde(default)]
    pub(crate) service: String,
    /// Seconds between a routing change and what may follow it. Default 3.
    #[serde(default)]
    pub(crate) grace_period_seconds: Option<i32>,
    #[serde(default)]
    pub(crate) ingress: Option<Ingress>,
    #[serde(default)]
    pub(crate) gateway: Option<Gateway>,
    /// Objects of other kinds: meshes, API gateways.
    #[serde(default)]
    pub(crate) custom_network_refs: Option<Vec<WorkloadRef>>,
}

/// Routing by an Ingress.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Ingress {
    /// The kind of Ingress controller: `nginx` (default), `aliyun-alb`, `higress`, `mse`, `alb` (AWS), `traefik`.
    #[serde(default)]
    pub(crate) class_type: Option<String>,
    /// Required.
    #[serde(default)]
    pub(crate) name: String,
}

/// Routing by Gateway API.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Gateway {
    #[serde(default, rename = "httpRouteName")]
    pub(crate) http_route_name: Option<String>,
    /// Beyond Kruise.
    #[serde(default, rename = "grpcRouteName")]
    pub(crate) grpc_route_name: Option<String>,
    /// Beyond Kruise.
    #[serde(default, rename = "tlsRouteName")]
    pub(crate) tls_route_name: Option<String>,
    /// Beyond Kruise.
    #[serde(default, rename = "tcpRouteName")]
    pub(crate) tcp_route_name: Option<String>,
}

/// Labels and annotations for the second Deployment's pods.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct PatchPodTemplateMetadata {
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
}

/// One alternative: all its parts must hold.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct HttpMatch {
    #[serde(default)]
    pub(crate) path: Option<PathMatch>,
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) headers: Vec<NamedMatch>,
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) query_params: Vec<NamedMatch>,
}

/// A request's path.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct PathMatch {
    /// Default `PathPrefix`.
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<PathMatchKind>,
    /// Default `/`.
    #[serde(default)]
    pub(crate) value: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) enum PathMatchKind {
    Exact,
    PathPrefix,
    RegularExpression,
}

/// A header or a query parameter.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NamedMatch {
    /// Default `Exact`.
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<NamedMatchKind>,
    #[schemars(length(min = 1))]
    pub(crate) name: String,
    pub(crate) value: String,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) enum NamedMatchKind {
    Exact,
    RegularExpression,
}

/// Changes to request headers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct HeaderModifier {
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) set: Vec<Header>,
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) add: Vec<Header>,
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) remove: Vec<String>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Header {
    #[schemars(length(min = 1))]
    pub(crate) name: String,
    pub(crate) value: String,
}
