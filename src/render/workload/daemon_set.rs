//! DaemonSet of `apps/v1`: batches by a second DaemonSet, `<name>-canary`, on the nodes that have been chosen.
//!
//! Its controller has no partition, and the trick that holds a Deployment would replace all its pods at once. So the user's DaemonSet
//! leaves the chosen nodes (`matchFields` on `metadata.name`: a node's hostname label may be another) and the second one, of the
//! new template, runs there. What decides the fields below was seen with the real controller of Kubernetes 1.36:
//!
//! - Nodes are a part of the pod template, so choosing some makes a new revision, and `RollingUpdate` would replace the pods of all
//!   others. With `OnDelete` they stay as they are, and pods on nodes that are left go at once. Both DaemonSets have it for as
//!   long as there are two.
//! - A pod's revision is the template's hash. Only pods that come from the template as the user wrote it are spared when the user's
//!   own strategy comes back. So in the end the DaemonSet takes all nodes in one commit, and the second one leaves them.
//! - Where two pods may not be on one node, a required anti-affinity of the second DaemonSet's pods keeps the others waiting until
//!   they are gone, and the other way round. Pods that wait count as unavailable: the controller replaces no other meanwhile.

use serde_json::{Value, json};

use super::extra::{ROLE_LABEL, name};
use super::{RenderError, unusable};
use crate::api::Rollout;
use crate::manifest::{Object, ObjectSet};

const REQUIRED: [&str; 6] =
    ["spec", "template", "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"];
const APART: [&str; 6] =
    ["spec", "template", "spec", "affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution"];

/// Whether two of its pods may be on one node for a while: the user lets them surge (the API's default is 0).
pub(super) fn surges(workload: &Object) -> bool {
    match workload.get("/spec/updateStrategy/rollingUpdate/maxSurge") {
        Some(Value::Number(surge)) => surge.as_u64() != Some(0),
        Some(Value::String(surge)) => surge != "0%" && surge != "0",
        _ => false,
    }
}

/// How many nodes may be without a pod at once: the user's `maxUnavailable`, percent rounded up (the API's default is 1).
pub(super) fn at_once(workload: &Object, size: u32) -> u32 {
    let pods = match workload.get("/spec/updateStrategy/rollingUpdate/maxUnavailable") {
        Some(Value::Number(pods)) => pods.as_u64().map_or(1, |pods| u32::try_from(pods).unwrap_or(u32::MAX)),
        Some(Value::String(text)) => {
            let percent = text.strip_suffix('%').and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
            u32::try_from(percent.saturating_mul(u64::from(size)).div_ceil(100)).unwrap_or(u32::MAX)
        }
        _ => 1,
    };
    pods.max(1)
}

pub(super) fn check(workload: &Object) -> Result<(), RenderError> {
    if workload.text("/spec/updateStrategy/type") == Some("OnDelete") {
        return Err(unusable(workload, "`updateStrategy.type: OnDelete` never replaces a pod; batches need `RollingUpdate`"));
    }
    if workload.text("/spec/template/spec/nodeName").is_some() {
        return Err(unusable(workload, "its pods name their node (`nodeName`); batches are chosen among nodes"));
    }
    if surges(workload) && holds_ports(workload) {
        let cause = "its pods hold ports of their node, so that no two of them can be there, and `rollingUpdate.maxSurge` asks for \
                     two; set `maxUnavailable` instead";
        return Err(unusable(workload, cause));
    }
    Ok(())
}

/// What cannot be together with a second DaemonSet.
pub(crate) fn check_beside(objects: &ObjectSet, workload: &Object, rollout: &Rollout) -> Result<(), RenderError> {
    let name = name(workload.name());
    if objects.find("apps", "DaemonSet", &name).is_some() {
        let cause = format!("DaemonSet `{name}` is in the source, and is the name of its canary; rename one");
        return Err(unusable(workload, cause));
    }
    if !rollout.routings.is_empty() {
        return Err(RenderError::Unsupported {
            provider: "DaemonSet of apps/v1".to_owned(),
            what: "traffic routing".to_owned(),
            hint: format!("leave out `trafficRoutings`: its Services reach the pods of both versions; {}", super::ALTERNATIVES),
        });
    }
    Ok(())
}

