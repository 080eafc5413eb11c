//! A live workload of a kind that the repository describes: whether its status says what a release has to know.

use serde_json::Value;

use super::finding::{Area::Cluster, Finding};
use super::objects::Wanted;
use crate::api::{DescribedKind, FieldPath, Observe};

/// Judges what is there at rest, when every pod is updated: counts that are missing now are missing at every step.
pub(super) fn judge(app: &Wanted, kind: &DescribedKind, live: &Value) -> Vec<Finding> {
    let subject = format!("{} {}/{}", app.workload.kind, app.namespace, app.workload.name);
    let number = |path: &FieldPath| live.pointer(&path.pointer()).and_then(Value::as_u64);
    let mut found = Vec::new();
    if matches!(app.observe, Observe::Timed { .. }) {
        return found;
    }
    match number(&kind.replicas) {
        Some(size) => {
            let status = &kind.status;
            let counts = [&status.updated_replicas, &status.ready_replicas];
            let needed = [&status.observed_generation].into_iter().chain(counts.into_iter().filter(|_| size > 0));
            let missing: Vec<String> = needed.filter(|path| number(path).is_none()).map(|path| format!("`{path}`")).collect();
            if !missing.is_empty() {
                found.push(
                    Finding::error("workload-status", Cluster, &subject, format!("its status has no {}", missing.join(", ")))
                        .so("nobody can tell how far a step has come: each one waits for its deadline")
                        .mend("name the paths where its status says it (`workloads` in .windlass.yaml, `status`), or observe the app with `timed`"),
                );
            }
        }
        None => found.push(
            Finding::error("workload-status", Cluster, &subject, format!("it has no number of pods at `{}`", kind.replicas))
                .so("nobody can tell how many pods a step has: the app holds with `unreachable`")
                .mend("name the path of its replicas under `workloads` in .windlass.yaml"),
        ),
    }
    found
}

/// What a step writes: where `managedFields` has it, and its path.
pub(super) fn written(kind: &DescribedKind) -> Vec<(String, String)> {
    let owned = |path: &FieldPath| path.keys().into_iter().flat_map(|key| ["/f:", key]).collect::<String>();
    [&kind.replicas, &kind.template, &kind.partition].into_iter().map(|path| (owned(path), path.to_string())).collect()
}
