//! What happened in a namespace, change by change.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::servers::Lab;

const KINDS: [&str; 4] =
    ["endpointslices.discovery.k8s.io", "replicasets.apps", "deployments.apps", "ingresses.networking.k8s.io"];

/// Watches EndpointSlices, ReplicaSets, Deployments and Ingresses from its start until it is dropped.
pub(crate) struct Watcher {
    start: Instant,
    seen: Arc<Mutex<Vec<Change>>>,
    children: Vec<(Child, JoinHandle<()>)>,
}

/// An object as it was after a change.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// Since the watcher's start.
    pub(crate) at: Duration,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) deleted: bool,
    pub(crate) object: Value,
}

impl Watcher {
    pub(crate) fn start(lab: &Lab, namespace: &str) -> Self {
        Self::with(lab, &["-n", namespace])
    }

    /// Watches all namespaces.
    pub(crate) fn start_everywhere(lab: &Lab) -> Self {
        Self::with(lab, &["-A"])
    }

    fn with(lab: &Lab, place: &[&str]) -> Self {
        let (start, seen) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        let children = KINDS.map(|kind| {
            let mut child = lab
                .command("kubectl")
                .args(["get", kind, "--watch", "--output-watch-events", "-o", "json"])
                .args(place)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let (output, seen) = (BufReader::new(child.stdout.take().unwrap()), Arc::clone(&seen));
            let reader = std::thread::spawn(move || {
                for event in serde_json::Deserializer::from_reader(output).into_iter::<Value>() {
                    let Ok(mut event) = event else {
                        return; // kubectl was ended
                    };
                    let object = event["object"].take();
                    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                    let (kind, metadata) = (text(&object["kind"]), &object["metadata"]);
                    let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
                    seen.lock().unwrap().push(Change {
                        at: start.elapsed(),
                        kind,
                        namespace,
                        name,
                        deleted: event["type"] == "DELETED",
                        object,
                    });
                }
            });
            (child, reader)
        });
        Self { start, seen, children: children.into() }
    }

    /// The time of the record; give it to `…_since` later.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn changes(&self) -> Vec<Change> {
        self.seen.lock().unwrap().clone()
    }

    /// What has happened in one namespace.
    pub(crate) fn changes_in(&self, namespace: &str) -> Vec<Change> {
        self.seen.lock().unwrap().iter().filter(|change| change.namespace == namespace).cloned().collect()
    }

    /// Changes in one namespace so far.
    pub(crate) fn count_in(&self, namespace: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|change| change.namespace == namespace).count()
    }

    /// Ready endpoints of a Service after each change of any of its EndpointSlices.
    pub(crate) fn ready_endpoints(&self, service: &str) -> Vec<(Duration, usize)> {
        let mut slices = BTreeMap::new();
        let mut record = Vec::new();
        for change in self.changes() {
            if change.kind != "EndpointSlice" || change.object["metadata"]["labels"]["kubernetes.io/service-name"] != service {
                continue;
            }
            let endpoints = change.object["endpoints"].as_array();
            let ready = endpoints.into_iter().flatten().filter(|endpoint| endpoint["conditions"]["ready"] != false).count();
            slices.insert(change.name, if change.deleted { 0 } else { ready });
            record.push((change.at, slices.values().sum()));
        }
        record
    }

    /// The fewest Ready endpoints a Service had from a moment on: what it had then, and every value since.
    pub(crate) fn least_ready_since(&self, service: &str, moment: Duration) -> usize {
        let record = self.ready_endpoints(service);
        let then = record.iter().rev().find(|(at, _)| *at <= moment).map_or(0, |(_, ready)| *ready);
        record.iter().filter(|(at, _)| *at > moment).map(|(_, ready)| *ready).fold(then, usize::min)
    }

    /// Pods of a ReplicaSet after each of its changes.
    pub(crate) fn pods(&self, replica_set: &str) -> Vec<(Duration, u64)> {
        let changes = self.changes().into_iter().filter(|change| change.kind == "ReplicaSet" && change.name == replica_set);
        changes
            .map(|change| (change.at, if change.deleted { 0 } else { change.object["status"]["replicas"].as_u64().unwrap_or(0) }))
            .collect()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        for (mut child, reader) in self.children.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
            let _ = reader.join();
        }
    }
}