/// Where pods of `newer` may not be on every node that pods of `older` are on: what of its template says so.
pub fn chooses_other_nodes(older: &Object, newer: &Object) -> Option<&'static str> {
    let required = format!("/{}", REQUIRED.join("/"));
    if older.get("/spec/template/spec/nodeSelector") != newer.get("/spec/template/spec/nodeSelector") {
        return Some("nodeSelector");
    }
    if older.get(&required) != newer.get(&required) {
        return Some("affinity.nodeAffinity");
    }
    let tolerations = |workload: &Object| {
        workload.get("/spec/template/spec/tolerations").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let has = tolerations(newer);
    tolerations(older).iter().any(|one| !has.contains(one)).then_some("tolerations")
}

fn holds_ports(workload: &Object) -> bool {
    let list = |value: &Value, field: &str| value.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
    let Some(pod) = workload.get("/spec/template/spec") else { return false };
    let on_host = pod.get("hostNetwork") == Some(&Value::Bool(true));
    let containers = list(pod, "containers").into_iter().chain(list(pod, "initContainers"));
    let mut ports = containers.flat_map(|container| list(&container, "ports"));
    ports.any(|port| on_host || port.get("hostPort").and_then(Value::as_u64).is_some_and(|port| port > 0))
}

/// The user's DaemonSet while there are two: not on `nodes`, and no pod of it is replaced.
pub(crate) fn narrow(workload: &mut Object, nodes: &[String]) {
    workload.set(&["spec", "updateStrategy"], json!({"type": "OnDelete"}));
    if nodes.is_empty() {
        return;
    }
    let fields: Vec<Value> = nodes.iter().map(|node| requirement("NotIn", node)).collect();
    let terms: Vec<Value> = match terms(workload) {
        Some(own) => own.into_iter().map(|term| with_fields(term, &fields)).collect(),
        None => vec![json!({"matchFields": fields})],
    };
    workload.set(&REQUIRED, json!({"nodeSelectorTerms": terms}));
}

/// The second DaemonSet: the candidate's, on `nodes` alone. `apart`: none of its pods is on a node together with one of the user's
/// DaemonSet.
pub(crate) fn second(candidate: &Object, nodes: &[String], apart: bool) -> Object {
    let mut object = candidate.clone();
    object.set(&["metadata", "name"], Value::String(name(candidate.name())));
    object.remove(&["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"]);
    object.set(&["spec", "updateStrategy"], json!({"type": "OnDelete"}));
    let own = terms(candidate);
    let on = |node: &String| {
        let field = [requirement("In", node)];
        match &own {
            Some(own) => own.iter().map(|term| with_fields(term.clone(), &field)).collect(),
            None => vec![json!({"matchFields": field})],
        }
    };
    let terms: Vec<Value> = nodes.iter().flat_map(on).collect();
    object.set(&REQUIRED, json!({"nodeSelectorTerms": terms}));
    if apart {
        let mut selector = candidate.get("/spec/selector").cloned().unwrap_or_else(|| json!({}));
        let mut rules = selector.get("matchExpressions").and_then(Value::as_array).cloned().unwrap_or_default();
        rules.push(json!({"key": ROLE_LABEL, "operator": "DoesNotExist"}));
        selector["matchExpressions"] = Value::Array(rules);
        let mut others = candidate.get(&format!("/{}", APART.join("/"))).and_then(Value::as_array).cloned().unwrap_or_default();
        others.push(json!({"labelSelector": selector, "topologyKey": "kubernetes.io/hostname"}));
        object.set(&APART, Value::Array(others));
    }
    object.set(&["spec", "selector", "matchLabels", ROLE_LABEL], json!("canary"));
    object.set(&["spec", "template", "metadata", "labels", ROLE_LABEL], json!("canary"));
    object
}

