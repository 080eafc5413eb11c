//! What workloads with revisions have in common: a status that names the newest revision, and pods that carry its name. Pods are
//! counted one by one, since not every status tells how many updated ones are Ready.

use serde_json::Value;

use crate::observe::{COMMIT_TREE, Sighting, Workload};

/// The label by which these controllers tell the pods of revisions apart. Its value is the revision's name, or the end of it.
const REVISION: &str = "controller-revision-hash";

/// What is the kind's own.
pub(super) struct Reading<'a> {
    pub workload: &'a Value,
    /// All pods that the workload's selector finds.
    pub pods: &'a [Value],
    /// Pods that it shall have.
    pub size: u32,
    /// Updated pods and the Ready ones of them, for a status that names no revision.
    pub without_revision: Option<(u32, u32)>,
}

/// `mark` is what the annotation `windlass.dev/commit-tree` must hold.
pub(super) fn sighting(reading: &Reading<'_>, mark: &str) -> Sighting {
    let Reading { workload, pods, size, without_revision } = reading;
    let uid = text(workload, "/metadata/uid").unwrap_or_default();
    let revision = text(workload, "/status/updateRevision").filter(|name| !name.is_empty());
    let running: Vec<&Value> = pods.iter().filter(|pod| is_owned(pod, uid) && is_running(pod)).collect();
    let updated: Vec<&Value> =
        running.iter().copied().filter(|pod| revision.is_some_and(|revision| is_of(pod, revision))).collect();
    let missing = missing(workload, mark).or_else(|| match (revision, without_revision) {
        (None, None) => Some("its status names no updateRevision: its controller has not seen it yet".to_owned()),
        _ => None,
    });
    let ready = |pods: &[&Value]| count(pods.iter().filter(|pod| is_ready(pod)).count());
    let (new, new_ready) = match (revision, without_revision) {
        (None, Some(counted)) => *counted,
        _ => (count(updated.len()), ready(&updated)),
    };
    let label = updated.first().and_then(|pod| label(pod)).map(|value| (REVISION.to_owned(), value.to_owned()));
    let workload = Workload {
        size: *size,
        replicas: count(running.len()),
        updated: new,
        updated_ready: new_ready,
        ready: ready(&running),
        available: number(workload, "/status/availableReplicas")
            .or_else(|| number(workload, "/status/numberAvailable"))
            .unwrap_or(0),
        revision_label: label,
        nodes: Vec::new(),
    };
    Sighting { applied: missing.is_none(), workload: Some(workload), missing }
}

/// What has not happened yet, in the order in which it happens.
pub(super) fn missing(workload: &Value, mark: &str) -> Option<String> {
    let observed = || workload.pointer("/status/observedGeneration").and_then(Value::as_i64).unwrap_or(0);
    behind(workload, mark).or_else(|| unseen(workload, observed()))
}

/// Whether its controller has seen the workload as it is; `observed` is the generation that its status names.
pub(super) fn unseen(workload: &Value, observed: i64) -> Option<String> {
    let newest = workload.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
    (observed < newest).then(|| format!("the controller has not seen generation {newest} yet"))
}

/// Why the live workload is not the commit's.
pub(super) fn behind(workload: &Value, mark: &str) -> Option<String> {
    let kind = text(workload, "/kind").unwrap_or("workload");
    if workload.pointer("/metadata/deletionTimestamp").is_some() {
        return Some(format!("the live {kind} is being deleted"));
    }
    if mark.is_empty() {
        return Some("the commit carries no commit-tree to look for".to_owned());
    }
    let live = workload.pointer("/metadata/annotations").and_then(|notes| notes.get(COMMIT_TREE)).and_then(Value::as_str);
    match live {
        Some(live) if live == mark => None,
        Some(live) => {
            let (live, mark) = (short(live), short(mark));
            Some(format!("the live {kind} carries commit-tree {live}, not {mark}: not applied yet"))
        }
        None => Some(format!("the live {kind} carries no commit-tree: {} is not applied yet", short(mark))),
    }
}

pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer).and_then(Value::as_str)
}

pub(super) fn number(object: &Value, pointer: &str) -> Option<u32> {
    object.pointer(pointer).and_then(Value::as_i64).map(|number| u32::try_from(number).unwrap_or(0))
}

pub(super) fn count(pods: usize) -> u32 {
    u32::try_from(pods).unwrap_or(u32::MAX)
}

pub(super) fn is_owned(pod: &Value, uid: &str) -> bool {
    let owners = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array).into_iter().flatten();
    !uid.is_empty()
        && owners.into_iter().any(|owner| owner["controller"] == Value::Bool(true) && owner["uid"].as_str() == Some(uid))
}

/// Neither ended nor told to end.
pub(super) fn is_running(pod: &Value) -> bool {
    pod.pointer("/metadata/deletionTimestamp").is_none() && !matches!(text(pod, "/status/phase"), Some("Failed" | "Succeeded"))
}

pub(super) fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    conditions.into_iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn label(pod: &Value) -> Option<&str> {
    pod.pointer("/metadata/labels")?.get(REVISION)?.as_str().filter(|value| !value.is_empty())
}

fn is_of(pod: &Value, revision: &str) -> bool {
    label(pod).is_some_and(|own| own == revision || revision.strip_suffix(own).is_some_and(|before| before.ends_with('-')))
}

/// The first characters of an id; what is no id came from somebody else and is not repeated.
fn short(id: &str) -> &str {
    match id.get(..8) {
        Some(start) if id.chars().all(|c| c.is_ascii_alphanumeric()) => start,
        _ => "of another form",
    }
}
