//! Whether Flux has applied a commit: every trap is a row.

use serde_json::{Value, json};
use windlass::observe::flux::{Kustomization, missing};

use super::lineage::{ELSEWHERE, LATER, OLDER, OURS, SUPERSEDED, UNKNOWN, live};

/// Everything is well.
fn applied() -> Value {
    json!({
        "metadata": {"name": "shop", "namespace": "flux-system", "generation": 3},
        "spec": {"path": "./apps/shop", "prune": true, "wait": false, "sourceRef": {"kind": "GitRepository", "name": "live"}},
        "status": {
            "observedGeneration": 3,
            "lastAppliedRevision": format!("deploy@sha1:{OURS}"),
            "lastAttemptedRevision": format!("deploy@sha1:{OURS}"),
            "conditions": [{"type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "message": "Applied revision"}],
        },
    })
}

fn at(change: impl FnOnce(&mut Value)) -> Option<String> {
    let mut value = applied();
    change(&mut value);
    missing(&serde_json::from_value::<Kustomization>(value).unwrap(), &live("apps/shop"))
}

fn revision(value: &mut Value, applied: &str, attempted: &str) {
    value["status"]["lastAppliedRevision"] = json!(format!("deploy@sha1:{applied}"));
    value["status"]["lastAttemptedRevision"] = json!(format!("deploy@sha1:{attempted}"));
}

fn ready(value: &mut Value, status: &str, reason: &str, message: &str) {
    value["status"]["conditions"] = json!([{"type": "Ready", "status": status, "reason": reason, "message": message}]);
}

/// As kustomize-controller 1.7 says it while it works on a commit, with the newest word on health.
fn working(value: &mut Value, status: &str, reason: &str, message: &str) {
    revision(value, OLDER, OURS);
    ready(value, "Unknown", "Progressing", "Reconciliation in progress");
    let healthy = json!({"type": "Healthy", "status": status, "reason": reason, "message": message});
    value["status"]["conditions"].as_array_mut().unwrap().push(healthy);
}

const CHECKS: &str = "Running health checks for revision deploy@sha1:a0 with a timeout of 30s";
const TIMED_OUT: &str = "timeout waiting for: [Deployment/shop/checkout status: 'InProgress']";
const WAITS: &str = "is at b0b0b0b0b0, which is before the commit; it waits for its health, which a Deployment that is held at a step never has: set `spec.wait: false`, or give `spec.healthCheckExprs` for it";

#[test]
fn what_counts_as_applied() {
    assert_eq!(at(|_| {}), None);
    // another app's commit came after ours
    assert_eq!(at(|value| revision(value, LATER, LATER)), None);
    // which fails: ours is applied all the same
    assert_eq!(
        at(|value| {
            revision(value, LATER, UNKNOWN);
            ready(value, "False", "BuildFailed", "kustomize build failed");
        }),
        None
    );
    for form in [format!("sha1:{OURS}"), format!("refs/heads/deploy@sha1:{OURS}"), format!("deploy/{OURS}"), OURS.to_owned()] {
        assert_eq!(at(|value| value["status"]["lastAppliedRevision"] = json!(form)), None, "{form}");
    }
    for path in ["apps/shop", "./apps", "./", "", "/apps/shop/"] {
        assert_eq!(at(|value| value["spec"]["path"] = json!(path)), None, "{path}");
    }
    assert_eq!(at(|value| drop(value["spec"].as_object_mut().unwrap().remove("path"))), None);
    // an artifact that says which commit it was made from
    assert_eq!(
        at(|value| {
            value["spec"]["sourceRef"] = json!({"kind": "OCIRepository", "name": "live"});
            value["status"]["lastAppliedRevision"] =
                json!("latest@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
            value["status"]["lastAppliedOriginRevision"] = json!(format!("deploy@sha1:{OURS}"));
        }),
        None
    );
}

#[test]
fn what_holds_it_up() {
    let begins = "Kustomization flux-system/shop ";
    type Change = fn(&mut Value);
    let table: &[(Change, &str)] = &[
        (|value| revision(value, OLDER, OLDER), "is at b0b0b0b0b0, which is before the commit"),
        (|value| revision(value, OLDER, OURS), "is at b0b0b0b0b0, which is before the commit; it is applying the commit"),
        (|value| revision(value, UNKNOWN, UNKNOWN), "is at e0e0e0e0e0, which is not known here yet"),
        (|value| revision(value, ELSEWHERE, ELSEWHERE), "is at d0d0d0d0d0, which is no commit of `deploy`"),
        (
            |value| revision(value, SUPERSEDED, SUPERSEDED),
            "is at c0c0c0c0c0, in which somebody has changed the live path again: superseded",
        ),
        // not ours any more as soon as the other one is begun
        (
            |value| revision(value, OURS, SUPERSEDED),
            "is at c0c0c0c0c0, in which somebody has changed the live path again: superseded",
        ),
        (|value| value["status"] = json!({"observedGeneration": 3}), "has applied nothing yet"),
        (|value| value["spec"]["suspend"] = json!(true), "is suspended: `flux resume kustomization shop -n flux-system`"),
        (|value| value["metadata"]["generation"] = json!(4), "was changed, and Flux has not taken up generation 4 yet"),
        (|value| value["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"), "is being deleted"),
        (|value| value["spec"]["path"] = json!("./apps/cart"), "does not cover apps/shop: its path is `./apps/cart`"),
        (|value| value["spec"]["path"] = json!("./apps/shop/base"), "does not cover apps/shop: its path is `./apps/shop/base`"),
        (
            |value| {
                revision(value, OLDER, OURS);
                ready(value, "False", "BuildFailed", "kustomize build failed: https://user:secret@host/x");
            },
            "is at b0b0b0b0b0, which is before the commit; BuildFailed: kustomize build failed: <address>",
        ),
        (
            |value| {
                revision(value, OLDER, OLDER);
                ready(value, "False", "DependencyNotReady", "dependency 'flux-system/infra' is not ready");
            },
            "is at b0b0b0b0b0, which is before the commit; DependencyNotReady: dependency 'flux-system/infra' is not ready",
        ),
        // it waits for a health that a held Deployment never has
        (
            |value| {
                value["spec"]["wait"] = json!(true);
                revision(value, OLDER, OURS);
                ready(value, "Unknown", "Progressing", "Running health checks for revision deploy@sha1:a0 with a timeout of 5m");
            },
            WAITS,
        ),
        (
            |value| {
                value["spec"]["wait"] = json!(true);
                revision(value, OLDER, OLDER);
                ready(
                    value,
                    "False",
                    "HealthCheckFailed",
                    "timeout waiting for: [Deployment/shop/checkout status: 'InProgress']",
                );
            },
            WAITS,
        ),
        (
            |value| {
                value["spec"]["healthChecks"] = json!([{"kind": "Deployment", "name": "checkout", "namespace": "shop"}]);
                revision(value, OLDER, OURS);
                ready(value, "Unknown", "Progressing", "Running health checks for revision deploy@sha1:a0 with a timeout of 5m");
            },
            "is at b0b0b0b0b0, which is before the commit; it waits for its health, which a Deployment that is held at a step never has: remove the workload from `spec.healthChecks`, or give `spec.healthCheckExprs` for it",
        ),
        // while it checks, and while it tries again after a check that failed
        (
            |value| {
                value["spec"]["wait"] = json!(true);
                working(value, "Unknown", "Progressing", CHECKS);
            },
            WAITS,
        ),
        (
            |value| {
                value["spec"]["wait"] = json!(true);
                working(value, "False", "HealthCheckFailed", TIMED_OUT);
            },
            WAITS,
        ),
        // the check before this commit's was passed
        (
            |value| {
                value["spec"]["wait"] = json!(true);
                working(value, "True", "Succeeded", "Health check passed in 1s");
            },
            "is at b0b0b0b0b0, which is before the commit; it is applying the commit",
        ),
        // what a check said before the setting was changed
        (
            |value| working(value, "False", "HealthCheckFailed", TIMED_OUT),
            "is at b0b0b0b0b0, which is before the commit; it is applying the commit",
        ),
        (
            |value| {
                value["status"]["conditions"] =
                    json!([{"type": "Stalled", "status": "True", "reason": "InvalidCELExpression", "message": "no"}]);
            },
            "is stalled: InvalidCELExpression: no",
        ),
        (
            |value| {
                value["spec"]["sourceRef"] = json!({"kind": "OCIRepository", "name": "live"});
                value["status"]["lastAppliedRevision"] = json!("latest@sha256:00");
            },
            "reads OCIRepository live, whose artifact does not name the commit it was made from (org.opencontainers.image.revision)",
        ),
    ];
    for (change, text) in table {
        assert_eq!(at(change), Some(format!("{begins}{text}")));
    }
}

#[test]
fn the_root_is_a_live_path_too() {
    let mut value = applied();
    value["spec"]["path"] = json!("./apps");
    let text = missing(&serde_json::from_value(value).unwrap(), &live("")).unwrap();
    assert_eq!(text, "Kustomization flux-system/shop does not cover the branch's root: its path is `./apps`");
}
