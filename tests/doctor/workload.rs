use serde_json::{Value, json};
use windlass::api::WorkloadRef;
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
    let scaled = |field: &str| {
        let written = wrote("kube-controller-manager", "scale", spec(field));
        codes(&workload::judge(&Wanted { is_scaled: true, ..app() }, Some(&live(written))))
    };
    assert_eq!((scaled("f:replicas"), scaled("f:updateStrategy")), (String::new(), "!other-writer".to_owned()));
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
fn an_autoscaler_of_the_source_is_in_nobodys_way() {
    let value = json!({"kind": "HorizontalPodAutoscaler", "metadata": {"name": "shop", "namespace": "shop"},
                       "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "shop"}}});
    assert_eq!(codes(&workload::autoscalers(&Wanted { is_scaled: true, ..app() }, &items(&[value]))), "");
}

#[test]
fn each_kind_needs_rights_of_its_own() {
    let named = |api_version: &str, kind: &str| WorkloadRef::new(api_version, kind, "shop");
    let workloads =
        [named("apps/v1", "Deployment"), named("apps.kruise.io/v1alpha1", "CloneSet"), named("apps/v1", "StatefulSet")];
    let expected = [
        ("get", "apps", "deployments"),
        ("list", "apps", "replicasets"),
        ("get", "apps.kruise.io", "clonesets"),
        ("list", "", "pods"),
        ("get", "apps", "statefulsets"),
    ];
    assert_eq!(workload::needed(&workloads), expected);
    let lacking: Vec<_> = expected.map(|right| (right, right.2 != "pods")).to_vec();
    let finding = workload::rights("shop", &lacking);
    assert_eq!(finding.seen, "missing: list pods");
    assert!(workload::kind(&named("apps/v1", "ReplicaSet")).is_none());
}

#[test]
fn rights_that_are_missing_are_named() {
    let finding = workload::rights("shop", &[(("get", "apps", "deployments"), true), (("list", "apps", "replicasets"), false)]);
    assert_eq!(
        (codes(std::slice::from_ref(&finding)), finding.seen.as_str()),
        ("rights".to_owned(), "missing: list replicasets")
    );
    assert_eq!(codes(&[workload::rights("shop", &[(("get", "apps", "deployments"), true)])]), "");
}

#[test]
fn a_kind_that_the_repository_describes() {
    let reference = crate::described::rollout().workload;
    assert_eq!(workload::needed([&reference]), [("get", "games.example.com", "gamesets")]);
    let kind = workload::kind(&reference).unwrap();
    assert_eq!((kind.version, kind.kind), ("v1", "GameSet"));
    let app = Wanted { workload: reference, ..app() };
    let judged = |spec: Value, status: Value, managers: Value| {
        let live = json!({"metadata": {"managedFields": managers}, "spec": spec, "status": status});
        workload::judge(&app, Some(&live))
    };
    let (spec, status) = (json!({"pods": {"count": 3}, "paused": true}), json!({"observedGeneration": 1, "updatedReplicas": 3}));
    let full = json!({"observedGeneration": 1, "updatedReplicas": 3, "readyReplicas": 2});
    assert_eq!(codes(&judged(spec.clone(), full.clone(), json!([]))), "", "what its `paused` means is not known");
    let found = judged(spec.clone(), status, json!([]));
    assert_eq!(
        (codes(&found), found[0].seen.as_str()),
        ("workload-status".to_owned(), "its status has no `status.readyReplicas`")
    );
    let found = judged(json!({"replicas": 3}), full.clone(), json!([]));
    assert_eq!(found[0].seen, "it has no number of pods at `spec.pods.count`");
    let found = judged(spec, full, wrote("kubectl-edit", "", json!({"f:spec": {"f:update": {"f:keep": {}}}})));
    assert_eq!(found[0].seen, "`kubectl-edit` has written spec.update.keep");
}
