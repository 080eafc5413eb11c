//! AWS Load Balancer Controller: the Ingress itself. A path to the stable Service goes by an action, whose target groups carry
//! the weights; a match is an entry of its own before each such path, with an action and conditions (Argo Rollouts,
//! `trafficrouting/alb`). Actions of the user's that name the stable Service are divided where they stand; what else is in
//! them, as stickiness, comes through.

use serde_json::{Value, json};

use super::COOKIE;
use crate::api::{HttpMatch, MatchKind};
use crate::manifest::Object;
use crate::render::RenderError;
use crate::render::traffic::provider::{Change, Provider};
use crate::render::traffic::share::{self, Missing};
use crate::render::traffic::{At, Split, refused, same_namespace, unusable};

const LABEL: &str = "Ingress class alb";
const PREFIX: &str = "alb.ingress.kubernetes.io/";
/// The port by which a backend says that its name is an action's.
const BY_ACTION: &str = "use-annotation";
/// The load balancer's own limit of conditions in one rule, host and path among them.
const CONDITIONS: usize = 5;

pub(super) struct Alb;

impl Provider for Alb {
    fn label(&self) -> &'static str {
        LABEL
    }

    fn group(&self) -> &'static str {
        "networking.k8s.io"
    }

    fn kind(&self) -> &'static str {
        "Ingress"
    }

    fn find(&self, ingress: &Object, at: &At) -> Result<(), RenderError> {
        if !same_namespace(ingress, at.service) {
            return Err(unusable(ingress, format!("it is not in the namespace of Service `{}`", at.service.name())));
        }
        let mut served = false;
        for rule in rules(ingress) {
            for path in paths(rule) {
                served |= backend(ingress, path, at.service.name())?.is_some();
            }
        }
        if served {
            Ok(())
        } else {
            Err(unusable(ingress, format!("no rule of it sends requests to Service `{}`", at.service.name())))
        }
    }

    fn split(&self, ingress: &Object, at: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        let mut errors: Vec<RenderError> = split.matches.iter().flat_map(faults).collect();
        for (asked, what) in [(split.modifier.is_some(), "`requestHeaderModifier`"), (split.mirror.is_some(), "`mirror`")] {
            if asked {
                errors.push(refused(LABEL, what, "use a `gateway` routing (HTTPRoute) for this Service"));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut changed = ingress.clone();
        divide(&mut changed, ingress, at.service.name(), split).map_err(|error| vec![error])?;
        Ok(vec![Change::Replace(changed)])
    }
}

fn rules(ingress: &Object) -> &[Value] {
    ingress.get("/spec/rules").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn paths(rule: &Value) -> &[Value] {
    rule.pointer("/http/paths").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// How a path reaches the stable Service.
struct Backend {
    /// The Service's or the action's name: what annotations call it by.
    name: String,
    /// The action as it is, or as it would be.
    action: Value,
    by_service: bool,
}

/// `None`: the path goes somewhere else.
fn backend(ingress: &Object, path: &Value, service: &str) -> Result<Option<Backend>, RenderError> {
    let text = |pointer: &str| path.pointer(pointer).and_then(Value::as_str);
    let Some(name) = text("/backend/service/name") else { return Ok(None) };
    if text("/backend/service/port/name") == Some(BY_ACTION) {
        let Some(action) = annotation(ingress, &format!("actions.{name}"))? else { return Ok(None) };
        let ours = groups(&action).iter().any(|group| field(group, "serviceName").and_then(Value::as_str) == Some(service));
        return Ok(ours.then(|| Backend { name: name.to_owned(), action, by_service: false }));
    }
    if name != service {
        return Ok(None);
    }
    if annotation(ingress, &format!("actions.{name}"))?.is_some() {
        let cause = format!("it has an action `{name}`, and a path to Service `{name}` beside it; give the action another name");
        return Err(unusable(ingress, cause));
    }
    let port = path.pointer("/backend/service/port");
    let port = port.and_then(|port| port.get("name").or_else(|| port.get("number"))).cloned().unwrap_or_default();
    let port = port.as_str().map_or_else(|| port.to_string(), str::to_owned);
    let group = json!({"serviceName": service, "servicePort": port});
    let action = json!({"type": "forward", "forwardConfig": {"targetGroups": [group]}});
    Ok(Some(Backend { name: name.to_owned(), action, by_service: true }))
}

/// An annotation that holds JSON.
fn annotation(ingress: &Object, name: &str) -> Result<Option<Value>, RenderError> {
    let text = ingress.get("/metadata/annotations").and_then(|all| all.get(format!("{PREFIX}{name}"))).and_then(Value::as_str);
    let read = |text: &str| {
        serde_json::from_str(text)
            .map_err(|error| unusable(ingress, format!("the annotation {PREFIX}{name} is no JSON: {error}")))
    };
    text.map(read).transpose()
}

/// A field in either way of writing it: `serviceName` or `ServiceName`.
fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).or_else(|| value.get(capital(name)))
}

fn field_mut<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let fields = value.as_object_mut()?;
    let key = if fields.contains_key(name) { name.to_owned() } else { capital(name) };
    fields.get_mut(&key)
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str()))
}

