//! Gateway API HTTPRoute (Kruise, `network/gateway/gateway.go`): weights in the rules that send requests to the stable
//! Service, matches as rules of their own.
//!
//! Different from Kruise, on purpose: other backends of a rule keep their share; canary rules stand before the rule that
//! they are made from instead of at the end, since of two rules that fit equally well the first one wins; a step with
//! weight and matches does both; `requestHeaderModifier` is written instead of ignored.

mod matches;
mod modifier;
mod weights;

use serde_json::{Map, Value, json};

use super::provider::{Change, Provider};
use super::services::canary_name;
use super::{At, Split, unusable};
use crate::manifest::Object;
use crate::render::RenderError;

const GROUP: &str = "gateway.networking.k8s.io";

pub(super) struct HttpRoute;
pub(super) const HTTP: HttpRoute = HttpRoute;

impl Provider for HttpRoute {
    fn label(&self) -> &'static str {
        "HTTPRoute"
    }

    fn group(&self) -> &'static str {
        GROUP
    }

    fn kind(&self) -> &'static str {
        "HTTPRoute"
    }

    fn find(&self, route: &Object, at: &At) -> Result<(), RenderError> {
        find(route, at.service)
    }

    fn split(&self, route: &Object, at: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        if split.mirror.is_some() {
            return Err(vec![super::refused("HTTPRoute", "`mirror`", "use `traffic`")]);
        }
        self::split(route, at.service, split).map(|route| vec![Change::Replace(route)])
    }
}

/// Whether the HTTPRoute sends requests to `service`.
fn find(route: &Object, service: &Object) -> Result<(), RenderError> {
    let target = Target::new(route, service);
    if !rules(route).iter().any(|rule| target.serves(rule)) {
        return Err(unusable(route, format!("no rule of it sends requests to Service `{}`", service.name())));
    }
    let canary = canary_name(service.name());
    if rules(route).iter().flat_map(refs).any(|reference| target.is_service(reference, &canary)) {
        return Err(unusable(route, format!("it already sends requests to `{canary}`, which Windlass needs for the canary")));
    }
    Ok(())
}

/// The HTTPRoute of this step.
fn split(route: &Object, service: &Object, split: &Split) -> Result<Object, Vec<RenderError>> {
    let target = Target::new(route, service);
    let wanted = matches::Wanted::of(split)?;
    let mut written = Vec::new();
    let mut first = true;
    let mut canaries = 0;
    for rule in rules(route) {
        let Some(fields) = rule.as_object().filter(|_| target.serves(rule)) else {
            written.push(rule.clone());
            continue;
        };
        for canary in wanted.rules(fields, &target, first).map_err(|error| vec![error])? {
            written.push(Value::Object(canary));
            canaries += 1;
        }
        first = false;
        let mut rule = fields.clone();
        if let Some(weight) = split.weight {
            weights::split(&mut rule, &target, &split.canary, weight, split.modifier)
                .map_err(|cause| vec![unusable(route, cause)])?;
        }
        written.push(Value::Object(rule));
    }
    if !split.matches.is_empty() && canaries == 0 {
        return Err(vec![unusable(
            route,
            format!("no request that its rules send to Service `{}` can fit the step's `matches`", service.name()),
        )]);
    }
    limits(&written).map_err(|cause| vec![unusable(route, cause)])?;
    let mut route = route.clone();
    route.set(&["spec", "rules"], Value::Array(written));
    Ok(route)
}

fn rules(route: &Object) -> &[Value] {
    route.get("/spec/rules").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn refs(rule: &Value) -> &[Value] {
    rule.get("backendRefs").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Which backendRefs are the stable Service.
struct Target<'a> {
    service: &'a str,
    service_namespace: Option<&'a str>,
    route_namespace: Option<&'a str>,
}

impl<'a> Target<'a> {
    fn new(route: &'a Object, service: &'a Object) -> Self {
        Self { service: service.name(), service_namespace: service.namespace(), route_namespace: route.namespace() }
    }

    /// A rule that the stable Service has a share of.
    fn serves(&self, rule: &Value) -> bool {
        refs(rule).iter().any(|reference| self.is_stable(reference) && weights::of(reference) != Some(0))
    }

    fn is_stable(&self, reference: &Value) -> bool {
        self.is_service(reference, self.service)
    }

    /// Defaults of the API: `kind` Service, `group` core, `namespace` the route's.
    fn is_service(&self, reference: &Value, name: &str) -> bool {
        let text = |field: &str| reference.get(field).and_then(Value::as_str);
        let here = match text("namespace") {
            Some(namespace) => self.service_namespace.or(self.route_namespace) == Some(namespace),
            // Where one of them names none, the applier puts both into the same.
            None => self.service_namespace.is_none_or(|service| self.route_namespace.is_none_or(|route| route == service)),
        };
        here && text("name") == Some(name)
            && text("kind").unwrap_or("Service") == "Service"
            && text("group").unwrap_or_default().is_empty()
    }
}

/// The rule's matches with the API's defaults: one for path prefix `/` where there is none, and the same path in a match
/// that names no path.
fn defaulted_matches(rule: &Map<String, Value>) -> Vec<Map<String, Value>> {
    let root = || json!({"type": "PathPrefix", "value": "/"});
    let mut found: Vec<Map<String, Value>> = match rule.get("matches") {
        Some(Value::Array(matches)) => matches.iter().filter_map(Value::as_object).cloned().collect(),
        _ => Vec::new(),
    };
    if found.is_empty() {
        found.push(Map::new());
    }
    for one in &mut found {
        let path = one.entry("path").or_insert_with(root);
        if let Value::Object(path) = path {
            path.entry("type").or_insert_with(|| json!("PathPrefix"));
            path.entry("value").or_insert_with(|| json!("/"));
        }
    }
    found
}

/// The API server's own limits (HTTPRoute v1): better an error here than a commit that nobody can apply.
fn limits(rules: &[Value]) -> Result<(), String> {
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
        check(length(rule, "matches"), 64, "matches in one rule")?;
        total += length(rule, "matches").max(1);
        for one in rule.get("matches").and_then(Value::as_array).into_iter().flatten() {
            check(length(one, "headers"), 16, "headers in one match")?;
            check(length(one, "queryParams"), 16, "query parameters in one match")?;
        }
    }
    check(total, 128, "matches in all rules together")
}
