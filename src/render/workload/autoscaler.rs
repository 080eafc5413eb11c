//! Autoscalers: whose workload it is whose size they own, and how they stand still while a blueGreen release has all pods twice.

use serde_json::{Value, json};

use super::{Kind, unusable};
use crate::api::{Rollout, Style};
use crate::manifest::{Object, ObjectSet};
use crate::render::{Pods, RenderError, Shape};

/// The HorizontalPodAutoscaler, or KEDA's ScaledObject, that owns the size of `workload`.
pub fn of<'a>(objects: &'a ObjectSet, workload: &Object) -> Option<&'a Object> {
    objects.values().find(|object| {
        let scaler =
            matches!((object.group(), object.kind()), ("autoscaling", "HorizontalPodAutoscaler") | ("keda.sh", "ScaledObject"));
        let target = |field: &str| object.text(&format!("/spec/scaleTargetRef/{field}"));
        let group = target("apiVersion").map(|version| version.split_once('/').map_or("", |(group, _)| group));
        scaler
            && target("name") == Some(workload.name())
            && target("kind").unwrap_or("Deployment") == workload.kind()
            && group.is_none_or(|group| group == workload.group())
            && object.namespace().zip(workload.namespace()).is_none_or(|(one, other)| one == other)
    })
}

/// What cannot be released together with an autoscaler.
pub(crate) fn check(objects: &ObjectSet, workload: &Object) -> Result<(), RenderError> {
    let Some(scaler) = of(objects, workload) else { return Ok(()) };
    let (kind, name) = (scaler.kind(), scaler.name());
    if workload.get("/spec/replicas").is_some() {
        return Err(unusable(
            workload,
            format!(
                "`spec.replicas` is in the source, and {kind} `{name}` owns the size: every commit would set it back; remove it there \
                 (Kubernetes' page on horizontal autoscaling tells how to do that without a moment of one pod)"
            ),
        ));
    }
    Ok(())
}

/// Whether the fields that hold the workload can say the same of every size.
pub fn is_elastic(kind: Kind, rollout: &Rollout) -> bool {
    matches!(kind, Kind::Deployment | Kind::CloneSet) && rollout.style == Style::Partition
}

/// Lets the autoscaler stand still while all pods are there twice: it would take the new ones for spare ones (Kruise disables it,
/// too). `autoscaling/v1` can only be told the present size.
pub(crate) fn freeze(scaler: &mut Object, shape: &Shape) {
    let held = match shape.pods {
        Pods::Held { size, .. } => Some(size),
        Pods::Candidate => None,
        Pods::Stable | Pods::Returning { .. } | Pods::Back { .. } => return,
    };
    if scaler.kind() == "ScaledObject" {
        scaler.set(&["metadata", "annotations", "autoscaling.keda.sh/paused"], json!("true"));
    } else if scaler.api_version().ends_with("/v1") {
        if let Some(size) = held {
            scaler.set(&["spec", "minReplicas"], json!(size));
            scaler.set(&["spec", "maxReplicas"], json!(size));
        }
    } else {
        for direction in ["scaleUp", "scaleDown"] {
            scaler.set(&["spec", "behavior", direction, "selectPolicy"], Value::String("Disabled".to_owned()));
        }
    }
}
