//! Waits: whether the newest move was applied and its pods are ready, and until when that may take.

use jiff::Timestamp;

use super::back;
use super::input::{Counts, Hold, Input, Reason, Seen};
use super::judge::{self, plus};
use super::legs::Ground;
use super::nodes;
use super::state::{Leg, Phase, State};
use crate::api::{Amount, OnFailure, Rollout, Style};
use crate::render::{Pods, PodsPhase, Routes};

/// Takes the observation and the looks into the state.
pub(super) fn learn(state: &mut State, input: &Input<'_>, ground: Ground) {
    if !state.phase.is_busy() {
        return;
    }
    match missing(state, input, ground) {
        None => {
            state.settled_at.get_or_insert(input.now);
            state.waiting_since = None;
        }
        Some(_) => {
            state.waiting_since.get_or_insert(input.now);
        }
    }
    for look in input.looks {
        if let Some(metric) = input.rollout.metrics.iter().find(|metric| metric.name == look.metric) {
            judge::count(metric, state.tallies.entry(look.metric.clone()).or_default(), look);
        }
    }
}

/// What keeps the newest move from being done; `None` when it is.
pub(super) fn missing(state: &State, input: &Input<'_>, ground: Ground) -> Option<(Reason, String)> {
    let sight = match &input.seen {
        None => return Some((Reason::Unreachable, "nobody has looked yet".to_owned())),
        Some(Seen::Unreachable(cause)) => return Some((Reason::Unreachable, cause.clone())),
        Some(Seen::Sight(sight)) => sight,
    };
    if !sight.applied {
        let text = sight.missing.clone().unwrap_or_else(|| "the commit was not applied yet".to_owned());
        return Some((Reason::NotApplied, text));
    }
    let counts = sight.counts?;
    if is_stranded(state, input) && state.leg != Leg::RestoreRoutes {
        let text = format!("the cluster runs no stable pod, and {} new ones", counts.updated);
        return Some((Reason::NotReady, text));
    }
    let text = match nodes::is_split(ground, &state.shape) {
        true => nodes::missing(ground, input.rollout, &state.shape, sight, counts),
        false => pods_missing(state, input.rollout, ground, counts),
    };
    let unsaid = || sight.missing.as_ref().map(|unsaid| format!("; {unsaid}")).unwrap_or_default();
    text.map(|text| (Reason::NotReady, text + &unsaid()))
}

/// Whether the cluster has none of the stable pods that the shape keeps, and more new ones than it allows: the shape came to a
/// cluster that had never run the stable version (a Deployment there has no older ReplicaSet, so that its controller makes all
/// pods from the new template), or somebody has deleted that ReplicaSet. A controller never brings old pods back by itself.
pub(super) fn is_stranded(state: &State, input: &Input<'_>) -> bool {
    let Pods::Held { size, to, .. } = state.shape.pods else { return false };
    let Some(Seen::Sight(sight)) = &input.seen else { return false };
    let all_new = |counts: Counts| counts.updated > to && counts.replicas == counts.updated;
    // Where all stable pods stay, none of them is there: that is a loss as long as requests go to them.
    let none_stayed = |counts: Counts| counts.updated > 0 && counts.replicas == counts.updated;
    let lost = |counts: Counts| match input.rollout.style {
        Style::BlueGreen => none_stayed(counts) && state.phase == Phase::Releasing && sends_some_to_stable(&state.shape.routes),
        Style::Partition | Style::Canary => to < size && all_new(counts),
    };
    sight.applied && sight.counts.is_some_and(lost)
}

fn sends_some_to_stable(routes: &Routes) -> bool {
    !matches!(routes, Routes::Split { weight: Some(100), .. })
}

