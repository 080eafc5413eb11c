//! What stands in a live tree and may keep the pods of a step from coming: quotas, budgets, places for pods.
//!
//! Found by what the tree itself says. Nodes, and what else runs in the namespace, are not known; so this warns, and refuses
//! nothing, and no warning is no promise.

mod amount;
mod places;
mod quota;

use serde_json::Value;

use super::selector;
use super::workload::{Kind, plainly};
use crate::api::{Rollout, Style};
use crate::manifest::{Object, ObjectKey, ObjectSet};

/// Something that may keep pods from coming, or from staying.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The object that says so: a quota, a budget, or the workload itself.
    pub object: ObjectKey,
    /// What it says and what the step does, in one sentence without a full stop.
    pub text: String,
    pub hint: String,
}

/// Pods of the workload as the user wants them, and as many as there are at once in the worst moment of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peak {
    pub size: u32,
    pub pods: u32,
    /// Whether old and new pods run side by side.
    pub mixed: bool,
}

/// What in `live` stands in the way of so many pods of the Rollout's workload. Empty where the workload is not there.
pub fn obstacles(rollout: &Rollout, live: &ObjectSet, peak: Peak) -> Vec<Obstacle> {
    let Ok(workload) = super::find_workload(live, &rollout.workload) else { return Vec::new() };
    let workload = &*plainly(workload, &rollout.workload);
    let mut found = quota::of(live, workload, peak.pods);
    if rollout.style == Style::Partition && peak.mixed {
        found.extend(budgets(live, workload, peak.size));
    }
    found.extend(places::of(rollout, live, workload, peak));
    found
}

/// Budgets that ask for more pods than the workload's own strategy leaves. The controllers of Kubernetes delete pods without
/// asking a PodDisruptionBudget (it is for evictions); OpenKruise's webhook asks its PodUnavailableBudget for each of them.
fn budgets(live: &ObjectSet, workload: &Object, size: u32) -> Vec<Obstacle> {
    let down = missing_at_once(workload, size);
    let mut found = Vec::new();
    for budget in live.values().filter(|object| beside(object, workload)) {
        let strict = match (budget.group(), budget.kind()) {
            ("policy", "PodDisruptionBudget") => false,
            ("policy.kruise.io", "PodUnavailableBudget") => true,
            _ => continue,
        };
        let named = budget.text("/spec/targetRef/name") == Some(workload.name())
            && budget.text("/spec/targetRef/kind") == Some(workload.kind());
        if !named && !selects(budget.get("/spec/selector"), workload) {
            continue;
        }
        let missing = budget.get("/spec/maxUnavailable").and_then(|value| pods(value, size, true));
        let kept = budget.get("/spec/minAvailable").and_then(|value| pods(value, size, true));
        let Some(allowed) = missing.or_else(|| kept.map(|kept| size.saturating_sub(kept))) else { continue };
        if down <= allowed {
            continue;
        }
        let effect = match (strict, allowed) {
            (false, _) => "controllers ask no such budget, so a step goes below it, and nodes cannot be drained meanwhile",
            (true, 0) => "OpenKruise refuses to take any away, so no step gets anywhere",
            (true, _) => "OpenKruise lets no more go at once, so a step takes longer",
        };
        found.push(Obstacle {
            object: budget.key(),
            text: format!("steps take away up to {down} of {size} pods at once, and it allows {allowed} to be missing: {effect}"),
            hint: "let new pods come first (`maxSurge`), or take fewer away at once (`maxUnavailable`), or relax the budget"
                .to_owned(),
        });
    }
    found
}

/// How many pods the workload's own strategy takes away before others are there.
fn missing_at_once(workload: &Object, size: u32) -> u32 {
    let number = |path: &str, default: u32| workload.get(path).map_or(Some(default), |value| pods(value, size, false));
    let kind = (workload.group(), workload.kind());
    let found = match kind {
        ("apps", "Deployment") if Kind::Deployment.surges(workload) => Some(0),
        ("apps", "Deployment") => Some(Kind::Deployment.at_once(workload, size)),
        ("apps.kruise.io", "CloneSet") => match number("/spec/updateStrategy/maxSurge", 0) {
            Some(0) => number("/spec/updateStrategy/maxUnavailable", size.div_ceil(5)),
            _ => number("/spec/updateStrategy/maxUnavailable", 0),
        },
        _ => number("/spec/updateStrategy/rollingUpdate/maxUnavailable", 1),
    };
    found.unwrap_or(1).min(size)
}

/// Pods or percent; `None` where it is neither.
fn pods(value: &Value, size: u32, up: bool) -> Option<u32> {
    match value {
        Value::Number(number) => u32::try_from(number.as_u64()?).ok(),
        Value::String(text) => {
            let percent: u64 = text.strip_suffix('%')?.parse().ok()?;
            let parts = percent.checked_mul(u64::from(size))?;
            u32::try_from(if up { parts.div_ceil(100) } else { parts / 100 }).ok()
        }
        _ => None,
    }
}

/// Whether an object lies in the namespace of the workload, as far as both say.
fn beside(object: &Object, workload: &Object) -> bool {
    let (one, other) = (object.namespace(), workload.namespace());
    one == other || one.is_none() || other.is_none()
}

fn selects(label_selector: Option<&Value>, workload: &Object) -> bool {
    let Some(Value::Object(labels)) = workload.get("/spec/template/metadata/labels") else { return false };
    selector::full(label_selector, labels)
}