/// The user's own choice of nodes: any of these terms must fit.
fn terms(workload: &Object) -> Option<Vec<Value>> {
    workload.get(&format!("/{}/nodeSelectorTerms", REQUIRED.join("/"))).and_then(Value::as_array).cloned()
}

/// The API takes one name in each (validation: "must be only one value when `operator` is 'In' or 'NotIn'").
fn requirement(operator: &str, node: &str) -> Value {
    json!({"key": "metadata.name", "operator": operator, "values": [node]})
}

/// A term that must fit these fields, too. An empty one fits no node, and stays so.
fn with_fields(mut term: Value, fields: &[Value]) -> Value {
    let filled = |field: &str| term.get(field).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if !filled("matchExpressions") && !filled("matchFields") {
        return term;
    }
    let mut own = term.get("matchFields").and_then(Value::as_array).cloned().unwrap_or_default();
    own.extend(fields.iter().cloned());
    term["matchFields"] = Value::Array(own);
    term
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(spec: Value) -> Object {
        let mut object =
            Object::new(json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": {
            "selector": {"matchLabels": {"app": "agent"}},
            "template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": []}}}}))
            .unwrap();
        for (field, value) in spec.as_object().unwrap() {
            object.set(&["spec", field], value.clone());
        }
        object
    }

    fn affine(terms: Value) -> Object {
        let mut object = agent(json!({}));
        object.set(&REQUIRED, json!({"nodeSelectorTerms": terms}));
        object
    }

    #[test]
    fn the_users_own_choice_of_nodes_stays() {
        let linux = json!({"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]});
        let mut stable = affine(json!([{"matchExpressions": [linux]}, {}]));
        let second = second(&stable, &["a".to_owned(), "b".to_owned()], false);
        let on = |node: &str| json!({"matchExpressions": [linux], "matchFields": [requirement("In", node)]});
        assert_eq!(terms(&second).unwrap(), [on("a"), json!({}), on("b"), json!({})], "an empty term fits no node");
        narrow(&mut stable, &["a".to_owned(), "b".to_owned()]);
        let not = [requirement("NotIn", "a"), requirement("NotIn", "b")];
        assert_eq!(terms(&stable).unwrap(), [json!({"matchExpressions": [linux], "matchFields": not}), json!({})]);
    }

    #[test]
    fn what_may_be_missing_is_the_users_limit() {
        let limit = |value: Value, size| at_once(&agent(json!({"updateStrategy": {"rollingUpdate": value}})), size);
        assert_eq!(
            [limit(json!({}), 9), limit(json!({"maxUnavailable": 3}), 9), limit(json!({"maxUnavailable": "10%"}), 11)],
            [1, 3, 2]
        );
        assert_eq!([limit(json!({"maxUnavailable": 0, "maxSurge": 2}), 9), limit(json!({"maxUnavailable": "x"}), 9)], [1, 1]);
    }

    #[test]
    fn ports_of_the_node_and_a_surge_do_not_go_together() {
        let surge = json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
        let template = |pod: Value| json!({"metadata": {"labels": {"app": "agent"}}, "spec": pod});
        let with = |pod: Value| check(&agent(json!({"updateStrategy": surge, "template": template(pod)})));
        assert!(with(json!({"containers": [{"ports": [{"containerPort": 80}]}]})).is_ok());
        assert!(with(json!({"containers": [{"ports": [{"containerPort": 80, "hostPort": 80}]}]})).is_err());
        assert!(with(json!({"hostNetwork": true, "containers": [{"ports": [{"containerPort": 80}]}]})).is_err());
        assert!(check(&agent(json!({"updateStrategy": {"type": "OnDelete"}}))).is_err());
    }
}
