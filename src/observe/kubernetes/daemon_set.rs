//! A DaemonSet of `apps/v1`, and its canary beside it, where there is one. Their pods tell which nodes there are: no right to read
//! nodes is needed, and no rule of which nodes fit is told twice.

use std::collections::BTreeMap;

use serde_json::Value;

use super::revisions::{count, is_owned, is_ready, is_running, missing, number, text};
use crate::observe::{Sighting, Workload};

/// The label that Windlass gives to pod templates.
pub const REVISION_LABEL: &str = "windlass.dev/revision";
/// The label that only a canary's pods have.
pub const ROLE_LABEL: &str = "windlass.dev/role";

/// The name of the canary.
pub(super) fn second(name: &str) -> String {
    format!("{name}-canary")
}

/// From the user's DaemonSet, the one that has its canary's name, and the pods that the first one's selector finds, to a sighting.
/// `mark` is what the commit-tree of both must be.
///
/// While there are two by a step's wish, the user's has `OnDelete`, and the canary's pods are the updated ones. Else the updated ones
/// are those of the user's DaemonSet that carry the revision label of its template: a DaemonSet's status names no revision.
pub fn sighting(own: &Value, second: Option<&Value>, pods: &[Value], mark: &str) -> Sighting {
    let second = second.filter(|second| is_canary(second));
    let alone = || (leaves_nodes(own) && second.is_none()).then(|| "its canary does not exist yet".to_owned());
    let missing = missing(own, mark).or_else(|| second.and_then(|second| still_there(second, mark))).or_else(alone);
    let of = |set: &Value| -> Vec<&Value> {
        let uid = text(set, "/metadata/uid").unwrap_or_default();
        pods.iter().filter(|pod| is_owned(pod, uid) && is_running(pod)).collect()
    };
    let (first, canary) = (of(own), second.map(of).unwrap_or_default());
    let unsettled = || unsettled(own, &first).or_else(|| second.and_then(|second| unsettled(second, &canary)));
    if let Some(text) = missing.or_else(unsettled) {
        // Pods that are still to come would be nodes that are not there.
        return Sighting { applied: false, workload: None, missing: Some(text) };
    }
    let mut nodes: BTreeMap<String, bool> = BTreeMap::new();
    for pod in first.iter().chain(&canary) {
        if let Some(node) = node(pod) {
            *nodes.entry(node.to_owned()).or_default() |= is_ready(pod);
        }
    }
    let revision = label(own.pointer("/spec/template"));
    let updated: Vec<&Value> = match text(own, "/spec/updateStrategy/type") {
        Some("OnDelete") => canary.clone(),
        _ => first.iter().copied().filter(|pod| label(Some(pod)) == revision).collect(),
    };
    let available = |set: &Value| number(set, "/status/numberAvailable").unwrap_or(0);
    let workload = Workload {
        size: count(nodes.len()),
        replicas: count(first.len() + canary.len()),
        updated: count(updated.len()),
        updated_ready: count(updated.iter().filter(|pod| is_ready(pod)).count()),
        ready: count(nodes.values().filter(|ready| **ready).count()),
        available: available(own).saturating_add(second.map_or(0, available)),
        revision_label: None,
        nodes: nodes.into_iter().collect(),
    };
    Sighting { applied: true, workload: Some(workload), missing: None }
}

/// Whether it is one that Windlass wrote: another one of this name is somebody else's, and cannot become it.
fn is_canary(set: &Value) -> bool {
    set.pointer("/spec/selector/matchLabels").and_then(|labels| labels.get(ROLE_LABEL))
        == Some(&Value::String("canary".to_owned()))
}

fn still_there(second: &Value, mark: &str) -> Option<String> {
    let name = text(second, "/metadata/name").unwrap_or_default();
    missing(second, mark).map(|text| format!("`{name}`: {text}, or not pruned yet"))
}

/// Why the pods do not tell all nodes yet, or tell too many.
fn unsettled(set: &Value, pods: &[&Value]) -> Option<String> {
    let name = text(set, "/metadata/name").unwrap_or_default();
    let status = |field: &str| number(set, &format!("/status/{field}")).unwrap_or(0);
    let mut nodes: Vec<&str> = pods.iter().filter_map(|pod| node(pod)).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let (there, wanted, astray) = (count(nodes.len()), status("desiredNumberScheduled"), status("numberMisscheduled"));
    if astray > 0 {
        return Some(format!(
            "{astray} pods of `{name}` are on nodes where it would place none now (a new taint, or a label that is gone)"
        ));
    }
    (there < wanted).then(|| format!("`{name}` has its pods on {there} of {wanted} nodes"))
}

/// Whether its template leaves nodes to the canary.
fn leaves_nodes(set: &Value) -> bool {
    let required = "/spec/template/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let list = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default();
    let fields = list(set, required).into_iter().flat_map(|term| list(&term, "/matchFields"));
    text(set, "/spec/updateStrategy/type") == Some("OnDelete") && fields.into_iter().any(|field| field["operator"] == "NotIn")
}

/// Where it runs; where it waits to run, the node that its controller made it for.
fn node(pod: &Value) -> Option<&str> {
    let term =
        "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0";
    text(pod, "/spec/nodeName").filter(|name| !name.is_empty()).or_else(|| text(pod, term))
}

/// The revision label of a pod or a template.
fn label(of: Option<&Value>) -> Option<&str> {
    of?.pointer("/metadata/labels")?.get(REVISION_LABEL)?.as_str()
}