fn groups(action: &Value) -> &[Value] {
    let groups = field(action, "forwardConfig").and_then(|config| field(config, "targetGroups"));
    groups.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn groups_mut(action: &mut Value) -> Option<&mut Vec<Value>> {
    field_mut(field_mut(action, "forwardConfig")?, "targetGroups")?.as_array_mut()
}

/// The weight's key as the action writes it.
fn weight_key(groups: &[Value]) -> &'static str {
    let capital = groups.iter().any(|group| group.get("Weight").is_some() || group.get("ServiceName").is_some());
    if capital { "Weight" } else { "weight" }
}

fn divide(changed: &mut Object, ingress: &Object, service: &str, split: &Split) -> Result<(), RenderError> {
    let mut annotations: Vec<(String, Value)> = Vec::new();
    let mut set = |name: String, value: Value| -> Result<(), RenderError> {
        match annotations.iter().find(|(there, _)| *there == name) {
            None => annotations.push((name, value)),
            Some((_, there)) if *there == value => {}
            Some(_) => {
                let cause =
                    format!("its paths reach Service `{service}` by different ports; give each port an Ingress of its own");
                return Err(unusable(ingress, cause));
            }
        }
        Ok(())
    };
    let mut written = Vec::new();
    let mut first = true;
    for rule in rules(ingress) {
        let mut entries = Vec::new();
        for path in paths(rule) {
            let Some(backend) = backend(ingress, path, service)? else {
                entries.push(path.clone());
                continue;
            };
            for (index, one) in split.matches.iter().enumerate().filter(|(_, one)| first || one.path.is_none()) {
                let name = format!("{}-canary-{}", backend.name, index + 1);
                let conditions = conditions(ingress, &backend.name, one, rule.get("host").is_some())?;
                if !conditions.is_empty() {
                    set(format!("conditions.{name}"), Value::Array(conditions))?;
                }
                set(format!("actions.{name}"), whole(&backend.action, service, &split.canary))?;
                entries.push(entry(path, &name, one));
            }
            first = false;
            let mut path = path.clone();
            if let Some(weight) = split.weight {
                let mut action = backend.action.clone();
                weigh(&mut action, service, &split.canary, weight).map_err(|cause| unusable(ingress, cause))?;
                set(format!("actions.{}", backend.name), action)?;
                if backend.by_service {
                    by_action(&mut path, &backend.name);
                }
            }
            entries.push(path);
        }
        let mut rule = rule.clone();
        if let Some(paths) = rule.pointer_mut("/http/paths") {
            *paths = Value::Array(entries);
        }
        written.push(rule);
    }
    changed.set(&["spec", "rules"], Value::Array(written));
    for (name, value) in annotations {
        let key = format!("{PREFIX}{name}");
        let mine = name.contains("-canary-");
        if mine && ingress.get("/metadata/annotations").is_some_and(|all| all.get(&key).is_some()) {
            return Err(unusable(ingress, format!("it has the annotation {key}, which Windlass needs for the canary")));
        }
        changed.set(&["metadata", "annotations", &key], Value::String(value.to_string()));
    }
    Ok(())
}

