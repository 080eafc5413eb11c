//! The live workload: who else writes to it, and whether it can be released at all.

use serde_json::{Value, json};

use super::described;
use super::finding::{Area::Cluster, Finding};
use super::objects::{Item, Wanted};
use crate::api::WorkloadRef;
use crate::observe::Kind;

/// Every kind that a step can hold, in the versions that its API has.
const KINDS: [Kind<'static>; 9] = [
    Kind { group: "apps", version: "v1", kind: "Deployment", plural: "deployments" },
    Kind { group: "apps", version: "v1", kind: "StatefulSet", plural: "statefulsets" },
    Kind { group: "apps", version: "v1", kind: "DaemonSet", plural: "daemonsets" },
    Kind { group: "apps.kruise.io", version: "v1alpha1", kind: "CloneSet", plural: "clonesets" },
    Kind { group: "apps.kruise.io", version: "v1beta1", kind: "CloneSet", plural: "clonesets" },
    Kind { group: "apps.kruise.io", version: "v1alpha1", kind: "StatefulSet", plural: "statefulsets" },
    Kind { group: "apps.kruise.io", version: "v1beta1", kind: "StatefulSet", plural: "statefulsets" },
    Kind { group: "apps.kruise.io", version: "v1alpha1", kind: "DaemonSet", plural: "daemonsets" },
    Kind { group: "apps.kruise.io", version: "v1beta1", kind: "DaemonSet", plural: "daemonsets" },
];

/// The kind that a Rollout names; `None` where it cannot be released.
pub fn kind(workload: &WorkloadRef) -> Option<Kind<'_>> {
    let (group, version) = workload.api_version.split_once('/')?;
    if let Some(described) = &workload.described {
        return Some(Kind { group, version, kind: &workload.kind, plural: &described.plural });
    }
    KINDS.into_iter().find(|known| (known.kind, known.group, known.version) == (&*workload.kind, group, version))
}

/// A right: verb, API group, resource.
pub type Right<'a> = (&'a str, &'a str, &'a str);

/// What the `kubernetes` observer does with these workloads.
pub fn needed<'a>(workloads: impl IntoIterator<Item = &'a WorkloadRef>) -> Vec<Right<'a>> {
    let mut needed: Vec<Right> = Vec::new();
    for (workload, Kind { group, kind, plural, .. }) in workloads.into_iter().filter_map(|one| Some((one, kind(one)?))) {
        let parts = if kind == "Deployment" { ("list", "apps", "replicasets") } else { ("list", "", "pods") };
        // Of a kind that is described, nothing but its own status is read.
        let parts = workload.described.is_none().then_some(parts);
        for right in [Some(("get", group, plural)), parts].into_iter().flatten() {
            if !needed.contains(&right) {
                needed.push(right);
            }
        }
    }
    needed
}

/// Judges an app's live workload; `None`: it is not in the cluster.
pub fn judge(app: &Wanted, live: Option<&Value>) -> Vec<Finding> {
    let subject = format!("{} {}/{}", app.workload.kind, app.namespace, app.workload.name);
    let Some(live) = live else {
        let finding = if app.is_adopted {
            Finding::error("workload-missing", Cluster, subject, "it is not in this cluster, though the live branch holds it")
                .so(format!("Windlass never sees the commits for {} arrive", app.app))
                .mend_exactly(
                    "look at the applier, and whether this is the cluster that it applies to",
                    format!(
                        "kubectl config current-context\nkubectl -n {} get {} {}",
                        app.namespace,
                        app.workload.kind.to_lowercase(),
                        app.workload.name
                    ),
                )
        } else {
            Finding::fine("workload-missing", Cluster, subject, "not in the cluster yet, and not on the live branch either")
        };
        return vec![finding];
    };
    let mut found = Vec::new();
    if let Some(kind) = &app.workload.described {
        found.extend(described::judge(app, kind, live));
    } else if live.pointer("/spec/paused") == Some(&json!(true)) {
        found.push(
            Finding::error("workload-paused", Cluster, &subject, "`spec.paused` is true in the cluster")
                .so("its controller makes no pods of a new version: each step waits for its deadline")
                .mend_exactly(
                    "let it go on",
                    format!(
                        "kubectl -n {} rollout resume {} {}",
                        app.namespace,
                        app.workload.kind.to_lowercase(),
                        app.workload.name
                    ),
                ),
        );
    }
    let replicas = app.workload.replicas().join(".");
    found.extend(writers(app, live).into_iter().map(|(manager, fields, scales)| {
        let seen = format!("`{manager}` has written {}", fields.join(", "));
        let so = "if it does so again, pods go further or less far than the step says, until the applier puts it back";
        let words = if scales {
            format!("take the autoscaler or script away that scales it: Windlass writes `{replicas}` as the source says")
        } else {
            "let only the applier write it; where it was done once and is over, nothing is to be done".to_owned()
        };
        Finding::warning("other-writer", Cluster, &subject, seen).so(so).mend(words)
    }));
    if found.is_empty() {
        found.push(Finding::fine("workload", Cluster, subject, "found, and written by the applier alone"));
    }
    found
}

