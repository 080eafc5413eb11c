//! TrafficRouting: `rollouts.kruise.io/v1alpha1` (Kruise Rollouts, `api/v1alpha1/trafficrouting_types.go`), and ours, which says
//! the same. Matches may hold paths and query parameters, too, which Kruise's cannot.

use schemars::JsonSchema;
use serde::Deserialize;

use super::kruise::{HeaderModifier, HttpMatch, TrafficRouting as Route};
use super::{Metadata, Status};

/// A routing that several Rollouts of a directory share: its routes change while a release of any of them is on its way.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "TrafficRouting")]
#[allow(dead_code, reason = "apiVersion, kind and status are part of the schema")]
pub(crate) struct TrafficRouting {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) metadata: Metadata,
    pub(crate) spec: Spec,
    /// Ignored.
    #[serde(default)]
    pub(crate) status: Option<Status>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "TrafficRoutingSpec")]
pub(crate) struct Spec {
    /// The routes that change, and the Service that they send requests to; at least one. They belong to no Rollout alone.
    #[schemars(length(max = 16))]
    pub(crate) object_ref: Vec<Route>,
    /// What changes.
    pub(crate) strategy: Strategy,
}

/// Which requests change, and how. They go to the same Service as before.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "TrafficRoutingStrategy")]
pub(crate) struct Strategy {
    /// Percent of the requests that are changed, 1 to 100.
    #[serde(default)]
    pub(crate) weight: Option<i32>,
    /// Changes to the headers of these requests, by which the routes behind tell them apart.
    #[serde(default)]
    pub(crate) request_header_modifier: Option<HeaderModifier>,
    /// Requests that are changed, by what they carry. Any one of them suffices.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) matches: Vec<HttpMatch>,
}
