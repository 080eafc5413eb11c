//! The Deployment controller, one sync at a time, as kube-controller-manager 1.36 does it. Function names are its own.

use sha2::{Digest, Sha256};

use crate::manifest::ObjectKey;
use crate::sim::cluster::amounts::{Share, proportions};
use crate::sim::cluster::live::{Spec, Strategy};
use crate::sim::cluster::pods::ReplicaSet;
use crate::sim::cluster::{Cluster, Condition, Event, Status, Work};

/// The ReplicaSets of a Deployment at the start of a sync.
struct Sets {
    /// The one whose template is the Deployment's.
    new: Option<u64>,
    /// All others, oldest first.
    old: Vec<u64>,
}

impl Sets {
    fn all(&self) -> impl Iterator<Item = u64> + '_ {
        self.old.iter().copied().chain(self.new)
    }
}

impl Cluster {
    pub(super) fn sync_deployment(&mut self, key: &ObjectKey) {
        let Some(deployment) = self.deployments.get_mut(key) else { return };
        let spec = deployment.spec.clone();
        check_paused(&mut deployment.status, &spec, self.now);
        let sets = self.sets(key, &spec);
        if spec.paused || self.is_scaling_event(&sets, &spec) {
            return self.sync_scale(key, &spec, &sets);
        }
        match spec.strategy {
            Strategy::Recreate => self.rollout_recreate(key, &spec),
            Strategy::Rolling { .. } => self.rollout_rolling(key, &spec),
        }
    }

    /// Finds the ReplicaSets, and gives the newest its revision and the Deployment's `minReadySeconds`.
    fn sets(&mut self, key: &ObjectKey, spec: &Spec) -> Sets {
        let mut owned: Vec<&ReplicaSet> = self.sets.values().filter(|set| set.owner == *key).collect();
        owned.sort_by(|a, b| (a.created_at, &a.name).cmp(&(b.created_at, &b.name)));
        let new = owned.iter().find(|set| set.template == spec.template).map(|set| set.uid);
        let old: Vec<u64> = owned.iter().map(|set| set.uid).filter(|uid| Some(*uid) != new).collect();
        if let Some(set) = new.and_then(|uid| self.sets.get(&uid)) {
            let revision = set.revision.max(self.max_revision(&old) + 1);
            let (min_ready, uid) = (spec.min_ready_seconds, set.uid);
            if set.revision != revision || set.min_ready_seconds != min_ready {
                self.change_set(uid, |set| (set.revision, set.min_ready_seconds) = (revision, min_ready));
            }
            if let Some(deployment) = self.deployments.get_mut(key) {
                deployment.revision = revision;
                if spec.deadline().is_some() && deployment.status.progressing.is_none() {
                    deployment.status.progressing = Some(Condition::new(Some(true), "FoundNewReplicaSet", self.now));
                }
            }
        }
        Sets { new, old }
    }

    fn max_revision(&self, sets: &[u64]) -> u64 {
        sets.iter().filter_map(|uid| self.sets.get(uid)).map(|set| set.revision).max().unwrap_or(0)
    }

    /// As `sets`, and makes the new ReplicaSet where there is none.
    fn sets_with_new(&mut self, key: &ObjectKey, spec: &Spec) -> (Sets, u64) {
        let mut sets = self.sets(key, spec);
        if let Some(new) = sets.new {
            return (sets, new);
        }
        let revision = self.max_revision(&sets.old) + 1;
        let uid = self.next_uid();
        let hash = hash_of(&spec.template);
        let set = ReplicaSet {
            uid,
            name: format!("{}-{hash}", key.name),
            hash,
            template: spec.template.clone(),
            replicas: self.new_rs_new_replicas(&sets, spec, 0),
            min_ready_seconds: spec.min_ready_seconds,
            revision,
            created_at: self.now,
            status: super::Counts::default(),
            owner: key.clone(),
            annotations: Some((spec.replicas, spec.replicas + spec.bounds().0)),
            unseen: true,
        };
        self.sets.insert(uid, set);
        self.wake(Work::ReplicaSet(uid));
        self.wake(Work::Deployment(key.clone()));
        if let Some(deployment) = self.deployments.get_mut(key) {
            deployment.revision = revision;
            if spec.deadline().is_some() {
                set_condition(&mut deployment.status, Condition::new(Some(true), "NewReplicaSetCreated", self.now));
            }
        }
        sets.new = Some(uid);
        (sets, uid)
    }

    fn ordered(&self, sets: impl Iterator<Item = u64>) -> u32 {
        sets.filter_map(|uid| self.sets.get(&uid)).map(|set| set.replicas).sum()
    }

