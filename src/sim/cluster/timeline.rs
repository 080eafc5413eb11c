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
        let points = self.timeline.0.entry(key).or_default();
        let same = points.last().is_some_and(|last| last.size == size && last.revisions == revisions);
        if !same {
            points.push(Point { at: self.now, size, total, revisions });
        }
    }
}
