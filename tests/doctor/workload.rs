use serde_json::{Value, json};
use windlass::reconcile::doctor::workload;

use super::{Wanted, app, codes, items};

fn live(managers: Value) -> Value {
    json!({"metadata": {"name": "shop", "managedFields": managers}, "spec": {"replicas": 4}})
}

fn wrote(manager: &str, subresource: &str, fields: Value) -> Value {
    json!([{"manager": manager, "operation": "Update", "subresource": subresource, "fieldsV1": fields}])
}

#[test]
fn who_has_written_what_a_step_writes() {
    let spec = |field: &str| json!({"f:spec": {field: {}}});
    let cases = [
        ("kustomize-controller", "", spec("f:replicas"), ""),
        ("argocd-controller", "", spec("f:template"), ""),
        ("kube-controller-manager", "status", spec("f:replicas"), ""),
        ("kube-controller-manager", "", json!({"f:metadata": {"f:annotations": {}}}), ""),
        ("kube-controller-manager", "scale", spec("f:replicas"), "!other-writer"),
        ("kubectl-edit", "", spec("f:strategy"), "!other-writer"),
        ("rollouts-controller", "", spec("f:template"), "!other-writer"),
        ("kubectl-label", "", json!({"f:metadata": {"f:labels": {}}}), ""),
    ];
    for (manager, subresource, fields, expected) in cases {
        let found = workload::judge(&app(), Some(&live(wrote(manager, subresource, fields))));
        assert_eq!(codes(&found), expected, "{manager} {subresource}");
    }
}

#[test]
fn a_workload_that_is_missing_or_paused() {
    assert_eq!(codes(&workload::judge(&app(), None)), "workload-missing");
    assert_eq!(codes(&workload::judge(&Wanted { is_adopted: false, ..app() }, None)), "");
    assert_eq!(codes(&workload::judge(&app(), Some(&json!({"spec": {"paused": true}})))), "workload-paused");
    assert_eq!(codes(&workload::judge(&app(), Some(&json!({"spec": {}})))), "");
}

#[test]
fn autoscalers_on_the_workload() {
    let scaler = |kind: &str, target: Value, owners: Value| {
        let value = json!({"apiVersion": "x/v1", "kind": kind, "metadata": {"name": "shop", "namespace": "shop", "ownerReferences": owners},
                           "spec": {"scaleTargetRef": target}});
        codes(&workload::autoscalers(&app(), &items(&[value])))
    };
    let shop = json!({"kind": "Deployment", "name": "shop"});
    assert_eq!(scaler("HorizontalPodAutoscaler", shop.clone(), json!([])), "autoscaler");
    assert_eq!(scaler("ScaledObject", json!({"name": "shop"}), json!([])), "autoscaler");
    assert_eq!(scaler("HorizontalPodAutoscaler", shop, json!([{"kind": "ScaledObject"}])), "");
    assert_eq!(scaler("HorizontalPodAutoscaler", json!({"kind": "Deployment", "name": "other"}), json!([])), "");
    assert_eq!(scaler("HorizontalPodAutoscaler", json!({"kind": "StatefulSet", "name": "shop"}), json!([])), "");
}

#[test]
fn rights_that_are_missing_are_named() {
    let finding = workload::rights("shop", &[("get", "deployments", true), ("list", "replicasets", false)]);
    assert_eq!(
        (codes(std::slice::from_ref(&finding)), finding.seen.as_str()),
        ("rights".to_owned(), "missing: list replicasets")
    );
    assert_eq!(codes(&[workload::rights("shop", &[("get", "deployments", true)])]), "");
}
