//! Kuma: MeshHTTPRoute and MeshTCPRoute, whose rules are the Gateway API's one level deeper (`spec.to[].rules[].default`), and
//! the older TrafficRoute (`spec.conf.split`).

use serde_json::{Map, Value, json};

use super::asked::Words;
use super::rules::{list, nowhere};
use crate::manifest::Object;
use crate::render::RenderError;
use crate::render::traffic::gateway::{Flavour, HTTP, TCP, Target};
use crate::render::traffic::provider::{Change, Provider};
use crate::render::traffic::share::{self, Missing};
use crate::render::traffic::{At, Split, unusable};

const GROUP: &str = "kuma.io";
/// What calls a Service in a mesh.
const SERVICE: &str = "MeshService";

/// A policy with routes in it.
pub(super) struct MeshRoute {
    flavour: Flavour,
}

pub(super) const MESH_HTTP_ROUTE: MeshRoute = MeshRoute {
    flavour: Flavour {
        label: "MeshHTTPRoute (Kuma)",
        group: GROUP,
        kind: "MeshHTTPRoute",
        backend_filters: false,
        mirror: Some("percentage"),
        ..HTTP
    },
};

pub(super) const MESH_TCP_ROUTE: MeshRoute =
    MeshRoute { flavour: Flavour { label: "MeshTCPRoute (Kuma)", group: GROUP, kind: "MeshTCPRoute", ..TCP } };

impl Provider for MeshRoute {
    fn label(&self) -> &'static str {
        self.flavour.label
    }

    fn group(&self) -> &'static str {
        self.flavour.group
    }

    fn kind(&self) -> &'static str {
        self.flavour.kind
    }

    fn find(&self, route: &Object, at: &At) -> Result<(), RenderError> {
        let target = Target::new(route, at.service).of_kind(SERVICE);
        let mut served = false;
        for to in list(route, "/spec/to") {
            let rules = flat(to);
            served |= rules.iter().any(|rule| target.serves(rule));
            let whole = to.get("targetRef").is_some_and(|to| target.is_service(to, at.service.name()));
            if whole && rules.iter().any(|rule| rule.get("backendRefs").is_none()) {
                // Such a rule goes to what it is about, by whatever port.
                let cause = format!("a rule of it for Service `{}` has no `backendRefs`; write them", at.service.name());
                return Err(unusable(route, cause));
            }
        }
        if served { Ok(()) } else { Err(nowhere(route, at)) }
    }

    fn split(&self, route: &Object, at: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        let target = Target::new(route, at.service).of_kind(SERVICE);
        let mut written = Vec::new();
        for to in list(route, "/spec/to") {
            let rules = flat(to);
            let mut to = to.clone();
            if rules.iter().any(|rule| target.serves(rule)) {
                let (rules, _) = self.flavour.rules(route, &rules, &target, split)?;
                to["rules"] = Value::Array(rules.into_iter().map(deep).collect());
            }
            written.push(to);
        }
        let mut route = route.clone();
        route.set(&["spec", "to"], Value::Array(written));
        Ok(vec![Change::Replace(route)])
    }
}

/// What a mesh rule keeps in `default`.
const INNER: [&str; 2] = ["filters", "backendRefs"];

/// The rules of one target as the Gateway API writes them.
fn flat(to: &Value) -> Vec<Value> {
    let rules = to.get("rules").and_then(Value::as_array).into_iter().flatten();
    rules
        .map(|rule| {
            let mut rule = rule.clone();
            let Some(fields) = rule.as_object_mut() else { return rule };
            let mut inner = match fields.get("default") {
                Some(Value::Object(inner)) => inner.clone(),
                _ => Map::new(),
            };
            for field in INNER {
                if let Some(value) = inner.remove(field) {
                    fields.insert(field.to_owned(), value);
                }
            }
            fields.insert("default".to_owned(), Value::Object(inner));
            rule
        })
        .collect()
}

fn deep(mut rule: Value) -> Value {
    let Some(fields) = rule.as_object_mut() else { return rule };
    let moved: Vec<(String, Value)> =
        INNER.iter().filter_map(|field| Some(((*field).to_owned(), fields.remove(*field)?))).collect();
    if let Some(inner) = fields.entry("default").or_insert_with(|| json!({})).as_object_mut() {
        inner.extend(moved);
    }
    rule
}

const LABEL: &str = "TrafficRoute (Kuma)";

pub(super) struct TrafficRoute;
pub(super) const TRAFFIC_ROUTE: TrafficRoute = TrafficRoute;

impl Provider for TrafficRoute {
    fn label(&self) -> &'static str {
        LABEL
    }

    fn group(&self) -> &'static str {
        GROUP
    }

    fn kind(&self) -> &'static str {
        "TrafficRoute"
    }

    fn find(&self, route: &Object, at: &At) -> Result<(), RenderError> {
        if conf(route).is_some_and(|(_, conf)| splits(conf).iter().any(|one| is_stable(at, one))) {
            Ok(())
        } else {
            Err(nowhere(route, at))
        }
    }

    fn split(&self, route: &Object, at: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        Words::weights(LABEL).check(split)?;
        let Some((at_conf, conf)) = conf(route).filter(|_| split.weight.is_some()) else { return Ok(Vec::new()) };
        let mut all = splits(conf);
        let to_canary = |one: &Value| {
            let mut one = one.clone();
            if let Some(name) = one.pointer_mut("/destination/kuma.io~1service") {
                let rest = name.as_str().and_then(|name| name.strip_prefix(at.service.name())).unwrap_or_default();
                *name = json!(format!("{}{rest}", split.canary));
            }
            one
        };
        share::weigh(&mut all, "weight", Missing::One, split.weight.unwrap_or(0), |one| is_stable(at, one), to_canary)
            .map_err(|cause| vec![unusable(route, cause)])?;
        let mut conf = conf.clone();
        conf.remove("destination");
        conf.insert("split".to_owned(), Value::Array(all));
        let mut route = route.clone();
        route.set(at_conf, Value::Object(conf));
        Ok(vec![Change::Replace(route)])
    }
}

/// Where `conf` is, and what is in it.
fn conf(route: &Object) -> Option<(&'static [&'static str], &Map<String, Value>)> {
    Some((&["spec", "conf"], route.get("/spec/conf")?.as_object()?))
}

/// The split, or the only destination as one.
fn splits(conf: &Map<String, Value>) -> Vec<Value> {
    match (conf.get("split"), conf.get("destination")) {
        (Some(Value::Array(split)), _) => split.clone(),
        (_, Some(destination)) => vec![json!({"destination": destination})],
        _ => Vec::new(),
    }
}

/// `echo_shop_svc_80`.
fn is_stable(at: &At, one: &Value) -> bool {
    let name = one.pointer("/destination/kuma.io~1service").and_then(Value::as_str).unwrap_or_default();
    let rest = name.strip_prefix(at.service.name()).and_then(|rest| rest.strip_prefix('_')?.split_once("_svc_"));
    rest.is_some_and(|(namespace, _)| at.service.namespace().is_none_or(|service| service == namespace))
}
