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

/// Every moment at which a part of the requests went to nobody, once all of them had been answered. `at_once`: one commit takes away
/// the canary's Ingress, Service and pods; in which order is the applier's choice, so only the stable version's share counts.
pub(super) fn unanswered(changes: &mut [Change], name: &str, at_once: bool) -> Vec<String> {
    changes.sort_by_key(|change| version(&change.object));
    let (mut view, mut served, mut found) = (View::default(), false, Vec::new());
    for (index, change) in changes.iter().enumerate() {
        view.take(change);
        let picture = view.picture(name);
        let unanswered = if at_once { view.endpoints(name).is_empty() } else { picture.nobody > 0.0 };
        served |= !unanswered;
        if served && unanswered {
            found.push(format!("after change {index}, of {} {}: {picture}", change.kind, change.name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(number: u64, kind: &str, name: &str, mut object: Value) -> Change {
        object["metadata"]["resourceVersion"] = json!(number.to_string());
        let (at, kind, name) = (std::time::Duration::ZERO, kind.to_owned(), name.to_owned());
        Change { at, kind, namespace: "shop".to_owned(), name, deleted: false, object }
    }

    fn set(number: u64, version: &str, pods: u32) -> Change {
        let template = json!({"metadata": {"labels": {"version": version}}});
        let status = json!({"replicas": pods, "readyReplicas": pods});
        let object = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"template": template}, "status": status});
        change(number, "ReplicaSet", &format!("web-{version}"), object)
    }

    fn slice(number: u64, service: &str, pods: &[&str]) -> Change {
        let endpoints: Vec<Value> =
            pods.iter().map(|pod| json!({"conditions": {"ready": true}, "targetRef": {"name": pod}})).collect();
        let object = json!({"metadata": {"labels": {"kubernetes.io/service-name": service}}, "endpoints": endpoints});
        change(number, "EndpointSlice", service, object)
    }

    fn canary(number: u64, weight: &str) -> Change {
        let backend = json!({"service": {"name": "web-canary"}});
        let rules = json!([{"http": {"paths": [{"backend": backend}]}}]);
        let notes = json!({CANARY: "true", WEIGHT: weight});
        change(number, "Ingress", "web-canary", json!({"metadata": {"annotations": notes}, "spec": {"rules": rules}}))
    }

    #[test]
    fn a_share_that_nobody_answers_is_seen() {
        let good = [
            slice(1, "web", &[]),
            set(2, "1", 4),
            slice(3, "web", &["web-1-a", "web-1-b", "web-1-c", "web-1-d"]),
            set(4, "2", 1),
            slice(5, "web-canary", &["web-2-a"]),
            canary(6, "20"),
        ];
        let mut changes = good.to_vec();
        assert_eq!(
            View::after(&mut changes).picture("web").to_string(),
            "pods 1: 4 of 4 ready, 2: 1 of 1 ready; requests 1: 80 %, 2: 20 %"
        );
        assert_eq!(unanswered(&mut changes, "web", false), Vec::<String>::new());
        for (bad, at_once) in [(slice(7, "web", &[]), 1), (slice(7, "web-canary", &[]), 0)] {
            changes.truncate(good.len());
            changes.push(bad);
            assert_eq!(unanswered(&mut changes, "web", false).len(), 1);
            assert_eq!(unanswered(&mut changes, "web", true).len(), at_once);
        }
        // The weight came before the pods did, however the watches told it.
        let mut early = good.to_vec();
        early[4] = slice(7, "web-canary", &["web-2-a"]);
        assert_eq!(unanswered(&mut early, "web", false).len(), 1);
    }
}
