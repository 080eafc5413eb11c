//! Traefik's TraefikService: the weights of `spec.weighted.services`. Stickiness and whatever else stands there comes through.

use serde_json::{Value, json};

use super::asked::Words;
use super::rules::{is_service, list, nowhere};
use crate::manifest::Object;
use crate::render::RenderError;
use crate::render::traffic::provider::{Change, Provider};
use crate::render::traffic::share::{self, Missing};
use crate::render::traffic::{At, Split, unusable};

const LIST: &str = "/spec/weighted/services";

pub(in crate::render::traffic) struct TraefikService {
    group: &'static str,
}

pub(in crate::render::traffic) const TRAEFIK: TraefikService = TraefikService { group: "traefik.io" };
/// Before Traefik 3.
pub(super) const TRAEFIK_OLD: TraefikService = TraefikService { group: "traefik.containo.us" };

impl Provider for TraefikService {
    fn label(&self) -> &'static str {
        "TraefikService"
    }

    fn group(&self) -> &'static str {
        self.group
    }

    fn kind(&self) -> &'static str {
        "TraefikService"
    }

    fn find(&self, route: &Object, at: &At) -> Result<(), RenderError> {
        if route.get("/spec/weighted").is_none() {
            return Err(unusable(route, "it has no `spec.weighted`, and only that divides requests"));
        }
        let stable = list(route, LIST).iter().any(|one| is_stable(route, at, one) && one.get("weight") != Some(&json!(0)));
        if stable { Ok(()) } else { Err(nowhere(route, at)) }
    }

    fn split(&self, route: &Object, at: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        Words::weights("TraefikService").check(split)?;
        let Some(percent) = split.weight else { return Ok(Vec::new()) };
        let mut services = list(route, LIST).to_vec();
        let to_canary = |one: &Value| {
            let mut one = one.clone();
            one["name"] = json!(split.canary);
            one
        };
        share::weigh(&mut services, "weight", Missing::One, percent, |one| is_stable(route, at, one), to_canary)
            .map_err(|cause| vec![unusable(route, cause)])?;
        let mut route = route.clone();
        route.set(&["spec", "weighted", "services"], Value::Array(services));
        Ok(vec![Change::Replace(route)])
    }
}

fn is_stable(route: &Object, at: &At, one: &Value) -> bool {
    let text = |field: &str| one.get(field).and_then(Value::as_str);
    text("kind").unwrap_or("Service") == "Service" && is_service(route, at, text("name"), text("namespace"))
}
