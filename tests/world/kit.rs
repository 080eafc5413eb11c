//! Manifests for the tests of the world.

use serde_json::{Value, json};
use windlass::manifest::{Object, ObjectKey, ObjectSet};
use windlass::sim::cluster::Cluster;

pub(crate) const NAMESPACE: &str = "shop";
pub(crate) const IMAGE: &str = "/spec/containers/0/image";

pub(crate) fn key(name: &str) -> ObjectKey {
    Cluster::deployment(NAMESPACE, name)
}

/// What a test says of a Deployment at one step.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) replicas: Option<u32>,
    pub(crate) image: &'static str,
    /// Merged into `spec`.
    pub(crate) spec: Value,
    /// The template's annotations.
    pub(crate) notes: Value,
}

impl Step {
    /// The image with the user's own fields, which are none.
    pub(crate) fn plain(replicas: u32, image: &'static str) -> Self {
        Self { replicas: Some(replicas), image, spec: json!({}), notes: json!({}) }
    }

    /// A held rolling update with these bounds.
    pub(crate) fn held(replicas: u32, image: &'static str, surge: Value, unavailable: Value) -> Self {
        let spec = json!({
            "minReadySeconds": 2_147_483_646, "progressDeadlineSeconds": 2_147_483_647,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
        });
        Self { replicas: Some(replicas), image, spec, notes: json!({}) }
    }

    /// Design 02, 4: from `from` to `to` updated pods, no old pod goes.
    pub(crate) fn grow(replicas: u32, image: &'static str, from: u32, to: u32) -> Self {
        Self::held(replicas, image, json!(to - from), json!(from))
    }

    /// As many old pods go as new ones came.
    pub(crate) fn shift(replicas: u32, image: &'static str, to: u32) -> Self {
        Self::held(replicas, image, json!(0), json!(to))
    }

    pub(crate) fn with(mut self, field: &str, value: Value) -> Self {
        self.spec[field] = value;
        self
    }

    pub(crate) fn note(mut self, name: &str, value: &str) -> Self {
        self.notes[name] = json!(value);
        self
    }

    pub(crate) fn deployment(&self, name: &str) -> Object {
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

    pub(crate) fn set(&self, name: &str) -> ObjectSet {
        [self.deployment(name)].into_iter().collect()
    }
}

/// Applies a step and lets it come to rest.
pub(crate) fn play(cluster: &mut Cluster, name: &str, step: &Step) {
    cluster.apply(&step.set(name)).unwrap();
    cluster.advance(20_000);
}

/// (pods, Ready) of an image.
pub(crate) fn of(cluster: &Cluster, name: &str, image: &str) -> (u32, u32) {
    cluster.pods_by(&key(name), IMAGE).get(image).map_or((0, 0), |counts| (counts.pods, counts.ready))
}