    fn available(&self, sets: impl Iterator<Item = u64>) -> u32 {
        sets.filter_map(|uid| self.sets.get(&uid)).map(|set| set.status.available).sum()
    }

    fn active(&self, sets: impl Iterator<Item = u64>) -> Vec<u64> {
        sets.filter(|uid| self.sets.get(uid).is_some_and(|set| set.replicas > 0)).collect()
    }

    /// How many pods the new ReplicaSet, which has `has`, may have: up to size + surge over all.
    fn new_rs_new_replicas(&self, sets: &Sets, spec: &Spec, has: u32) -> u32 {
        let Strategy::Rolling { surge, .. } = spec.strategy else { return spec.replicas };
        let most = spec.replicas.saturating_add(surge.of(spec.replicas, true));
        let room = most.saturating_sub(self.ordered(sets.all()));
        has + room.min(spec.replicas.saturating_sub(has))
    }

    // --- change of size, pause ---

    fn is_scaling_event(&self, sets: &Sets, spec: &Spec) -> bool {
        self.active(sets.all())
            .iter()
            .filter_map(|uid| self.sets.get(uid)?.annotations)
            .any(|(desired, _)| desired != spec.replicas)
    }

    fn sync_scale(&mut self, key: &ObjectKey, spec: &Spec, sets: &Sets) {
        self.scale_sets(key, spec, sets);
        if spec.paused {
            self.cleanup_deployment(&sets.old, spec);
        }
        self.write_status(key, spec, sets, false);
    }

    fn scale_sets(&mut self, key: &ObjectKey, spec: &Spec, sets: &Sets) {
        // The newest of the old ones stands first here, as the controller sorts them.
        let mut active = self.active(sets.old.iter().rev().copied().chain(sets.new));
        let alone = match active.as_slice() {
            [] => sets.new.or(sets.old.last().copied()),
            [only] => Some(*only),
            _ => None,
        };
        if active.len() < 2 {
            if let Some(uid) = alone {
                self.scale_replica_set(key, uid, spec.replicas, spec, false);
            }
            return;
        }
        if self.is_saturated(sets.new, spec) {
            for uid in self.active(sets.old.iter().copied()) {
                self.scale_replica_set(key, uid, 0, spec, false);
            }
            return;
        }
        if spec.strategy == Strategy::Recreate {
            return;
        }
        let most = spec.replicas + spec.bounds().0;
        let allowed = if spec.replicas > 0 { most } else { 0 };
        let growing = allowed > self.ordered(active.iter().copied());
        let shrinking = allowed < self.ordered(active.iter().copied());
        active.sort_by(|a, b| {
            let (Some(a), Some(b)) = (self.sets.get(a), self.sets.get(b)) else { return std::cmp::Ordering::Equal };
            let age = (a.created_at, &a.name).cmp(&(b.created_at, &b.name));
            let draw = if growing { age.reverse() } else { age };
            if growing || shrinking { b.replicas.cmp(&a.replicas).then(draw) } else { std::cmp::Ordering::Equal }
        });
        let shares: Vec<Share> = active
            .iter()
            .filter_map(|uid| self.sets.get(uid))
            .map(|set| Share { replicas: set.replicas, most_before: set.annotations.map(|(_, most)| most) })
            .collect();
        let counted = self.deployments.get(key).map_or(0, |deployment| deployment.status.replicas);
        for (uid, size) in active.into_iter().zip(proportions(&shares, spec.replicas, most, counted)) {
            self.scale_replica_set(key, uid, size, spec, true);
        }
    }

    fn is_saturated(&self, new: Option<u64>, spec: &Spec) -> bool {
        new.and_then(|uid| self.sets.get(&uid)).is_some_and(|set| {
            let desired = set.annotations.map(|(desired, _)| desired);
            set.replicas == spec.replicas && desired == Some(spec.replicas) && set.status.available == spec.replicas
        })
    }

    /// Says whether the size changed. The annotations are only renewed with it, or where `force` asks for it.
    fn scale_replica_set(&mut self, key: &ObjectKey, uid: u64, size: u32, spec: &Spec, force: bool) -> bool {
        let annotations = Some((spec.replicas, spec.replicas + spec.bounds().0));
        let Some(set) = self.sets.get(&uid) else { return false };
        let changes = set.replicas != size;
        if changes || (force && set.annotations != annotations) {
            self.change_set(uid, |set| (set.replicas, set.annotations) = (size, annotations));
            self.wake(Work::Deployment(key.clone()));
        }
        changes
    }

