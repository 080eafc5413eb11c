use serde_json::{Value, json};
use windlass::reconcile::doctor::flux;

use super::{app, codes, items, patched, remote, setting, with};

pub(super) fn kustomization() -> Value {
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "shop", "namespace": "flux-system"},
        "spec": {"interval": "10m", "retryInterval": "30s", "path": "./apps/shop", "prune": true, "wait": false,
                 "sourceRef": {"kind": "GitRepository", "name": "live"}},
    })
}

pub(super) fn source() -> Value {
    json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": "live", "namespace": "flux-system"},
        "spec": {"interval": "1m", "url": "ssh://git@git.example.com/team/apps", "ref": {"branch": "deploy"}},
    })
}

fn judge(kustomization: &Value, source: &Value) -> String {
    let judged = flux::judge(&remote(), &[app()], &items(&[kustomization.clone(), source.clone()]));
    codes(&judged.findings)
}

#[test]
fn good_settings_say_nothing() {
    let judged = flux::judge(&remote(), &[app()], &items(&[kustomization(), source()]));
    assert_eq!(judged.findings, []);
    assert_eq!((judged.applied.len(), judged.applied[0].within), (1, Some(60)));
}

#[test]
fn what_a_kustomization_says_wrong() {
    let cases: Vec<(&str, Value, &str)> = vec![
        ("/spec/wait", json!(true), "flux-wait"),
        (
            "/spec/healthChecks",
            json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "namespace": "shop"}]),
            "flux-wait",
        ),
        (
            "/spec/healthChecks",
            json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "other", "namespace": "shop"}]),
            "",
        ),
        ("/spec/suspend", json!(true), "flux-suspended"),
        ("/spec/prune", json!(false), "!flux-prune"),
        ("/spec/retryInterval", Value::Null, "!flux-retry-interval"),
        ("/spec/retryInterval", json!("5m"), "!flux-retry-interval"),
        ("/spec/force", json!(true), "!flux-force"),
        ("/spec/targetNamespace", json!("elsewhere"), "flux-namespace"),
        ("/spec/targetNamespace", json!("shop"), ""),
        ("/spec/images", json!([{"name": "shop", "newTag": "2"}]), "flux-changes"),
        ("/spec/images", json!([]), ""),
        ("/spec/namePrefix", json!("eu-"), "flux-changes"),
        ("/spec/patches", json!([{"patch": "x"}]), "!flux-changes"),
        ("/spec/components", json!(["../c"]), "!flux-changes"),
        ("/spec/postBuild", json!({"substitute": {"a": "b"}}), "!flux-changes"),
        ("/spec/commonMetadata", json!({"labels": {"a": "b"}}), ""),
        ("/spec/commonMetadata", json!({"annotations": {"windlass.dev/commit-tree": "x"}}), "flux-changes"),
        ("/spec/decryption", json!({"provider": "sops"}), ""),
        ("/spec/kubeConfig", json!({"secretRef": {"name": "eu"}}), "!other-cluster"),
        ("/spec/path", json!("/apps/shop/"), ""),
        ("/spec/path", json!("./apps"), ""),
        ("/spec/path", Value::Null, ""),
        ("/spec/sourceRef", json!({"kind": "GitRepository", "name": "gone"}), "flux-source"),
        (
            "/status",
            json!({"conditions": [{"type": "Ready", "status": "False", "reason": "BuildFailed", "message": "no\nway"}]}),
            "!flux-not-ready",
        ),
        ("/status", json!({"conditions": [{"type": "Ready", "status": "True"}]}), ""),
    ];
    for (pointer, value, expected) in cases {
        assert_eq!(judge(&with(&kustomization(), pointer, value.clone()), &source()), expected, "{pointer}: {value}");
    }
    let waits = with(&kustomization(), "/spec/wait", json!(true));
    let own = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "current": "true"}]);
    assert_eq!(judge(&with(&waits, "/spec/healthCheckExprs", own), &source()), "");
}

