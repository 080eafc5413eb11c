//! Ingress NGINX: a second Ingress `<ingress>-canary`, with the annotations that make the controller divide requests
//! (Kruise, `network/ingress/ingress.go` and its nginx script).
//!
//! The controller asks in this order: header, cookie, weight; the first that has an opinion decides. So one header match,
//! one cookie match and a weight go together; anything else in `matches` has no annotation.

use serde_json::Value;

use super::services::copy_as;
use super::{Split, only, same_namespace, taken, unusable};
use crate::api::{HttpMatch, MatchKind, NamedMatch};
use crate::manifest::{Object, ObjectSet};
use crate::render::RenderError;

/// The `classType` of this provider, and Kruise's default.
pub(super) const CLASS: &str = "nginx";
/// A match on a header of this name means a cookie: the match's value is the cookie's name, which a request carries with
/// the value `always` (Kruise's encoding).
pub(super) const COOKIE: &str = "canary-by-cookie";

const GROUP: &str = "networking.k8s.io";
const PREFIX: &str = "nginx.ingress.kubernetes.io/canary";

/// The Ingress, which must send requests to `service`.
pub(super) fn find<'a>(objects: &'a ObjectSet, name: &str, service: &Object) -> Result<&'a Object, RenderError> {
    let ingress = only(objects, GROUP, "Ingress", name)?;
    if ingress.api_version() != "networking.k8s.io/v1" {
        return Err(unusable(
            ingress,
            format!("`{}` is no longer served; write it as networking.k8s.io/v1", ingress.api_version()),
        ));
    }
    if !same_namespace(ingress, service) {
        return Err(unusable(ingress, format!("it is not in the namespace of Service `{}`", service.name())));
    }
    if rules_for(ingress, service.name(), service.name()).is_empty() {
        let cause = if ingress.text("/spec/defaultBackend/service/name") == Some(service.name()) {
            format!(
                "only its `defaultBackend` is Service `{}`, which a canary Ingress cannot divide; write a rule for path `/`",
                service.name()
            )
        } else {
            format!("no rule of it sends requests to Service `{}`", service.name())
        };
        return Err(unusable(ingress, cause));
    }
    let canary = canary_of(ingress);
    if objects.get(&canary.key()).is_some() {
        return Err(taken(&canary));
    }
    Ok(ingress)
}

/// The canary Ingress of this step. `None` for 0 % without matches: no canary Ingress says just that, and it is what
/// Kruise leaves at 0 %.
pub(super) fn split(
    objects: &ObjectSet,
    name: &str,
    service: &Object,
    split: &Split,
) -> Result<Option<Object>, Vec<RenderError>> {
    let ingress = find(objects, name, service).map_err(|error| vec![error])?;
    let annotations = annotations(split)?;
    if split.weight == Some(0) && split.matches.is_empty() {
        return Ok(None);
    }
    let mut canary = canary_of(ingress);
    for (key, value) in annotations {
        canary.set(&["metadata", "annotations", &key], Value::String(value));
    }
    if let Some(spec) = ingress.get("/spec") {
        canary.set(&["spec"], spec.clone());
    }
    canary.remove(&["spec", "defaultBackend"]);
    canary.set(&["spec", "rules"], Value::Array(rules_for(ingress, service.name(), &split.canary)));
    Ok(Some(canary))
}

/// The canary Ingress without its spec, and without canary annotations that the stable one may carry.
fn canary_of(ingress: &Object) -> Object {
    let mut canary = copy_as(ingress, &format!("{}-canary", ingress.name()));
    if let Some(Value::Object(annotations)) = canary.get_mut("/metadata/annotations") {
        annotations.retain(|key, _| !key.starts_with(PREFIX));
    }
    canary
}

