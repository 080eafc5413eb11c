//! A cluster in memory. It takes manifests as an applier would give them and runs the Deployment and ReplicaSet
//! controllers with their real arithmetic, and those of the kinds with a partition by their documented rules, against a clock
//! that the caller moves.
//!
//! Workloads, Services, nginx Ingresses and HTTPRoutes behave; objects of other kinds are kept and do nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::manifest::{Object, ObjectKey, ObjectSet};
use crate::sim::Rng;

mod amounts;
mod applier;
mod deployment;
mod live;
mod observe;
mod partitioned;
mod pods;
mod routing;
mod timeline;
mod told;
mod traffic;

pub use amounts::{IntOrPercent, Share, fenceposts, proportions};
pub use applier::{Applied, Applier, Outcome};
pub use live::Rejected;
pub use pods::{Counts, Pod, READY_AFTER_MS, ReplicaSet, TERMINATION_MS};
pub use timeline::{Point, Timeline};
pub use traffic::{Request, Shares, TrafficError};

/// A Deployment's status, as its controller last wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    pub observed_generation: u64,
    pub replicas: u32,
    pub updated: u32,
    pub ready: u32,
    pub available: u32,
    pub unavailable: u32,
    /// The Progressing condition.
    pub progressing: Option<Condition>,
    /// The Available condition.
    pub minimum_available: bool,
}

impl Status {
    fn complete(&self, spec: &live::Spec, generation: u64) -> bool {
        let size = spec.replicas;
        self.updated == size && self.replicas == size && self.available == size && self.observed_generation >= generation
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `None`: Unknown.
    pub status: Option<bool>,
    pub reason: &'static str,
    /// Milliseconds since the cluster's start.
    pub updated_at: u64,
}

impl Condition {
    fn new(status: Option<bool>, reason: &'static str, updated_at: u64) -> Self {
        Self { status, reason, updated_at }
    }
}

#[derive(Debug, Clone)]
struct Deployment {
    spec: live::Spec,
    generation: u64,
    /// `deployment.kubernetes.io/revision`.
    revision: u64,
    status: Status,
}

/// What waits for a controller.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    Deployment(ObjectKey),
    ReplicaSet(u64),
}

/// What happens at a moment to come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Wake(Work),
    PodReady(u64),
    PodGone(u64),
}

/// The cluster. Two clusters that were given the same calls are equal in everything.
#[derive(Debug, Clone)]
pub struct Cluster {
    namespace: String,
    now: u64,
    controller_lag_ms: u64,
    chance: Option<Rng>,
    uids: u64,
    objects: BTreeMap<ObjectKey, Object>,
    /// What `apply` was given last, by key: fields that were there and are gone are taken back.
    applied: BTreeMap<ObjectKey, Object>,
    deployments: BTreeMap<ObjectKey, Deployment>,
    partitioned: BTreeMap<ObjectKey, partitioned::Partitioned>,
    /// Nodes that can take a DaemonSet's pods.
    nodes: u32,
    /// Of these, the ones that are gone, by number.
    lost_nodes: BTreeSet<u32>,
    sets: BTreeMap<u64, ReplicaSet>,
    pods: BTreeMap<u64, Pod>,
    pending: BTreeSet<Work>,
    events: BTreeSet<(u64, Event)>,
    timeline: Timeline,
}

