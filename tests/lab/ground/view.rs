//! What a cluster shows of one app, from the objects as they were at a moment.

use std::collections::BTreeMap;

use serde_json::Value;
use windlass::sim::scenario::Picture;

use crate::lab::rests::version;
use crate::lab::watch::Change;

const CANARY: &str = "nginx.ingress.kubernetes.io/canary";
const WEIGHT: &str = "nginx.ingress.kubernetes.io/canary-weight";

/// The newest form of every object of a namespace.
#[derive(Default)]
pub(super) struct View<'c>(BTreeMap<(&'c str, &'c str), &'c Value>);

impl<'c> View<'c> {
    pub(super) fn take(&mut self, change: &'c Change) {
        let key = (change.kind.as_str(), change.name.as_str());
        match change.deleted {
            true => self.0.remove(&key),
            false => self.0.insert(key, &change.object),
        };
    }

    /// After all changes, in the order of the cluster's own versions: several watches bring them.
    pub(super) fn after(changes: &'c mut [Change]) -> Self {
        changes.sort_by_key(|change| version(&change.object));
        let mut view = Self::default();
        changes.iter().for_each(|change| view.take(change));
        view
    }

    fn of(&self, kind: &str) -> impl Iterator<Item = &'c Value> {
        self.0.iter().filter(move |((other, _), _)| *other == kind).map(|(_, object)| *object)
    }

    pub(super) fn deployment(&self, name: &str) -> Option<&'c Value> {
        self.0.get(&("Deployment", name)).copied()
    }

    /// Pods of the Deployment and shares of its requests, by the pods' label `version`.
    pub(super) fn picture(&self, name: &str) -> Picture {
        let mut picture = Picture::default();
        for set in self.of("ReplicaSet").filter(|set| set["metadata"]["labels"]["app"] == name) {
            let count = |field: &str| u32::try_from(set["status"][field].as_u64().unwrap_or(0)).unwrap();
            if count("replicas") > 0 {
                let sum = picture.pods.entry(label(set)).or_default();
                *sum = (sum.0 + count("readyReplicas"), sum.1 + count("replicas"));
            }
        }
        for (service, part) in self.backends(name) {
            let pods = self.endpoints(&service);
            if pods.is_empty() {
                picture.nobody += part;
            }
            for version in &pods {
                *picture.shares.entry(version.clone()).or_default() += part / pods.len() as f64;
            }
        }
        picture
    }

    /// Services that plain requests go to, with their parts; nginx' way.
    fn backends(&self, name: &str) -> Vec<(String, f64)> {
        let mut weight = 0.0;
        let (mut main, mut canary) = (name.to_owned(), None);
        for ingress in self.of("Ingress") {
            let backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"].as_str();
            let backend = backend.unwrap_or_default().to_owned();
            let note = |key: &str| ingress["metadata"]["annotations"][key].as_str();
            if note(CANARY) == Some("true") {
                weight = note(WEIGHT).and_then(|weight| weight.parse::<f64>().ok()).unwrap_or(0.0) / 100.0;
                canary = Some(backend);
            } else {
                main = backend;
            }
        }
        let mut backends = vec![(main, 1.0 - weight)];
        backends.extend(canary.filter(|_| weight > 0.0).map(|canary| (canary, weight)));
        backends
    }

    /// The versions of a Service's Ready pods.
    pub(super) fn endpoints(&self, service: &str) -> Vec<String> {
        let mut found = Vec::new();
        for slice in self.of("EndpointSlice") {
            if slice["metadata"]["labels"]["kubernetes.io/service-name"] != service {
                continue;
            }
            for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
                if endpoint["conditions"]["ready"] == false {
                    continue;
                }
                let pod = endpoint["targetRef"]["name"].as_str().unwrap_or_default();
                let set = pod.rsplit_once('-').map_or("", |(set, _)| set);
                found.push(self.0.get(&("ReplicaSet", set)).map_or_else(String::new, |set| label(set)));
            }
        }
        found
    }
}

fn label(set: &Value) -> String {
    set["spec"]["template"]["metadata"]["labels"]["version"].as_str().unwrap_or_default().to_owned()
}

/// Every moment at which a part of the requests went to nobody, once all of them had been answered.
pub(super) fn unanswered(changes: &mut [Change], name: &str) -> Vec<String> {
    changes.sort_by_key(|change| version(&change.object));
    let (mut view, mut served, mut found) = (View::default(), false, Vec::new());
    for (index, change) in changes.iter().enumerate() {
        view.take(change);
        let picture = view.picture(name);
        let unanswered = picture.nobody > 0.0;
        served |= !unanswered;
        if served && unanswered {
            found.push(format!("after change {index}, of {} {}: {picture}", change.kind, change.name));
        }
    }
    found
}
