//! Making the next commit out of a state: slots, shape, live tree, words.

use serde_json::{Value, json};

use super::input::{GateFact, Input, Move, Seen, Source};
use super::legs::Ground;
use super::state::{Leg, Outcome, Phase, SlotFacts, SourceFacts, State};
use super::{legs, nodes, words};
use crate::api::{Rollout, Step};
use crate::manifest::{ObjectSet, digest};
use crate::render::workload::Kind;
use crate::render::{self, Pods, RenderError, Selector, Shape, Slots};

/// The objects of both slots that a move leaves behind.
#[derive(Debug, Clone)]
pub(super) struct NextSlots {
    pub stable: ObjectSet,
    pub candidate: Option<ObjectSet>,
}

impl NextSlots {
    /// The slots as they are recorded.
    pub(super) fn kept(input: &Input<'_>) -> Self {
        Self { stable: input.stable.cloned().unwrap_or_default(), candidate: input.candidate.cloned() }
    }
}

/// Renders `state` and makes the commit. The words are found from the difference to the recorded state.
pub(super) fn commit(
    input: &Input<'_>,
    state: State,
    slots: NextSlots,
    leg: Leg,
    why: Vec<String>,
    gates: Vec<GateFact>,
) -> Result<Move, RenderError> {
    let (mut state, mut why) = (state, why);
    if Kind::of(&input.rollout.workload)?.splits_nodes() {
        why.extend(nodes::words(&nodes::choose(input, &mut state.shape)?));
    }
    let rendered = Slots { stable: &slots.stable, candidate: slots.candidate.as_ref() };
    let live = render::live(input.rollout, rendered, &state.shape)?;
    let before = input.state.map(|state| &state.shape);
    why.extend(words::shares(input.rollout, &state, before));
    let title = words::title(input.rollout, &state, leg, before);
    let approvals = input.state.filter(|_| leg != Leg::Note).map(|state| state.approvals.clone()).unwrap_or_default();
    state.mark.clone_from(&live.mark);
    Ok(Move { state, live, stable: slots.stable, candidate: slots.candidate, leg, title, why, gates, approvals, by: None })
}

/// `state` after a move to `shape`: the wait for it begins now.
pub(super) fn advance(mut state: State, input: &Input<'_>, leg: Leg, shape: Shape) -> State {
    state.leg = leg;
    state.shape = shape;
    state.moved_at = input.now;
    state.waiting_since = Some(input.now);
    state.settled_at = None;
    state
}

/// `state` at the beginning of `step`: evidence and approvals of the step before count no more.
pub(super) fn enter_step(mut state: State, step: u32) -> State {
    state.step = step;
    state.tallies.clear();
    state.approvals.clear();
    state
}

/// What is recorded of a slot.
pub(super) fn facts(rollout: &Rollout, objects: &ObjectSet, commit: &str) -> Result<SlotFacts, RenderError> {
    Ok(SlotFacts {
        digest: render::set_digest(objects),
        revision: render::revision(objects, &rollout.workload)?,
        source: commit.to_owned(),
    })
}

/// The label by which the stable pods are told apart: our own where they carry it, else the one that was read.
pub(super) fn narrow(state: &State) -> Option<Selector> {
    if state.shape.stable_labelled {
        return Some(Selector { key: render::REVISION_LABEL.to_owned(), value: state.stable.revision.clone() });
    }
    state.stable_selector.clone()
}

/// A digest of what the steps do to pods and routes. Pauses, gates and thresholds are left out: they act at once.
pub(super) fn plan(rollout: &Rollout) -> String {
    let step = |step: &Step| match step.mirror {
        None => json!([step.replicas, step.traffic, step.matches, step.request_header_modifier]),
        Some(mirror) => json!([step.replicas, step.traffic, step.matches, step.request_header_modifier, mirror]),
    };
    let steps: Vec<Value> = rollout.steps.iter().map(step).collect();
    let plan = match &rollout.shared {
        None => json!([rollout.style, rollout.routings, steps]),
        Some(shared) => json!([rollout.style, rollout.routings, steps, shared.name]),
    };
    digest(&plan).chars().take(16).collect()
}

/// The stable slot after a sync in the middle of a release: what the sync changed is taken over where both versions had the
/// same before, so that a rollback does not undo it. The stable pod template stays.
pub(super) fn synced_stable(
    rollout: &Rollout,
    stable: &ObjectSet,
    before: &ObjectSet,
    after: &ObjectSet,
) -> Result<ObjectSet, RenderError> {
    let workload = render::find_workload(after, &rollout.workload)?.key();
    let mut next = stable.clone();
    for key in before.iter().map(|(key, _)| key).chain(after.iter().map(|(key, _)| key)) {
        if *key == workload || before.get(key) == after.get(key) || stable.get(key) != before.get(key) {
            continue;
        }
        match after.get(key) {
            Some(object) => {
                next.insert(object.clone());
            }
            None => {
                next.remove(key);
            }
        }
    }
    let (Some(old), Some(was), Some(now)) = (stable.get(&workload), before.get(&workload), after.get(&workload)) else {
        return Ok(next);
    };
    let without_template = |object: &crate::manifest::Object| {
        let mut object = object.clone();
        object.remove(&rollout.workload.template());
        object
    };
    let mut merged = old.clone();
    if without_template(old) == without_template(was) {
        merged = without_template(now);
        if let Some(template) = old.get(&rollout.workload.template_pointer()) {
            merged.set(&rollout.workload.template(), template.clone());
        }
    } else {
        match now.get(&rollout.workload.replicas_pointer()) {
            Some(replicas) => merged.set(&rollout.workload.replicas(), replicas.clone()),
            None => merged.remove(&rollout.workload.replicas()),
        }
    }
    next.insert(merged);
    Ok(next)
}

