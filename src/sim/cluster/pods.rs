//! Pods and ReplicaSets, and the ReplicaSet controller.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::ObjectKey;

/// Milliseconds from a pod's start until it is Ready, where its template asks for nothing else.
pub const READY_AFTER_MS: u64 = 300;
/// Milliseconds that a pod needs to end.
pub const TERMINATION_MS: u64 = 200;
/// Nodes that pods are spread over.
pub(super) const NODES: usize = 4;
/// Most pods that one sync creates or deletes (the controller's burst).
pub(super) const BURST: usize = 500;

/// One pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Counts up over the cluster's life.
    pub uid: u64,
    pub labels: BTreeMap<String, String>,
    pub created_at: u64,
    /// Since when it is Ready.
    pub ready_at: Option<u64>,
    /// It was told to end: it takes no requests and no controller counts it.
    pub terminating: bool,
    /// The uid of its ReplicaSet, or of its revision.
    pub(super) owner: u64,
    /// Its number, where pods have one: a StatefulSet's ordinal, a DaemonSet's node.
    pub(super) ordinal: u32,
    /// Another pod keeps it from its node.
    pub(super) waits: bool,
    node: usize,
    crashing: bool,
}

impl Pod {
    /// Ready, and not on its way out.
    pub fn serves(&self) -> bool {
        self.ready_at.is_some() && !self.terminating
    }

    pub(super) fn available(&self, min_ready_seconds: u32, now: u64) -> bool {
        self.ready_at.is_some_and(|at| at + u64::from(min_ready_seconds) * 1000 <= now)
    }
}

/// One revision of a workload: a Deployment's ReplicaSet; of other kinds, the ControllerRevision with its pods.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaSet {
    pub uid: u64,
    pub name: String,
    /// The value of its pods' `pod-template-hash` label.
    pub hash: String,
    /// The pod template, without that label.
    pub template: Value,
    /// Pods as ordered by the Deployment controller.
    pub replicas: u32,
    /// Its own: only the newest ReplicaSet takes the Deployment's value.
    pub min_ready_seconds: u32,
    /// `deployment.kubernetes.io/revision`.
    pub revision: u64,
    pub created_at: u64,
    /// Counts of pods that are not terminating, as the ReplicaSet controller last saw them.
    pub status: Counts,
    pub(super) owner: ObjectKey,
    /// `deployment.kubernetes.io/desired-replicas` and `max-replicas`.
    pub(super) annotations: Option<(u32, u32)>,
    /// Changes of `replicas` and `min_ready_seconds` that its controller has not seen yet.
    pub(super) unseen: bool,
}

/// Pods counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub pods: u32,
    pub ready: u32,
    pub available: u32,
}

/// How a pod of this template behaves: the laboratory's annotations.
pub(super) struct Behaviour {
    pub(super) ready_after: Option<u64>,
    pub(super) crashing: bool,
}

pub(super) fn behaviour(template: &Value) -> Behaviour {
    let note = |key: &str| template.pointer("/metadata/annotations").and_then(|notes| notes.get(key)).and_then(Value::as_str);
    let crashing = note("lab/crash") == Some("true");
    let never = crashing || note("lab/never-ready") == Some("true");
    let after = note("lab/ready-after").and_then(duration_ms).unwrap_or(READY_AFTER_MS);
    Behaviour { ready_after: (!never).then_some(after), crashing }
}

/// Reads `300ms`, `5s`, `1.5s`, `2m`, `1h` and sums of these, as Go writes durations.
fn duration_ms(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c != '.' && !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let factor = match unit {
            "ms" => 1.0,
            "s" => 1000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = tail;
    }
    (!text.is_empty()).then_some(total as u64)
}

impl Pod {
    /// `own`: labels that its controller adds.
    pub(super) fn new(uid: u64, set: &ReplicaSet, own: &[(String, String)], now: u64, load: &[usize; NODES]) -> Self {
        let mut labels: BTreeMap<String, String> = BTreeMap::new();
        for (key, value) in set.template.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten() {
            labels.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
        }
        labels.extend(own.iter().cloned());
        let node = load.iter().enumerate().min_by_key(|(_, pods)| **pods).map_or(0, |(node, _)| node);
        let crashing = behaviour(&set.template).crashing;
        Self {
            uid,
            labels,
            created_at: now,
            ready_at: None,
            terminating: false,
            owner: set.uid,
            ordinal: 0,
            waits: false,
            node,
            crashing,
        }
    }
}

/// Pods per node, of those that are not terminating.
pub(super) fn load<'a>(pods: impl Iterator<Item = &'a Pod>) -> [usize; NODES] {
    let mut load = [0; NODES];
    for pod in pods.filter(|pod| !pod.terminating) {
        if let Some(count) = load.get_mut(pod.node) {
            *count += 1;
        }
    }
    load
}

/// The `count` pods of `own` that go first. The order is the ReplicaSet controller's: not Ready before Ready, then the one
/// that shares its node with more pods of the same Deployment (`load`), then the one that is Ready for less time, then the
/// crashing, then the newer. Times are compared by their magnitude only (powers of two), and a draw is broken by the uid.
pub(super) fn to_delete(own: &[&Pod], load: &[usize; NODES], now: u64, count: usize) -> Vec<u64> {
    let magnitude = |at: u64| (now.saturating_sub(at).saturating_mul(1_000_000)).checked_ilog2().map_or(-1, i64::from);
    let mut ranked: Vec<&Pod> = own.to_vec();
    ranked.sort_by_key(|pod| {
        let rank = load.get(pod.node).copied().unwrap_or(0);
        let ready = pod.ready_at.map_or(0, magnitude);
        (pod.ready_at.is_some(), std::cmp::Reverse(rank), ready, !pod.crashing, magnitude(pod.created_at), pod.uid)
    });
    ranked.into_iter().take(count).map(|pod| pod.uid).collect()
}

/// What the ReplicaSet controller counts.
pub(super) fn count<'a>(pods: impl Iterator<Item = &'a Pod>, min_ready_seconds: u32, now: u64) -> Counts {
    let mut counts = Counts::default();
    for pod in pods.filter(|pod| !pod.terminating) {
        counts.pods += 1;
        counts.ready += u32::from(pod.ready_at.is_some());
        counts.available += u32::from(pod.available(min_ready_seconds, now));
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        assert_eq!(duration_ms("300ms"), Some(300));
        assert_eq!(duration_ms("1m30.5s"), Some(90_500));
        assert_eq!(duration_ms("5"), None);
        assert_eq!(duration_ms(""), None);
    }
}
