//! What the applier says of itself: as Argo CD's Application and as Flux' Kustomization, for the observers of both. They apply the whole
//! live branch.

use serde_json::{Value, json};

use super::Applier;
use crate::observe::argocd::Application;
use crate::observe::flux::Kustomization;

impl Applier {
    /// The newest commit that it has seen.
    fn newest(&self) -> Option<&str> {
        self.waiting().or_else(|| self.applied())
    }

    /// The Kustomization, as kustomize-controller would leave it.
    pub fn kustomization(&self, namespace: &str, name: &str) -> Option<Kustomization> {
        let revision = |commit: Option<&str>| commit.map(|commit| format!("deploy@sha1:{commit}"));
        read(json!({
            "metadata": {"name": name, "namespace": namespace, "generation": 1},
            "spec": {"path": "./", "suspend": self.suspended, "sourceRef": {"kind": "GitRepository", "name": name}},
            "status": {"observedGeneration": 1, "lastAppliedRevision": revision(self.applied())},
        }))
    }

    /// The Application of `repository`, as Argo CD's controller would leave it: suspended, it still compares.
    pub fn application(&self, namespace: &str, name: &str, repository: &str) -> Option<Application> {
        let behind = self.suspended && self.waiting().is_some();
        let (compared, status) = if behind { (self.newest(), "OutOfSync") } else { (self.applied(), "Synced") };
        let policy = if self.suspended { json!({}) } else { json!({"automated": {"selfHeal": true}}) };
        let state = self.applied().map(|commit| json!({"phase": "Succeeded", "syncResult": {"revision": commit}}));
        read(json!({
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"source": {"repoURL": repository, "path": ".", "targetRevision": "deploy"}, "syncPolicy": policy},
            "status": {"sync": {"status": status, "revision": compared}, "operationState": state},
        }))
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}
