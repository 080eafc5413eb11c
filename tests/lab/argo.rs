//! Argo CD, set to apply a branch.

use std::time::Duration;

use serde_json::json;

use super::repository::{Repository, api};
use super::servers::Lab;

/// An Application named `name`: automated, prune, self-heal, and a retry that takes a newer commit instead of holding on to the old one.
/// `path` is relative to the branch's root; objects that name no namespace go to `namespace`.
pub(crate) fn apply_branch(lab: &Lab, name: &str, repository: &Repository, branch: &str, path: &str, namespace: &str) {
    apply_url(lab, name, &repository.url, branch, path, namespace);
}

/// The same for a repository at any address.
pub(crate) fn apply_url(lab: &Lab, name: &str, url: &str, branch: &str, path: &str, namespace: &str) {
    let argo = lab.var("LAB_ARGO_NAMESPACE");
    lab.apply(&format!(
        "apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {{name: {name}, namespace: {argo}}}
spec:
  project: default
  source: {{repoURL: {url}, targetRevision: {branch}, path: {path}}}
  destination: {{server: \"https://kubernetes.default.svc\", namespace: {namespace}}}
  syncPolicy:
    automated: {{prune: true, selfHeal: true}}
    retry: {{limit: 5, refresh: true, backoff: {{duration: 1s, maxDuration: 5s}}}}
"
    ));
}

/// Lets Gitea tell Argo CD of pushes, as the documentation advises: it need not wait for its next look. That a repository's address has
/// another port does not matter to Argo CD.
pub(crate) fn notify(lab: &Lab, repository: &Repository) {
    let config = json!({"url": format!("{}/api/webhook", lab.var("LAB_ARGO")), "content_type": "json"});
    let hook = json!({"type": "gitea", "active": true, "events": ["push"], "config": config});
    api(lab, &repository.token, "POST", &format!("/repos/{}/hooks", repository.full_name), &hook);
}

/// Waits until Argo CD has compared with a commit and found the cluster to be that.
pub(crate) fn wait_applied(lab: &Lab, name: &str, commit: &str, longest: Duration) {
    lab.wait(&format!("applying {commit} by Argo CD"), longest, || {
        let status = lab.get(lab.var("LAB_ARGO_NAMESPACE"), "application", name).unwrap_or_default()["status"].take();
        let synced = status["sync"]["revision"] == commit && status["sync"]["status"] == "Synced";
        let running = status["operationState"]["phase"] == "Running";
        if synced && !running { Ok(()) } else { Err(format!("{} {}", status["sync"], status["conditions"])) }
    });
}
