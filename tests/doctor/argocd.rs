use serde_json::{Value, json};
use windlass::reconcile::doctor::{argocd, argocd_settings};

use super::{Wanted, app, codes, items, patched, remote, setting, with};

pub(super) fn application() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
        "metadata": {"name": "shop", "namespace": "argocd", "annotations": {}},
        "spec": {
            "project": "default",
            "source": {"repoURL": "https://git.example.com/team/apps", "targetRevision": "deploy", "path": "apps/shop"},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}, "retry": {"limit": 5, "refresh": true}},
        },
    })
}

fn settings(data: Value) -> Vec<super::Item> {
    items(&[
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm", "namespace": "argocd"}, "data": data}),
    ])
}

fn good_settings() -> Vec<super::Item> {
    settings(json!({"resource.customizations.health.apps_Deployment": argocd_settings::HEALTH}))
}

fn judge_app(app: &Wanted, application: &Value) -> String {
    codes(
        &argocd::judge(&remote(), std::slice::from_ref(app), &items(std::slice::from_ref(application)), &good_settings())
            .findings,
    )
}

fn judge(application: &Value) -> String {
    judge_app(&app(), application)
}

#[test]
fn good_settings_say_nothing() {
    let judged = argocd::judge(&remote(), &[app()], &items(&[application()]), &good_settings());
    assert_eq!(judged.findings, []);
    assert_eq!((judged.applied.len(), judged.applied[0].within), (1, Some(180)));
}