    fn change_set(&mut self, uid: u64, change: impl FnOnce(&mut ReplicaSet)) {
        let Some(set) = self.sets.get_mut(&uid) else { return };
        change(set);
        set.unseen = true;
        let owner = set.owner.clone();
        self.wake(Work::ReplicaSet(uid));
        self.wake(Work::Deployment(owner));
    }

    // --- rolling update ---

    fn rollout_rolling(&mut self, key: &ObjectKey, spec: &Spec) {
        let (sets, new) = self.sets_with_new(key, spec);
        let moved = self.reconcile_new(key, spec, &sets, new) || self.reconcile_old(key, spec, &sets, new);
        if !moved && self.is_complete(key, spec) {
            self.cleanup_deployment(&sets.old, spec);
        }
        self.write_status(key, spec, &sets, true);
    }

    fn reconcile_new(&mut self, key: &ObjectKey, spec: &Spec, sets: &Sets, new: u64) -> bool {
        let Some(has) = self.sets.get(&new).map(|set| set.replicas) else { return false };
        let size = match has.cmp(&spec.replicas) {
            std::cmp::Ordering::Equal => return false,
            std::cmp::Ordering::Greater => spec.replicas,
            std::cmp::Ordering::Less => self.new_rs_new_replicas(sets, spec, has),
        };
        self.scale_replica_set(key, new, size, spec, false)
    }

    fn reconcile_old(&mut self, key: &ObjectKey, spec: &Spec, sets: &Sets, new: u64) -> bool {
        let old = self.active(sets.old.iter().copied());
        let Some(newest) = self.sets.get(&new) else { return false };
        let unavailable = i64::from(newest.replicas) - i64::from(newest.status.available);
        let least = i64::from(spec.replicas) - i64::from(spec.bounds().1);
        let room = i64::from(self.ordered(sets.all())) - least - unavailable;
        if old.is_empty() || room <= 0 {
            return false;
        }
        // First those that do not serve anyway: a pod that is held by `minReadySeconds` counts among them.
        let mut cleaned = 0;
        for uid in &old {
            let Some(set) = self.sets.get(uid) else { continue };
            if cleaned >= room {
                break;
            }
            let unhealthy = i64::from(set.replicas) - i64::from(set.status.available);
            if unhealthy < 0 {
                // The ReplicaSet was scaled down a moment ago and its counts are of before. The controller takes this for
                // an error and leaves everything else for the next sync: without that, it would scale down twice.
                return false;
            }
            let goes = unhealthy.min(room - cleaned);
            let size = u32::try_from(i64::from(set.replicas) - goes).unwrap_or(0);
            if self.scale_replica_set(key, *uid, size, spec, false) {
                cleaned += goes;
            }
        }
        // Then as many others as are available above the least.
        let spare = i64::from(self.available(sets.all())) - least;
        let mut removed = 0;
        for uid in &old {
            let Some(has) = self.sets.get(uid).map(|set| i64::from(set.replicas)) else { continue };
            let goes = has.min(spare - removed).max(0);
            if self.scale_replica_set(key, *uid, u32::try_from(has - goes).unwrap_or(0), spec, false) {
                removed += goes;
            }
        }
        cleaned + removed > 0
    }

    // --- recreate ---

    fn rollout_recreate(&mut self, key: &ObjectKey, spec: &Spec) {
        let sets = self.sets(key, spec);
        let mut moved = false;
        for uid in self.active(sets.old.iter().copied()) {
            moved |= self.scale_replica_set(key, uid, 0, spec, false);
        }
        // Pods that are on their way out still count here, and only here.
        let remains = self.pods.values().any(|pod| sets.old.contains(&pod.owner))
            || sets.old.iter().filter_map(|uid| self.sets.get(uid)).any(|set| set.status.pods > 0);
        if moved || remains {
            return self.write_status(key, spec, &sets, true);
        }
        let (sets, new) = self.sets_with_new(key, spec);
        self.scale_replica_set(key, new, spec.replicas, spec, false);
        if self.is_complete(key, spec) {
            self.cleanup_deployment(&sets.old, spec);
        }
        self.write_status(key, spec, &sets, true);
    }

    // --- history and status ---

    fn is_complete(&self, key: &ObjectKey, spec: &Spec) -> bool {
        self.deployments.get(key).is_some_and(|deployment| deployment.status.complete(spec, deployment.generation))
    }

