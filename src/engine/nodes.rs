//! A DaemonSet that goes by nodes (`render::workload::daemon_set`): while there are steps to come, a second DaemonSet runs the
//! candidate on the nodes that were chosen, and the user's own keeps the others.
//!
//! Nodes are chosen when they are needed and recorded in the shape; later moves only add to them. A step that takes all pods, the
//! end of a release and a rollback are one thing: the user's DaemonSet is whole again, with its own strategy, and the second one
//! leaves its nodes. Where two pods may be on one node (`maxSurge`) it goes once the others serve. Where they may not, the pods of
//! the user's DaemonSet wait until it goes, and it leaves no more nodes at once than the user's `maxUnavailable`. In both cases
//! no node waits for a commit to come to get a pod.

use super::input::{Counts, Input, NodeSeen, Seen, Sight};
use super::legs::Ground;
use super::state::Leg;
use crate::api::{Amount, Rollout};
use crate::manifest::ObjectSet;
use crate::render::workload::daemon_set;
use crate::render::{self, Pods, PodsPhase, RenderError, Shape, find_workload};

/// The nodes that the newest look showed, with a pod of either version; empty where nobody has looked.
fn seen<'a>(input: &'a Input<'_>) -> &'a [NodeSeen] {
    match &input.seen {
        Some(Seen::Sight(sight)) => &sight.nodes,
        _ => &[],
    }
}

/// `ground` where both versions of the workload must agree: two pods may be on a node only if both say so, and the smaller limit
/// counts.
pub(super) fn strictest<'a>(ground: Ground<'a>, rollout: &'a Rollout, other: Option<&'a ObjectSet>) -> Ground<'a> {
    let Some(other) = other.and_then(|objects| find_workload(objects, &rollout.workload).ok()) else { return ground };
    if !ground.kind.splits_nodes() {
        return ground;
    }
    let (surges, at_once) = (ground.kind.surges(other), ground.kind.at_once(other, ground.size));
    Ground { surges: ground.surges && surges, at_once: ground.at_once.min(at_once), ..ground }
}

/// The next move of a step that wants `pods` of the candidate; `before` are there.
pub(super) fn within_step(ground: Ground, shape: &Shape, before: u32, pods: u32) -> Option<(Leg, Shape)> {
    if shape.pods == Pods::Candidate {
        return left(ground, shape).map(|shape| (Leg::Grow, shape));
    }
    if pods >= ground.size {
        return Some((Leg::Grow, whole(ground, shape, Pods::Candidate)));
    }
    let to = |pods| Shape { pods, union: true, ..shape.clone() };
    let held = |from, to, phase| Pods::Held { size: ground.size, from, to, phase, percent: None };
    match shape.pods {
        Pods::Held { from, to: there, phase: PodsPhase::Grow, .. } if pods <= before => {
            Some((Leg::Shift, to(held(from, there, PodsPhase::Shift))))
        }
        Pods::Held { .. } if pods <= before => None,
        _ if ground.surges => Some((Leg::Grow, to(held(before, pods, PodsPhase::Grow)))),
        _ => Some((Leg::Grow, to(held(before, pods.min(before.saturating_add(ground.at_once)), PodsPhase::Shift)))),
    }
}

/// The user's DaemonSet on all nodes, as `pods` has it.
fn whole(ground: Ground, shape: &Shape, pods: Pods) -> Shape {
    let whole = Shape { pods, union: true, ..shape.clone() };
    // Where its pods wait for the others to go, the first go at once.
    if ground.surges { whole } else { left(ground, &whole).unwrap_or(whole) }
}

/// The second DaemonSet on fewer nodes; `None` where it is on none.
fn left(ground: Ground, shape: &Shape) -> Option<Shape> {
    if shape.nodes.is_empty() {
        return None;
    }
    let mut next = shape.clone();
    let stay = match ground.surges {
        true => 0,
        false => next.nodes.len().saturating_sub(usize::try_from(ground.at_once).unwrap_or(usize::MAX)),
    };
    next.nodes.truncate(stay);
    Some(next)
}

/// The next move of a release that passed its last step; `None` where nothing is left to be done but to complete it.
pub(super) fn finalise(ground: Ground, shape: &Shape) -> Option<(Leg, Shape)> {
    let next = match shape.pods {
        Pods::Candidate => left(ground, shape),
        _ => Some(whole(ground, shape, Pods::Candidate)),
    };
    next.map(|shape| (Leg::Resume, shape))
}

/// The next move of a rollback; `None` where nothing is left to be done but to end it.
pub(super) fn roll_back(ground: Ground, shape: &Shape) -> Option<(Leg, Shape)> {
    let next = match shape.pods {
        Pods::Stable => left(ground, shape),
        _ => Some(whole(ground, shape, Pods::Stable)),
    };
    next.map(|shape| (Leg::RollbackPods, shape))
}

/// The shape without nodes that the cluster has no more, where there are such: others take their place.
pub(super) fn without_gone(input: &Input<'_>, shape: &Shape, ground: Ground) -> Option<Shape> {
    let seen = seen(input);
    let Pods::Held { from, to, phase, percent, .. } = shape.pods else { return None };
    let is_there = |node: &&String| seen.iter().any(|seen| seen.name == **node);
    if seen.is_empty() || shape.nodes.iter().all(|node| is_there(&node)) {
        return None;
    }
    let count = |nodes: &[String]| u32::try_from(nodes.iter().filter(is_there).count()).unwrap_or(u32::MAX);
    let before = usize::try_from(from).unwrap_or(usize::MAX).min(shape.nodes.len());
    let (left, stay) = (count(shape.nodes.get(..before).unwrap_or_default()), count(&shape.nodes));
    let nodes = shape.nodes.iter().filter(is_there).cloned().collect();
    let pods = Pods::Held { size: ground.size, from: left, to: stay.min(to), phase, percent };
    Some(Shape { pods, nodes, ..shape.clone() })
}

