//! StatefulSet of `apps.kruise.io`: as the native one, with `maxUnavailable`, in-place updates, and `unorderedUpdate`, with which
//! the partition is a number of pods instead of an ordinal.

use serde_json::Value;

use super::{RenderError, stateful_set, unusable};
use crate::manifest::Object;

const ROLLING: &str = "/spec/updateStrategy/rollingUpdate";

pub(super) fn is_ordered(workload: &Object) -> bool {
    workload.get(&format!("{ROLLING}/unorderedUpdate")).is_none_or(Value::is_null)
}

pub(super) fn check(workload: &Object) -> Result<(), RenderError> {
    if workload.get(&format!("{ROLLING}/paused")) == Some(&Value::Bool(true)) {
        return Err(unusable(workload, "`rollingUpdate.paused: true` stops its controller; remove it from the source"));
    }
    stateful_set::check(workload)
}
