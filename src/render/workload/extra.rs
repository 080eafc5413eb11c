//! The second Deployment of the canary style (`enableExtraWorkloadForCanary`): `<name>-canary` runs the candidate beside the stable
//! one, which stays as it is until all steps have passed.
//!
//! Its pods carry the labels of the stable ones, so that Services find them, and one more, which its selector asks for: two
//! Deployments that select the same pods would otherwise fight over them.

use serde_json::{Value, json};

use super::unusable;
use crate::api::{Rollout, Style};
use crate::manifest::{Object, ObjectSet};
use crate::render::RenderError;

/// The label that only the pods of the second Deployment have.
pub const ROLE_LABEL: &str = "windlass.dev/role";

/// The name of the second Deployment.
pub fn name(workload: &str) -> String {
    format!("{workload}-canary")
}

/// The second Deployment: the candidate's, with `pods` pods.
pub(crate) fn deployment(candidate: &Object, rollout: &Rollout, pods: u32) -> Object {
    let mut object = candidate.clone();
    object.set(&["metadata", "name"], Value::String(name(candidate.name())));
    object.remove(&["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"]);
    object.set(&["spec", "replicas"], json!(pods));
    object.set(&["spec", "selector", "matchLabels", ROLE_LABEL], json!("canary"));
    let template = ["spec", "template", "metadata"];
    for (field, values) in
        rollout.extra_metadata.iter().flat_map(|patch| [("labels", &patch.labels), ("annotations", &patch.annotations)])
    {
        for (key, value) in values {
            object.set(&[&template[..], &[field, key]].concat(), json!(value));
        }
    }
    object.set(&[&template[..], &["labels", ROLE_LABEL]].concat(), json!("canary"));
    object
}

/// Nothing of the user's may have the second Deployment's name.
pub(crate) fn check(objects: &ObjectSet, workload: &Object, rollout: &Rollout) -> Result<(), RenderError> {
    let name = name(workload.name());
    if rollout.style == Style::Canary && objects.find("apps", "Deployment", &name).is_some() {
        return Err(unusable(
            workload,
            format!("Deployment `{name}` is in the source, and is the name of its canary; rename one"),
        ));
    }
    Ok(())
}
