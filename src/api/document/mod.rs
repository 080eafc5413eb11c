//! The documents as their authors write them. One type serves the parser and the JSON Schema.
//!
//! Where a document version is Kruise's, the field names and their requiredness are those of its CRD; defaults are filled in
//! by `convert.rs`, so that the rules still see what was left out.

pub(crate) mod alpha;
pub(crate) mod config;
pub(crate) mod kruise;
pub(crate) mod repository;
mod scalar;
pub(crate) mod shared;
pub(crate) mod windlass;

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

pub(crate) use scalar::{Duration, IntOrString};

/// Kubernetes object metadata; fields other than these are accepted and not looked at.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    /// The name; a DNS subdomain.
    pub(crate) name: String,
    /// The namespace of the Rollout and of its workload.
    #[serde(default)]
    pub(crate) namespace: Option<String>,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default)]
    #[allow(dead_code, reason = "part of the schema")]
    pub(crate) labels: BTreeMap<String, String>,
}

/// A part of the language that cannot be carried out yet: known to the schema, refused by `validate`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct NotYet(#[allow(dead_code, reason = "part of the schema")] serde_json::Value);

/// The schema keyword by which the checker finds what is not supported yet.
pub(crate) const NOT_YET: &str = "x-windlass-not-supported-yet";

impl JsonSchema for NotYet {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NotYet".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "not": {}, "x-windlass-not-supported-yet": true })
    }
}

/// `status` of an object that was read back from a cluster: accepted, not looked at.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Status(#[allow(dead_code, reason = "accepted, not looked at")] serde_json::Value);

impl JsonSchema for Status {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Status".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}
