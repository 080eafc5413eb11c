//! A rollback in the steps' batches (`rollback: inBatches`; Kruise's `rollback-in-batch`, reference 2.5).
//!
//! Requests go back first and all at once. Then it is the plan from its first step on, for the pods that have to go back: a step
//! of 20 % brings a fifth of them. Pods that the release has not touched are not counted. `pause.duration` is kept in every step;
//! `pause: {}` waits for an approval where a person wanted the rollback, and for nobody where a gate decided it. Metrics and
//! other gates judge the new version, so they are not asked. The last batch is the workload's own strategy. A release that is past
//! its last step goes back at once.
//!
//! In blueGreen style all stable pods are there, so there is nothing to bring back in batches.

use super::gates;
use super::input::{Decision, GateFact, Hold, Input, Move, Reason, Seen, Source};
use super::legs::{self, Ground};
use super::moves::{self, NextSlots};
use super::state::{Leg, Phase, State};
use crate::api::{self, Pause, Rollout, Style};
use crate::render::workload::Kind;
use crate::render::workload::deployment::{self, Part};
use crate::render::{self, Pods, PodsPhase, RenderError, Routes, Shape};

/// How many pods would go back in batches from `shape`; `None` where they all go at once.
///
/// Where a Deployment's new pods have come and no old one has gone yet, only those count that were to go before. Past the last
/// step the pods are the workload's own business already.
fn pods_to_bring(rollout: &Rollout, shape: &Shape, ground: Ground) -> Option<u32> {
    // Where nodes are chosen, it goes by the user's `maxUnavailable`, node by node, in any case.
    if rollout.rollback != api::Rollback::InBatches || ground.kind.splits_nodes() {
        return None;
    }
    let pods = match (rollout.style, shape.pods, shape.extra) {
        (Style::Partition, Pods::Held { size, from, phase: PodsPhase::Grow, .. }, _) => ground.now(from, size),
        (Style::Partition, Pods::Held { size, to, .. }, _) => ground.now(to, size),
        (Style::Canary, Pods::Stable, Some(extra)) => extra,
        _ => return None,
    };
    (pods > 0).then_some(pods)
}

/// The number of pods that the present rollback brings back in batches; `None` where it goes at once, or does so from now on:
/// the Rollout asks for that, or a new candidate waits for its end.
pub(super) fn batches(input: &Input<'_>, state: &State) -> Option<u32> {
    let rollback = state.rollback.as_ref()?;
    let pods = rollback.in_batches.filter(|_| input.rollout.rollback == api::Rollback::InBatches)?;
    let waits = input.source.as_ref().is_some_and(|source| is_new(input, state, source));
    (!waits).then_some(pods)
}

/// Whether the source has a version that is neither the stable one nor one that was rejected.
fn is_new(input: &Input<'_>, state: &State, source: &Source<'_>) -> bool {
    let Ok(revision) = render::revision(source.objects, &input.rollout.workload) else { return false };
    let rejected = state.rollback.as_ref().is_some_and(|rollback| rollback.reject);
    let is_candidate = state.candidate.as_ref().is_some_and(|candidate| candidate.revision == revision);
    revision != state.stable.revision
        && !(rejected && is_candidate)
        && !state.rejected.contains(&render::set_digest(source.objects))
}

/// The commit that begins a rollback as the Rollout wants it. The state says why already.
pub(super) fn begin(input: &Input<'_>, state: State, mut why: Vec<String>, gates: Vec<GateFact>) -> Result<Move, RenderError> {
    let ground = moves::ground_of_stable(input, &state)?;
    let Some(of) = pods_to_bring(input.rollout, &state.shape, ground) else {
        return moves::roll_back(input, state, why, gates);
    };
    let mut next = moves::enter_step(state, 1);
    if let Some(rollback) = &mut next.rollback {
        rollback.in_batches = Some(of);
    }
    why.push(format!("Its {of} pods go back in the steps' batches."));
    let (next, leg, shape) = next_move(input, next, of, ground);
    moves::back(input, next, (leg, shape), why, gates)
}

