//! StatefulSet of `apps/v1`: pods with an ordinal of at least `rollingUpdate.partition` are updated, the highest first.

use super::{RenderError, unusable};
use crate::manifest::Object;

pub(super) fn check(workload: &Object) -> Result<(), RenderError> {
    match workload.text("/spec/updateStrategy/type") {
        Some("OnDelete") => {
            Err(unusable(workload, "`updateStrategy.type: OnDelete` never replaces a pod; batches need `RollingUpdate`"))
        }
        _ => Ok(()),
    }
}
