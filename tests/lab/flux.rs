//! Flux, set to apply a branch.

use std::time::Duration;

use super::repository::Repository;
use super::servers::Lab;

/// A GitRepository and a Kustomization named `name`: looks each second, applies what is new at once and all of it each 10 seconds; prune,
/// no waiting for health (a held workload never gets there).
/// `path` is relative to the branch's root; `namespace` is set on every object, as `targetNamespace`.
pub(crate) fn apply_branch(lab: &Lab, name: &str, repository: &Repository, branch: &str, path: &str, namespace: Option<&str>) {
    apply_url(lab, name, &repository.url, branch, path, namespace);
}

/// The same for a repository at any address.
pub(crate) fn apply_url(lab: &Lab, name: &str, url: &str, branch: &str, path: &str, namespace: Option<&str>) {
    let flux = lab.var("LAB_FLUX_NAMESPACE");
    let target = namespace.map(|namespace| format!("\n  targetNamespace: {namespace}")).unwrap_or_default();
    lab.apply(&format!(
        "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {{name: {name}, namespace: {flux}}}
spec:
  interval: 1s
  url: {url}
  ref: {{branch: {branch}}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: {name}, namespace: {flux}}}
spec:
  interval: 10s
  retryInterval: 1s
  path: ./{path}
  prune: true
  wait: false{target}
  sourceRef: {{kind: GitRepository, name: {name}}}
"
    ));
}

/// Waits until Flux has applied a commit.
pub(crate) fn wait_applied(lab: &Lab, name: &str, commit: &str, longest: Duration) {
    lab.wait(&format!("applying {commit} by Flux"), longest, || {
        let live = lab.get(lab.var("LAB_FLUX_NAMESPACE"), "kustomization", name).unwrap_or_default();
        let applied = live["status"]["lastAppliedRevision"].as_str().unwrap_or("nothing");
        if applied.ends_with(commit) { Ok(()) } else { Err(format!("{applied} is applied; {}", live["status"]["conditions"])) }
    });
}