fn by_action(path: &mut Value, name: &str) {
    if let Some(service) = path.pointer_mut("/backend/service") {
        *service = json!({"name": name, "port": {"name": BY_ACTION}});
    }
}

/// The path's entry for a match: the same place, or the match's own path, by the action `name`.
fn entry(path: &Value, name: &str, one: &HttpMatch) -> Value {
    let mut entry = path.clone();
    by_action(&mut entry, name);
    if let (Some(fields), Some(wanted)) = (entry.as_object_mut(), &one.path) {
        fields.insert("path".to_owned(), json!(wanted.value));
        let kind = if wanted.kind == MatchKind::Exact { "Exact" } else { "Prefix" };
        fields.insert("pathType".to_owned(), json!(kind));
    }
    entry
}

/// The action with everything of the stable Service's going to the canary, and nothing to others.
fn whole(action: &Value, service: &str, canary: &str) -> Value {
    let mut action = action.clone();
    if let Some(groups) = groups_mut(&mut action) {
        let key = weight_key(groups);
        groups.retain(|group| field(group, "serviceName").and_then(Value::as_str) == Some(service));
        for group in groups {
            if let Some(name) = field_mut(group, "serviceName") {
                *name = json!(canary);
            }
            if let Some(fields) = group.as_object_mut() {
                fields.insert(key.to_owned(), json!(100));
            }
        }
    }
    action
}

fn weigh(action: &mut Value, service: &str, canary: &str, percent: u32) -> Result<(), String> {
    let Some(groups) = groups_mut(action) else { return Ok(()) };
    let key = weight_key(groups);
    let is_stable = |group: &Value| field(group, "serviceName").and_then(Value::as_str) == Some(service);
    let to_canary = |group: &Value| {
        let mut group = group.clone();
        if let Some(name) = field_mut(&mut group, "serviceName") {
            *name = json!(canary);
        }
        group
    };
    share::weigh(groups, key, Missing::One, percent, is_stable, to_canary)
}

fn conditions(ingress: &Object, name: &str, one: &HttpMatch, host: bool) -> Result<Vec<Value>, RenderError> {
    let mut found = match annotation(ingress, &format!("conditions.{name}"))? {
        Some(Value::Array(there)) => there,
        _ => Vec::new(),
    };
    for header in &one.headers {
        let config = json!({"httpHeaderName": header.name, "values": [header.value]});
        found.push(json!({"field": "http-header", "httpHeaderConfig": config}));
    }
    for query in &one.query_params {
        let config = json!({"values": [{"key": query.name, "value": query.value}]});
        found.push(json!({"field": "query-string", "queryStringConfig": config}));
    }
    if found.len() + 1 + usize::from(host) > CONDITIONS {
        let what = format!("more than {CONDITIONS} conditions in one rule, host and path among them");
        return Err(refused(LABEL, &what, "match fewer headers and query parameters"));
    }
    Ok(found)
}

/// What in a match no condition can say.
fn faults(one: &HttpMatch) -> Vec<RenderError> {
    let mut found = Vec::new();
    if one.path.is_none() && one.headers.is_empty() && one.query_params.is_empty() {
        found.push(refused(LABEL, "a match without conditions", "use `traffic: 100%`"));
    }
    if one.path.as_ref().is_some_and(|path| path.kind == MatchKind::RegularExpression) {
        found.push(refused(LABEL, "a path by `RegularExpression`", "use `Exact` or `PathPrefix`"));
    }
    for named in one.headers.iter().chain(&one.query_params) {
        if named.name.eq_ignore_ascii_case(COOKIE) {
            let hint = "match a header that your clients send, or use a `gateway` routing (HTTPRoute)";
            found.push(refused(LABEL, "a match by cookie", hint));
        } else if named.kind != MatchKind::Exact {
            let hint = "use `Exact`, or a `gateway` routing (HTTPRoute)";
            found.push(refused(LABEL, &format!("a pattern for `{}`", named.name), hint));
        } else if named.value.contains(['*', '?']) {
            // These are wildcards to the load balancer.
            let hint = "use a value without them, or a `gateway` routing (HTTPRoute)";
            found.push(refused(LABEL, &format!("`*` or `?` in the value of `{}`", named.name), hint));
        }
    }
    found
}
