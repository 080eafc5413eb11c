//! Whether Argo CD has applied a commit: every trap is a row.

use serde_json::{Value, json};
use windlass::observe::argocd::{Application, missing};

use super::lineage::{ELSEWHERE, LATER, OLDER, OURS, SUPERSEDED, UNKNOWN, live};

const REPOSITORY: &str = "https://git.example.com/team/apps.git";

/// Everything is well, though the held Deployment keeps it from being Healthy.
pub(super) fn synced() -> Value {
    let source = json!({"repoURL": REPOSITORY, "path": "apps/shop", "targetRevision": "deploy"});
    json!({
        "metadata": {"name": "shop", "namespace": "argocd"},
        "spec": {
            "project": "default", "source": source,
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"},
            "syncPolicy": {"automated": {"prune": true, "selfHeal": true}, "retry": {"limit": 5, "refresh": true}},
        },
        "status": {
            "sync": {"status": "Synced", "revision": OURS, "comparedTo": {"source": source, "destination": {}}},
            "operationState": {
                "phase": "Succeeded", "message": "successfully synced", "startedAt": "2026-01-05T09:00:00Z", "finishedAt": "2026-01-05T09:00:02Z",
                "operation": {"sync": {"revision": OURS}, "initiatedBy": {"automated": true}}, "syncResult": {"revision": OURS},
            },
            "reconciledAt": "2026-01-05T09:00:02Z", "sourceType": "Directory", "health": {"status": "Progressing"},
        },
    })
}

fn judge(value: Value, path: &str) -> Option<String> {
    missing(&serde_json::from_value::<Application>(value).unwrap(), &live(path))
}

fn at(change: impl FnOnce(&mut Value)) -> Option<String> {
    let mut value = synced();
    change(&mut value);
    judge(value, "apps/shop")
}

fn compared(value: &mut Value, revision: &str, status: &str) {
    value["status"]["sync"]["revision"] = json!(revision);
    value["status"]["sync"]["status"] = json!(status);
}

fn operated(value: &mut Value, revision: &str, phase: &str) {
    value["status"]["operationState"]["operation"]["sync"]["revision"] = json!(revision);
    value["status"]["operationState"]["syncResult"]["revision"] = json!(revision);
    value["status"]["operationState"]["phase"] = json!(phase);
}

fn by_hand(value: &mut Value, person: &str) {
    value["status"]["operationState"]["operation"]["initiatedBy"] = json!({"username": person});
}

fn several(value: &mut Value, sources: &Value, revisions: &[&str]) {
    value["spec"].as_object_mut().unwrap().remove("source");
    value["spec"]["sources"] = sources.clone();
    value["status"]["sync"] = json!({"status": "Synced", "revisions": revisions, "comparedTo": {"sources": sources}});
    value["status"]["operationState"]["operation"]["sync"] = json!({"revisions": revisions});
    value["status"]["operationState"]["syncResult"] = json!({"revisions": revisions});
    value["status"]["sourceType"] = json!("");
}

#[test]
fn what_counts_as_applied() {
    assert_eq!(at(|_| {}), None);
    // another app's commit came after ours, and changed none of our manifests: compared, not synced again
    assert_eq!(at(|value| compared(value, LATER, "Synced")), None);
    // the same where ours itself changed nothing that Argo CD applies: compared is enough, since the workload's mark is read, too
    assert_eq!(at(|value| operated(value, OLDER, "Succeeded")), None);
    // a sync of an older commit failed, and what failed is no more
    assert_eq!(at(|value| operated(value, OLDER, "Failed")), None);
    // never synced by anybody: the cluster was like that
    assert_eq!(at(|value| drop(value["status"].as_object_mut().unwrap().remove("operationState"))), None);
    for health in ["Healthy", "Progressing", "Degraded", "Suspended", "Missing"] {
        assert_eq!(at(|value| value["status"]["health"]["status"] = json!(health)), None, "{health}");
    }
    for url in
        ["git@git.example.com:team/apps", "https://GIT.example.com/team/apps", "ssh://git@git.example.com:22/team/apps.git"]
    {
        assert_eq!(
            at(|value| value["spec"]["source"]["repoURL"] = json!(url)).unwrap(),
            "Application argocd/shop was not compared since its source was changed"
        );
        let both = |value: &mut Value| {
            value["spec"]["source"]["repoURL"] = json!(url);
            value["status"]["sync"]["comparedTo"]["source"]["repoURL"] = json!(url);
        };
        assert_eq!(at(both), None, "{url}");
    }
    // an address inside the cluster; the commit proves that it is the same repository
    assert_eq!(
        at(|value| {
            value["spec"]["source"]["repoURL"] = json!("http://gitea.git.svc:3000/x/y");
            value["status"]["sync"]["comparedTo"] = Value::Null;
        }),
        None
    );
    // the source hydrator's application: the rendered branch is synced
    assert_eq!(
        at(|value| {
            value["spec"].as_object_mut().unwrap().remove("source");
            value["spec"]["sourceHydrator"] = json!({
                "drySource": {"repoURL": REPOSITORY, "path": "apps/shop", "targetRevision": "main"},
                "syncSource": {"targetBranch": "deploy", "path": "apps/shop"},
            });
        }),
        None
    );
}

