//! A DaemonSet of `apps/v1` and its canary, as the API tells of them: when nodes are told, and which.

use serde_json::{Value, json};
use windlass::observe::Sighting;
use windlass::observe::kubernetes::daemon_set::{REVISION_LABEL, ROLE_LABEL, sighting};

const MARK: &str = "9876fedcba";

fn set(name: &str, nodes: Value, desired: u32) -> Value {
    let mut labels = json!({"app": "agent"});
    if name.ends_with("-canary") {
        labels[ROLE_LABEL] = json!("canary");
    }
    json!({
        "kind": "DaemonSet",
        "metadata": {"name": name, "uid": name, "generation": 2, "annotations": {"windlass.dev/commit-tree": MARK}},
        "spec": {
            "selector": {"matchLabels": labels},
            "updateStrategy": {"type": "OnDelete"},
            "template": {"spec": {"affinity": {"nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": nodes}}}}},
        },
        "status": {"observedGeneration": 2, "desiredNumberScheduled": desired, "numberMisscheduled": 0, "numberAvailable": desired},
    })
}

fn own() -> Value {
    set("agent", json!([{"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["a"]}]}]), 2)
}

fn canary() -> Value {
    set("agent-canary", json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}]), 1)
}

fn pod(owner: &str, node: &str, ready: bool) -> Value {
    json!({
        "metadata": {"ownerReferences": [{"controller": true, "uid": owner}], "labels": {}},
        "spec": {"nodeName": node},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
    })
}

fn pods() -> Vec<Value> {
    vec![pod("agent-canary", "a", true), pod("agent", "b", true), pod("agent", "c", false), pod("other", "d", true)]
}

fn look(own: &Value, second: Option<&Value>, pods: &[Value]) -> Sighting {
    sighting(own, second, pods, MARK)
}

fn missing(sighting: &Sighting) -> &str {
    assert!(
        !sighting.applied && sighting.workload.is_none(),
        "pods that are not there yet are no nodes that are gone: {sighting:?}"
    );
    sighting.missing.as_deref().unwrap()
}

#[test]
fn both_together_tell_the_nodes() {
    let seen = look(&own(), Some(&canary()), &pods());
    assert!(seen.applied, "{seen:?}");
    let workload = seen.workload.unwrap();
    assert_eq!([workload.size, workload.replicas, workload.updated, workload.updated_ready, workload.ready], [3, 3, 1, 1, 2]);
    let nodes: Vec<(&str, bool)> = workload.nodes.iter().map(|(name, ready)| (name.as_str(), *ready)).collect();
    assert_eq!(nodes, [("a", true), ("b", true), ("c", false)]);
}

/// A pod that waits for the canary to go names its node in what its controller wrote.
#[test]
fn a_pod_that_waits_is_on_its_node() {
    let mut whole = set("agent", json!([]), 3);
    whole["spec"]["updateStrategy"] = json!({"type": "RollingUpdate"});
    whole["spec"]["template"] = json!({"metadata": {"labels": {REVISION_LABEL: "new"}}});
    let mut waits = pod("agent", "", false);
    waits["spec"] = json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}]}}}});
    waits["status"]["phase"] = json!("Pending");
    let mut pods = pods();
    pods.push(waits);
    for pod in [1, 4] {
        pods[pod]["metadata"]["labels"][REVISION_LABEL] = json!("new");
    }
    let workload = look(&whole, Some(&canary()), &pods).workload.unwrap();
    assert_eq!([workload.size, workload.replicas, workload.updated, workload.updated_ready], [3, 4, 2, 1]);
    assert_eq!(workload.nodes[0], ("a".to_owned(), true), "the canary serves there");
}

#[test]
fn nothing_is_counted_before_both_have_settled() {
    let (own, canary) = (own(), canary());
    assert_eq!(missing(&look(&own, None, &pods())), "its canary does not exist yet");
    let mut late = canary.clone();
    late["metadata"]["annotations"]["windlass.dev/commit-tree"] = json!("0123abcd");
    assert!(missing(&look(&own, Some(&late), &pods())).ends_with("not applied yet, or not pruned yet"));
    let mut unseen = canary.clone();
    unseen["status"]["observedGeneration"] = json!(1);
    assert!(missing(&look(&own, Some(&unseen), &pods())).starts_with("`agent-canary`: the controller has not seen"));
    let few: Vec<Value> = pods().into_iter().take(2).collect();
    assert_eq!(missing(&look(&own, Some(&canary), &few)), "`agent` has its pods on 1 of 2 nodes");
    let mut ends = pods();
    ends[1]["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(missing(&look(&own, Some(&canary), &ends)), "`agent` has its pods on 1 of 2 nodes");
    let mut tainted = own.clone();
    tainted["status"]["numberMisscheduled"] = json!(1);
    assert!(missing(&look(&tainted, Some(&canary), &pods())).contains("a new taint"));
}

/// One of that name that is somebody else's is not counted; Kubernetes refuses to make it another one.
#[test]
fn a_stranger_of_the_canarys_name_is_none() {
    let mut stranger = canary();
    stranger["spec"]["selector"]["matchLabels"] = json!({"app": "other"});
    assert_eq!(missing(&look(&own(), Some(&stranger), &pods())), "its canary does not exist yet");
}

/// What is there may be anything.
#[test]
fn objects_without_fields_are_no_reason_to_panic() {
    for value in [json!({}), json!(null), json!({"spec": 1, "status": [], "metadata": "x"})] {
        assert!(!look(&value, Some(&value), std::slice::from_ref(&value)).applied);
    }
}

#[test]
fn the_labels_are_those_that_are_written() {
    assert_eq!(REVISION_LABEL, windlass::render::REVISION_LABEL);
    assert_eq!(ROLE_LABEL, windlass::render::workload::extra::ROLE_LABEL);
}
