//! What the API server does with an object before any controller sees it: merge with what is there, defaults, checks.

use serde_json::{Map, Value, json};

use crate::manifest::{Object, ObjectKey};
use crate::sim::cluster::amounts::IntOrPercent;

/// Why the API server does not take an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} is refused: {cause}")]
pub struct Rejected {
    pub key: ObjectKey,
    pub cause: String,
}

/// What a Deployment's spec says, with the API server's defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spec {
    pub(super) replicas: u32,
    pub(super) paused: bool,
    pub(super) strategy: Strategy,
    pub(super) min_ready_seconds: u32,
    pub(super) progress_deadline_seconds: u32,
    pub(super) history_limit: u32,
    /// The pod template, defaults filled in.
    pub(super) template: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    Recreate,
    Rolling { surge: IntOrPercent, unavailable: IntOrPercent },
}

/// `i32::MAX` means "never" for deadlines and history.
const NEVER: u32 = i32::MAX as u32;

impl Spec {
    pub(super) fn deadline(&self) -> Option<u32> {
        (self.progress_deadline_seconds != NEVER).then_some(self.progress_deadline_seconds)
    }

    pub(super) fn history(&self) -> Option<usize> {
        (self.history_limit != NEVER).then_some(self.history_limit as usize)
    }

    /// (surge, unavailable) in pods for the present size; (0, 0) for Recreate and where there are to be no pods.
    pub(super) fn bounds(&self) -> (u32, u32) {
        match self.strategy {
            Strategy::Recreate => (0, 0),
            Strategy::Rolling { surge, unavailable } => {
                let (surge, unavailable) = super::amounts::fenceposts(surge, unavailable, self.replicas);
                (surge, unavailable.min(self.replicas))
            }
        }
    }
}

/// The kinds, of those that a repository usually holds, that live in no namespace.
const CLUSTER_SCOPED: [&str; 13] = [
    "Namespace",
    "Node",
    "PersistentVolume",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "StorageClass",
    "PriorityClass",
    "IngressClass",
    "GatewayClass",
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "APIService",
];

/// The key under which the cluster keeps `object`: namespaced kinds without a namespace go to `namespace`.
pub(super) fn key_of(object: &Object, namespace: &str) -> ObjectKey {
    let mut key = object.key();
    if CLUSTER_SCOPED.contains(&key.kind.as_str()) {
        key.namespace = None;
    } else if key.namespace.is_none() {
        key.namespace = Some(namespace.to_owned());
    }
    key
}