impl Cluster {
    /// An empty cluster at time 0. Objects that name no namespace go to `namespace`.
    pub fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            now: 0,
            controller_lag_ms: 0,
            chance: None,
            uids: 0,
            objects: BTreeMap::new(),
            applied: BTreeMap::new(),
            deployments: BTreeMap::new(),
            partitioned: BTreeMap::new(),
            nodes: 4,
            lost_nodes: BTreeSet::new(),
            sets: BTreeMap::new(),
            pods: BTreeMap::new(),
            pending: BTreeSet::new(),
            events: BTreeSet::new(),
            timeline: Timeline::default(),
        }
    }

    /// Lets the controllers take turns in an order drawn from `seed`, instead of Deployments first.
    pub fn shuffle(&mut self, seed: u64) {
        self.chance = Some(Rng::new(seed));
    }

    /// Milliseconds from a change of an object until its controller looks at it. Until then `observedGeneration` is old.
    pub fn set_controller_lag(&mut self, ms: u64) {
        self.controller_lag_ms = ms;
    }

    /// Milliseconds since the start.
    pub fn now(&self) -> u64 {
        self.now
    }

    // --- what people and appliers do ---

    /// Makes the cluster hold these objects, as an applier with pruning does: fields that an earlier `apply` set and this
    /// one does not are taken back, objects likewise; what others wrote stays. One object that the API server refuses
    /// stops everything before anything is changed.
    pub fn apply(&mut self, objects: &ObjectSet) -> Result<(), Rejected> {
        let wanted: BTreeSet<ObjectKey> = objects.values().map(|object| live::key_of(object, &self.namespace)).collect();
        self.apply_some(objects, usize::MAX)?;
        let gone: Vec<ObjectKey> = self.applied.keys().filter(|key| !wanted.contains(key)).cloned().collect();
        for key in gone {
            self.delete(&key);
        }
        self.settle();
        Ok(())
    }

    /// An apply that breaks off after `count` objects (in the set's order) and prunes nothing.
    pub fn apply_some(&mut self, objects: &ObjectSet, count: usize) -> Result<(), Rejected> {
        let mut ready = Vec::new();
        for manifest in objects.values() {
            let key = live::key_of(manifest, &self.namespace);
            let mut object = match (self.objects.get(&key), self.applied.get(&key)) {
                (None, _) => manifest.to_value(),
                (Some(live), last) => {
                    let mut live = live.as_map().clone();
                    live::merge(last.map_or(&serde_json::Map::new(), Object::as_map), &mut live, manifest.as_map());
                    serde_json::Value::Object(live)
                }
            };
            if let (Some(namespace), Some(metadata)) = (&key.namespace, object.get_mut("metadata")) {
                metadata["namespace"] = json!(namespace);
            }
            let object = Object::new(object).map_err(|cause| Rejected { key: key.clone(), cause: cause.to_string() })?;
            ready.push((self.admit(key, object)?, manifest.clone()));
        }
        for (admitted, manifest) in ready.into_iter().take(count) {
            self.applied.insert(admitted.key.clone(), manifest);
            self.store(admitted);
        }
        self.settle();
        Ok(())
    }

    /// Somebody changes a live object by hand, or an autoscaler does. Says whether the object is there.
    pub fn edit(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Object)) -> Result<bool, Rejected> {
        let Some(mut object) = self.objects.get(key).cloned() else { return Ok(false) };
        change(&mut object);
        let admitted = self.admit(key.clone(), object)?;
        self.store(admitted);
        self.settle();
        Ok(true)
    }

    /// Sets `spec.replicas` of the live object, as an autoscaler does.
    pub fn scale(&mut self, key: &ObjectKey, replicas: u32) -> Result<bool, Rejected> {
        let path = if key.kind == "GameSet" { ["spec", "pods", "count"].as_slice() } else { &["spec", "replicas"] };
        self.edit(key, |object| object.set(path, json!(replicas)))
    }

    /// Deletes an object, and with a Deployment its pods.
    pub fn delete(&mut self, key: &ObjectKey) {
        self.objects.remove(key);
        self.applied.remove(key);
        self.deployments.remove(key);
        self.partitioned.remove(key);
        let owned: Vec<u64> = self.sets.values().filter(|set| set.owner == *key).map(|set| set.uid).collect();
        for uid in &owned {
            self.sets.remove(uid);
            let pods: Vec<u64> = self.pods.values().filter(|pod| pod.owner == *uid).map(|pod| pod.uid).collect();
            pods.into_iter().for_each(|pod| self.terminate(pod));
        }
        self.settle();
    }

    /// Ends the oldest `count` pods of a Deployment, as a drained node does. Its ReplicaSets make new ones.
    pub fn evict(&mut self, key: &ObjectKey, count: usize) {
        let pods: Vec<u64> = self.pods_of(key).filter(|pod| !pod.terminating).map(|pod| pod.uid).take(count).collect();
        for pod in pods {
            self.terminate(pod);
        }
        self.settle();
    }

    /// A person deletes the pods of a workload that are not Ready.
    pub fn delete_broken(&mut self, key: &ObjectKey) {
        let broken: Vec<u64> = self.pods_of(key).filter(|pod| !pod.serves()).map(|pod| pod.uid).collect();
        broken.into_iter().for_each(|pod| self.terminate(pod));
        self.settle();
    }

    /// Makes the oldest `count` Ready pods of a Deployment unready for good: they run, and their probe fails.
    pub fn sicken(&mut self, key: &ObjectKey, count: usize) {
        let pods: Vec<(u64, u64)> =
            self.pods_of(key).filter(|pod| pod.serves()).map(|pod| (pod.uid, pod.owner)).take(count).collect();
        self.spoil(pods);
    }

    /// The same for Ready pods of the newest revision alone.
    pub fn sicken_newest(&mut self, key: &ObjectKey, count: usize) {
        let both = self.both(key);
        let key = both.as_ref().map(|[_, second]| second).filter(|second| self.objects.contains_key(second)).unwrap_or(key);
        let Some(newest) = self.newest(key).map(|set| set.uid) else { return };
        let pods = self.pods_of(key).filter(|pod| pod.owner == newest && pod.serves());
        let pods: Vec<(u64, u64)> = pods.map(|pod| (pod.uid, pod.owner)).take(count).collect();
        self.spoil(pods);
    }

    fn spoil(&mut self, pods: Vec<(u64, u64)>) {
        for (uid, owner) in pods {
            if let Some(pod) = self.pods.get_mut(&uid) {
                pod.ready_at = None;
            }
            self.wake(Work::ReplicaSet(owner));
        }
        self.settle();
    }

    // --- time ---

    /// Moves the clock to `to` (milliseconds since the start) and lets everything happen that is due. Never goes back.
    pub fn advance_to(&mut self, to: u64) {
        while self.next_event().is_some_and(|at| at <= to) {
            let Some((at, event)) = self.events.pop_first() else { break };
            self.now = self.now.max(at);
            self.happen(event);
            self.settle();
        }
        self.now = self.now.max(to);
    }

    pub fn advance(&mut self, ms: u64) {
        self.advance_to(self.now.saturating_add(ms));
    }

    /// When something happens next, if anything is to happen.
    pub fn next_event(&self) -> Option<u64> {
        self.events.first().map(|(at, _)| *at)
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.events.insert((at, event));
    }

    fn next_uid(&mut self) -> u64 {
        self.uids += 1;
        self.uids
    }

    fn wake(&mut self, work: Work) {
        self.pending.insert(work);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake(work) => self.wake(work),
            Event::PodReady(uid) => {
                let now = self.now;
                if let Some(pod) = self.pods.get_mut(&uid).filter(|pod| !pod.terminating) {
                    pod.ready_at = Some(now);
                    let owner = pod.owner;
                    self.wake(Work::ReplicaSet(owner));
                }
            }
            Event::PodGone(uid) => {
                let Some(pod) = self.pods.remove(&uid) else { return };
                self.let_in(pod.ordinal);
                // Recreate waits for the last old pod to be gone.
                if let Some(owner) = self.sets.get(&pod.owner).map(|set| set.owner.clone()) {
                    self.wake(Work::Deployment(owner));
                }
            }
        }
    }

    /// Lets the controllers work until none of them has anything to do at this moment.
    fn settle(&mut self) {
        loop {
            let waiting = self.pending.len() as u64;
            let turn = self.chance.as_mut().map_or(0, |chance| chance.below(waiting));
            let Some(work) = self.pending.iter().nth(usize::try_from(turn).unwrap_or(0)).cloned() else { break };
            self.pending.remove(&work);
            let owner = match &work {
                Work::Deployment(key) => Some(key.clone()),
                Work::ReplicaSet(uid) => self.sets.get(uid).map(|set| set.owner.clone()),
            };
            match (&work, owner.filter(|owner| self.partitioned.contains_key(owner))) {
                (_, Some(owner)) => self.sync_partitioned(&owner),
                (Work::Deployment(key), None) => self.sync_deployment(key),
                (Work::ReplicaSet(uid), None) => self.sync_replica_set(*uid),
            }
            self.note(&work);
        }
    }

    // --- objects ---

    fn admit(&self, key: ObjectKey, mut object: Object) -> Result<Admitted, Rejected> {
        let refuse = |cause: String| Rejected { key: key.clone(), cause };
        live::defaults(&mut object);
        if partitioned::Controller::of(&key).is_some() {
            let spec = partitioned::spec_of(&key, &object, self.objects.get(&key), self.nodes).map_err(refuse)?;
            return Ok(Admitted { key, object, spec: Some(AdmittedSpec::Partitioned(spec)) });
        }
        if !(key.group == "apps" && key.kind == "Deployment") {
            return Ok(Admitted { key, object, spec: None });
        }
        let selector = self.objects.get(&key).and_then(|live| live.get("/spec/selector"));
        if selector.is_some() && selector != object.get("/spec/selector") {
            return Err(refuse("spec.selector is immutable".to_owned()));
        }
        let spec = live::spec_of(&object).map_err(refuse)?;
        Ok(Admitted { key, object, spec: Some(AdmittedSpec::Deployment(spec)) })
    }

    fn store(&mut self, admitted: Admitted) {
        let Admitted { key, object, spec } = admitted;
        let was = self.objects.insert(key.clone(), object);
        let Some(spec) = spec else { return };
        let changed = was.as_ref().and_then(|was| was.get("/spec")) != self.objects.get(&key).and_then(|now| now.get("/spec"));
        match spec {
            AdmittedSpec::Deployment(spec) => match self.deployments.get_mut(&key) {
                Some(deployment) => {
                    deployment.generation += u64::from(changed);
                    deployment.spec = spec;
                }
                None => {
                    let deployment = Deployment { spec, generation: 1, revision: 0, status: Status::default() };
                    self.deployments.insert(key.clone(), deployment);
                }
            },
            AdmittedSpec::Partitioned(spec) => self.store_partitioned(&key, spec, changed),
        }
        let work = Work::Deployment(key);
        match self.controller_lag_ms {
            0 => self.wake(work),
            lag => self.schedule(self.now + lag, Event::Wake(work)),
        }
    }

    // --- the ReplicaSet controller ---

    fn sync_replica_set(&mut self, uid: u64) {
        let Some(set) = self.sets.get_mut(&uid) else { return };
        set.unseen = false;
        let set = set.clone();
        let own: Vec<&Pod> = self.pods.values().filter(|pod| pod.owner == uid && !pod.terminating).collect();
        // Counted before pods are made or ended: the next sync sees those.
        let status = pods::count(own.iter().copied(), set.min_ready_seconds, self.now);
        let wanted = set.replicas as usize;
        if own.len() < wanted {
            self.create_pods(&set, (wanted - own.len()).min(pods::BURST));
        } else if own.len() > wanted {
            let siblings: Vec<u64> = self.sets.values().filter(|other| other.owner == set.owner).map(|other| other.uid).collect();
            let load = pods::load(self.pods.values().filter(|pod| siblings.contains(&pod.owner)));
            let goes = pods::to_delete(&own, &load, self.now, (own.len() - wanted).min(pods::BURST));
            goes.into_iter().for_each(|pod| self.terminate(pod));
        }
        if status != set.status {
            if let Some(set) = self.sets.get_mut(&uid) {
                set.status = status;
            }
            self.wake(Work::Deployment(set.owner.clone()));
        }
        if status.available < status.ready {
            let wait = u64::from(set.min_ready_seconds) * 1000;
            let due = self.pods.values().filter(|pod| pod.owner == uid && pod.serves()).filter_map(|pod| pod.ready_at);
            if let Some(at) = due.map(|ready| ready + wait).filter(|at| *at > self.now).min() {
                self.schedule(at, Event::Wake(Work::ReplicaSet(uid)));
            }
        }
    }

    fn create_pods(&mut self, set: &ReplicaSet, count: usize) {
        let own = [("pod-template-hash".to_owned(), set.hash.clone())];
        for _ in 0..count {
            self.create_pod(set, &own, 0);
        }
        self.wake(Work::ReplicaSet(set.uid));
    }

    fn create_pod(&mut self, set: &ReplicaSet, own: &[(String, String)], ordinal: u32) {
        let uid = self.next_uid();
        let mut pod = Pod::new(uid, set, own, self.now, &pods::load(self.pods.values()));
        pod.ordinal = ordinal;
        pod.waits = self.is_kept_away(&pod);
        let waits = pod.waits;
        self.pods.insert(uid, pod);
        if waits {
            return;
        }
        if let Some(after) = pods::behaviour(&set.template).ready_after {
            self.schedule(self.now + after, Event::PodReady(uid));
        }
    }

    fn terminate(&mut self, uid: u64) {
        let Some(pod) = self.pods.get_mut(&uid).filter(|pod| !pod.terminating) else { return };
        pod.terminating = true;
        let owner = pod.owner;
        self.schedule(self.now + TERMINATION_MS, Event::PodGone(uid));
        self.wake(Work::ReplicaSet(owner));
    }
}

/// An object that the API server has taken.
struct Admitted {
    key: ObjectKey,
    object: Object,
    spec: Option<AdmittedSpec>,
}

enum AdmittedSpec {
    Deployment(live::Spec),
    Partitioned(partitioned::Spec),
}
