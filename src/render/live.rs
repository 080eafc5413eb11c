//! The live tree: the slots' objects, with the workload, the Services and the routes as the shape wants them.

use serde_json::Value;

use super::workload::{Kind, Reach, WayBack, autoscaler, daemon_set, extra};
use super::{Pods, PodsPhase, RenderError, Selector, Shape, traffic};
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
    let object = unlabelled(workload(objects, reference)?, reference);
    let template = object.get(&reference.template_pointer()).cloned().unwrap_or(Value::Null);
    Ok(digest(&template).chars().take(10).collect())
}

/// A workload without the label that Windlass adds to its pods.
#[must_use]
pub fn unlabelled(workload: &Object, reference: &WorkloadRef) -> Object {
    let mut plain = workload.clone();
    plain.remove(&label_of(reference));
    plain
}

fn label_of(reference: &WorkloadRef) -> Vec<&str> {
    let mut path = reference.template();
    path.extend(["metadata", "labels", REVISION_LABEL]);
    path
}

/// A digest of all objects of a slot.
pub fn set_digest(objects: &ObjectSet) -> String {
    digest(&Value::Array(objects.values().map(Object::to_value).collect()))
}

/// Everything about these objects that a release of `rollout` cannot work with.
pub fn check(rollout: &Rollout, objects: &ObjectSet) -> Result<(), RenderError> {
    let object = workload(objects, &rollout.workload)?;
    let kind = Kind::of(&rollout.workload)?;
    kind.check(object, rollout.style)?;
    if kind.splits_nodes() {
        daemon_set::check_beside(objects, object, rollout)?;
    }
    extra::check(objects, object, rollout)?;
    autoscaler::check(objects, object, &rollout.workload)?;
    match traffic::check(objects, rollout).into_iter().next() {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

/// Renders the live tree of a shape.
pub fn live(rollout: &Rollout, slots: Slots<'_>, shape: &Shape) -> Result<Live, RenderError> {
    let kind = Kind::of(&rollout.workload)?;
    let mut objects = base(kind, slots, shape);
    let mut object = workload(&objects, &rollout.workload)?.clone();
    match shape.pods {
        Pods::Stable | Pods::Returning { .. } | Pods::Back { .. } => {
            if shape.stable_labelled {
                label(&mut object, rollout, &revision(slots.stable, &rollout.workload)?);
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
            label(&mut object, rollout, &revision(&objects, &rollout.workload)?);
            kind.finish(&mut object);
        }
        Pods::Held { from, to, phase, .. } if kind.splits_nodes() => {
            if shape.stable_labelled {
                label(&mut object, rollout, &revision(slots.stable, &rollout.workload)?);
            }
            // While new pods come, no old one goes.
            let left = if phase == PodsPhase::Grow { from } else { to };
            let left = usize::try_from(left).unwrap_or(usize::MAX).min(shape.nodes.len());
            daemon_set::narrow(&mut object, shape.nodes.get(..left).unwrap_or_default());
        }
        Pods::Held { size, from, to, phase, percent } => {
            label(&mut object, rollout, &revision(&objects, &rollout.workload)?);
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
        label(&mut second, rollout, &revision(candidate, &rollout.workload)?);
        shown.push(WorkloadRef { name: second.name().to_owned(), ..rollout.workload.clone() });
        objects.insert(second);
    }
    if let (false, Some(candidate)) = (shape.nodes.is_empty(), slots.candidate) {
        let newer = workload(candidate, &rollout.workload)?;
        let apart = !(kind.surges(newer) && kind.surges(workload(slots.stable, &rollout.workload)?));
        let mut second = daemon_set::second(newer, &shape.nodes, apart);
        label(&mut second, rollout, &revision(candidate, &rollout.workload)?);
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
fn base(kind: Kind, slots: Slots<'_>, shape: &Shape) -> ObjectSet {
    let stable_wins = match shape.pods {
        Pods::Stable | Pods::Returning { .. } | Pods::Back { .. } => true,
        Pods::Held { .. } => kind.splits_nodes(),
        Pods::Candidate => false,
    };
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

fn label(workload: &mut Object, rollout: &Rollout, revision: &str) {
    workload.set(&label_of(&rollout.workload), Value::String(revision.to_owned()));
}