/// What `apply` leaves behind: fields that `last` set and `new` does not are gone, fields of `new` are as it says, and what
/// others wrote stays. Lists are taken whole, which is a little less than the real merge knows.
pub(super) fn merge(last: &Map<String, Value>, live: &mut Map<String, Value>, new: &Map<String, Value>) {
    for (key, was) in last {
        if !new.contains_key(key) {
            withdraw(was, live, key);
        }
    }
    for (key, value) in new {
        match (live.get_mut(key), value) {
            (Some(Value::Object(live)), Value::Object(new)) => {
                let empty = Map::new();
                let last = last.get(key).and_then(Value::as_object).unwrap_or(&empty);
                merge(last, live, new);
            }
            _ => {
                live.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Takes back what `was` set at `key`; what others set beside it stays.
fn withdraw(was: &Value, live: &mut Map<String, Value>, key: &str) {
    if let (Value::Object(was), Some(Value::Object(inner))) = (was, live.get_mut(key)) {
        for (field, value) in was {
            withdraw(value, inner, field);
        }
        if !inner.is_empty() {
            return;
        }
    }
    live.remove(key);
}

fn default(object: &mut Map<String, Value>, key: &str, value: Value) {
    object.entry(key.to_owned()).or_insert(value);
}

fn inner<'a>(object: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    object.entry(key.to_owned()).or_insert_with(|| json!({})).as_object_mut()
}

/// Fills in what the API server fills in, for the kinds whose behaviour is modelled.
pub(super) fn defaults(object: &mut Object) {
    let (group, kind) = (object.group().to_owned(), object.kind().to_owned());
    match (group.as_str(), kind.as_str(), object.get_mut("/spec")) {
        ("apps", "Deployment", Some(Value::Object(spec))) => deployment_defaults(spec),
        ("apps", "StatefulSet", Some(Value::Object(spec))) => stateful_set_defaults(spec),
        ("apps.kruise.io", "CloneSet" | "StatefulSet" | "DaemonSet", Some(Value::Object(spec))) => template_defaults(spec),
        ("apps", "DaemonSet", Some(Value::Object(spec))) => daemon_set_defaults(spec),
        ("", "Service", Some(Value::Object(spec))) => {
            default(spec, "type", json!("ClusterIP"));
            default(spec, "sessionAffinity", json!("None"));
        }
        ("gateway.networking.k8s.io", "HTTPRoute", Some(Value::Object(spec))) => {
            let rules = spec.get_mut("rules").and_then(Value::as_array_mut).into_iter().flatten();
            rules.filter_map(Value::as_object_mut).for_each(route_rule_defaults);
        }
        _ => {}
    }
}

fn deployment_defaults(spec: &mut Map<String, Value>) {
    default(spec, "replicas", json!(1));
    default(spec, "minReadySeconds", json!(0));
    default(spec, "progressDeadlineSeconds", json!(600));
    default(spec, "revisionHistoryLimit", json!(10));
    if let Some(strategy) = inner(spec, "strategy") {
        default(strategy, "type", json!("RollingUpdate"));
        if strategy.get("type") == Some(&json!("RollingUpdate"))
            && let Some(rolling) = inner(strategy, "rollingUpdate")
        {
            default(rolling, "maxSurge", json!("25%"));
            default(rolling, "maxUnavailable", json!("25%"));
        }
    }
    template_defaults(spec);
}

/// Of every kind's pod template; Kruise's webhooks fill in the same.
pub(super) fn template_defaults(spec: &mut Map<String, Value>) {
    let Some(template) = inner(spec, "template") else { return };
    let Some(pod) = inner(template, "spec") else { return };
    default(pod, "restartPolicy", json!("Always"));
    default(pod, "dnsPolicy", json!("ClusterFirst"));
    default(pod, "schedulerName", json!("default-scheduler"));
    default(pod, "terminationGracePeriodSeconds", json!(30));
    default(pod, "securityContext", json!({}));
    let Some(Value::Array(containers)) = pod.get_mut("containers") else { return };
    for container in containers.iter_mut().filter_map(Value::as_object_mut) {
        let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
        let tag = image.rsplit('/').next().unwrap_or_default();
        let latest = !image.contains('@') && (tag.ends_with(":latest") || !tag.contains(':'));
        default(container, "imagePullPolicy", json!(if latest { "Always" } else { "IfNotPresent" }));
        default(container, "terminationMessagePath", json!("/dev/termination-log"));
        default(container, "terminationMessagePolicy", json!("File"));
        default(container, "resources", json!({}));
        if let Some(Value::Array(ports)) = container.get_mut("ports") {
            ports.iter_mut().filter_map(Value::as_object_mut).for_each(|port| default(port, "protocol", json!("TCP")));
        }
    }
}

fn daemon_set_defaults(spec: &mut Map<String, Value>) {
    default(spec, "revisionHistoryLimit", json!(10));
    if let Some(strategy) = inner(spec, "updateStrategy") {
        default(strategy, "type", json!("RollingUpdate"));
        if strategy.get("type") == Some(&json!("RollingUpdate"))
            && let Some(rolling) = inner(strategy, "rollingUpdate")
        {
            default(rolling, "maxUnavailable", json!(1));
            default(rolling, "maxSurge", json!(0));
        }
    }
    template_defaults(spec);
}

fn stateful_set_defaults(spec: &mut Map<String, Value>) {
    default(spec, "replicas", json!(1));
    default(spec, "podManagementPolicy", json!("OrderedReady"));
    default(spec, "revisionHistoryLimit", json!(10));
    if let Some(strategy) = inner(spec, "updateStrategy") {
        default(strategy, "type", json!("RollingUpdate"));
        if strategy.get("type") == Some(&json!("RollingUpdate"))
            && let Some(rolling) = inner(strategy, "rollingUpdate")
        {
            default(rolling, "partition", json!(0));
        }
    }
    template_defaults(spec);
}

fn route_rule_defaults(rule: &mut Map<String, Value>) {
    default(rule, "matches", json!([{"path": {"type": "PathPrefix", "value": "/"}}]));
    if let Some(Value::Array(backends)) = rule.get_mut("backendRefs") {
        for backend in backends.iter_mut().filter_map(Value::as_object_mut) {
            default(backend, "group", json!(""));
            default(backend, "kind", json!("Service"));
            default(backend, "weight", json!(1));
        }
    }
}

/// Reads a Deployment whose defaults are filled in, with the API server's own checks.
pub(super) fn spec_of(object: &Object) -> Result<Spec, String> {
    let number = |field: &str, otherwise: u32| match object.get(&format!("/spec/{field}")) {
        None => Ok(otherwise),
        Some(value) => value
            .as_u64()
            .and_then(|n| u32::try_from(n).ok())
            .filter(|n| *n <= NEVER)
            .ok_or_else(|| format!("spec.{field}: {value} is no number from 0 to {NEVER}")),
    };
    let min_ready_seconds = number("minReadySeconds", 0)?;
    let progress_deadline_seconds = number("progressDeadlineSeconds", 600)?;
    if progress_deadline_seconds <= min_ready_seconds {
        return Err("spec.progressDeadlineSeconds must be greater than minReadySeconds".to_owned());
    }
    let template = object.get("/spec/template").cloned().ok_or("spec.template is missing")?;
    check_selector(object, &template)?;
    Ok(Spec {
        replicas: number("replicas", 1)?,
        paused: object.get("/spec/paused").and_then(Value::as_bool).unwrap_or(false),
        strategy: strategy_of(object)?,
        min_ready_seconds,
        progress_deadline_seconds,
        history_limit: number("revisionHistoryLimit", 10)?,
        template,
    })
}

pub(super) fn check_selector(object: &Object, template: &Value) -> Result<(), String> {
    let labels = template.pointer("/metadata/labels").and_then(Value::as_object);
    let wanted = object.get("/spec/selector/matchLabels").and_then(Value::as_object);
    if wanted.is_none_or(Map::is_empty) && object.get("/spec/selector/matchExpressions").is_none() {
        return Err("spec.selector is missing or empty".to_owned());
    }
    if !wanted.into_iter().flatten().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value)) {
        return Err("spec.selector does not match the labels of spec.template".to_owned());
    }
    Ok(())
}

fn strategy_of(object: &Object) -> Result<Strategy, String> {
    let at = "/spec/strategy/rollingUpdate";
    match object.text("/spec/strategy/type") {
        Some("Recreate") if object.get(at).is_some() => {
            Err("spec.strategy.rollingUpdate may not be set where the type is Recreate".to_owned())
        }
        Some("Recreate") => Ok(Strategy::Recreate),
        Some("RollingUpdate") => {
            let amount = |field: &str| {
                let value = object.get(&format!("{at}/{field}")).ok_or_else(|| format!("{field} is missing"))?;
                IntOrPercent::read(value)
                    .ok_or_else(|| format!("spec.strategy.rollingUpdate.{field}: {value} is neither pods nor percent"))
            };
            let (surge, unavailable) = (amount("maxSurge")?, amount("maxUnavailable")?);
            if surge.is_zero() && unavailable.is_zero() {
                return Err("spec.strategy.rollingUpdate.maxUnavailable may not be 0 when maxSurge is 0".to_owned());
            }
            if matches!(unavailable, IntOrPercent::Percent(percent) if percent > 100) {
                return Err("spec.strategy.rollingUpdate.maxUnavailable must not be greater than 100%".to_owned());
            }
            Ok(Strategy::Rolling { surge, unavailable })
        }
        other => Err(format!("spec.strategy.type: {other:?} is neither RollingUpdate nor Recreate")),
    }
}