/// The first move that is due at the state's step or after it, with the state in that step.
fn next_move(input: &Input<'_>, mut state: State, of: u32, ground: Ground) -> (State, Leg, Shape) {
    let rollout = input.rollout;
    loop {
        if let Some((leg, shape)) = within_step(input, state.step, of, ground, &state.shape) {
            return (state, leg, shape);
        }
        if is_last(rollout, &state) {
            let (leg, shape) = legs::roll_back(rollout, &state.shape, ground);
            return (state, leg, shape);
        }
        let following = state.step + 1;
        state = moves::enter_step(state, following);
    }
}

fn is_last(rollout: &Rollout, state: &State) -> bool {
    usize::try_from(state.step).unwrap_or(usize::MAX) >= rollout.steps.len()
}

/// How many of `of` pods still have the new version after `step` (1-based; 0: before the first one).
fn left_after(rollout: &Rollout, step: u32, of: u32) -> u32 {
    let steps = usize::try_from(step).unwrap_or(usize::MAX);
    if steps > rollout.steps.len() {
        return 0;
    }
    rollout.steps.iter().take(steps).map(|step| of - step.replicas.of(of)).min().unwrap_or(of)
}

/// The next move inside `step`; `None` where its batch is back. Past the last step there is always one.
fn within_step(input: &Input<'_>, step: u32, of: u32, ground: Ground, shape: &Shape) -> Option<(Leg, Shape)> {
    let rollout = input.rollout;
    let wanted = left_after(rollout, step, of);
    if shape.routes != Routes::Stable || shape.shared.is_some() || wanted == 0 {
        return Some(legs::roll_back(rollout, shape, ground));
    }
    let to = |pods: Pods| Some((Leg::RollbackPods, Shape { pods, union: true, ..shape.clone() }));
    if let (Pods::Stable, Some(extra)) = (shape.pods, shape.extra) {
        return (extra > wanted).then(|| (Leg::RollbackPods, Shape { extra: Some(wanted), ..shape.clone() }));
    }
    let (kept, from, left, phase) = match shape.pods {
        Pods::Held { size, from, to, phase: PodsPhase::Grow, .. } => {
            let (gone, pods) = (ground.now(from, size), ground.now(to, size));
            (ground.size.saturating_sub(gone), pods, pods, None)
        }
        Pods::Held { .. } => (ground.size.saturating_sub(of), of, of, None),
        Pods::Back { kept, from, left, phase, .. } => (kept, from, left, Some(phase)),
        Pods::Stable | Pods::Returning { .. } | Pods::Candidate => return Some(legs::roll_back(rollout, shape, ground)),
    };
    let batch = |from, left, phase| Pods::Back { size: ground.size, kept, from, left, phase };
    let is_deployment = ground.kind == Kind::Deployment;
    // `deployment::hold_back` says why.
    let unsteady = is_deployment && (kept.saturating_add(left) > ground.size || !ground.surges);
    match phase {
        Some(PodsPhase::Grow) if from > left => to(batch(from, left, PodsPhase::Shift)),
        _ if left <= wanted => None,
        None if unsteady || !has_come_about(input, shape, ground) => to(batch(left, left, PodsPhase::Grow)),
        _ if !is_deployment => to(batch(left, wanted, PodsPhase::Shift)),
        _ if ground.surges => to(batch(left, wanted, PodsPhase::Grow)),
        _ => to(batch(left, wanted.max(left.saturating_sub(ground.at_once)), PodsPhase::Shift)),
    }
}

/// Whether the cluster shows the pods of a shape that held the release. Where it does not, they are held where they are first, and
/// counted then.
fn has_come_about(input: &Input<'_>, shape: &Shape, ground: Ground) -> bool {
    let Some(Seen::Sight(sight)) = &input.seen else { return false };
    match (shape.pods, sight.counts) {
        (Pods::Held { size, to, .. }, Some(counts)) => {
            sight.applied && counts.updated == ground.now(to, size) && counts.replicas == ground.size
        }
        _ => sight.applied,
    }
}

