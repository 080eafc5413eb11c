//! Every future commit of a release, by letting the engine decide against a world where all goes well.

use jiff::Timestamp;

use super::decide::{decide, due_looks, next_check};
use super::input::{Counts, Decision, History, Hold, Input, Move, NodeSeen, Reason, Seen, Sight, Source};
use super::judge::{Answer, Look, plus};
use super::legs;
use super::state::{Approval, State};
use crate::api::{Metric, Rollout, Style};
use crate::manifest::ObjectSet;
use crate::render::{Pods, PodsPhase, RenderError, Selector};

/// What the names of nodes begin with that stand for those that are chosen when a step needs them.
pub const CHOSEN_LATER: &str = "chosen-at-run-time-";

/// More commits than any release can have.
const LIMIT: usize = 2_000;

/// One commit of the future.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    pub commit: Move,
    /// Updated pods and all pods while this commit's move is on its way, where it can be told.
    pub pods: (u32, u32),
    /// The soonest time after the first commit, seconds.
    pub after: i64,
    /// What the commit before this one waited for.
    pub waits: Vec<Hold>,
}

/// The commits from `state` until the release has ended, if every gate passes at once and people approve; and the hold that
/// stands in the way of any further one, where there is such. `counted`: how many pods the workload has, where the cluster alone
/// knows. `reader`: whether a cluster is looked at.
///
/// # Errors
/// The Rollout and the objects do not fit together.
pub fn forecast(
    rollout: &Rollout,
    state: Option<&State>,
    slots: (Option<&ObjectSet>, Option<&ObjectSet>),
    source: Option<&Source<'_>>,
    (reader, counted): (bool, Option<u32>),
    now: Timestamp,
) -> Result<(Vec<Planned>, Option<Hold>), RenderError> {
    let mut state = state.cloned();
    let (mut stable, mut candidate) = (slots.0.cloned(), slots.1.cloned());
    let mut clock = now;
    let mut looks: Vec<Look> = Vec::new();
    let mut planned = Vec::new();
    let mut waits: Vec<Hold> = Vec::new();
    let mut history = History::Ours;
    let mut stands = None;
    for _ in 0..LIMIT {
        let (size, before) =
            state.as_ref().map_or((0, 0), |state| ground(rollout, state, (stable.as_ref(), candidate.as_ref()), counted));
        // What nobody can know is not made up.
        let known = size > 0 || counted.is_some() || state.is_none() || !counts_alone(rollout, stable.as_ref());
        let placeholder = Selector { key: "pod-template-hash".to_owned(), value: "of-the-running-pods".to_owned() };
        // Of a second Deployment that is going, its own pods are counted. In blueGreen style all stable pods stay.
        let all = state.as_ref().and_then(|state| match (state.shape.pods, state.shape.extra) {
            (_, Some(extra)) if state.rollback.is_some() => Some(extra),
            (Pods::Held { .. }, _) if rollout.style == Style::BlueGreen => Some(size.saturating_add(before)),
            _ => None,
        });
        let sight = Sight {
            applied: true,
            missing: None,
            counts: known.then_some(Counts {
                size,
                replicas: all.unwrap_or(size),
                updated: before,
                updated_ready: before,
                ready: size,
            }),
            revision_label: reader.then_some(placeholder),
            nodes: nodes(state.as_ref(), if known { size } else { 0 }),
        };
        let input = Input {
            rollout,
            spec_gone: false,
            halted: false,
            state: state.as_ref(),
            stable: stable.as_ref(),
            candidate: candidate.as_ref(),
            source: source.cloned(),
            history: std::mem::replace(&mut history, History::Ours),
            seen: Some(Seen::Sight(sight)),
            looks: &looks,
            now: clock,
        };
        let due = due_looks(&input);
        if looks.is_empty() && !due.is_empty() {
            looks = due
                .iter()
                .filter_map(|name| rollout.metrics.iter().find(|metric| metric.name == *name))
                .map(|metric| good(metric, clock))
                .collect();
            continue;
        }
        let decision = decide(&input)?;
        let next_look = match &decision {
            Decision::Hold(hold, learned) => next_check(&input, learned, hold),
            _ => None,
        };
        looks.clear();
        match decision {
            Decision::Rest => break,
            Decision::Commit(commit) => {
                let mut next = commit.state.clone();
                // Only has to differ from tree to tree; approvals are bound to it.
                next.tree.clone_from(&commit.live.mark);
                stable = Some(commit.stable.clone());
                candidate.clone_from(&commit.candidate);
                let pods = pods(rollout, &next, (stable.as_ref(), candidate.as_ref()), counted);
                let after = clock.as_second() - now.as_second();
                let waits = std::mem::take(&mut waits);
                state = Some(next);
                planned.push(Planned { commit: *commit, pods, after, waits });
            }
            Decision::Hold(hold, learned) => {
                let mut learned = *learned;
                match (hold.reason, hold.until) {
                    (Reason::Approval, _) => {
                        let login = format!("approver-{}", learned.approvals.len() + 1);
                        learned.approvals.push(Approval { login, tree: learned.tree.clone(), at: clock });
                    }
                    (Reason::Metrics, _) => clock = next_look.unwrap_or_else(|| plus(clock, 1)),
                    (Reason::Soak | Reason::Grace, Some(until)) => clock = next_look.map_or(until, |look| look.min(until)),
                    _ => {
                        stands = Some(hold);
                        break;
                    }
                }
                if waits.last().is_none_or(|last: &Hold| last.reason != hold.reason) {
                    waits.push(hold);
                }
                state = Some(learned);
            }
        }
    }
    Ok((planned, stands))
}

