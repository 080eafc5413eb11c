//! SMI TrafficSplit (Linkerd's extension and others): `spec.backends`, of versions whose weights are whole numbers.

use serde_json::{Value, json};

use super::asked::Words;
use super::rules::{is_service, list, nowhere};
use crate::manifest::Object;
use crate::render::RenderError;
use crate::render::traffic::provider::{Change, Provider};
use crate::render::traffic::share::{self, Missing};
use crate::render::traffic::{At, Split, unusable};

const LABEL: &str = "TrafficSplit (SMI)";

pub(super) struct TrafficSplit;
pub(super) const TRAFFIC_SPLIT: TrafficSplit = TrafficSplit;

impl Provider for TrafficSplit {
    fn label(&self) -> &'static str {
        LABEL
    }

    fn group(&self) -> &'static str {
        "split.smi-spec.io"
    }

    fn kind(&self) -> &'static str {
        "TrafficSplit"
    }

    fn find(&self, route: &Object, at: &At) -> Result<(), RenderError> {
        if route.api_version().ends_with("/v1alpha1") {
            return Err(unusable(route, "its version v1alpha1 writes weights as quantities; write it as v1alpha2 or later"));
        }
        let stable =
            list(route, "/spec/backends").iter().any(|one| is_stable(route, at, one) && one.get("weight") != Some(&json!(0)));
        if stable { Ok(()) } else { Err(nowhere(route, at)) }
    }

    fn split(&self, route: &Object, at: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        Words::weights(LABEL).check(split)?;
        let Some(percent) = split.weight else { return Ok(Vec::new()) };
        let mut backends = list(route, "/spec/backends").to_vec();
        let to_canary = |one: &Value| {
            let mut one = one.clone();
            one["service"] = json!(split.canary);
            one
        };
        share::weigh(&mut backends, "weight", Missing::One, percent, |one| is_stable(route, at, one), to_canary)
            .map_err(|cause| vec![unusable(route, cause)])?;
        let mut route = route.clone();
        route.set(&["spec", "backends"], Value::Array(backends));
        Ok(vec![Change::Replace(route)])
    }
}

fn is_stable(route: &Object, at: &At, one: &Value) -> bool {
    is_service(route, at, one.get("service").and_then(Value::as_str), None)
}