#[test]
fn several_sources() {
    let git = json!({"repoURL": REPOSITORY, "path": "apps/shop", "targetRevision": "deploy"});
    let chart = json!({"repoURL": "https://charts.example.com", "chart": "redis", "targetRevision": "1.2.3"});
    let values = json!({"repoURL": REPOSITORY, "ref": "values", "targetRevision": "main"});
    let other = json!({"repoURL": "https://git.example.com/team/other", "path": ".", "targetRevision": "main"});
    let sources = json!([chart, values, git, other]);
    assert_eq!(at(|value| several(value, &sources, &["1.2.3", ELSEWHERE, OURS, UNKNOWN])), None);
    assert_eq!(
        at(|value| several(value, &sources, &["1.2.3", OURS, OLDER, OURS])).unwrap(),
        "Application argocd/shop was compared with b0b0b0b0b0, which is before the commit"
    );
    // two sources of our live path must both be there
    assert_eq!(
        at(|value| several(value, &json!([git, git]), &[OURS, OLDER])).unwrap(),
        "Application argocd/shop was compared with b0b0b0b0b0, which is before the commit"
    );
    // revisions that are missing
    assert_eq!(at(|value| several(value, &sources, &["1.2.3"])).unwrap(), "Application argocd/shop was not compared yet");
    assert_eq!(
        at(|value| several(value, &json!([chart, values]), &["1.2.3", OURS])).unwrap(),
        "Application argocd/shop does not cover apps/shop: it has no source with manifests in Git"
    );
}