/// Where the newest objects come from.
pub(super) fn source_facts(source: &Source<'_>) -> SourceFacts {
    SourceFacts { path: source.path.to_owned(), commit: source.commit.to_owned(), inputs: source.inputs.clone() }
}

/// The size and strategy of the stable workload.
pub(super) fn ground_of_stable<'a>(input: &Input<'a>, state: &State) -> Result<Ground<'a>, RenderError> {
    let stable = input.stable.ok_or_else(|| missing_slot("stable"))?;
    let ground = Ground::of(input.rollout, stable, counted(input, Some(state)))?;
    Ok(nodes::strictest(ground, input.rollout, input.candidate))
}

/// The commit that begins a rollback at once, or goes on with it.
pub(super) fn roll_back(input: &Input<'_>, state: State, why: Vec<String>, gates: Vec<GateFact>) -> Result<Move, RenderError> {
    let to = legs::roll_back(input.rollout, &state.shape, ground_of_stable(input, &state)?);
    back(input, state, to, why, gates)
}

/// The commit of a move on the way back.
pub(super) fn back(
    input: &Input<'_>,
    state: State,
    (leg, shape): (Leg, Shape),
    why: Vec<String>,
    gates: Vec<GateFact>,
) -> Result<Move, RenderError> {
    let mut state = advance(state, input, leg, shape);
    state.phase = Phase::RollingBack;
    state.paused = None;
    let mut slots = NextSlots::kept(input);
    if leg == Leg::RollbackEnd {
        slots.candidate = None;
        state = ended(state, input);
    }
    commit(input, state, slots, leg, why, gates)
}

/// `state` after its rollback: at rest on the stable version.
pub(super) fn ended(mut state: State, input: &Input<'_>) -> State {
    let rollback = state.rollback.take();
    if let (Some(candidate), true) = (&state.candidate, rollback.as_ref().is_some_and(|rollback| rollback.reject)) {
        if !state.rejected.contains(&candidate.digest) {
            state.rejected.push(candidate.digest.clone());
        }
        // As many as a person could want to look at; the oldest are long gone from the source.
        let surplus = state.rejected.len().saturating_sub(20);
        state.rejected.drain(..surplus);
    }
    let why = rollback.map(|rollback| rollback.why).unwrap_or_default();
    state.outcome = Some(Outcome { release: state.release, completed: false, why, at: input.now });
    state.candidate = None;
    state.stable_selector = None;
    at_rest(state)
}

/// `state` without anything that belongs to a release on its way.
pub(super) fn at_rest(state: State) -> State {
    let mut state = enter_step(state, 0);
    state.phase = Phase::Healthy;
    state.paused = None;
    state.waiting_since = None;
    state.settled_at = None;
    state
}

/// The size and strategy of the workload that is written at present.
pub(super) fn ground<'a>(input: &Input<'a>, state: &State) -> Result<Ground<'a>, RenderError> {
    let stable = input.stable.ok_or_else(|| missing_slot("stable"))?;
    let objects = match state.phase {
        Phase::RollingBack | Phase::Healthy => stable,
        Phase::Paused if state.rollback.is_some() => stable,
        _ => input.candidate.unwrap_or(stable),
    };
    let ground = Ground::of(input.rollout, objects, counted(input, Some(state)))?.held(&state.shape);
    Ok(nodes::strictest(nodes::strictest(ground, input.rollout, Some(stable)), input.rollout, input.candidate))
}

/// The size that the cluster tells; where nobody looked, the one of the newest move.
pub(super) fn counted(input: &Input<'_>, state: Option<&State>) -> Option<u32> {
    let seen = match &input.seen {
        Some(Seen::Sight(sight)) => sight.counts.map(|counts| counts.size),
        _ => None,
    };
    seen.or_else(|| match state?.shape.pods {
        Pods::Held { size, .. } | Pods::Back { size, .. } => Some(size),
        _ => state?.shape.extra_for,
    })
}

/// A release needs to know how many pods there are: from the objects, or from the cluster.
pub(super) fn size_is_known(rollout: &Rollout, objects: &ObjectSet, counted: Option<u32>) -> Result<(), RenderError> {
    if render::size(rollout, objects)?.or(counted).is_some() {
        return Ok(());
    }
    if Kind::of(&rollout.workload)?.splits_nodes() {
        return Err(nodes::unseen(rollout));
    }
    Err(RenderError::Unusable {
        what: rollout.workload.kind.clone(),
        name: rollout.workload.name.clone(),
        cause: "how many pods it has is known to the cluster alone, and nobody has looked; observe it with `kubernetes`"
            .to_owned(),
    })
}

pub(super) fn missing_slot(name: &str) -> RenderError {
    RenderError::Missing { what: "slot".to_owned(), name: name.to_owned() }
}
