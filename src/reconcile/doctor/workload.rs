//! The live workload: who else writes to it, and whether it can be released at all.

use serde_json::{Value, json};

use super::finding::{Area::Cluster, Finding};
use super::objects::{Item, Wanted};
use crate::api::WorkloadRef;
use crate::observe::Kind;

/// Every kind that a step can hold, in the versions that its API has.
const KINDS: [Kind; 9] = [
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
pub fn kind(workload: &WorkloadRef) -> Option<Kind> {
    let version = workload.api_version.split_once('/');
    KINDS.into_iter().find(|known| known.kind == workload.kind && version == Some((known.group, known.version)))
}

/// A right: verb, API group, resource.
pub type Right = (&'static str, &'static str, &'static str);

/// What the `kubernetes` observer does with these workloads.
pub fn needed<'a>(workloads: impl IntoIterator<Item = &'a WorkloadRef>) -> Vec<Right> {
    let mut needed: Vec<Right> = Vec::new();
    for Kind { group, kind, plural, .. } in workloads.into_iter().filter_map(kind) {
        let parts = if kind == "Deployment" { ("list", "apps", "replicasets") } else { ("list", "", "pods") };
        for right in [("get", group, plural), parts] {
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
    if live.pointer("/spec/paused") == Some(&json!(true)) {
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
    found.extend(writers(app, live).into_iter().map(|(manager, fields, scales)| {
        let seen = format!("`{manager}` has written {}", fields.join(", "));
        let so = "if it does so again, pods go further or less far than the step says, until the applier puts it back";
        let words = if scales {
            "take the autoscaler or script away that scales it: Windlass writes `spec.replicas` as the source says"
        } else {
            "let only the applier write it; where it was done once and is over, nothing is to be done"
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
fn writers(app: &Wanted, live: &Value) -> Vec<(String, Vec<&'static str>, bool)> {
    let managers = live.pointer("/metadata/managedFields").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut found = Vec::new();
    for entry in managers {
        let word = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        if word("subresource") == "status" || APPLIERS.contains(&word("manager")) {
            continue;
        }
        let scales = word("subresource") == "scale";
        let owns = |(pointer, name): &&(&str, &str)| {
            let is_its_own = app.is_scaled && *name == "spec.replicas";
            !is_its_own && entry.get("fieldsV1").and_then(|fields| fields.pointer(pointer)).is_some()
        };
        let fields: Vec<&'static str> = FIELDS.iter().filter(owns).map(|(_, name)| *name).collect();
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
                .so("Windlass counts pods by the source's `spec.replicas`: the two undo each other, and steps have other sizes than they say")
                .mend_exactly(
                    "keep it in the source beside the workload, and leave `spec.replicas` out there; or remove it",
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
    let rule =
        |((verb, group, resource), _): &(Right, bool)| json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]});
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