/// The rules and paths whose backend is `service`, with `backend` in its place. Backends that are no Services are left out.
fn rules_for(ingress: &Object, service: &str, backend: &str) -> Vec<Value> {
    let Some(Value::Array(rules)) = ingress.get("/spec/rules") else { return Vec::new() };
    let mut found = Vec::new();
    for rule in rules {
        let Some(Value::Array(paths)) = rule.pointer("/http/paths") else { continue };
        let mut ours: Vec<Value> = paths
            .iter()
            .filter(|path| path.pointer("/backend/service/name").and_then(Value::as_str) == Some(service))
            .cloned()
            .collect();
        if ours.is_empty() {
            continue;
        }
        for name in ours.iter_mut().filter_map(|path| path.pointer_mut("/backend/service/name")) {
            *name = Value::String(backend.to_owned());
        }
        let mut rule = rule.clone();
        if let Some(paths) = rule.pointer_mut("/http/paths") {
            *paths = Value::Array(ours);
        }
        found.push(rule);
    }
    found
}

/// The canary annotations of a step, or everything in it that they cannot say.
fn annotations(split: &Split) -> Result<Vec<(String, String)>, Vec<RenderError>> {
    let mut errors = Vec::new();
    let mut found = vec![(PREFIX.to_owned(), "true".to_owned())];
    let mut put = |suffix: &str, value: &str| found.push((format!("{PREFIX}-{suffix}"), value.to_owned()));
    if split.modifier.is_some() {
        errors.push(unsupported("`requestHeaderModifier`", "use a `gateway` routing (HTTPRoute) for this Service"));
    }
    if let Some(weight) = split.weight {
        put("weight", &weight.to_string());
    }
    let (mut header, mut cookie) = (false, false);
    for one in split.matches {
        let named = match simple(one) {
            Ok(named) => named,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        let is_cookie = named.name.eq_ignore_ascii_case(COOKIE);
        let seen = if is_cookie { &mut cookie } else { &mut header };
        if *seen {
            errors.push(unsupported(
                if is_cookie { "a choice of cookies" } else { "a choice of header matches" },
                "it knows one header and one cookie; one `RegularExpression` can hold several values of a header, \
                 as `^(a|b)$`, or use a `gateway` routing (HTTPRoute)",
            ));
            continue;
        }
        *seen = true;
        match (is_cookie, named.kind) {
            (true, MatchKind::Exact) => put("by-cookie", &named.value),
            (false, MatchKind::Exact) => {
                put("by-header", &named.name);
                put("by-header-value", &named.value);
            }
            (false, MatchKind::RegularExpression) => {
                put("by-header", &named.name);
                put("by-header-pattern", &named.value);
            }
            (true, _) => errors.push(unsupported(
                "a pattern for a cookie",
                "write the cookie's name as an `Exact` value; requests carry it with the value `always`",
            )),
            (false, MatchKind::PathPrefix) => {
                errors.push(unsupported("type `PathPrefix` for a header", "use `Exact` or `RegularExpression`"));
            }
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// The one header (or cookie) that a match is about.
fn simple(one: &HttpMatch) -> Result<&NamedMatch, RenderError> {
    if one.path.is_some() {
        return Err(unsupported("a match by path", "match a header instead, or use a `gateway` routing (HTTPRoute)"));
    }
    if !one.query_params.is_empty() {
        return Err(unsupported(
            "a match by query parameter",
            "match a header or cookie instead, or use a `gateway` routing (HTTPRoute)",
        ));
    }
    match one.headers.as_slice() {
        [] => Err(unsupported("a match without conditions", "use `traffic: 100%`")),
        [named] if named.name.is_empty() || named.value.is_empty() => {
            Err(unsupported("a header match without a name and a value", "write both"))
        }
        [named] => Ok(named),
        _ => Err(unsupported(
            "several headers of which all must fit",
            "keep one header in the match, or use a `gateway` routing (HTTPRoute)",
        )),
    }
}

fn unsupported(what: &str, hint: &str) -> RenderError {
    RenderError::Unsupported { provider: "Ingress class nginx".to_owned(), what: what.to_owned(), hint: hint.to_owned() }
}
