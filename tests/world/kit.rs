//! Manifests for the tests of the world.

use serde_json::{Value, json};
use windlass::manifest::{Object, ObjectKey, ObjectSet};
use windlass::sim::cluster::Cluster;

pub(super) const NAMESPACE: &str = "shop";
pub(super) const IMAGE: &str = "/spec/containers/0/image";

pub(super) fn key(name: &str) -> ObjectKey {
    Cluster::deployment(NAMESPACE, name)
}

/// What a test says of a Deployment at one step.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) replicas: Option<u32>,
    pub(super) image: &'static str,
    /// Merged into `spec`.
    pub(super) spec: Value,
    /// The template's annotations.
    pub(super) notes: Value,
}

impl Step {
    /// The image with the user's own fields, which are none.
    pub(super) fn plain(replicas: u32, image: &'static str) -> Self {
        Self { replicas: Some(replicas), image, spec: json!({}), notes: json!({}) }
    }

    /// A held rolling update with these bounds.
    pub(super) fn held(replicas: u32, image: &'static str, surge: Value, unavailable: Value) -> Self {
        let spec = json!({
            "minReadySeconds": 2_147_483_646, "progressDeadlineSeconds": 2_147_483_647,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
        });
        Self { replicas: Some(replicas), image, spec, notes: json!({}) }
    }

    /// Design 02, 4: from `from` to `to` updated pods, no old pod goes.
    pub(super) fn grow(replicas: u32, image: &'static str, from: u32, to: u32) -> Self {
        Self::held(replicas, image, json!(to - from), json!(from))
    }

    /// As many old pods go as new ones came.
    pub(super) fn shift(replicas: u32, image: &'static str, to: u32) -> Self {
        Self::held(replicas, image, json!(0), json!(to))
    }

    pub(super) fn with(mut self, field: &str, value: Value) -> Self {
        self.spec[field] = value;
        self
    }

    pub(super) fn note(mut self, name: &str, value: &str) -> Self {
        self.notes[name] = json!(value);
        self
    }

    pub(super) fn deployment(&self, name: &str) -> Object {
        let mut spec = self.spec.clone();
        if let Some(replicas) = self.replicas {
            spec["replicas"] = json!(replicas);
        }
        spec["selector"] = json!({"matchLabels": {"app": name}});
        let mut metadata = json!({"labels": {"app": name}});
        if self.notes.as_object().is_some_and(|notes| !notes.is_empty()) {
            metadata["annotations"] = self.notes.clone();
        }
        spec["template"] = json!({"metadata": metadata, "spec": {"containers": [{"name": "main", "image": self.image}]}});
        let metadata = json!({"name": name, "namespace": NAMESPACE});
        Object::new(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})).unwrap()
    }

    pub(super) fn set(&self, name: &str) -> ObjectSet {
        [self.deployment(name)].into_iter().collect()
    }
}

/// Applies a step and lets it come to rest.
pub(super) fn play(cluster: &mut Cluster, name: &str, step: &Step) {
    cluster.apply(&step.set(name)).unwrap();
    cluster.advance(20_000);
}

/// (pods, Ready) of an image.
pub(super) fn of(cluster: &Cluster, name: &str, image: &str) -> (u32, u32) {
    cluster.pods_by(&key(name), IMAGE).get(image).map_or((0, 0), |counts| (counts.pods, counts.ready))
}
