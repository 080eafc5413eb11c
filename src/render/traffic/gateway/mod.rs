//! Gateway API HTTPRoute (Kruise, `network/gateway/gateway.go`), and the routes made like it: weights in the rules that send
//! requests to the stable Service, matches as rules of their own, mirroring as a filter.
//!
//! Different from Kruise, on purpose: other backends of a rule keep their share; canary rules stand before the rule that
//! they are made from instead of at the end, since of two rules that fit equally well the first one wins; a step with
//! weight and matches does both; `requestHeaderModifier` is written instead of ignored.

mod matches;
mod mirror;
mod modifier;
mod weights;

use serde_json::{Map, Value, json};

use super::provider::{Change, Provider};
use super::services::canary_name;
use super::{At, Split, unusable};
use crate::manifest::Object;
use crate::render::RenderError;

/// One kind of route with the Gateway API's rules, and what its rules can say.
pub(super) struct Flavour {
    pub(super) label: &'static str,
    pub(super) group: &'static str,
    pub(super) kind: &'static str,
    /// Whether rules have matches by header.
    pub(super) headers: bool,
    /// Whether matches have paths and query parameters, too.
    pub(super) http: bool,
    /// Whether a backendRef, and not only a rule, can have filters.
    pub(super) backend_filters: bool,
    /// The field that says which part of the requests is mirrored; `None`: no mirroring.
    pub(super) mirror: Option<&'static str>,
    /// The most matches in one rule.
    pub(super) matches: usize,
    /// What to do instead, where it cannot say something.
    pub(super) instead: &'static str,
}

const GROUP: &str = "gateway.networking.k8s.io";
const BY_HTTP: &str = "route these requests by an HTTPRoute";

pub(super) const HTTP: Flavour = Flavour {
    label: "HTTPRoute",
    group: GROUP,
    kind: "HTTPRoute",
    headers: true,
    http: true,
    backend_filters: true,
    mirror: Some("percent"),
    matches: 64,
    instead: "",
};

pub(super) const GRPC: Flavour =
    Flavour { label: "GRPCRoute", kind: "GRPCRoute", http: false, instead: "match a header instead", ..HTTP };

pub(super) const TLS: Flavour = Flavour {
    label: "TLSRoute",
    kind: "TLSRoute",
    headers: false,
    backend_filters: false,
    mirror: None,
    instead: BY_HTTP,
    ..GRPC
};

pub(super) const TCP: Flavour = Flavour { label: "TCPRoute", kind: "TCPRoute", ..TLS };

impl Provider for Flavour {
    fn label(&self) -> &'static str {
        self.label
    }

    fn group(&self) -> &'static str {
        self.group
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn tags(&self) -> bool {
        self.backend_filters
    }

    fn find(&self, route: &Object, at: &At) -> Result<(), RenderError> {
        let target = Target::new(route, at.service);
        if !rules(route).iter().any(|rule| target.serves(rule)) {
            return Err(unusable(route, format!("no rule of it sends requests to Service `{}`", at.service.name())));
        }
        let canary = canary_name(at.service.name());
        if rules(route).iter().flat_map(refs).any(|reference| target.is_service(reference, &canary)) {
            return Err(unusable(route, format!("it already sends requests to `{canary}`, which Windlass needs for the canary")));
        }
        Ok(())
    }

    fn split(&self, route: &Object, at: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        let target = Target::new(route, at.service);
        let (written, _) = self.rules(route, rules(route), &target, split)?;
        limits(&written, self.matches).map_err(|cause| vec![unusable(route, cause)])?;
        let mut route = route.clone();
        route.set(&["spec", "rules"], Value::Array(written));
        Ok(vec![Change::Replace(route)])
    }
}

impl Flavour {
    /// The rules of this step, and how many of them are the canary's own.
    pub(super) fn rules(
        &self,
        route: &Object,
        rules: &[Value],
        target: &Target,
        split: &Split,
    ) -> Result<(Vec<Value>, usize), Vec<RenderError>> {
        let wanted = matches::Wanted::of(self, split)?;
        let mut written = Vec::new();
        let mut first = true;
        let mut canaries = 0;
        for rule in rules {
            let Some(fields) = rule.as_object().filter(|_| target.serves(rule)) else {
                written.push(rule.clone());
                continue;
            };
            for canary in wanted.rules(fields, target, first).map_err(|error| vec![error])? {
                written.push(Value::Object(canary));
                canaries += 1;
            }
            first = false;
            let mut rule = fields.clone();
            if let (Some(percent), Some(field)) = (split.mirror, self.mirror) {
                mirror::add(&mut rule, target, &split.canary, field, percent);
            }
            if let Some(weight) = split.weight {
                weights::split(&mut rule, target, &split.canary, weight, split.modifier)
                    .map_err(|cause| vec![unusable(route, cause)])?;
            }
            written.push(Value::Object(rule));
        }
        if !split.matches.is_empty() && canaries == 0 {
            let cause = format!("no request that its rules send to Service `{}` can fit the step's `matches`", split.stable);
            return Err(vec![unusable(route, cause)]);
        }
        Ok((written, canaries))
    }
}

