//! Where pods may stand: nodes, zones, subsets, and claims that follow a node.

use serde_json::Value;

use super::{Obstacle, Peak, beside, pods, selects};
use crate::api::{Rollout, Style};
use crate::manifest::{Object, ObjectSet};

pub(super) fn of(rollout: &Rollout, live: &ObjectSet, workload: &Object, peak: Peak) -> Vec<Obstacle> {
    let mut found = Vec::new();
    let more = peak.pods > peak.size;
    if more {
        found.extend(apart(workload, peak));
        found.extend(claims(live, workload, peak));
    }
    if peak.mixed {
        found.extend(constraints(workload));
        found.extend(subsets(rollout, live, workload, peak));
    }
    found
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// Pods that must not share a node (or zone): each further one needs one more.
fn apart(workload: &Object, Peak { size, pods, .. }: Peak) -> Vec<Obstacle> {
    let Some(spec) = workload.get("/spec/template/spec") else { return Vec::new() };
    let mut found = Vec::new();
    let mut need = |place: &str, why: &str, hint: &str| {
        found.push(Obstacle {
            object: workload.key(),
            text: format!("{why}: {pods} pods at once need {pods} of `{place}`, where {size} are enough at rest"),
            hint: hint.to_owned(),
        });
    };
    for term in list(spec, "/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution") {
        if selects(term.get("labelSelector"), workload) && !by_version(term) {
            let place = term.get("topologyKey").and_then(Value::as_str).unwrap_or("kubernetes.io/hostname");
            need(
                place,
                "its required podAntiAffinity lets no two pods share one",
                "`preferredDuringSchedulingIgnoredDuringExecution`, or `maxSurge: 0` with a `maxUnavailable`, or spare nodes",
            );
        }
    }
    let ports = list(spec, "/containers").flat_map(|container| list(container, "/ports"));
    if let Some(port) = ports.filter_map(|port| port.get("hostPort")?.as_u64()).find(|port| *port > 0) {
        need(
            "kubernetes.io/hostname",
            &format!("`hostPort: {port}` can be taken once on a node"),
            "`maxSurge: 0` with a `maxUnavailable`, a Service instead of the host's port, or spare nodes",
        );
    }
    found
}

/// Whether a term counts each version for itself.
fn by_version(term: &Value) -> bool {
    list(term, "/matchLabelKeys").any(|key| ["pod-template-hash", "controller-revision-hash"].iter().any(|label| key == label))
}

/// Volumes that one node, or one pod, can have.
fn claims(live: &ObjectSet, workload: &Object, Peak { size, pods, .. }: Peak) -> Vec<Obstacle> {
    let Some(spec) = workload.get("/spec/template/spec") else { return Vec::new() };
    let mut found = Vec::new();
    for volume in list(spec, "/volumes") {
        let Some(name) = volume.pointer("/persistentVolumeClaim/claimName").and_then(Value::as_str) else { continue };
        let Some(claim) = live.find("", "PersistentVolumeClaim", name).filter(|claim| beside(claim, workload)) else { continue };
        let modes: Vec<&str> =
            claim.get("/spec/accessModes").map_or_else(Vec::new, |modes| list(modes, "").filter_map(Value::as_str).collect());
        let who = match modes[..] {
            ["ReadWriteOncePod"] => "pod",
            ["ReadWriteOnce"] => "node",
            _ => continue,
        };
        found.push(Obstacle {
            object: claim.key(),
            text: format!(
                "one {who} at a time can have it (`{}`), and {pods} pods want it at once, where {size} do at rest",
                modes.join(", ")
            ),
            hint: "`maxSurge: 0` with a `maxUnavailable`, `ReadWriteMany`, or a StatefulSet with a claim for each pod".to_owned(),
        });
    }
    found
}

/// Constraints that must hold, and count old and new pods as one.
fn constraints(workload: &Object) -> Vec<Obstacle> {
    let Some(spec) = workload.get("/spec/template/spec") else { return Vec::new() };
    let mut found = Vec::new();
    for constraint in list(spec, "/topologySpreadConstraints") {
        let must = constraint.get("whenUnsatisfiable").and_then(Value::as_str) != Some("ScheduleAnyway");
        if !must || by_version(constraint) || !selects(constraint.get("labelSelector"), workload) {
            continue;
        }
        let key = constraint.get("topologyKey").and_then(Value::as_str).unwrap_or_default();
        let label = if workload.kind() == "Deployment" { "pod-template-hash" } else { "controller-revision-hash" };
        found.push(Obstacle {
            object: workload.key(),
            text: format!(
                "its spread over `{key}` counts old and new pods as one: new ones stay Pending where the place that is due for them \
                 has no room, and may stand all in one"
            ),
            hint: format!("`matchLabelKeys: [{label}]` counts each version for itself; `whenUnsatisfiable: ScheduleAnyway` never waits"),
        });
    }
    found
}

/// OpenKruise's WorkloadSpread: it names one workload, and says how many pods each of its subsets takes.
fn subsets(rollout: &Rollout, live: &ObjectSet, workload: &Object, peak: Peak) -> Vec<Obstacle> {
    let mut found = Vec::new();
    for spread in live.values().filter(|object| (object.group(), object.kind()) == ("apps.kruise.io", "WorkloadSpread")) {
        let names = |field: &str, is: &str| spread.text(&format!("/spec/targetRef/{field}")) == Some(is);
        if !beside(spread, workload) || !names("kind", workload.kind()) || !names("name", workload.name()) {
            continue;
        }
        if rollout.style == Style::Canary {
            found.push(Obstacle {
                object: spread.key(),
                text: format!("it places the pods of `{0}`, not those of `{0}-canary`, which the steps add", workload.name()),
                hint: "place the canary's pods by affinity in the pod template, or update in batches (without \
                       `enableExtraWorkloadForCanary`)"
                    .to_owned(),
            });
            continue;
        }
        let taken: Option<u32> = spread.get("/spec/subsets").and_then(Value::as_array).and_then(|subsets| {
            // A subset without a limit takes all that come.
            subsets
                .iter()
                .try_fold(0u32, |sum, subset| Some(sum.saturating_add(pods(subset.get("maxReplicas")?, peak.size, true)?)))
        });
        if let Some(taken) = taken.filter(|taken| *taken < peak.pods) {
            found.push(Obstacle {
                object: spread.key(),
                text: format!("its subsets take {taken} pods, and {} run at once: the others belong to no subset", peak.pods),
                hint: "leave `maxReplicas` of the last subset out, or let fewer new pods come before old ones go".to_owned(),
            });
        }
    }
    found
}
