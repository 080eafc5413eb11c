//! Workloads whose controllers have a partition: StatefulSet of Kubernetes, CloneSet, StatefulSet and DaemonSet of Kruise; and the
//! DaemonSet of Kubernetes, which has revisions like theirs and no partition.
//! Pods are always recreated; Kruise's updates in place are not modelled, nor its priorities and scattering.

mod counted;
mod nodes;
mod ordered;

use serde_json::Value;

use crate::manifest::{Object, ObjectKey};
use crate::render::workload::stays_old;
use crate::sim::cluster::amounts::IntOrPercent;
use crate::sim::cluster::pods::{Counts, Pod, ReplicaSet};
use crate::sim::cluster::{Cluster, Event, Status, Work, live};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Controller {
    /// Kubernetes' StatefulSet.
    Native,
    /// Kruise's StatefulSet.
    Ordered,
    /// Kruise's CloneSet.
    Clones,
    /// Kruise's DaemonSet.
    Daemons,
    /// Somebody's own: GameSet of `games.example.com`, which works as a StatefulSet with its fields elsewhere.
    Games,
    /// Kubernetes' DaemonSet.
    Nodes,
}

impl Controller {
    pub(super) fn of(key: &ObjectKey) -> Option<Self> {
        match (key.group.as_str(), key.kind.as_str()) {
            ("apps", "StatefulSet") => Some(Self::Native),
            ("apps.kruise.io", "StatefulSet") => Some(Self::Ordered),
            ("apps.kruise.io", "CloneSet") => Some(Self::Clones),
            ("apps.kruise.io", "DaemonSet") => Some(Self::Daemons),
            ("games.example.com", "GameSet") => Some(Self::Games),
            ("apps", "DaemonSet") => Some(Self::Nodes),
            _ => None,
        }
    }

    /// Labels that it gives to the pods of a revision, of which the first tells revisions apart.
    pub(super) fn labels(self, set: &ReplicaSet) -> Vec<(String, String)> {
        let hash = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        match self {
            Self::Native | Self::Ordered => vec![hash("controller-revision-hash", &set.name)],
            Self::Clones => vec![hash("controller-revision-hash", &set.name), hash("pod-template-hash", &set.hash)],
            Self::Daemons | Self::Nodes => vec![hash("controller-revision-hash", &set.hash)],
            Self::Games => vec![hash("games.example.com/template", &set.hash)],
        }
    }
}

/// What the spec says, with defaults.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spec {
    pub(super) controller: Controller,
    /// Of a DaemonSet, the nodes.
    pub(super) replicas: u32,
    partition: IntOrPercent,
    max_unavailable: IntOrPercent,
    max_surge: IntOrPercent,
    /// One pod after the other, each when the one before is Ready.
    ordered: bool,
    /// The partition is a number of pods, not an ordinal.
    unordered_update: bool,
    paused: bool,
    /// Pods are replaced when somebody deletes them.
    on_delete: bool,
    min_ready_seconds: u32,
    template: Value,
}

impl Spec {
    /// Pods that stay old.
    fn kept(&self) -> u32 {
        match self.partition {
            IntOrPercent::Int(pods) => pods.min(self.replicas),
            IntOrPercent::Percent(percent) => stays_old(u64::from(percent), self.replicas),
        }
    }

