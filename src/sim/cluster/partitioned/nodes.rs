//! Kubernetes' DaemonSet: a pod on each node that its template fits. The sums are those of `manage`, `podsShouldBeOnNode` and
//! `rollingUpdate` of its controller (1.36), without back-off; templates choose nodes by `matchFields` alone. The scheduler is there
//! as far as one pod keeps another from its node, by a required anti-affinity among the pods of a node.

use serde_json::{Map, Value, json};

use super::{Controller, Seen, Spec};
use crate::manifest::{Object, ObjectKey};
use crate::observe::kubernetes::daemon_set;
use crate::observe::{Sighting, Target};
use crate::sim::cluster::{Cluster, Event, Pod, Work};

const TERMS: &str = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
const APART: &str = "/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution";

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The name of a node, by its number.
pub(in crate::sim) fn name(number: u32) -> String {
    format!("node-{}", number.saturating_add(1))
}

/// What the API server says of the nodes that a template chooses.
pub(super) fn check(template: &Value) -> Result<(), String> {
    for field in list(template, TERMS).iter().flat_map(|term| list(term, "/matchFields")) {
        if list(field, "/values").len() != 1 {
            return Err(
                "matchFields: must be only one value when `operator` is 'In' or 'NotIn' for node field selector".to_owned()
            );
        }
    }
    Ok(())
}

/// Whether a pod of this template may be on the node.
fn fits(template: &Value, node: &str) -> bool {
    let field = |field: &Value| {
        let is = list(field, "/values").iter().any(|value| value == node);
        is == (field["operator"] == "In")
    };
    let term = |term: &Value| {
        let fields = list(term, "/matchFields");
        !fields.is_empty() && fields.iter().all(field)
    };
    template.pointer(TERMS).is_none() || list(template, TERMS).iter().any(term)
}

/// Whether the pods of `template` keep those with `labels` from their node.
fn keeps_away(template: &Value, labels: &std::collections::BTreeMap<String, String>) -> bool {
    let wanted = |rule: &Value| {
        let own = rule.pointer("/labelSelector/matchLabels").and_then(Value::as_object).cloned().unwrap_or_default();
        own.iter().all(|(key, value)| labels.get(key).map(String::as_str) == value.as_str())
            && list(rule, "/labelSelector/matchExpressions").iter().all(|rule| {
                let is = labels.contains_key(rule["key"].as_str().unwrap_or_default());
                is != (rule["operator"] == "DoesNotExist")
            })
    };
    list(template, APART).iter().any(wanted)
}

impl Cluster {
    /// The numbers of the nodes that pods of this template may be on.
    pub(super) fn nodes_of(&self, template: &Value) -> Vec<u32> {
        (0..self.nodes).filter(|node| !self.lost_nodes.contains(node) && fits(template, &name(*node))).collect()
    }

    /// A node is gone for good, with its pods.
    pub fn lose_node(&mut self, number: u32) {
        self.lost_nodes.insert(number);
        self.look_at_nodes();
    }

    /// Wakes the controllers that go by nodes.
    pub(super) fn look_at_nodes(&mut self) {
        let daemons = self.partitioned.iter().filter(|(_, set)| set.spec.controller == Controller::Nodes);
        let keys: Vec<ObjectKey> = daemons.map(|(key, _)| key.clone()).collect();
        keys.into_iter().for_each(|key| self.wake(Work::Deployment(key)));
        self.settle();
    }

    pub(super) fn sync_nodes(&mut self, spec: &Spec, seen: &[Seen], update: u64) {
        let nodes = self.nodes_of(&spec.template);
        let active = |node: u32| seen.iter().filter(move |pod| pod.ordinal == node && !pod.terminating);
        for node in &nodes {
            if !seen.iter().any(|pod| pod.ordinal == *node) {
                self.make(spec, update, *node);
            }
        }
        let astray: Vec<u64> = seen.iter().filter(|pod| !nodes.contains(&pod.ordinal)).map(|pod| pod.uid).collect();
        astray.into_iter().for_each(|pod| self.terminate(pod));
        if spec.on_delete {
            return;
        }
        let of = |node: u32| (active(node).find(|pod| pod.owner == update), active(node).find(|pod| pod.owner != update));
        if spec.max_surge.is_zero() {
            let missing = |node: &&u32| match of(**node) {
                (Some(new), None) => !new.available,
                (None, Some(_)) => false,
                _ => true,
            };
            let missing = u32::try_from(nodes.iter().filter(missing).count()).unwrap_or(u32::MAX);
            let mut room = spec.may_be_missing().saturating_sub(missing);
            for node in &nodes {
                let (None, Some(old)) = of(*node) else { continue };
                if !old.available || room > 0 {
                    room = room.saturating_sub(u32::from(old.available));
                    self.terminate(old.uid);
                }
            }
            return;
        }
        let surging = nodes.iter().filter(|node| matches!(of(**node), (Some(new), Some(_)) if !new.available)).count();
        let most = spec.max_surge.of(spec.replicas, true);
        let mut room = most.saturating_sub(u32::try_from(surging).unwrap_or(u32::MAX));
        for node in &nodes {
            match of(*node) {
                (Some(new), Some(old)) if new.available => self.terminate(old.uid),
                (None, Some(old)) if !old.available || room > 0 => {
                    room = room.saturating_sub(u32::from(old.available));
                    self.make(spec, update, *node);
                }
                _ => {}
            }
        }
    }