/// The pods that are really there, once they are held where they are; and how many of them go back.
fn counted(input: &Input<'_>, shape: &Shape, ground: Ground) -> Option<(Shape, u32)> {
    let Pods::Back { from, left, phase: PodsPhase::Grow, .. } = shape.pods else { return None };
    let Some(Seen::Sight(sight)) = &input.seen else { return None };
    let counts = sight.counts.filter(|_| from == left)?;
    let new = counts.replicas.saturating_sub(counts.updated);
    let missing = ground.size.saturating_sub(counts.updated).min(new);
    let (kept, new) = match ground.kind {
        Kind::Deployment => (counts.updated, new),
        _ => (ground.size.saturating_sub(missing), missing),
    };
    let pods = Pods::Back { size: ground.size, kept, from: new, left: new, phase: PodsPhase::Grow };
    Some((Shape { pods, ..shape.clone() }, missing))
}

/// What follows once the newest move of the rollback is done. `done` says what was seen of it.
pub(super) fn go_on(input: &Input<'_>, state: State, ground: Ground, of: u32, done: String) -> Result<Decision, RenderError> {
    let rollout = input.rollout;
    let mut why = vec![done];
    let mut state = state;
    let mut of = of;
    if let Some((shape, pods)) = counted(input, &state.shape, ground) {
        state.shape = shape;
        of = pods;
        if let Some(rollback) = &mut state.rollback {
            rollback.in_batches = Some(of);
        }
    }
    if within_step(input, state.step, of, ground, &state.shape).is_none() {
        let brought = left_after(rollout, state.step, of) < left_after(rollout, state.step.saturating_sub(1), of);
        if let (true, Some(hold)) = (brought, pause(input, &state)) {
            return Ok(Decision::Hold(hold, Box::new(state)));
        }
        why.push(format!("The batch of step {} is back.", state.step));
        if !is_last(rollout, &state) {
            let following = state.step + 1;
            state = moves::enter_step(state, following);
        }
    }
    let (shape, of) = resized(rollout, &state, ground).unwrap_or_else(|| (state.shape.clone(), of));
    state.shape = shape;
    if let Some(rollback) = &mut state.rollback {
        rollback.in_batches = Some(of);
    }
    let (next, leg, shape) = next_move(input, state, of, ground);
    Ok(Decision::Commit(Box::new(moves::back(input, next, (leg, shape), why, Vec::new())?)))
}

/// The hold that the step's pause makes.
fn pause(input: &Input<'_>, state: &State) -> Option<Hold> {
    let index = usize::try_from(state.step).unwrap_or(0).saturating_sub(1);
    let step = input.rollout.steps.get(index)?;
    let start = gates::soak_start(state, input).unwrap_or(input.now);
    if gates::approvers(state).next().is_some() {
        return None;
    }
    match step.pause {
        Pause::Seconds(seconds) => {
            let end = super::judge::plus(start, i64::from(seconds));
            (input.now < end).then(|| Hold {
                reason: Reason::Soak,
                text: format!("the batch of step {} soaks for {}", state.step, gates::duration(i64::from(seconds))),
                since: start,
                until: Some(end),
                then: Some("then the next pods go back".to_owned()),
            })
        }
        // Nobody may be there who could approve.
        Pause::Approval if state.rollback.as_ref().is_some_and(super::state::Rollback::is_automatic) => None,
        Pause::Approval => Some(Hold {
            reason: Reason::Approval,
            text: format!("the rollback waits for an approval at step {}", state.step),
            since: start,
            until: None,
            then: Some(format!(
                "`windlass approve {0}` brings the next pods back, `windlass rollback {0} --now` all of them",
                state.rollout
            )),
        }),
    }
}

