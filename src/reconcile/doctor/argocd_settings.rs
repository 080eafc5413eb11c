//! `argocd-cm`, and differences that Argo CD is told not to see.

use serde_json::Value;

use super::finding::{Area::Applier, Finding};
use super::objects::{Item, Wanted, fits};
use crate::manifest;

/// Makes a Deployment that Windlass holds Healthy as soon as all its pods are Ready; every other one is judged as Argo CD does
/// by itself (gitops-engine, `pkg/health/health_deployment.go`).
pub const HEALTH: &str = include_str!("health.lua");

/// The ConfigMap with the rule, as it is merged into what is there.
pub fn health_patch(namespace: &str) -> String {
    let data = serde_json::json!({"resource.customizations.health.apps_Deployment": HEALTH});
    let map = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm", "namespace": namespace}, "data": data});
    manifest::write_value(&map)
}

/// Judges Argo CD's own settings.
pub fn rules(map: &Item, apps: &[&Wanted]) -> Vec<Finding> {
    let mut found = Vec::new();
    let subject = map.subject();
    let data = |key: &str| map.value.pointer("/data").and_then(|data| data.get(key)).and_then(Value::as_str);
    let old_form = data("resource.customizations").is_some_and(|text| {
        manifest::values("resource.customizations", text)
            .is_ok_and(|documents| documents.iter().any(|one| one.value.pointer("/apps~1Deployment/health.lua").is_some()))
    });
    match data("resource.customizations.health.apps_Deployment") {
        Some(rule) if rule.contains("minReadySeconds") => {}
        _ if old_form => {}
        other => {
            let seen = if other.is_some() {
                "its health rule for Deployments does not know held ones (`minReadySeconds: 2147483646`)"
            } else {
                "there is no health rule for held Deployments"
            };
            found.push(
                Finding::warning("argo-health", Applier, &subject, seen)
                    .so("a Deployment that is held at a step shows as Progressing all the time: commits are applied all the same, but sync waves, apps of apps, notifications and `argocd app wait` wait for it")
                    .mend_exactly("add this rule (it applies at once)", health_patch(map.namespace())),
            );
        }
    }
    if data("timeout.reconciliation").is_some_and(|time| matches!(time.trim(), "0" | "0s")) {
        found.push(
            Finding::warning("argo-interval", Applier, &subject, "`timeout.reconciliation` is 0: Argo CD does not look at Git by itself")
                .so("a commit waits for a webhook; a webhook that is lost holds the release until the deadline of its step")
                .mend_exactly("look every few minutes too", format!("kubectl -n {} patch configmap argocd-cm --type merge -p '{{\"data\":{{\"timeout.reconciliation\":\"120s\"}}}}'", map.namespace())),
        );
    }
    for key in ["all", "apps_Deployment"] {
        let Some(text) = data(&format!("resource.customizations.ignoreDifferences.{key}")) else { continue };
        let Ok(documents) = manifest::values("ignoreDifferences", text) else { continue };
        for document in documents {
            let mut rule = document.value;
            if let Value::Object(rule) = &mut rule {
                let group = if key == "all" { "*" } else { "apps" };
                rule.insert("group".to_owned(), group.into());
                rule.insert("kind".to_owned(), if key == "all" { "*" } else { "Deployment" }.into());
            }
            found.extend(ignored(map, &[rule], &format!("{subject}, `resource.customizations.ignoreDifferences.{key}`"), apps));
        }
    }
    found
}

/// Fields that Windlass writes, and how they are shown.
const WRITTEN: [(&str, &str); 5] = [
    ("/spec/strategy", ".spec.strategy"),
    ("/spec/minReadySeconds", ".spec.minReadySeconds"),
    ("/spec/progressDeadlineSeconds", ".spec.progressDeadlineSeconds"),
    ("/spec/template", ".spec.template"),
    ("/metadata/annotations", ".metadata.annotations"),
];
/// Its replicas: part of Git, but harmless where nobody else changes them.
const REPLICAS: (&str, &str) = ("/spec/replicas", ".spec.replicas");
/// Fields of routes and Services.
const ROUTES: [(&str, &str, &str); 4] = [
    ("HTTPRoute", "/spec", ".spec"),
    ("Service", "/spec/selector", ".spec.selector"),
    ("Ingress", "/metadata/annotations", ".metadata.annotations"),
    ("Ingress", "/spec", ".spec"),
];

/// Differences that are not seen (`ignoreDifferences`), in fields that a step changes.
pub fn ignored(item: &Item, rules: &[Value], subject: &str, apps: &[&Wanted]) -> Vec<Finding> {
    let respected = item.list("/spec/syncPolicy/syncOptions").iter().any(|option| option == "RespectIgnoreDifferences=true");
    let mut found = Vec::new();
    for rule in rules {
        let word = |field: &str| rule.get(field).and_then(Value::as_str).unwrap_or_default();
        for app in apps {
            let is_workload = fits(word("kind"), &app.workload.kind)
                && fits(word("group"), app.workload.api_version.split('/').next().unwrap_or_default())
                && (word("name").is_empty() || word("name") == app.workload.name)
                && (word("namespace").is_empty() || word("namespace") == app.namespace);
            let described = app.workload.described.as_ref().map(|kind| [&kind.replicas, &kind.template, &kind.partition]);
            let described = described.map(|paths| paths.map(|path| (path.pointer(), format!(".{path}"))));
            let mut fields: Vec<(&str, &str)> = Vec::new();
            if is_workload {
                fields.extend(WRITTEN);
                fields.push(REPLICAS);
                let own = described.iter().flatten().map(|(pointer, path)| (pointer.as_str(), path.as_str()));
                let more: Vec<(&str, &str)> = own.filter(|field| !fields.contains(field)).collect();
                fields.extend(more);
            }
            if app.routes {
                fields.extend(
                    ROUTES.iter().filter(|(kind, ..)| fits(word("kind"), kind)).map(|(_, pointer, path)| (*pointer, *path)),
                );
            }
            let hit: Vec<&str> =
                fields.iter().filter(|(pointer, path)| hides(rule, pointer, path)).map(|(_, path)| *path).collect();
            if hit.is_empty() {
                continue;
            }
            let seen = format!(
                "`ignoreDifferences` of {} hides {}, which Windlass writes for {}",
                word("kind"),
                hit.join(", "),
                app.app
            );
            let finding = if respected {
                Finding::error(
                    "argo-ignore",
                    Applier,
                    subject,
                    format!("{seen}, and `RespectIgnoreDifferences=true` keeps them as they are"),
                )
                .so("the step's fields never reach the cluster: pods or requests go further than the step says, or not at all")
            } else {
                Finding::warning("argo-ignore", Applier, subject, seen)
                    .so("somebody's change of them in the cluster is neither seen nor put back, and a step's pods are then not what Git says")
            };
            found.push(finding.mend("remove this entry: what Git says is what runs, so nothing needs to be ignored"));
        }
    }
    found
}

/// Whether a rule leaves out a field, what is below it, or what it lies in.
fn hides(rule: &Value, pointer: &str, path: &str) -> bool {
    let texts = |field: &str| rule.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let overlap = |one: &str, other: &str, separators: &[char]| {
        let below = |long: &str, short: &str| {
            long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with(separators))
        };
        below(one, other) || below(other, one)
    };
    texts("jsonPointers").any(|other| overlap(other, pointer, &['/']))
        || texts("jqPathExpressions").any(|other| overlap(other.trim(), path, &['.', '[', ' ', '|', '?']))
}