/// Chooses as many nodes as the shape holds updated pods, and says which are new: those with a Ready pod first, by name. Where the
/// second DaemonSet leaves nodes, those go first that have no Ready pod: nobody misses what is there.
///
/// # Errors
/// Nobody has seen as many.
pub(super) fn choose(input: &Input<'_>, shape: &mut Shape) -> Result<Vec<String>, RenderError> {
    let Pods::Held { to, .. } = shape.pods else {
        let was = input.state.map(|state| &state.shape.nodes).filter(|was| was.len() > shape.nodes.len());
        if let Some(was) = was {
            let broken = |node: &&String| seen(input).iter().any(|seen| seen.name == **node && !seen.ready);
            shape.nodes = was.iter().filter(|node| !broken(node)).take(shape.nodes.len()).cloned().collect();
        }
        return Ok(Vec::new());
    };
    let short = usize::try_from(to).unwrap_or(usize::MAX).saturating_sub(shape.nodes.len());
    let mut free: Vec<&NodeSeen> = seen(input).iter().filter(|node| !shape.nodes.contains(&node.name)).collect();
    free.sort_by_key(|node| (!node.ready, &node.name));
    let chosen: Vec<String> = free.into_iter().take(short).map(|node| node.name.clone()).collect();
    if chosen.len() < short {
        return Err(unseen(input.rollout));
    }
    shape.nodes.extend(chosen.iter().cloned());
    Ok(chosen)
}

/// Nodes are chosen among those that the stable version is on: the candidate must fit them.
///
/// # Errors
/// It says that it may not, and the first step takes some of them only.
pub(super) fn fit(input: &Input<'_>, candidate: &ObjectSet, ground: Ground) -> Result<(), RenderError> {
    let rollout = input.rollout;
    if !ground.kind.splits_nodes() || ground.target(rollout, 1) >= ground.size {
        return Ok(());
    }
    let Some(stable) = input.stable else { return Ok(()) };
    let newer = find_workload(candidate, &rollout.workload)?;
    let Some(field) = daemon_set::chooses_other_nodes(find_workload(stable, &rollout.workload)?, newer) else { return Ok(()) };
    Err(RenderError::Unusable {
        what: rollout.workload.kind.clone(),
        name: rollout.workload.name.clone(),
        cause: format!(
            "its `{field}` chooses other nodes in the new version, and steps go by the nodes that the stable one is on; release this \
             change by itself, with one step of 100 %"
        ),
    })
}

/// The nodes of a DaemonSet are not known.
pub(super) fn unseen(rollout: &Rollout) -> RenderError {
    RenderError::Unusable {
        what: rollout.workload.kind.clone(),
        name: rollout.workload.name.clone(),
        cause: format!(
            "its batches are nodes, which are known to the cluster alone, and nobody has looked; observe it with `kubernetes`, \
             `flux` or `argocd` in the cluster, {}",
            render::workload::ALTERNATIVES
        ),
    }
}

/// Which nodes a commit chose, for its message.
pub(super) fn words(chosen: &[String]) -> Option<String> {
    const SHOWN: usize = 10;
    let shown = chosen.get(..SHOWN.min(chosen.len())).unwrap_or_default().join(", ");
    match chosen.len() {
        0 => None,
        1..=SHOWN => Some(format!("Nodes chosen: {shown}.")),
        more => Some(format!("Nodes chosen: {shown} and {} more.", more - SHOWN)),
    }
}

/// Whether there are two DaemonSets, or are to be.
pub(super) fn is_split(ground: Ground, shape: &Shape) -> bool {
    ground.kind.splits_nodes() && (matches!(shape.pods, Pods::Held { .. }) || !shape.nodes.is_empty())
}

/// What keeps the two DaemonSets from being as `shape` has them.
pub(super) fn missing(ground: Ground, rollout: &Rollout, shape: &Shape, sight: &Sight, counts: Counts) -> Option<String> {
    let Counts { replicas, updated, updated_ready, .. } = counts;
    let on = u32::try_from(shape.nodes.len()).unwrap_or(u32::MAX);
    let excused = |of: u32| match rollout.failure_threshold.unwrap_or(Amount::Pods(0)) {
        Amount::Pods(pods) => pods,
        percent @ Amount::Percent(_) => percent.of(of),
    };
    let Pods::Held { to, phase, .. } = shape.pods else {
        let most = ground.size.saturating_add(on);
        if replicas > most {
            return Some(format!("{replicas} pods run, {most} shall: canary pods are going"));
        }
        // Where two pods may be on a node, all others come before these go. Where they may not, those that the canary has left.
        if ground.surges {
            let wanted = ground.size;
            return (updated_ready < wanted).then(|| format!("{updated_ready} of {wanted} pods are ready beside the canary"));
        }
        let free = sight.nodes.iter().filter(|node| !shape.nodes.contains(&node.name));
        let waits: Vec<&str> = free.filter(|node| !node.ready).map(|node| node.name.as_str()).collect();
        return match waits.as_slice() {
            [] => None,
            [node] => Some(format!("no Ready pod is on {node}")),
            [node, ..] => Some(format!("no Ready pod is on {} nodes, {node} the first", waits.len())),
        };
    };
    if phase == PodsPhase::Shift && replicas > ground.size {
        return Some(format!("{replicas} pods run, {} shall: old pods are going", ground.size));
    }
    if updated < to {
        return Some(format!("{updated} of {to} new pods are there"));
    }
    if updated_ready.saturating_add(excused(to)) < to || (to > 0 && updated_ready == 0) {
        return Some(format!("{updated_ready} of {to} new pods are ready"));
    }
    None
}