    fn cleanup_deployment(&mut self, old: &[u64], spec: &Spec) {
        let Some(limit) = spec.history() else { return };
        let mut sets: Vec<&ReplicaSet> = old.iter().filter_map(|uid| self.sets.get(uid)).collect();
        sets.sort_by(|a, b| (a.revision, a.created_at, &a.name).cmp(&(b.revision, b.created_at, &b.name)));
        let gone: Vec<u64> = sets
            .iter()
            .take(sets.len().saturating_sub(limit))
            .filter(|set| set.status.pods == 0 && set.replicas == 0 && !set.unseen)
            .map(|set| set.uid)
            .collect();
        for uid in gone {
            self.sets.remove(&uid);
        }
    }

    fn write_status(&mut self, key: &ObjectKey, spec: &Spec, sets: &Sets, rolling: bool) {
        let sum = |count: fn(&super::Counts) -> u32| {
            sets.all().filter_map(|uid| self.sets.get(&uid)).map(|set| count(&set.status)).sum::<u32>()
        };
        let available = sum(|counts| counts.available);
        let (replicas, ready) = (sum(|counts| counts.pods), sum(|counts| counts.ready));
        let updated = sets.new.and_then(|uid| self.sets.get(&uid)).map_or(0, |set| set.status.pods);
        let unavailable = self.ordered(sets.all()).saturating_sub(available);
        let enough = available >= spec.replicas.saturating_sub(spec.bounds().1);
        let now = self.now;
        let Some(deployment) = self.deployments.get_mut(key) else { return };
        let was = deployment.status.clone();
        let mut status = Status {
            observed_generation: deployment.generation,
            replicas,
            updated,
            ready,
            available,
            unavailable,
            progressing: was.progressing.clone(),
            minimum_available: enough,
        };
        if rolling {
            let generation = deployment.generation;
            progress(&was, &mut status, spec, generation, now);
        }
        let (changed, standing) = (status != was, status.progressing.clone());
        deployment.status = status;
        if changed {
            self.wake(Work::Deployment(key.clone()));
        } else if let (Some(seconds), Some(condition)) = (spec.deadline(), standing)
            && !self.is_complete(key, spec)
            && condition.reason != "ProgressDeadlineExceeded"
        {
            // A second more than the deadline, as the controller waits.
            let due = (condition.updated_at + u64::from(seconds) * 1000 + 1000).max(now + 1);
            self.schedule(due, Event::Wake(Work::Deployment(key.clone())));
        }
    }
}

/// A pod-template-hash. The real one depends on the controller's Go structs and cannot be computed from the manifest;
/// this one is as good: equal templates, equal hash.
pub(super) fn hash_of(template: &serde_json::Value) -> String {
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let digest = Sha256::digest(template.to_string().as_bytes());
    digest
        .iter()
        .take(10)
        .filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()))
        .map(|byte| char::from(*byte))
        .collect()
}

fn check_paused(status: &mut Status, spec: &Spec, now: u64) {
    let reason = status.progressing.as_ref().map(|condition| condition.reason);
    if spec.deadline().is_none() || reason == Some("ProgressDeadlineExceeded") {
        return;
    }
    let told = reason == Some("DeploymentPaused");
    if spec.paused && !told {
        set_condition(status, Condition::new(None, "DeploymentPaused", now));
    } else if !spec.paused && told {
        set_condition(status, Condition::new(None, "DeploymentResumed", now));
    }
}

/// A condition of the same status and reason keeps its time.
fn set_condition(status: &mut Status, condition: Condition) {
    let same = status.progressing.as_ref().is_some_and(|old| (old.status, old.reason) == (condition.status, condition.reason));
    if !same {
        status.progressing = Some(condition);
    }
}

/// The Progressing condition after a sync.
fn progress(was: &Status, status: &mut Status, spec: &Spec, generation: u64, now: u64) {
    let Some(deadline) = spec.deadline() else {
        status.progressing = None;
        return;
    };
    let done = was.progressing.as_ref().is_some_and(|condition| condition.reason == "NewReplicaSetAvailable");
    if done && status.replicas == status.updated {
        return;
    }
    let old = |status: &Status| i64::from(status.replicas) - i64::from(status.updated);
    let moves =
        status.updated > was.updated || old(status) < old(was) || status.ready > was.ready || status.available > was.available;
    if status.complete(spec, generation) {
        set_condition(status, Condition::new(Some(true), "NewReplicaSetAvailable", now));
    } else if moves {
        status.progressing = Some(Condition::new(Some(true), "ReplicaSetUpdated", now));
    } else if let Some(condition) = &status.progressing
        && condition.reason != "NewReplicaSetAvailable"
        && (condition.reason == "ProgressDeadlineExceeded" || condition.updated_at + u64::from(deadline) * 1000 < now)
    {
        set_condition(status, Condition::new(Some(false), "ProgressDeadlineExceeded", now));
    }
}