/// As many nodes: those that were chosen, and placeholders for those that are chosen when their time comes.
fn nodes(state: Option<&State>, size: u32) -> Vec<NodeSeen> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let chosen = state.map(|state| state.shape.nodes.clone()).unwrap_or_default();
    let others = (1..=size).map(|number| format!("{CHOSEN_LATER}{number:03}")).filter(|name| !chosen.contains(name));
    let names: Vec<String> = others.take(size.saturating_sub(chosen.len())).collect();
    chosen.into_iter().chain(names).map(|name| NodeSeen { name, ready: true }).collect()
}

/// Whether the cluster alone knows how many pods there are.
fn counts_alone(rollout: &Rollout, objects: Option<&ObjectSet>) -> bool {
    objects.and_then(|objects| legs::Ground::of(rollout, objects, None).ok()).is_some_and(|ground| ground.counted)
}

fn good(metric: &Metric, at: Timestamp) -> Look {
    let value = metric.max.or(metric.min).unwrap_or(0.0);
    Look { metric: metric.name.clone(), at, query: "forecast".to_owned(), answer: Answer::Samples(vec![value]) }
}

/// The slots' objects.
type Both<'a> = (Option<&'a ObjectSet>, Option<&'a ObjectSet>);

fn ground(rollout: &Rollout, state: &State, (stable, candidate): Both<'_>, counted: Option<u32>) -> (u32, u32) {
    let objects = candidate.or(stable);
    let Some(Ok(ground)) = objects.map(|objects| legs::Ground::of(rollout, objects, counted)) else { return (0, 0) };
    let ground = ground.held(&state.shape);
    let updated = match (state.shape.pods, state.shape.extra) {
        (Pods::Stable | Pods::Returning { .. }, None) => ground.size,
        // Of a workload on its way back the stable pods are the updated ones.
        (Pods::Back { left, .. }, _) => ground.size.saturating_sub(left),
        _ => legs::updated(&state.shape, ground.size),
    };
    (ground.size, updated)
}

/// Updated pods and all pods that the move leads to.
fn pods(rollout: &Rollout, state: &State, slots: Both<'_>, counted: Option<u32>) -> (u32, u32) {
    let (size, _) = ground(rollout, state, slots, counted);
    match state.shape.pods {
        Pods::Stable | Pods::Returning { .. } => {
            let extra = state.shape.extra.unwrap_or(0);
            (extra, size.saturating_add(extra))
        }
        Pods::Candidate => (size, size.saturating_add(state.shape.extra.unwrap_or(0))),
        Pods::Back { kept, from, left, phase: PodsPhase::Grow, .. } if from == left => (from, kept.saturating_add(from)),
        Pods::Back { size, from, left, phase: PodsPhase::Grow, .. } => (from, size.saturating_sub(left) + from),
        Pods::Back { size, left, phase: PodsPhase::Shift, .. } => (left, size),
        // All stable pods stay.
        Pods::Held { size, to, .. } if rollout.style == Style::BlueGreen => (to, size.saturating_add(to)),
        Pods::Held { size, from, to, phase: PodsPhase::Grow, .. } => (to, size.saturating_sub(from) + to),
        Pods::Held { size, to, phase: PodsPhase::Shift, .. } => (to, size),
    }
}
