//! A CloneSet of `apps.kruise.io`.

use serde_json::Value;

use super::revisions::{self, Reading, number};
use crate::observe::Sighting;

/// From the workload and its pods to a sighting; `mark` is what its commit-tree must be.
pub(super) fn sighting(workload: &Value, pods: &[Value], mark: &str) -> Sighting {
    let size = number(workload, "/spec/replicas").unwrap_or(1);
    revisions::sighting(&Reading { workload, pods, size, without_revision: None }, mark)
}