/// Kruise's readiness of a batch (reference 2.3), and that the pods which were to go are gone.
fn pods_missing(state: &State, rollout: &Rollout, ground: Ground, counts: Counts) -> Option<String> {
    let Counts { replicas, updated, updated_ready, ready, .. } = counts;
    let (desired, threshold, all) = match (state.shape.pods, state.leg) {
        // Traffic goes back first, however the pods are.
        (_, Leg::RollbackRoutes | Leg::RestoreRoutes) => return None,
        (Pods::Stable, _) if state.rollback.is_some() && state.shape.extra.is_some() => {
            let left = state.shape.extra.unwrap_or(0);
            return (replicas > left).then(|| format!("{replicas} canary pods run, {left} shall: they are going"));
        }
        (Pods::Stable, _) if state.shape.extra.is_some() => {
            (state.shape.extra.unwrap_or(0), rollout.failure_threshold.unwrap_or(Amount::Pods(0)), false)
        }
        (Pods::Held { to, phase, size, .. }, _) => {
            let to = ground.now(to, size);
            let size = if ground.elastic { ground.size } else { size };
            if phase == PodsPhase::Shift && replicas > size {
                return Some(format!("{replicas} pods run, {size} shall: old pods are going"));
            }
            (to, rollout.failure_threshold.unwrap_or(Amount::Pods(0)), false)
        }
        (Pods::Back { left, phase, size, .. }, _) => {
            let left = back::left_now(ground, left, size);
            let new = replicas.saturating_sub(updated);
            if phase == PodsPhase::Shift && new > left {
                return Some(format!("{new} pods of the new version run, {left} shall: they are going"));
            }
            (ground.size.saturating_sub(left), rollout.failure_threshold.unwrap_or(Amount::Pods(0)), false)
        }
        (Pods::Candidate, _) => (ground.size, Amount::Pods(0), true),
        (Pods::Stable | Pods::Returning { .. }, Leg::Label | Leg::RollbackPods | Leg::RestorePods) => {
            (ground.size, Amount::Pods(0), true)
        }
        (Pods::Stable | Pods::Returning { .. }, _) => return None,
    };
    if updated < desired {
        let broken = ground.leaves_broken && matches!(state.leg, Leg::RollbackPods | Leg::RestorePods) && ready < replicas;
        let stuck = if broken {
            format!(
                "; its controller waits for pods that are not Ready and does not replace them: delete each with `kubectl delete pod` \
                 ({}, podManagementPolicy OrderedReady)",
                rollout.workload.kind
            )
        } else {
            String::new()
        };
        return Some(format!("{updated} of {desired} new pods are there{stuck}"));
    }
    let excused = match threshold {
        Amount::Pods(pods) => pods,
        Amount::Percent(_) => threshold.of(updated),
    };
    if updated_ready.saturating_add(excused) < desired || (desired > 0 && updated_ready == 0) {
        return Some(format!("{updated_ready} of {desired} new pods are ready"));
    }
    if all && replicas > ground.size {
        return Some(format!("{replicas} pods run, {} shall: old pods are going", ground.size));
    }
    None
}

/// When the present wait must be over; `None` where nothing is waited for, or the wait has no deadline.
pub(super) fn deadline(state: &State, rollout: &Rollout) -> Option<Timestamp> {
    if !matches!(state.phase, Phase::Releasing | Phase::Finalising) {
        return None;
    }
    state.waiting_since.map(|since| plus(since, i64::from(timeout(state, rollout))))
}

/// The longest wait of the present step, seconds.
pub(super) fn timeout(state: &State, rollout: &Rollout) -> u32 {
    let index = usize::try_from(state.step).unwrap_or(0).saturating_sub(1).min(rollout.steps.len().saturating_sub(1));
    rollout.steps.get(index).map_or(600, |step| step.timeout)
}

/// The hold that a missing thing makes.
pub(super) fn hold(state: &State, rollout: &Rollout, reason: Reason, text: String) -> Hold {
    let until = deadline(state, rollout);
    let then = until.map(|_| match rollout.on_failure {
        OnFailure::Rollback => "then it rolls back".to_owned(),
        OnFailure::Pause => "then it pauses".to_owned(),
    });
    Hold { reason, text, since: state.waiting_since.unwrap_or(state.moved_at), until, then }
}

/// Seconds that must pass after a routing change before anything follows it (Kruise's `gracePeriodSeconds`).
pub(super) fn grace(state: &State, rollout: &Rollout) -> i64 {
    let routed = matches!(state.leg, Leg::Shift | Leg::Widen | Leg::Unroute | Leg::RollbackRoutes | Leg::RestoreRoutes);
    if !routed {
        return 0;
    }
    let shared = rollout.shared.as_ref().and_then(|shared| shared.routing.as_ref());
    let own = rollout.routings.iter().map(|routing| routing.grace_period_seconds);
    i64::from(own.chain(shared.map(|routing| routing.grace_period_seconds())).max().unwrap_or(0))
}