#[test]
fn what_a_git_repository_says_wrong() {
    let cases: Vec<(&str, Value, &str)> = vec![
        ("/spec/ref/branch", json!("main"), "flux-branch"),
        ("/spec/ref", Value::Null, "flux-branch"),
        ("/spec/ref/tag", json!("v1"), "flux-branch"),
        ("/spec/ref/semver", json!(">=1"), "flux-branch"),
        ("/spec/url", json!("https://git.example.com/team/other"), "flux-url"),
        ("/spec/url", json!("https://Git.Example.com:443/team/apps/"), ""),
        ("/spec/url", json!("git@git.example.com:team/apps.git"), ""),
        ("/spec/interval", json!("10m"), "!flux-interval"),
        ("/spec/suspend", json!(true), "flux-suspended"),
        ("/spec/verify", json!({"mode": "HEAD"}), "flux-verify"),
        ("/spec/sparseCheckout", json!(["apps/other"]), "flux-sparse"),
        ("/spec/sparseCheckout", json!(["apps"]), ""),
    ];
    for (pointer, value, expected) in cases {
        assert_eq!(judge(&kustomization(), &with(&source(), pointer, value.clone())), expected, "{pointer}: {value}");
    }
}

#[test]
fn each_setting_that_is_said_mends_its_finding() {
    let cases = [
        ("wait", json!(true)),
        ("suspend", json!(true)),
        ("prune", json!(false)),
        ("force", json!(true)),
        ("retryInterval", json!("1h")),
        ("targetNamespace", json!("elsewhere")),
        ("healthChecks", json!([{"kind": "Deployment", "name": "shop"}])),
    ];
    for (field, wrong) in cases {
        let wrong = with(&kustomization(), &format!("/spec/{field}"), wrong);
        let judged = flux::judge(&remote(), &[app()], &items(&[wrong.clone(), source()]));
        assert_eq!(judged.findings.len(), 1, "{field}");
        assert_eq!(judge(&patched(&wrong, &setting(&judged.findings[0])), &source()), "", "{field}");
    }
    let cases = [
        ("/spec/ref/branch", json!("main")),
        ("/spec/ref/tag", json!("v1")),
        ("/spec/url", json!("https://git.example.com/other")),
        ("/spec/interval", json!("1h")),
        ("/spec/suspend", json!(true)),
        ("/spec/sparseCheckout", json!(["docs"])),
    ];
    for (pointer, wrong) in cases {
        let wrong = with(&source(), pointer, wrong);
        let judged = flux::judge(&remote(), &[app()], &items(&[kustomization(), wrong.clone()]));
        assert_eq!(judged.findings.len(), 1, "{pointer}");
        assert_eq!(judge(&kustomization(), &patched(&wrong, &setting(&judged.findings[0]))), "", "{pointer}");
    }
}

#[test]
fn a_canary_that_stays_takes_requests() {
    let routed = super::Wanted { routes: true, ..app() };
    let judged = flux::judge(&remote(), &[routed], &items(&[with(&kustomization(), "/spec/prune", json!(false)), source()]));
    assert_eq!(codes(&judged.findings), "flux-prune");
}

#[test]
fn a_receiver_makes_a_long_interval_good() {
    let receiver = json!({"apiVersion": "notification.toolkit.fluxcd.io/v1", "kind": "Receiver", "metadata": {"name": "hook", "namespace": "flux-system"},
                          "spec": {"resources": [{"kind": "GitRepository", "name": "live"}]}});
    let slow = with(&source(), "/spec/interval", json!("1h"));
    let judged = flux::judge(&remote(), &[app()], &items(&[kustomization(), slow, receiver]));
    assert_eq!((codes(&judged.findings), judged.applied[0].within), (String::new(), Some(0)));
}

#[test]
fn a_folder_with_a_kustomization_file_takes_only_what_that_lists() {
    let remote = super::Remote { kustomizations: vec!["apps".to_owned()], ..remote() };
    let judged = flux::judge(&remote, &[app()], &items(&[with(&kustomization(), "/spec/path", json!("apps")), source()]));
    assert_eq!(judged.applied, []);
}

#[test]
fn the_source_path_is_not_the_live_path() {
    let moved = super::Wanted { live_path: "live/shop".to_owned(), ..app() };
    let judged = flux::judge(&remote(), std::slice::from_ref(&moved), &items(&[kustomization(), source()]));
    assert_eq!(codes(&judged.findings), "flux-path");
    let mended = patched(&kustomization(), &setting(&judged.findings[0]));
    assert_eq!(codes(&flux::judge(&remote(), &[moved], &items(&[mended, source()])).findings), "");
}

#[test]
fn no_text_of_a_secret_address_is_shown() {
    let secret = with(&source(), "/spec/url", json!("https://bot:canary-t0ken@git.example.com/x"));
    let judged = flux::judge(&remote(), &[app()], &items(&[kustomization(), secret]));
    assert!(!format!("{:?}", judged.findings).contains("canary-t0ken"), "{:?}", judged.findings);
}
