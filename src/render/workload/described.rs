//! A kind that the repository describes: pods with a partition, a whole number of pods that stay old. Everything else of it is the
//! user's own.

use std::borrow::Cow;

use serde_json::Value;

use super::{RenderError, unusable};
use crate::api::{DescribedKind, FieldPath, Style, WorkloadRef};
use crate::manifest::Object;
use crate::render::Pods;

fn at<'a>(workload: &'a Object, path: &FieldPath) -> Option<&'a Value> {
    workload.get(&path.pointer()).filter(|value| !value.is_null())
}

/// The workload with its pod template where the known kinds have theirs, for those who only read it.
pub(in crate::render) fn plainly<'a>(workload: &'a Object, reference: &WorkloadRef) -> Cow<'a, Object> {
    if reference.described.is_none() {
        return Cow::Borrowed(workload);
    }
    let mut plain = workload.clone();
    match workload.get(&reference.template_pointer()) {
        Some(template) => plain.set(&["spec", "template"], template.clone()),
        None => plain.remove(&["spec", "template"]),
    }
    Cow::Owned(plain)
}

/// The number of pods; `None` where the source does not say.
pub(super) fn size(workload: &Object, kind: &DescribedKind) -> Option<u32> {
    at(workload, &kind.replicas).and_then(Value::as_u64).map(|pods| u32::try_from(pods).unwrap_or(u32::MAX))
}

/// The partition that a shape asks of a described kind; `None`: the user's own.
pub fn kept(pods: Pods) -> Option<u32> {
    match pods {
        Pods::Held { size, to, .. } => Some(size.saturating_sub(to)),
        Pods::Back { kept, left, .. } => Some(kept.saturating_add(left)),
        Pods::Stable | Pods::Returning { .. } | Pods::Candidate => None,
    }
}

/// What stands where the description says must be what it says.
pub(super) fn check(workload: &Object, kind: &DescribedKind, style: Style) -> Result<(), RenderError> {
    if style != Style::Partition {
        return Err(unusable(workload, "a kind that `workloads` in .windlass.yaml describes is updated by its partition only"));
    }
    let wrong = |field: &str, path: &FieldPath, what: &str| {
        unusable(workload, format!("`{path}` is {what}; `workloads` in .windlass.yaml names it as the {field} of this kind"))
    };
    let template = at(workload, &kind.template).filter(|template| template.get("spec").is_some_and(Value::is_object));
    let labels = |template: &Value| match template.pointer("/metadata/labels") {
        None | Some(Value::Null) => true,
        Some(labels) => labels.is_object(),
    };
    if !template.is_some_and(labels) {
        return Err(wrong("template", &kind.template, "no pod template"));
    }
    for (field, path) in [("replicas", &kind.replicas), ("partition", &kind.partition)] {
        if at(workload, path).is_some_and(|pods| pods.as_u64().is_none()) {
            return Err(wrong(field, path, "no number of pods"));
        }
        // What lies on the way to a field that is written must be a mapping: it would be replaced.
        if let Some(stone) = on_the_way(workload, path) {
            return Err(wrong(field, path, &format!("not there, since `{stone}` is no mapping")));
        }
    }
    Ok(())
}

/// The first key on the way to a field that holds something else than fields.
fn on_the_way(workload: &Object, path: &FieldPath) -> Option<String> {
    let keys = path.keys();
    (1..keys.len()).filter_map(|length| keys.get(..length)).find_map(|keys| {
        let value = workload.get(&format!("/{}", keys.join("/")))?;
        (!value.is_object() && !value.is_null()).then(|| keys.join("."))
    })
}
