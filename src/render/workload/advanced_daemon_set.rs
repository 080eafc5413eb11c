//! DaemonSet of `apps.kruise.io`: `rollingUpdate.partition` is the number of pods that stay old, over all nodes that have one.

use serde_json::Value;

use super::{Reach, RenderError, clone_set, partition, unusable};
use crate::manifest::Object;

/// `v1alpha1` takes pods alone; from `v1beta1` on, percent.
pub(super) fn partition(reach: Reach, api_version: &str) -> Value {
    match api_version.rsplit('/').next() {
        Some("v1alpha1") => partition::pods(reach),
        _ => clone_set::partition(reach),
    }
}

pub(super) fn check(workload: &Object) -> Result<(), RenderError> {
    let rolling = "/spec/updateStrategy/rollingUpdate";
    if workload.text("/spec/updateStrategy/type") == Some("OnDelete") {
        return Err(unusable(workload, "`updateStrategy.type: OnDelete` never replaces a pod; batches need `RollingUpdate`"));
    }
    if workload.get(&format!("{rolling}/paused")) == Some(&Value::Bool(true)) {
        return Err(unusable(workload, "`rollingUpdate.paused: true` stops its controller; remove it from the source"));
    }
    if workload.get(&format!("{rolling}/selector")).is_some_and(|selector| !selector.is_null()) {
        return Err(unusable(workload, "`rollingUpdate.selector` chooses nodes by itself; a Rollout chooses how many"));
    }
    Ok(())
}
