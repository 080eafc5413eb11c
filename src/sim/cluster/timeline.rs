//! What was Ready when: the record that promises about capacity are checked against.

use std::collections::BTreeMap;

use crate::manifest::ObjectKey;
use crate::sim::cluster::{Cluster, Counts, Work};

/// How a Deployment stood from a moment on, until its next point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Milliseconds since the cluster's start.
    pub at: u64,
    /// `spec.replicas`; 0 once the Deployment is deleted.
    pub size: u32,
    /// Pods that are not terminating, over all revisions. "Available" is by each revision's own `minReadySeconds`.
    pub total: Counts,
    /// By `pod-template-hash`; revisions without pods are left out.
    pub revisions: BTreeMap<String, Counts>,
}

/// Every change that was seen, in order. Several points may have the same time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline(BTreeMap<ObjectKey, Vec<Point>>);

impl Timeline {
    pub fn points(&self, deployment: &ObjectKey) -> &[Point] {
        self.0.get(deployment).map_or(&[], Vec::as_slice)
    }

    /// The fewest Ready pods from `since` to `until` (both included), counting how things stood at `since`. `None`: the
    /// Deployment did not exist then.
    pub fn fewest_ready(&self, deployment: &ObjectKey, since: u64, until: u64) -> Option<u32> {
        let points = self.points(deployment);
        let standing = points.iter().rev().find(|point| point.at < since);
        let within = points.iter().filter(|point| (since..=until).contains(&point.at));
        standing.into_iter().chain(within).map(|point| point.total.ready).min()
    }

    /// The most pods at once in that time.
    pub fn most_pods(&self, deployment: &ObjectKey, since: u64, until: u64) -> Option<u32> {
        let points = self.points(deployment);
        let standing = points.iter().rev().find(|point| point.at < since);
        let within = points.iter().filter(|point| (since..=until).contains(&point.at));
        standing.into_iter().chain(within).map(|point| point.total.pods).max()
    }
}

impl Cluster {
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Notes how the Deployment behind `work` stands, where that is new.
    pub(super) fn note(&mut self, work: &Work) {
        let key = match work {
            Work::Deployment(key) => key.clone(),
            Work::ReplicaSet(uid) => match self.sets.get(uid) {
                Some(set) => set.owner.clone(),
                None => return,
            },
        };
        if let Some(both) = self.both(&key) {
            self.note_nodes(&both);
            return;
        }
        let partitioned = self.partitioned.get(&key).map_or(0, |workload| workload.spec.replicas);
        let size = self.deployments.get(&key).map_or(partitioned, |deployment| deployment.spec.replicas);
        let mut total = Counts::default();
        let mut revisions = BTreeMap::new();
        for set in self.sets.values().filter(|set| set.owner == key) {
            let own = self.pods.values().filter(|pod| pod.owner == set.uid);
            let counts = super::pods::count(own, set.min_ready_seconds, self.now);
            if counts.pods > 0 {
                total.pods += counts.pods;
                total.ready += counts.ready;
                total.available += counts.available;
                revisions.insert(set.hash.clone(), counts);
            }
        }
        self.put(key, size, total, revisions);
    }

    /// Of a DaemonSet that goes by nodes, what counts is the nodes that have a pod, whichever of the two it comes from.
    fn note_nodes(&mut self, both: &[ObjectKey; 2]) {
        let mut nodes: BTreeMap<u32, Counts> = BTreeMap::new();
        let mut revisions: BTreeMap<String, Counts> = BTreeMap::new();
        for (set, pod) in both.iter().flat_map(|key| self.pods_of(key)).filter_map(|pod| Some((self.sets.get(&pod.owner)?, pod)))
        {
            let own = super::pods::count(std::iter::once(pod), set.min_ready_seconds, self.now);
            let node = nodes.entry(pod.ordinal).or_default();
            *node = Counts {
                pods: node.pods.max(own.pods),
                ready: node.ready.max(own.ready),
                available: node.available.max(own.available),
            };
            let sum = revisions.entry(set.name.clone()).or_default();
            *sum = add(*sum, own);
        }
        let total = nodes.into_values().fold(Counts::default(), add);
        let [key, _] = both;
        let size = if self.partitioned.contains_key(key) { self.nodes_of_both(both) } else { 0 };
        self.put(key.clone(), size, total, revisions);
    }

    fn put(&mut self, key: ObjectKey, size: u32, total: Counts, revisions: BTreeMap<String, Counts>) {
        let points = self.timeline.0.entry(key).or_default();
        let same = points.last().is_some_and(|last| last.size == size && last.total == total && last.revisions == revisions);
        if !same {
            points.push(Point { at: self.now, size, total, revisions });
        }
    }
}

fn add(a: Counts, b: Counts) -> Counts {
    Counts { pods: a.pods + b.pods, ready: a.ready + b.ready, available: a.available + b.available }
}