    fn may_be_missing(&self) -> u32 {
        let up = match self.controller {
            Controller::Native | Controller::Ordered | Controller::Games => false,
            Controller::Clones => self.max_surge.is_zero(),
            Controller::Daemons | Controller::Nodes => true,
        };
        let pods = self.max_unavailable.of(self.replicas, up);
        if self.max_surge.of(self.replicas, true) > 0 { pods } else { pods.max(1) }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Partitioned {
    pub(super) spec: Spec,
    pub(super) generation: u64,
    pub(super) status: Status,
    /// The revision that all pods had last.
    current: Option<u64>,
}

impl Partitioned {
    pub(super) fn template(&self) -> &Value {
        &self.spec.template
    }
}

/// A pod as its controller sees it.
#[derive(Debug, Clone, Copy)]
struct Seen {
    uid: u64,
    owner: u64,
    ordinal: u32,
    terminating: bool,
    ready: bool,
    available: bool,
}

/// Fields of a StatefulSet that the API server lets anybody change.
const MUTABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

/// Reads a workload whose defaults are filled in.
pub(super) fn spec_of(key: &ObjectKey, object: &Object, live: Option<&Object>, nodes: u32) -> Result<Spec, String> {
    let controller = Controller::of(key).ok_or("no such controller")?;
    let games = controller == Controller::Games;
    let template = if games { "/spec/pods/template" } else { "/spec/template" };
    let template = object.get(template).cloned().ok_or_else(|| format!("{template} is missing"))?;
    live::check_selector(object, &template)?;
    if controller == Controller::Nodes {
        nodes::check(&template)?;
        nodes::check_change(live, object)?;
    }
    if controller == Controller::Native
        && let Some(live) = live
    {
        let fixed = |object: &Object| {
            let mut spec = object.get("/spec").and_then(Value::as_object).cloned().unwrap_or_default();
            MUTABLE.iter().for_each(|field| drop(spec.remove(*field)));
            spec
        };
        if fixed(live) != fixed(object) {
            return Err(format!("spec: updates to fields other than {} are forbidden", MUTABLE.join(", ")));
        }
    }
    let rolling = match controller {
        Controller::Clones => "/spec/updateStrategy",
        Controller::Games => "/spec/update",
        _ => "/spec/updateStrategy/rollingUpdate",
    };
    let amount = |field: &str, otherwise: IntOrPercent| match object.get(&format!("{rolling}/{field}")) {
        None => Ok(otherwise),
        Some(value) => IntOrPercent::read(value).ok_or_else(|| format!("{field}: {value} is neither pods nor percent")),
    };
    let partition = amount(if games { "keep" } else { "partition" }, IntOrPercent::Int(0))?;
    let whole = matches!(partition, IntOrPercent::Int(_));
    if !whole && matches!(controller, Controller::Native | Controller::Ordered | Controller::Games) {
        return Err("rollingUpdate.partition must be a whole number".to_owned());
    }
    let unavailable = match controller {
        Controller::Clones => IntOrPercent::Percent(20),
        _ => IntOrPercent::Int(1),
    };
    let max_surge = amount("maxSurge", IntOrPercent::Int(0))?;
    if controller == Controller::Daemons && !max_surge.is_zero() {
        return Err("the simulated DaemonSet knows no maxSurge".to_owned());
    }
    let parallel = object.text("/spec/podManagementPolicy") == Some("Parallel");
    let is = |pointer: &str| object.get(pointer) == Some(&Value::Bool(true));
    let number = |pointer: &str| object.get(pointer).and_then(Value::as_u64).and_then(|number| u32::try_from(number).ok());
    Ok(Spec {
        controller,
        replicas: match controller {
            Controller::Daemons => nodes,
            Controller::Games => number("/spec/pods/count").unwrap_or(1),
            _ => number("/spec/replicas").unwrap_or(1),
        },
        partition,
        max_unavailable: amount("maxUnavailable", unavailable)?,
        max_surge,
        ordered: !parallel,
        unordered_update: object.get(&format!("{rolling}/unorderedUpdate")).is_some(),
        paused: is(&format!("{rolling}/paused")),
        on_delete: object.text("/spec/updateStrategy/type") == Some("OnDelete"),
        min_ready_seconds: number("/spec/minReadySeconds").unwrap_or(0),
        template,
    })
}

impl Cluster {
    /// So many nodes take a DaemonSet's pods from now on.
    pub fn set_nodes(&mut self, nodes: u32) {
        self.nodes = nodes;
        let daemons = self.partitioned.iter_mut().filter(|(_, set)| set.spec.controller == Controller::Daemons);
        let keys: Vec<ObjectKey> = daemons
            .map(|(key, set)| {
                set.spec.replicas = nodes;
                key.clone()
            })
            .collect();
        keys.into_iter().for_each(|key| self.wake(Work::Deployment(key)));
        self.look_at_nodes();
    }

    pub(super) fn store_partitioned(&mut self, key: &ObjectKey, spec: Spec, changed: bool) {
        match self.partitioned.get_mut(key) {
            Some(workload) => {
                workload.generation += u64::from(changed);
                workload.spec = spec;
            }
            None => {
                let workload = Partitioned { spec, generation: 1, status: Status::default(), current: None };
                self.partitioned.insert(key.clone(), workload);
            }
        }
    }

    pub(super) fn sync_partitioned(&mut self, key: &ObjectKey) {
        let Some(mut spec) = self.partitioned.get(key).map(|workload| workload.spec.clone()) else { return };
        if spec.controller == Controller::Nodes {
            spec.replicas = u32::try_from(self.nodes_of(&spec.template).len()).unwrap_or(u32::MAX);
            if let Some(workload) = self.partitioned.get_mut(key) {
                workload.spec.replicas = spec.replicas;
            }
        }
        let update = self.revision_of(key, &spec);
        let Some(workload) = self.partitioned.get_mut(key) else { return };
        let current = *workload.current.get_or_insert(update);
        let seen = self.seen(key, &spec);
        match spec.controller {
            Controller::Native | Controller::Ordered | Controller::Games => self.sync_ordered(&spec, &seen, current, update),
            Controller::Clones => self.sync_clones(key, &spec, &seen, current, update),
            Controller::Daemons => self.sync_daemons(key, &spec, &seen, update),
            Controller::Nodes => self.sync_nodes(&spec, &seen, update),
        }
        self.write_partitioned_status(key, &spec, update);
    }

    /// The revision of the present template; made where there is none.
    fn revision_of(&mut self, key: &ObjectKey, spec: &Spec) -> u64 {
        let owned = || self.sets.values().filter(|set| set.owner == *key);
        let newest = owned().map(|set| set.revision).max().unwrap_or(0);
        let same = owned().find(|set| set.template == spec.template).map(|set| set.uid);
        if let Some(set) = same.and_then(|uid| self.sets.get_mut(&uid)) {
            // A template that comes back is the newest again, as ControllerRevisions have it.
            set.revision = if set.revision == newest { newest } else { newest + 1 };
            set.min_ready_seconds = spec.min_ready_seconds;
            return set.uid;
        }
        let (uid, hash) = (self.next_uid(), super::deployment::hash_of(&spec.template));
        let set = ReplicaSet {
            uid,
            name: format!("{}-{hash}", key.name),
            hash,
            template: spec.template.clone(),
            replicas: 0,
            min_ready_seconds: spec.min_ready_seconds,
            revision: newest + 1,
            created_at: self.now,
            status: Counts::default(),
            owner: key.clone(),
            annotations: None,
            unseen: false,
        };
        self.sets.insert(uid, set);
        uid
    }

    /// By ordinal, then by age.
    fn seen(&self, key: &ObjectKey, spec: &Spec) -> Vec<Seen> {
        let see = |pod: &Pod| Seen {
            uid: pod.uid,
            owner: pod.owner,
            ordinal: pod.ordinal,
            terminating: pod.terminating,
            ready: !pod.terminating && pod.ready_at.is_some(),
            available: !pod.terminating && pod.available(spec.min_ready_seconds, self.now),
        };
        let mut seen: Vec<Seen> = self.pods_of(key).map(see).collect();
        seen.sort_by_key(|pod| (pod.ordinal, pod.uid));
        seen
    }

    fn make(&mut self, spec: &Spec, revision: u64, ordinal: u32) {
        let Some(set) = self.sets.get(&revision).cloned() else { return };
        self.create_pod(&set, &spec.controller.labels(&set), ordinal);
        self.wake(Work::Deployment(set.owner));
    }

    fn write_partitioned_status(&mut self, key: &ObjectKey, spec: &Spec, update: u64) {
        let pods: Vec<&Pod> = self.pods_of(key).collect();
        let all = super::pods::count(pods.iter().copied(), spec.min_ready_seconds, self.now);
        let new = super::pods::count(pods.iter().copied().filter(|pod| pod.owner == update), spec.min_ready_seconds, self.now);
        let wait = u64::from(spec.min_ready_seconds) * 1000;
        let wake = pods.iter().filter_map(|pod| pod.ready_at).map(|at| at + wait).filter(|at| *at > self.now).min();
        if let Some(set) = self.sets.get_mut(&update) {
            set.status = new;
        }
        if let Some(at) = wake {
            self.schedule(at, Event::Wake(Work::Deployment(key.clone())));
        }
        let Some(workload) = self.partitioned.get_mut(key) else { return };
        if new.pods == spec.replicas && all.pods == spec.replicas && new.ready == spec.replicas {
            workload.current = Some(update);
        }
        workload.status = Status {
            observed_generation: workload.generation,
            replicas: all.pods,
            updated: new.pods,
            ready: all.ready,
            available: all.available,
            unavailable: all.pods.saturating_sub(all.available),
            progressing: None,
            minimum_available: true,
        };
    }
}
