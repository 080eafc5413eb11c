//! The live tree: the slots' objects, with the workload, the Services and the routes as the shape wants them.

use serde_json::Value;

use super::workload::{Kind, Reach, WayBack, autoscaler, extra};
use super::{Pods, RenderError, Selector, Shape, traffic};
use crate::api::{Rollout, Style, WorkloadRef};
use crate::manifest::{Object, ObjectSet, digest};

/// The label on pod templates that tells versions apart from Git alone.
pub const REVISION_LABEL: &str = "windlass.dev/revision";
/// The annotation on the live workload that names the rendered content, for observers.
pub const COMMIT_TREE: &str = "windlass.dev/commit-tree";

/// The two versions of an app.
#[derive(Debug, Clone, Copy)]
pub struct Slots<'a> {
    /// What runs.
    pub stable: &'a ObjectSet,
    /// What is to run, while a release is on its way.
    pub candidate: Option<&'a ObjectSet>,
}

/// A complete live tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    pub objects: ObjectSet,
    /// The value of [`COMMIT_TREE`]: a digest of all objects without that annotation.
    pub mark: String,
}

/// The workload that `reference` names.
pub fn workload<'a>(objects: &'a ObjectSet, reference: &WorkloadRef) -> Result<&'a Object, RenderError> {
    let group = reference.api_version.split_once('/').map_or("", |(group, _)| group);
    objects
        .find(group, &reference.kind, &reference.name)
        .ok_or_else(|| RenderError::Missing { what: reference.kind.clone(), name: reference.name.clone() })
}

/// Pods that the workload shall have; `None` where only the cluster knows: an autoscaler owns its size, or nodes do.
pub fn size(rollout: &Rollout, objects: &ObjectSet) -> Result<Option<u32>, RenderError> {
    let object = workload(objects, &rollout.workload)?;
    let own = Kind::of(&rollout.workload)?.size(object);
    Ok(own.filter(|_| autoscaler::of(objects, object).is_none()))
}

/// The digest of the workload's pod template, without the label that Windlass adds: ten hex digits.
pub fn revision(objects: &ObjectSet, reference: &WorkloadRef) -> Result<String, RenderError> {
    let mut object = workload(objects, reference)?.clone();
    object.remove(&["spec", "template", "metadata", "labels", REVISION_LABEL]);
    let template = object.get("/spec/template").cloned().unwrap_or(Value::Null);
    Ok(digest(&template).chars().take(10).collect())
}

/// A digest of all objects of a slot.
pub fn set_digest(objects: &ObjectSet) -> String {
    digest(&Value::Array(objects.values().map(Object::to_value).collect()))
}

/// Everything about these objects that a release of `rollout` cannot work with.
pub fn check(rollout: &Rollout, objects: &ObjectSet) -> Result<(), RenderError> {
    let object = workload(objects, &rollout.workload)?;
    Kind::of(&rollout.workload)?.check(object, rollout.style)?;
    extra::check(objects, object, rollout)?;
    autoscaler::check(objects, object)?;
    match traffic::check(objects, rollout).into_iter().next() {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

/// Renders the live tree of a shape.
pub fn live(rollout: &Rollout, slots: Slots<'_>, shape: &Shape) -> Result<Live, RenderError> {
    let kind = Kind::of(&rollout.workload)?;
    let mut objects = base(slots, shape);
    let mut object = workload(&objects, &rollout.workload)?.clone();
    match shape.pods {
        Pods::Stable | Pods::Returning { .. } | Pods::Back { .. } => {
            if shape.stable_labelled {
                label(&mut object, &revision(slots.stable, &rollout.workload)?);
            }
            if let Pods::Returning { surge } = shape.pods {
                kind.come_back(&mut object, surge);
            }
            if let Pods::Back { size, kept, from, left, phase } = shape.pods {
                let elastic = autoscaler::of(&objects, &object).is_some() && autoscaler::is_elastic(kind, rollout);
                kind.hold_back(&mut object, WayBack { size, kept, from, left, phase }, elastic);
            }
        }
        Pods::Candidate => {
            label(&mut object, &revision(&objects, &rollout.workload)?);
            kind.finish(&mut object);
        }
        Pods::Held { size, from, to, phase, percent } => {
            label(&mut object, &revision(&objects, &rollout.workload)?);
            kind.hold(&mut object, Reach { size, from, to, phase, percent });
        }
    }
    objects.insert(object);
    if rollout.style == Style::BlueGreen
        && let Some(mut scaler) = autoscaler::of(&objects, workload(&objects, &rollout.workload)?).cloned()
    {
        autoscaler::freeze(&mut scaler, shape);
        objects.insert(scaler);
    }
    let mut shown = vec![rollout.workload.clone()];
    if let (Some(pods), Some(candidate)) = (shape.extra, slots.candidate) {
        let mut second = extra::deployment(workload(candidate, &rollout.workload)?, rollout, pods);
        label(&mut second, &revision(candidate, &rollout.workload)?);
        shown.push(WorkloadRef { name: second.name().to_owned(), ..rollout.workload.clone() });
        objects.insert(second);
    }
    for routing in &rollout.routings {
        traffic::route(&mut objects, routing, &shape.routes)?;
        if shape.canary_services {
            let candidate = slots.candidate.unwrap_or(slots.stable);
            let selector = Selector { key: REVISION_LABEL.to_owned(), value: revision(candidate, &rollout.workload)? };
            traffic::add_canary_service(&mut objects, routing, &selector)?;
        }
        if let Some(selector) = &shape.stable_selector {
            traffic::narrow(&mut objects, routing, selector)?;
        }
    }
    let mark = set_digest(&objects).chars().take(40).collect::<String>();
    for reference in shown {
        let mut object = workload(&objects, &reference)?.clone();
        object.set(&["metadata", "annotations", COMMIT_TREE], Value::String(mark.clone()));
        objects.insert(object);
    }
    Ok(Live { objects, mark })
}

/// The objects before the shape changes them. While both versions run, the live set is the union of both slots; the
/// version whose workload is written wins, and what only the other one has stays (ConfigMaps that are named by content).
fn base(slots: Slots<'_>, shape: &Shape) -> ObjectSet {
    let stable_wins = matches!(shape.pods, Pods::Stable | Pods::Returning { .. } | Pods::Back { .. });
    let (winner, other) = match slots.candidate {
        None => (slots.stable, None),
        Some(candidate) if stable_wins => (slots.stable, Some(candidate)),
        Some(candidate) => (candidate, Some(slots.stable)),
    };
    let mut objects = winner.clone();
    if let (true, Some(other)) = (shape.union, other) {
        for (key, object) in other.iter() {
            if objects.get(key).is_none() {
                objects.insert(object.clone());
            }
        }
    }
    objects
}

fn label(workload: &mut Object, revision: &str) {
    workload.set(&["spec", "template", "metadata", "labels", REVISION_LABEL], Value::String(revision.to_owned()));
}
