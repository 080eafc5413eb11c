//! A DaemonSet of `apps.kruise.io`: as many pods as nodes that take one.

use serde_json::Value;

use super::revisions::{self, Reading, number};
use crate::observe::Sighting;

/// From the workload and its pods to a sighting; `mark` is what its commit-tree must be.
pub(super) fn sighting(workload: &Value, pods: &[Value], mark: &str) -> Sighting {
    let status = |field: &str| number(workload, &format!("/status/{field}")).unwrap_or(0);
    let (size, updated) = (status("desiredNumberScheduled"), status("updatedNumberScheduled"));
    // Before Kruise 1.5 the status names no revision: every pod that is not Ready may be an updated one.
    let ready = updated.saturating_sub(size.saturating_sub(status("numberReady")));
    revisions::sighting(&Reading { workload, pods, size, without_revision: Some((updated, ready)) }, mark)
}