fn rules(route: &Object) -> &[Value] {
    route.get("/spec/rules").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn refs(rule: &Value) -> &[Value] {
    rule.get("backendRefs").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Which backendRefs are the stable Service.
pub(super) struct Target<'a> {
    service: &'a str,
    service_namespace: Option<&'a str>,
    route_namespace: Option<&'a str>,
    /// The kind of backend that is a Service; the Gateway API's, unless a mesh has its own word.
    kind: &'static str,
}

impl<'a> Target<'a> {
    pub(super) fn new(route: &'a Object, service: &'a Object) -> Self {
        Self {
            service: service.name(),
            service_namespace: service.namespace(),
            route_namespace: route.namespace(),
            kind: "Service",
        }
    }

    /// References that call a Service by another kind, as Kuma's `MeshService`.
    pub(super) fn of_kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    /// A rule that the stable Service has a share of.
    pub(super) fn serves(&self, rule: &Value) -> bool {
        refs(rule).iter().any(|reference| self.has_share(reference))
    }

    fn has_share(&self, reference: &Value) -> bool {
        self.is_stable(reference) && weights::of(reference) != Some(0)
    }

    fn is_stable(&self, reference: &Value) -> bool {
        self.is_service(reference, self.service)
    }

    /// Defaults of the API: `kind` Service, `group` core, `namespace` the route's.
    pub(super) fn is_service(&self, reference: &Value, name: &str) -> bool {
        let text = |field: &str| reference.get(field).and_then(Value::as_str);
        let here = match text("namespace") {
            Some(namespace) => self.service_namespace.or(self.route_namespace) == Some(namespace),
            // Where one of them names none, the applier puts both into the same.
            None => self.service_namespace.is_none_or(|service| self.route_namespace.is_none_or(|route| route == service)),
        };
        let plain = here && text("name") == Some(name);
        let long = || self.kind != "Service" && text("name").is_some_and(|long| self.is_long(long, name));
        (plain || long()) && text("kind").unwrap_or("Service") == self.kind && text("group").unwrap_or_default().is_empty()
    }

    /// Kuma's name of a Service: `echo_shop_svc_80`.
    fn is_long(&self, long: &str, name: &str) -> bool {
        let Some((namespace, _)) = long.strip_prefix(name).and_then(|rest| rest.strip_prefix('_')?.split_once("_svc_")) else {
            return false;
        };
        self.service_namespace.is_none_or(|service| service == namespace)
    }

    /// The stable reference, for the canary Service: port, namespace, filters and all.
    fn to_canary(&self, reference: &Value, canary: &str) -> Value {
        let mut copy = reference.clone();
        if let Value::Object(fields) = &mut copy {
            let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
            let rest = name.strip_prefix(self.service).unwrap_or_default();
            fields.insert("name".to_owned(), json!(format!("{canary}{rest}")));
        }
        copy
    }
}

/// The rule's matches with the API's defaults: one for path prefix `/` where there is none, and the same path in a match
/// that names no path.
fn defaulted_matches(rule: &Map<String, Value>, paths: bool) -> Vec<Map<String, Value>> {
    let root = || json!({"type": "PathPrefix", "value": "/"});
    let mut found: Vec<Map<String, Value>> = match rule.get("matches") {
        Some(Value::Array(matches)) => matches.iter().filter_map(Value::as_object).cloned().collect(),
        _ => Vec::new(),
    };
    if found.is_empty() {
        found.push(Map::new());
    }
    for one in found.iter_mut().filter(|_| paths) {
        let path = one.entry("path").or_insert_with(root);
        if let Value::Object(path) = path {
            path.entry("type").or_insert_with(|| json!("PathPrefix"));
            path.entry("value").or_insert_with(|| json!("/"));
        }
    }
    found
}

/// The API server's own limits (Gateway API v1): better an error here than a commit that nobody can apply.
fn limits(rules: &[Value], matches: usize) -> Result<(), String> {
    let length = |value: &Value, field: &str| value.get(field).and_then(Value::as_array).map_or(0, Vec::len);
    let check = |count: usize, most: usize, what: &str| {
        if count <= most {
            Ok(())
        } else {
            Err(format!("this step would give it {count} {what}, and {most} is the most that the API takes"))
        }
    };
    check(rules.len(), 16, "rules")?;
    let mut total = 0;
    for rule in rules {
        check(length(rule, "backendRefs"), 16, "backendRefs in one rule")?;
        check(length(rule, "matches"), matches, "matches in one rule")?;
        total += length(rule, "matches").max(1);
        for one in rule.get("matches").and_then(Value::as_array).into_iter().flatten() {
            check(length(one, "headers"), 16, "headers in one match")?;
            check(length(one, "queryParams"), 16, "query parameters in one match")?;
        }
    }
    check(total, 128, "matches in all rules together")
}