    /// Whether the pod must wait for another one to leave its node.
    pub(in crate::sim::cluster) fn is_kept_away(&self, pod: &Pod) -> bool {
        let template = |pod: &Pod| self.sets.get(&pod.owner).map(|set| &set.template);
        let by_nodes =
            |pod: &Pod| self.sets.get(&pod.owner).is_some_and(|set| Controller::of(&set.owner) == Some(Controller::Nodes));
        let Some(own) = template(pod).filter(|_| by_nodes(pod)) else { return false };
        let others = self.pods.values().filter(|other| other.uid != pod.uid && other.ordinal == pod.ordinal && !other.waits);
        others.filter(|other| by_nodes(other)).any(|other| {
            keeps_away(own, &other.labels) || template(other).is_some_and(|template| keeps_away(template, &pod.labels))
        })
    }

    /// A pod has left its node: those that waited for that start.
    pub(in crate::sim::cluster) fn let_in(&mut self, ordinal: u32) {
        let waiting: Vec<u64> =
            self.pods.values().filter(|pod| pod.waits && pod.ordinal == ordinal && !pod.terminating).map(|pod| pod.uid).collect();
        for uid in waiting {
            let Some(pod) = self.pods.get(&uid).filter(|pod| !self.is_kept_away(pod)) else { continue };
            let ready = self.sets.get(&pod.owner).and_then(|set| super::super::pods::behaviour(&set.template).ready_after);
            if let Some(pod) = self.pods.get_mut(&uid) {
                pod.waits = false;
            }
            if let Some(after) = ready {
                self.schedule(self.now + after, Event::PodReady(uid));
            }
        }
    }

    /// The DaemonSet and its canary, as the API tells of them, to the reader of real clusters.
    pub(in crate::sim::cluster) fn observe_nodes(&self, key: &ObjectKey, target: &Target) -> Sighting {
        let Some(own) = self.told(key) else {
            return Sighting { applied: false, workload: None, missing: Some(format!("{key} does not exist")) };
        };
        let second = ObjectKey { name: format!("{}-canary", key.name), ..key.clone() };
        let pods: Vec<Value> =
            [key, &second].into_iter().flat_map(|key| self.pods_of(key).map(move |pod| told_pod(key, pod))).collect();
        daemon_set::sighting(&own, self.told(&second).as_ref(), &pods, &target.mark)
    }

    fn told(&self, key: &ObjectKey) -> Option<Value> {
        let (object, workload) = (self.objects.get(key)?, self.partitioned.get(key)?);
        let mut value = object.to_value();
        value["metadata"]["uid"] = json!(key.name);
        value["metadata"]["generation"] = json!(workload.generation);
        value["status"] = json!({
            "observedGeneration": workload.status.observed_generation,
            "desiredNumberScheduled": workload.spec.replicas,
            "numberAvailable": workload.status.available,
        });
        Some(value)
    }

    /// The user's DaemonSet that `key` is, or is the canary of; and both.
    pub(in crate::sim::cluster) fn both(&self, key: &ObjectKey) -> Option<[ObjectKey; 2]> {
        if Controller::of(key) != Some(Controller::Nodes) {
            return None;
        }
        let own = key
            .name
            .strip_suffix("-canary")
            .map_or_else(|| key.clone(), |name| ObjectKey { name: name.to_owned(), ..key.clone() });
        let second = ObjectKey { name: format!("{}-canary", own.name), ..own.clone() };
        Some([own, second])
    }

    /// Nodes that either shall be on.
    pub(in crate::sim::cluster) fn nodes_of_both(&self, both: &[ObjectKey; 2]) -> u32 {
        let sets = both.iter().filter_map(|key| self.partitioned.get(key));
        let nodes: std::collections::BTreeSet<u32> = sets.flat_map(|set| self.nodes_of(&set.spec.template)).collect();
        u32::try_from(nodes.len()).unwrap_or(u32::MAX)
    }
}

fn told_pod(key: &ObjectKey, pod: &Pod) -> Value {
    let labels: Map<String, Value> = pod.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let mut told = json!({
        "metadata": {"labels": labels, "ownerReferences": [{"controller": true, "uid": key.name}]},
        "spec": {"nodeName": name(pod.ordinal)},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if pod.serves() { "True" } else { "False" }}]},
    });
    if pod.terminating {
        told["metadata"]["deletionTimestamp"] = json!("now");
    }
    told
}

/// Whether the API server would let `object` take the place of `live`.
pub(super) fn check_change(live: Option<&Object>, object: &Object) -> Result<(), String> {
    let selector = live.and_then(|live| live.get("/spec/selector"));
    if selector.is_some() && selector != object.get("/spec/selector") {
        return Err("spec.selector is immutable".to_owned());
    }
    Ok(())
}