#[test]
fn what_an_application_says_wrong() {
    let options = |list: Value| ("/spec/syncPolicy/syncOptions", list);
    let cases: Vec<((&str, Value), &str)> = vec![
        (("/spec/syncPolicy", Value::Null), "argo-automated"),
        (("/spec/syncPolicy/automated", Value::Null), "argo-automated"),
        (("/spec/syncPolicy/automated/enabled", json!(false)), "argo-automated"),
        (("/spec/syncPolicy/automated/prune", Value::Null), "!argo-prune"),
        (("/spec/syncPolicy/automated/selfHeal", json!(false)), "!argo-self-heal"),
        (("/spec/syncPolicy/retry", Value::Null), "!argo-retry"),
        (("/spec/syncPolicy/retry/refresh", Value::Null), "argo-retry"),
        (("/spec/syncPolicy/retry", json!({"limit": 0})), ""),
        (options(json!(["CreateNamespace=true", "ServerSideApply=true", "ApplyOutOfSyncOnly=true"])), ""),
        (options(json!(["Replace=true"])), "argo-replace"),
        (("/spec/source/targetRevision", json!("HEAD")), "argo-revision"),
        (("/spec/source/targetRevision", Value::Null), "argo-revision"),
        (("/spec/source/targetRevision", json!("refs/heads/deploy")), ""),
        (("/spec/source/path", json!("apps")), "argo-path"),
        (
            (
                "/spec/source",
                json!({"repoURL": "git@git.example.com:team/apps.git", "targetRevision": "deploy", "path": "./apps", "directory": {"recurse": true}}),
            ),
            "",
        ),
        (("/spec/source/repoURL", json!("https://git.example.com/other")), "argo-repo"),
        (("/spec/source/kustomize", json!({"images": ["shop:2"]})), "argo-changes"),
        (("/spec/source/kustomize", json!({})), ""),
        (("/spec/source/directory", json!({"exclude": "*.yaml"})), "!argo-directory"),
        (("/spec/destination/server", json!("https://eu.example.com")), "!other-cluster"),
        (("/spec/destination", json!({"name": "in-cluster", "namespace": "shop"})), ""),
        (("/metadata/annotations/argocd.argoproj.io~1skip-reconcile", json!("true")), "argo-suspended"),
        (("/metadata/annotations/argocd.argoproj.io~1manifest-generate-paths", json!(".")), ""),
        (("/metadata/annotations/argocd.argoproj.io~1manifest-generate-paths", json!("/charts;/apps/shop")), ""),
        (("/metadata/annotations/argocd.argoproj.io~1manifest-generate-paths", json!("../other")), "argo-generate-paths"),
        (
            ("/spec/ignoreDifferences", json!([{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}])),
            "!argo-ignore",
        ),
        (
            (
                "/spec/ignoreDifferences",
                json!([{"group": "*", "kind": "*", "jqPathExpressions": [".spec.template.spec.containers[].image"]}]),
            ),
            "!argo-ignore",
        ),
        (
            (
                "/spec/ignoreDifferences",
                json!([{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/template/metadata"]}]),
            ),
            "!argo-ignore",
        ),
        (
            (
                "/spec/ignoreDifferences",
                json!([{"group": "apps", "kind": "Deployment", "name": "other", "jsonPointers": ["/spec/replicas"]}]),
            ),
            "",
        ),
        (("/spec/ignoreDifferences", json!([{"group": "apps", "kind": "Deployment", "jsonPointers": ["/metadata/labels"]}])), ""),
        (("/spec/ignoreDifferences", json!([{"group": "", "kind": "Service", "jsonPointers": ["/spec/selector"]}])), ""),
        (("/status", json!({"conditions": [{"type": "ComparisonError", "message": "no"}]})), "argo-not-ready"),
        (("/status", json!({"operationState": {"phase": "Failed", "message": "no"}})), "!argo-not-ready"),
        (("/status", json!({"operationState": {"phase": "Succeeded"}, "health": {"status": "Progressing"}})), ""),
    ];
    for ((pointer, value), expected) in cases {
        assert_eq!(judge(&with(&application(), pointer, value.clone())), expected, "{pointer}: {value}");
    }
}

#[test]
fn ignored_differences_that_are_respected_are_errors() {
    let ignores = with(
        &application(),
        "/spec/ignoreDifferences",
        json!([{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/strategy"]}]),
    );
    assert_eq!(judge(&ignores), "!argo-ignore");
    assert_eq!(judge(&with(&ignores, "/spec/syncPolicy/syncOptions", json!(["RespectIgnoreDifferences=true"]))), "argo-ignore");
}

#[test]
fn routes_and_pruning_matter_to_routed_apps() {
    let routed = Wanted { routes: true, ..app() };
    assert_eq!(judge_app(&routed, &with(&application(), "/spec/syncPolicy/automated/prune", json!(false))), "argo-prune");
    let weights = json!([{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "jqPathExpressions": [".spec.rules[].backendRefs[].weight"]}]);
    assert_eq!(judge_app(&routed, &with(&application(), "/spec/ignoreDifferences", weights.clone())), "!argo-ignore");
    assert_eq!(judge(&with(&application(), "/spec/ignoreDifferences", weights)), "");
}

#[test]
fn each_setting_that_is_said_mends_its_finding() {
    let cases: Vec<(&str, Value)> = vec![
        ("/spec/syncPolicy/automated", Value::Null),
        ("/spec/syncPolicy/automated/prune", json!(false)),
        ("/spec/syncPolicy/automated/selfHeal", json!(false)),
        ("/spec/syncPolicy/retry/refresh", json!(false)),
        ("/spec/syncPolicy/retry", Value::Null),
        ("/spec/syncPolicy/syncOptions", json!(["Replace=true", "PruneLast=true"])),
        ("/spec/source/targetRevision", json!("main")),
        ("/spec/source/path", json!("apps")),
        ("/spec/source/repoURL", json!("https://git.example.com/other")),
    ];
    for (pointer, wrong) in cases {
        let wrong = with(&application(), pointer, wrong);
        let judged = argocd::judge(&remote(), &[app()], &items(std::slice::from_ref(&wrong)), &good_settings());
        assert_eq!(judged.findings.len(), 1, "{pointer}: {:?}", judged.findings);
        assert_eq!(judge(&patched(&wrong, &setting(&judged.findings[0]))), "", "{pointer}");
    }
}

#[test]
fn several_sources_are_each_looked_at() {
    let sources = json!([{"repoURL": "https://charts.example.com", "chart": "redis", "targetRevision": "1"},
                         {"repoURL": "https://git.example.com/team/apps", "targetRevision": "main", "path": "apps/shop"}]);
    let several = with(&with(&application(), "/spec/source", Value::Null), "/spec/sources", sources);
    assert_eq!(judge(&several), "argo-revision");
    let good = with(
        &several,
        "/spec/sources",
        json!([{"repoURL": "https://git.example.com/team/apps", "targetRevision": "deploy", "path": "apps/shop"}]),
    );
    assert_eq!(judge(&good), "");
}

#[test]
fn the_namespace_of_the_destination_counts_where_none_is_written() {
    let unwritten = Wanted { namespace_is_written: false, namespace: "default".to_owned(), ..app() };
    assert_eq!(judge_app(&unwritten, &application()), "argo-namespace");
    assert_eq!(judge_app(&Wanted { namespace: "shop".to_owned(), ..unwritten }, &application()), "");
}

#[test]
fn two_writers_of_the_live_branch_are_an_error() {
    let hydrator = json!({"drySource": {"repoURL": "https://git.example.com/team/apps", "targetRevision": "main", "path": "apps/shop"},
                          "syncSource": {"targetBranch": "deploy", "path": "apps/shop"}});
    let hydrated = with(&with(&application(), "/spec/source", Value::Null), "/spec/sourceHydrator", hydrator.clone());
    assert_eq!(judge(&hydrated), "argo-hydrator");
    let elsewhere =
        with(&hydrated, "/spec/sourceHydrator/syncSource", json!({"targetBranch": "environments/prod", "path": "apps/shop"}));
    assert_eq!(judge(&elsewhere), "");
}

#[test]
fn windows_of_the_project_are_told() {
    let project = |windows: Value| json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": "default", "namespace": "argocd"}, "spec": {"syncWindows": windows}});
    let judge = |windows: Value| {
        codes(&argocd::judge(&remote(), &[app()], &items(&[application(), project(windows)]), &good_settings()).findings)
    };
    assert_eq!(judge(json!([])), "");
    assert_eq!(
        judge(json!([{"kind": "deny", "schedule": "0 22 * * *", "duration": "8h", "applications": ["sh*"]}])),
        "!argo-window"
    );
    assert_eq!(
        judge(json!([{"kind": "allow", "schedule": "0 8 * * *", "duration": "8h", "namespaces": ["shop"]}])),
        "!argo-window"
    );
    assert_eq!(judge(json!([{"kind": "deny", "schedule": "0 22 * * *", "duration": "8h", "applications": ["other"]}])), "");
}

#[test]
fn argo_cds_own_settings() {
    let judge = |data: Value| codes(&argocd::judge(&remote(), &[app()], &items(&[application()]), &settings(data)).findings);
    let health = "resource.customizations.health.apps_Deployment";
    let old = "apps/Deployment:\n  health.lua: |\n    return {}\n";
    assert_eq!(judge(json!(null)), "!argo-health");
    assert_eq!(judge(json!({health: "return {status = 'Healthy'}"})), "!argo-health");
    assert_eq!(judge(json!({"resource.customizations": old})), "");
    assert_eq!(judge(json!({health: argocd_settings::HEALTH, "timeout.reconciliation": "0s"})), "!argo-interval");
    assert_eq!(judge(json!({health: argocd_settings::HEALTH, "timeout.reconciliation": "60s"})), "");
    let ignore = "jsonPointers:\n- /spec/replicas\n";
    let all = "resource.customizations.ignoreDifferences.all";
    assert_eq!(judge(json!({health: argocd_settings::HEALTH, all: ignore})), "!argo-ignore");
    assert_eq!(judge(json!({health: argocd_settings::HEALTH, all: "managedFieldsManagers:\n- x\n"})), "");
}

#[test]
fn the_health_rule_that_is_said_is_the_one_that_is_known() {
    let judged = argocd::judge(&remote(), &[app()], &items(&[application()]), &settings(json!({})));
    let mended = patched(&settings(json!({}))[0].value, &setting(&judged.findings[0]));
    let judged = argocd::judge(&remote(), &[app()], &items(&[application()]), &items(std::slice::from_ref(&mended)));
    assert_eq!(judged.findings, []);
    assert_eq!(mended["data"]["resource.customizations.health.apps_Deployment"], argocd_settings::HEALTH);
}
