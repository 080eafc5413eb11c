//! Looking at the cluster: what people see, and what Windlass' own observer is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::manifest::{Object, ObjectKey};
use crate::observe::{ObserveError, Observer, Sighting, Target, Workload};
use crate::sim::cluster::partitioned::Controller;
use crate::sim::cluster::{Cluster, Counts, Pod, ReplicaSet, Status};

/// The annotation that carries a commit's identity on a live workload.
const MARK: &str = "/metadata/annotations/windlass.dev~1commit-tree";

impl Cluster {
    /// The key of the workload that a Rollout names.
    pub fn workload(namespace: &str, reference: &crate::api::WorkloadRef) -> ObjectKey {
        ObjectKey {
            group: reference.api_version.split_once('/').map_or("", |(group, _)| group).to_owned(),
            kind: reference.kind.clone(),
            namespace: Some(namespace.to_owned()),
            name: reference.name.clone(),
        }
    }

    /// The key of a Deployment.
    pub fn deployment(namespace: &str, name: &str) -> ObjectKey {
        ObjectKey {
            group: "apps".to_owned(),
            kind: "Deployment".to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        }
    }

    /// A live object, with the API server's defaults.
    pub fn live(&self, key: &ObjectKey) -> Option<&Object> {
        self.objects.get(key)
    }

    pub fn objects(&self) -> impl Iterator<Item = (&ObjectKey, &Object)> {
        self.objects.iter()
    }

    pub fn status(&self, workload: &ObjectKey) -> Option<&Status> {
        let partitioned = self.partitioned.get(workload).map(|workload| &workload.status);
        self.deployments.get(workload).map(|deployment| &deployment.status).or(partitioned)
    }

    /// `metadata.generation` of a Deployment.
    pub fn generation(&self, deployment: &ObjectKey) -> Option<u64> {
        self.deployments.get(deployment).map(|deployment| deployment.generation)
    }

    /// The revisions of a Deployment that still exist, oldest first.
    pub fn revisions(&self, deployment: &ObjectKey) -> Vec<&ReplicaSet> {
        let mut sets: Vec<&ReplicaSet> = self.sets.values().filter(|set| set.owner == *deployment).collect();
        sets.sort_by_key(|set| set.revision);
        sets
    }

    /// The revision whose template is the Deployment's.
    pub fn newest(&self, deployment: &ObjectKey) -> Option<&ReplicaSet> {
        let partitioned = self.partitioned.get(deployment).map(|workload| workload.template());
        let template = self.deployments.get(deployment).map(|deployment| &deployment.spec.template).or(partitioned)?;
        self.sets.values().find(|set| set.owner == *deployment && set.template == *template)
    }

    /// The pods of a Deployment, oldest first, terminating ones included.
    pub fn pods_of(&self, deployment: &ObjectKey) -> impl Iterator<Item = &Pod> {
        self.pods.values().filter(|pod| self.sets.get(&pod.owner).is_some_and(|set| set.owner == *deployment))
    }

    /// Pods of a Deployment that are not terminating, by the text at `pointer` in their template (a JSON pointer, for
    /// example `/spec/containers/0/image`).
    pub fn pods_by(&self, deployment: &ObjectKey, pointer: &str) -> BTreeMap<String, Counts> {
        let mut found: BTreeMap<String, Counts> = BTreeMap::new();
        for set in self.sets.values().filter(|set| set.owner == *deployment) {
            let own = self.pods.values().filter(|pod| pod.owner == set.uid);
            let counts = super::pods::count(own, set.min_ready_seconds, self.now);
            if counts.pods > 0 {
                let text = set.template.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                let sum = found.entry(text.to_owned()).or_default();
                sum.pods += counts.pods;
                sum.ready += counts.ready;
                sum.available += counts.available;
            }
        }
        found
    }
}

impl Observer for Cluster {
    fn observe(&self, target: &Target) -> Result<Sighting, ObserveError> {
        let group = target.api_version.split_once('/').map_or("", |(group, _)| group);
        let key = ObjectKey {
            group: group.to_owned(),
            kind: target.kind.clone(),
            namespace: Some(target.namespace.clone()),
            name: target.name.clone(),
        };
        let controller = Controller::of(&key);
        if controller == Some(Controller::Nodes) {
            return Ok(self.observe_nodes(&key, target));
        }
        if controller.is_none() && (group, target.kind.as_str()) != ("apps", "Deployment") {
            return Err(ObserveError::Refused {
                cause: format!("the simulated cluster runs no {} of {}", target.kind, target.api_version),
                hint: Some("use a Deployment of apps/v1".to_owned()),
            });
        }
        let deployment = self.deployments.get(&key).map(|one| (one.spec.replicas, one.generation, &one.status));
        let partitioned = self.partitioned.get(&key).map(|one| (one.spec.replicas, one.generation, &one.status));
        let (Some((size, generation, status)), Some(live)) = (deployment.or(partitioned), self.objects.get(&key)) else {
            let missing = Some(format!("{key} does not exist"));
            return Ok(Sighting { applied: false, workload: None, missing });
        };
        let missing = match live.text(MARK) {
            Some(mark) if mark == target.mark && status.observed_generation >= generation => None,
            Some(mark) if mark == target.mark => Some(format!("the {} controller has not taken up the change", target.kind)),
            Some(mark) => Some(format!("the live {key} carries {mark}")),
            None => Some(format!("the live {key} carries no windlass.dev/commit-tree")),
        };
        let newest = self.newest(&key);
        let workload = Workload {
            size,
            replicas: status.replicas,
            updated: status.updated,
            updated_ready: newest.map_or(0, |set| set.status.ready),
            ready: status.ready,
            available: status.available,
            revision_label: newest.and_then(|set| match controller {
                // The real observer knows no label of a kind that a repository describes.
                Some(Controller::Games) => None,
                None => Some(("pod-template-hash".to_owned(), set.hash.clone())),
                Some(controller) => controller.labels(set).into_iter().next(),
            }),
            nodes: Vec::new(),
        };
        Ok(Sighting { applied: missing.is_none(), workload: Some(workload), missing })
    }
}

impl Observer for Arc<Mutex<Cluster>> {
    fn observe(&self, target: &Target) -> Result<Sighting, ObserveError> {
        self.lock().unwrap_or_else(PoisonError::into_inner).observe(target)
    }
}