/// Those who apply what Git holds; the controllers' own writes go through `status`.
const APPLIERS: [&str; 6] = [
    "argocd-controller",
    "argocd-application-controller",
    "kustomize-controller",
    "helm-controller",
    "flux",
    "flux-client-side-apply",
];
/// What a step writes.
const FIELDS: [(&str, &str); 6] = [
    ("/f:spec/f:replicas", "spec.replicas"),
    ("/f:spec/f:strategy", "spec.strategy"),
    ("/f:spec/f:updateStrategy", "spec.updateStrategy"),
    ("/f:spec/f:minReadySeconds", "spec.minReadySeconds"),
    ("/f:spec/f:paused", "spec.paused"),
    ("/f:spec/f:template", "spec.template"),
];

/// Other managers of the fields that a step writes, and whether they do it by scaling.
fn writers(app: &Wanted, live: &Value) -> Vec<(String, Vec<String>, bool)> {
    let written = match &app.workload.described {
        Some(kind) => described::written(kind),
        None => FIELDS.iter().map(|(pointer, name)| ((*pointer).to_owned(), (*name).to_owned())).collect(),
    };
    let replicas = app.workload.replicas().join(".");
    let managers = live.pointer("/metadata/managedFields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut found = Vec::new();
    for entry in managers {
        let word = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        if word("subresource") == "status" || APPLIERS.contains(&word("manager")) {
            continue;
        }
        let scales = word("subresource") == "scale";
        let owns = |(pointer, name): &&(String, String)| {
            let is_its_own = app.is_scaled && *name == replicas;
            !is_its_own && entry.get("fieldsV1").and_then(|fields| fields.pointer(pointer)).is_some()
        };
        let fields: Vec<String> = written.iter().filter(owns).map(|(_, name)| name.clone()).collect();
        if !fields.is_empty() {
            let manager: String = word("manager").chars().filter(|one| !one.is_control()).take(100).collect();
            found.push((manager, fields, scales));
        }
    }
    found
}

/// Autoscalers (HorizontalPodAutoscaler, KEDA's ScaledObject) of the cluster on our workloads, that Windlass knows nothing of: of one
/// in the source it counts the pods in the cluster, and lets the size be.
pub fn autoscalers(app: &Wanted, items: &[Item]) -> Vec<Finding> {
    let mut found = Vec::new();
    if app.is_scaled {
        return found;
    }
    let replicas = app.workload.replicas().join(".");
    for item in items.iter().filter(|item| item.namespace() == app.namespace) {
        let kind = item.text("/spec/scaleTargetRef/kind").unwrap_or("Deployment");
        if item.text("/spec/scaleTargetRef/name") != Some(&app.workload.name) || kind != app.workload.kind {
            continue;
        }
        // KEDA makes an autoscaler of its own for each ScaledObject.
        let is_made = item.list("/metadata/ownerReferences").iter().any(|owner| owner["kind"] == "ScaledObject");
        if is_made {
            continue;
        }
        found.push(
            Finding::error("autoscaler", Cluster, item.subject(), format!("it scales {} {}, and is not in the source", app.workload.kind, app.workload.name))
                .so(format!("Windlass counts pods by the source's `{replicas}`: the two undo each other, and steps have other sizes than they say"))
                .mend_exactly(
                    format!("keep it in the source beside the workload, and leave `{replicas}` out there; or remove it"),
                    format!("kubectl -n {} delete {} {}", item.namespace(), item.kind().to_lowercase(), item.name()),
                ),
        );
    }
    found
}

/// The rights that an observer needs; each with whether the cluster grants it.
pub fn rights(namespace: &str, asked: &[(Right, bool)]) -> Finding {
    let subject = format!("rights in namespace {namespace}");
    let missing: Vec<String> =
        asked.iter().filter(|(_, may)| !may).map(|((verb, _, resource), _)| format!("{verb} {resource}")).collect();
    if missing.is_empty() {
        let held: Vec<String> = asked.iter().map(|((verb, _, resource), _)| format!("{verb} {resource}")).collect();
        return Finding::fine("rights", Cluster, subject, held.join(", "));
    }
    let rule = |((verb, group, resource), _): &(Right<'_>, bool)| json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]});
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "windlass-reader", "namespace": namespace},
        "rules": asked.iter().map(rule).collect::<Vec<_>>(),
    });
    Finding::error("rights", Cluster, subject, format!("missing: {}", missing.join(", ")))
        .so("Windlass cannot see commits arrive: apps hold with `unreachable` until the deadline of the step")
        .mend_exactly("bind this role to the user that Windlass reads as", crate::manifest::write_value(&role))
}