/// What a changed source asks for in the middle: another size or Service port is applied at once, whichever version the source
/// has. A new candidate is no news here: [`batches`] knows that it waits.
pub(super) fn news(input: &Input<'_>, state: &State) -> Result<Option<Decision>, RenderError> {
    let (Some(source), Some(candidate), Some(before)) = (&input.source, &state.candidate, input.candidate) else {
        return Ok(None);
    };
    let wanted = render::set_digest(source.objects);
    if wanted == state.stable.digest || wanted == candidate.digest || render::check(input.rollout, source.objects).is_err() {
        return Ok(None);
    }
    let facts = moves::facts(input.rollout, source.objects, source.commit)?;
    let ground = Ground::of(input.rollout, source.objects, moves::counted(input, Some(state)))?;
    let of = state.rollback.as_ref().and_then(|rollback| rollback.in_batches);
    let (shape, of) = match resized(input.rollout, state, ground) {
        Some((shape, of)) => (shape, Some(of)),
        None => (state.shape.clone(), of),
    };
    let mut next = moves::advance(state.clone(), input, Leg::Sync, shape);
    let slots = if facts.revision == state.stable.revision {
        next.stable = facts;
        NextSlots { stable: source.objects.clone(), candidate: Some(before.clone()) }
    } else if facts.revision == candidate.revision {
        let old = input.stable.ok_or_else(|| moves::missing_slot("stable"))?;
        let stable = moves::synced_stable(input.rollout, old, before, source.objects)?;
        next.stable = moves::facts(input.rollout, &stable, &state.stable.source)?;
        next.candidate = Some(facts);
        NextSlots { stable, candidate: Some(source.objects.clone()) }
    } else {
        return Ok(None);
    };
    if let Some(rollback) = &mut next.rollback {
        rollback.in_batches = of;
    }
    next.source = moves::source_facts(source);
    let why = vec!["The source changed, its pod template is known: applied at once, in the middle of the rollback.".to_owned()];
    Ok(Some(Decision::Commit(Box::new(moves::commit(input, next, slots, Leg::Sync, why, Vec::new())?))))
}

/// The shape after the workload went to another size in the middle of the batches, and how many pods go back then. `None` where
/// there is nothing to change.
///
/// A Deployment's controller scales both versions in proportion. A partition keeps just as many pods of the new version: pods that
/// come have the stable one.
fn resized(rollout: &Rollout, state: &State, ground: Ground) -> Option<(Shape, u32)> {
    let of = state.rollback.as_ref()?.in_batches?;
    match state.shape.pods {
        Pods::Held { size, .. } if size != ground.size => {
            let shape = legs::resized(rollout, state.step, &state.shape, ground);
            let of = pods_to_bring(rollout, &shape, ground).unwrap_or(0);
            Some((shape, of))
        }
        Pods::Back { size, kept, from, left, phase } if size != ground.size => {
            let is_deployment = ground.kind == Kind::Deployment;
            let part = |pods: u32| match ground.kind {
                Kind::Deployment => deployment::scaled(pods, size, ground.size),
                _ if ground.ordinal => pods.min(ground.size.saturating_sub(kept)),
                _ => pods.min(ground.size),
            };
            let (from, left, phase) = match phase {
                PodsPhase::Shift if is_deployment => {
                    // The stable ReplicaSet is the older one, and came with a surge.
                    let surge = if ground.surges { from.saturating_sub(left) } else { 0 };
                    let new = Part { pods: left, most: size };
                    let old = Part { pods: size.saturating_sub(left), most: size.saturating_add(surge) };
                    let left = deployment::shared(new, old, ground.size);
                    (left, left, phase)
                }
                _ => (part(from), part(left), phase),
            };
            let kept = if is_deployment { part(kept) } else { kept };
            let pods = Pods::Back { size: ground.size, kept, from, left, phase };
            let of = if is_deployment { scaled_up(of, size, ground.size) } else { of };
            Some((Shape { pods, ..state.shape.clone() }, of))
        }
        _ => None,
    }
}

/// The new pods that may stay of those that `left` was said for at `size`.
pub(super) fn left_now(ground: Ground, left: u32, size: u32) -> u32 {
    match ground.kind {
        Kind::Deployment => scaled_up(left, size, ground.size),
        _ => left.min(ground.size),
    }
}

/// The part of `new_size` that `pods` are of `size`, rounded up: no pod goes because of rounding.
fn scaled_up(pods: u32, size: u32, new_size: u32) -> u32 {
    let part = (u64::from(pods) * u64::from(new_size)).div_ceil(u64::from(size.max(1)));
    u32::try_from(part).unwrap_or(u32::MAX).min(new_size)
}

/// Whether a rollback waits in the middle of its batches, so that a person can stop it, or let it go on.
pub(super) fn can_be_stopped(state: &State) -> bool {
    matches!(state.phase, Phase::RollingBack | Phase::Paused)
        && state.rollback.as_ref().is_some_and(|rollback| rollback.in_batches.is_some())
}
