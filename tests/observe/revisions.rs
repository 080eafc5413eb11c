//! Workloads with revisions, as the kubernetes observer reads them from an API server that answers from JSON.

use serde_json::{Value, json};
use windlass::observe::{COMMIT_TREE, ObserveError, Sighting, Target, Workload};

use super::kubernetes::{MARK, observe_target, refused};
use crate::metrics::server::{Server, respond};

/// Kind, API group and version, plural.
const KINDS: [(&str, &str, &str); 4] = [
    ("StatefulSet", "apps/v1", "statefulsets"),
    ("CloneSet", "apps.kruise.io/v1alpha1", "clonesets"),
    ("StatefulSet", "apps.kruise.io/v1beta1", "statefulsets"),
    ("DaemonSet", "apps.kruise.io/v1beta1", "daemonsets"),
];

fn workload(kind: &str, status: Value) -> Value {
    json!({
        "kind": kind,
        "metadata": {"name": "checkout", "namespace": "shop", "uid": "u-1", "generation": 7, "annotations": {COMMIT_TREE: MARK}},
        "spec": {"replicas": 5, "selector": {"matchLabels": {"app": "checkout"}}},
        "status": status,
    })
}

fn status() -> Value {
    json!({"observedGeneration": 7, "replicas": 5, "updateRevision": "checkout-new9", "availableReplicas": 4,
           "desiredNumberScheduled": 5, "numberReady": 4, "updatedNumberScheduled": 2, "numberAvailable": 4})
}

fn pod(owner: &str, revision: &str, ready: bool) -> Value {
    json!({
        "metadata": {"name": "p", "labels": {"app": "checkout", "controller-revision-hash": revision},
                     "ownerReferences": [{"apiVersion": "x/v1", "kind": "X", "name": "checkout", "uid": owner, "controller": true}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]},
    })
}

/// Five pods, two of them new, one of those not Ready; one on its way out, one that has failed, one of somebody else.
fn pods() -> Vec<Value> {
    let mut going = pod("u-1", "checkout-new9", true);
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let mut failed = pod("u-1", "checkout-new9", false);
    failed["status"]["phase"] = json!("Failed");
    let mut pods: Vec<Value> = (0..3).map(|_| pod("u-1", "checkout-old5", true)).collect();
    // Kruise writes the revision's whole name or only its end, as it was told to.
    pods.extend([pod("u-1", "checkout-new9", true), pod("u-1", "new9", false), going, failed, pod("u-2", "checkout-new9", true)]);
    pods
}

fn serve(plural: &'static str, api: &'static str, workload: Value, pods: Vec<Value>) -> Server {
    Server::start(move |request, stream| {
        let path = request.path();
        if path.starts_with(&format!("/apis/{api}/namespaces/shop/{plural}/checkout")) {
            respond(stream, "200 OK", &[], workload.to_string().as_bytes());
        } else if path.starts_with("/api/v1/namespaces/shop/pods?") {
            assert!(path.contains("labelSelector=app%3Dcheckout"), "{path}");
            respond(stream, "200 OK", &[], json!({"metadata": {}, "items": pods}).to_string().as_bytes());
        } else {
            let code = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "no such path",
                              "reason": "NotFound", "code": 404});
            respond(stream, "404 Not Found", &[], code.to_string().as_bytes());
        }
    })
}

fn target(kind: &str, api: &str) -> Target {
    Target {
        namespace: "shop".to_owned(),
        api_version: api.to_owned(),
        kind: kind.to_owned(),
        name: "checkout".to_owned(),
        described: None,
        mark: MARK.to_owned(),
        committed_at: 0,
        now: 0,
    }
}

fn look(at: (&'static str, &'static str, &'static str), workload: Value, pods: Vec<Value>) -> Result<Sighting, ObserveError> {
    let (kind, api, plural) = at;
    observe_target(&serve(plural, api, workload, pods), &target(kind, api))
}

#[test]
fn pods_are_counted_by_revision() {
    for at in KINDS {
        let seen = look(at, workload(at.0, status()), pods()).unwrap();
        let label = Some(("controller-revision-hash".to_owned(), "checkout-new9".to_owned()));
        let counted = Workload {
            size: 5,
            replicas: 5,
            updated: 2,
            updated_ready: 1,
            ready: 4,
            available: 4,
            revision_label: label,
            nodes: Vec::new(),
        };
        assert_eq!(seen, Sighting { applied: true, workload: Some(counted), missing: None }, "{at:?}");
    }
}

#[test]
fn a_commit_that_is_not_there_yet_is_told_apart_from_one_that_is_not_taken_up() {
    for at in KINDS {
        let missing = |workload: Value| look(at, workload, pods()).unwrap().missing.unwrap();
        let mut other = workload(at.0, status());
        other["metadata"]["annotations"][COMMIT_TREE] = json!("1111111111");
        assert!(missing(other).contains("not 9876fedc: not applied yet"), "{at:?}");
        let mut late = workload(at.0, status());
        late["metadata"]["generation"] = json!(8);
        assert_eq!(missing(late), "the controller has not seen generation 8 yet", "{at:?}");
        let mut going = workload(at.0, status());
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(missing(going).contains("being deleted"), "{at:?}");
    }
}

#[test]
fn a_status_without_a_revision_is_no_answer_but_of_an_older_daemon_set() {
    let mut status = status();
    status.as_object_mut().unwrap().remove("updateRevision");
    for at in KINDS {
        let seen = look(at, workload(at.0, status.clone()), pods()).unwrap();
        let counted = seen.workload.unwrap();
        if at.0 == "DaemonSet" {
            assert_eq!((seen.applied, counted.updated, counted.updated_ready), (true, 2, 1), "one of five is not Ready");
        } else {
            assert!(!seen.applied && seen.missing.unwrap().contains("updateRevision"), "{at:?}");
        }
    }
}

#[test]
fn a_cluster_without_kruise_is_told_as_that() {
    let server = serve("none", "none", json!({}), Vec::new());
    let (cause, hint) = refused(observe_target(&server, &target("CloneSet", "apps.kruise.io/v1alpha1")));
    assert!(cause.contains("serves no CloneSet of apps.kruise.io/v1alpha1"), "{cause}");
    assert!(hint.contains("install"), "{hint}");
}

#[test]
fn what_is_forbidden_is_named() {
    let server = Server::start(|_, stream| {
        let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "no",
                          "reason": "Forbidden", "code": 403});
        respond(stream, "403 Forbidden", &[], body.to_string().as_bytes());
    });
    let (_, hint) = refused(observe_target(&server, &target("StatefulSet", "apps/v1")));
    assert_eq!(hint, "grant in namespace shop: verb get on statefulsets of API group apps, and verb list on pods");
}