#[test]
fn what_holds_it_up() {
    type Change = fn(&mut Value);
    let table: &[(Change, &str)] = &[
        // compared
        (|value| compared(value, OLDER, "Synced"), "was compared with b0b0b0b0b0, which is before the commit"),
        (|value| compared(value, UNKNOWN, "Synced"), "is at e0e0e0e0e0, which is not known here yet"),
        (
            |value| compared(value, ELSEWHERE, "Synced"),
            "is at d0d0d0d0d0, which is no commit of `deploy` (its targetRevision is `deploy`)",
        ),
        (
            |value| compared(value, SUPERSEDED, "Synced"),
            "is at c0c0c0c0c0, in which somebody has changed the live path again: superseded",
        ),
        (|value| value["status"]["sync"] = Value::Null, "was not compared yet"),
        (|value| value["spec"]["source"]["targetRevision"] = json!("main"), "was not compared since its source was changed"),
        // compared is not applied
        (
            |value| {
                compared(value, OURS, "OutOfSync");
                operated(value, OLDER, "Succeeded");
            },
            "is OutOfSync: its last sync was of b0b0b0b0b0",
        ),
        (|value| compared(value, OURS, "Unknown"), "is Unknown"),
        (
            |value| {
                compared(value, OURS, "OutOfSync");
                operated(value, OLDER, "Succeeded");
                value["spec"]["syncPolicy"] = json!({});
            },
            "is OutOfSync: its last sync was of b0b0b0b0b0; automated sync is off: set `spec.syncPolicy.automated`, or sync it",
        ),
        (
            |value| {
                compared(value, OURS, "OutOfSync");
                value["spec"]["syncPolicy"]["automated"] = json!({"enabled": false, "selfHeal": true});
            },
            "is OutOfSync; automated sync is off: set `spec.syncPolicy.automated`, or sync it",
        ),
        // somebody syncs by hand to another revision
        (
            |value| {
                compared(value, OURS, "OutOfSync");
                operated(value, OLDER, "Succeeded");
                by_hand(value, "alice");
                value["spec"]["syncPolicy"]["automated"] = json!({});
            },
            "is OutOfSync: its last sync was of b0b0b0b0b0, by alice; without selfHeal Argo CD does not sync a commit again: set `spec.syncPolicy.automated.selfHeal: true`, or sync it",
        ),
        (
            |value| {
                compared(value, OURS, "OutOfSync");
                operated(value, ELSEWHERE, "Succeeded");
                by_hand(value, "alice");
            },
            "is OutOfSync: its last sync was of d0d0d0d0d0, by alice",
        ),
        (
            |value| {
                compared(value, OURS, "OutOfSync");
                value["status"]["health"] = json!({"status": "Degraded", "message": "2 pods crash"});
            },
            "is OutOfSync; its health is Degraded 2 pods crash",
        ),
        // an operation is on its way
        (|value| operated(value, OURS, "Running"), "is syncing a0a0a0a0a0"),
        (|value| operated(value, OLDER, "Running"), "is still syncing b0b0b0b0b0, not the commit"),
        (|value| operated(value, UNKNOWN, "Running"), "is still syncing e0e0e0e0e0, a commit that is not known here yet"),
        (
            |value| operated(value, SUPERSEDED, "Running"),
            "is syncing c0c0c0c0c0, in which somebody has changed the live path again: superseded",
        ),
        (
            |value| operated(value, SUPERSEDED, "Succeeded"),
            "was synced to a commit in which somebody has changed the live path again: superseded",
        ),
        (|value| value["operation"] = json!({"sync": {"revision": OURS}}), "is about to begin a sync"),
        (|value| operated(value, OURS, "Terminating"), "is syncing a0a0a0a0a0"),
        (
            |value| {
                value["status"]["operationState"] = json!({"phase": "Running", "operation": {"sync": {}}});
            },
            "is syncing",
        ),
        // a sync that has just begun still shows the result of the one before
        (
            |value| {
                operated(value, OURS, "Running");
                value["status"]["operationState"]["operation"]["sync"]["revision"] = json!(OLDER);
            },
            "is still syncing b0b0b0b0b0, not the commit",
        ),
        // a retry holds on to its revision
        (
            |value| {
                operated(value, OLDER, "Running");
                value["spec"]["syncPolicy"]["retry"] = json!({"limit": 5});
                value["status"]["operationState"]["retryCount"] = json!(2);
            },
            "is still syncing b0b0b0b0b0, not the commit; its retries hold on to that commit: set `spec.syncPolicy.retry.refresh: true`, or end it with `argocd app terminate-op`",
        ),
        // it failed
        (
            |value| {
                compared(value, OURS, "OutOfSync");
                operated(value, OURS, "Failed");
                value["status"]["operationState"]["message"] = json!("one or more objects failed to apply\n(retried 5 times).");
            },
            "could not sync the commit (Failed): one or more objects failed to apply (retried 5 times).",
        ),
        (
            |value| {
                compared(value, OURS, "Synced");
                operated(value, LATER, "Error");
                value["spec"]["syncPolicy"]["automated"] = json!({});
            },
            "could not sync the commit (Error): successfully synced; without selfHeal or retry Argo CD tries a commit only once",
        ),
        // healthy too early: the comparison is older than the sync
        (|value| value["status"]["reconciledAt"] = json!("2026-01-05T09:00:01Z"), "was not compared since its last sync ended"),
        (|value| value["status"]["reconciledAt"] = Value::Null, "was not compared since its last sync ended"),
        (|value| value["status"]["reconciledAt"] = json!("soon"), "was not compared since its last sync ended"),
        // conditions
        (
            |value| {
                value["status"]["conditions"] =
                    json!([{"type": "ComparisonError", "message": "failed to load https://u:p@host"}]);
            },
            "has the condition ComparisonError: failed to load <address>",
        ),
        (
            |value| value["status"]["conditions"] = json!([{"type": "InvalidSpecError", "message": "no"}]),
            "has the condition InvalidSpecError: no",
        ),
        (
            |value| value["status"]["conditions"] = json!([{"type": "SyncError", "message": "no"}]),
            "has the condition SyncError: no",
        ),
        // suspended
        (
            |value| value["metadata"]["annotations"] = json!({"argocd.argoproj.io/skip-reconcile": "true"}),
            "is suspended: remove its annotation argocd.argoproj.io/skip-reconcile",
        ),
        (|value| value["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"), "is being deleted"),
        // not our path, not our repository
        (|value| value["spec"]["source"]["path"] = json!("apps/cart"), "does not cover apps/shop: it has `apps/cart`"),
        (
            |value| value["spec"]["source"]["path"] = json!("apps"),
            "reads the files of `apps` only, not those below: set `directory.recurse: true`, or its path to `apps/shop`",
        ),
        (
            |value| {
                value["spec"]["source"]["repoURL"] = json!("https://user:secret@git.example.com/team/other");
                compared(value, UNKNOWN, "Synced");
            },
            "has no source in git.example.com/team/apps, and is at no commit that is known there (it reads git.example.com/team/other)",
        ),
    ];
    for (change, text) in table {
        assert_eq!(at(change), Some(format!("Application argocd/shop {text}")));
    }
    assert_eq!(
        at(|value| value["status"]["conditions"] = json!([{"type": "SharedResourceWarning", "message": "two"}])),
        None,
        "a warning is no error"
    );
}

#[test]
fn an_application_of_a_whole_branch() {
    let whole = |kind: &str, recurse: bool| {
        let mut value = synced();
        value["status"]["sync"]["comparedTo"] = Value::Null;
        value["status"]["sourceType"] = json!(kind);
        value["spec"]["source"]["path"] = json!(".");
        value["spec"]["source"]["directory"] = json!({"recurse": recurse});
        judge(value, "apps/shop")
    };
    assert_eq!(whole("Directory", true), None);
    assert_eq!(whole("Kustomize", false), None);
    assert!(whole("Directory", false).unwrap().contains("directory.recurse: true"));
    let mut value = synced();
    value["spec"]["source"]["path"] = json!(".");
    value["status"]["sync"]["comparedTo"] = Value::Null;
    assert_eq!(judge(value, ""), None);
}
