//! One decision: from the recorded state and what was seen to the next commit, or to a hold with its reason.
//!
//! What is handled first follows Kruise (reference 2.5): what people did to the branch, rollback, pauses, a new candidate,
//! a changed plan, and then the ordinary way.

use super::gates::{self, Gates};
use super::input::{Decision, GateFact, Hold, Input, Move, Reason, Seen, Source};
use super::legs::{self, Ground};
use super::moves::{self, NextSlots};
use super::state::{Leg, Outcome, Phase, Rollback, STATE_VERSION, SlotFacts, State, Stop};
use super::{back, halt, history, judge, nodes, wait};
use crate::api::{OnFailure, Rollout};
use crate::render::{self, Pods, RenderError, Shape};

/// Decides what is due. The same input gives the same answer, down to the last byte.
///
/// # Errors
/// The Rollout and the objects do not fit together; the app holds, nothing is written.
pub fn decide(input: &Input<'_>) -> Result<Decision, RenderError> {
    halt::keep(input, freely(input))
}

/// As if nothing kept it from going on.
fn freely(input: &Input<'_>) -> Result<Decision, RenderError> {
    let Some(recorded) = input.state else { return adopt(input) };
    if let Some(decision) = history::decide(input, recorded)? {
        return Ok(decision);
    }
    if !recorded.phase.is_busy() && input.source.is_none() {
        return Ok(Decision::Rest);
    }
    let mut state = recorded.clone();
    let ground = moves::ground(input, &state)?;
    wait::learn(&mut state, input, ground);
    if let Some(decision) = frozen(input, &state) {
        return Ok(decision);
    }
    if let Some(decision) = news(input, &state)? {
        return Ok(decision);
    }
    match state.phase {
        Phase::Healthy => Ok(Decision::Rest),
        Phase::Paused => Ok(paused(state)),
        Phase::Releasing => releasing(input, state, ground),
        Phase::Finalising => finalising(input, state, ground),
        Phase::RollingBack => rolling_back(input, state, ground),
    }
}

/// The metrics that are due for a look now, by name.
pub fn due_looks(input: &Input<'_>) -> Vec<String> {
    let Some(recorded) = input.state.filter(|state| state.phase == Phase::Releasing) else { return Vec::new() };
    let Ok(ground) = moves::ground(input, recorded) else { return Vec::new() };
    let mut state = recorded.clone();
    wait::learn(&mut state, input, ground);
    if wait::missing(&state, input, ground).is_some() || input.rollout.paused || input.spec_gone || input.rollout.disabled {
        return Vec::new();
    }
    let narrow = moves::narrow(&state);
    if legs::within_step(input.rollout, state.step, ground, &state.shape, narrow.as_ref()).is_some() {
        return Vec::new();
    }
    let Some(start) = gates::soak_start(&state, input).filter(|start| input.now >= *start) else { return Vec::new() };
    let due = |metric: &&crate::api::Metric| {
        judge::next_look(metric, state.tallies.get(&metric.name), start, false).is_some_and(|at| input.now >= at)
    };
    input.rollout.metrics.iter().filter(due).map(|metric| metric.name.clone()).collect()
}

/// When something can next become due by the clock alone; `None`: only by an event.
pub fn next_check(input: &Input<'_>, state: &State, hold: &Hold) -> Option<jiff::Timestamp> {
    let looks = gates::soak_start(state, input)
        .map(|start| {
            input
                .rollout
                .metrics
                .iter()
                .filter_map(move |metric| judge::next_look(metric, state.tallies.get(&metric.name), start, false))
        })
        .into_iter()
        .flatten();
    looks.filter(|at| *at > input.now).chain(hold.until).min()
}

fn adopt(input: &Input<'_>) -> Result<Decision, RenderError> {
    let Some(source) = &input.source else { return Ok(Decision::Rest) };
    if input.spec_gone || input.rollout.disabled {
        return Ok(Decision::Rest);
    }
    render::check(input.rollout, source.objects)?;
    let state = State {
        version: STATE_VERSION,
        rollout: input.rollout.name.clone(),
        phase: Phase::Healthy,
        release: 0,
        source: moves::source_facts(source),
        stable: moves::facts(input.rollout, source.objects, source.commit)?,
        candidate: None,
        plan: moves::plan(input.rollout),
        step: 0,
        leg: Leg::Adopt,
        shape: Shape::stable(false),
        mark: String::new(),
        tree: String::new(),
        files: Vec::new(),
        parent: None,
        moved_at: input.now,
        waiting_since: None,
        settled_at: None,
        tallies: std::collections::BTreeMap::new(),
        approvals: Vec::new(),
        paused: None,
        rollback: None,
        rejected: Vec::new(),
        stable_selector: None,
        outcome: None,
    };
    let slots = NextSlots { stable: source.objects.clone(), candidate: None };
    let why = vec!["First contact: the live path is the source as it is. No pod restarts.".to_owned()];
    Ok(Decision::Commit(Box::new(moves::commit(input, state, slots, Leg::Adopt, why, Vec::new())?)))
}

fn frozen(input: &Input<'_>, state: &State) -> Option<Decision> {
    let why = match (input.spec_gone, input.rollout.disabled) {
        (true, _) => "the Rollout file is gone from the source",
        (_, true) => "the Rollout says `disabled: true`",
        _ => return None,
    };
    match state.phase {
        Phase::Healthy => Some(Decision::Rest),
        // What is on its way back goes there.
        Phase::Paused if state.rollback.is_some() => None,
        Phase::Releasing | Phase::Paused => Some(Decision::Hold(
            Hold {
                reason: Reason::Frozen,
                text: format!("frozen at step {}: {why}", state.step),
                since: state.moved_at,
                until: None,
                then: Some(format!("`windlass promote {0}` or `windlass rollback {0}` finishes the release", state.rollout)),
            },
            Box::new(state.clone()),
        )),
        // A person's word that came after the freeze.
        Phase::Finalising | Phase::RollingBack => None,
    }
}

/// What a changed source or a changed plan asks for.
fn news(input: &Input<'_>, state: &State) -> Result<Option<Decision>, RenderError> {
    if back::batches(input, state).is_some() {
        return back::news(input, state);
    }
    if matches!(state.phase, Phase::RollingBack | Phase::Finalising) || state.rollback.is_some() {
        return Ok(None);
    }
    if let Some(source) = &input.source {
        let wanted = render::set_digest(source.objects);
        let present = state.candidate.as_ref().unwrap_or(&state.stable);
        if wanted != present.digest {
            return match state.phase {
                Phase::Healthy => news_at_rest(input, state, source, wanted).map(Some),
                _ => news_in_release(input, state, source),
            };
        }
    }
    let plan = moves::plan(input.rollout);
    if state.phase == Phase::Healthy || plan == state.plan {
        return Ok(None);
    }
    let ground = moves::ground(input, state)?;
    let step = legs::replanned(input.rollout, state.step, ground, &state.shape);
    let mut next = moves::enter_step(state.clone(), step);
    next.plan = plan;
    next.waiting_since = Some(input.now);
    next.settled_at = None;
    let why = vec![format!("The plan was edited: it goes on at step {step}, the first with at least today's pods.")];
    Ok(Some(Decision::Commit(Box::new(moves::commit(input, next, NextSlots::kept(input), Leg::Note, why, Vec::new())?))))
}

fn news_at_rest(input: &Input<'_>, state: &State, source: &Source<'_>, wanted: String) -> Result<Decision, RenderError> {
    if is_rejected(state, source, &wanted) {
        let why = state.outcome.as_ref().map(|outcome| outcome.why.clone()).unwrap_or_default();
        let otherwise = match state.rejected.contains(&wanted) {
            true => "",
            false => " (the same files render otherwise now, by another version of their renderer or by the time of day)",
        };
        return Ok(Decision::Hold(
            Hold {
                reason: Reason::Rejected,
                text: format!("the source still holds a rejected candidate{otherwise}: {why}"),
                since: state.moved_at,
                until: None,
                then: Some(format!("change the source, or `windlass retry {}`", state.rollout)),
            },
            Box::new(state.clone()),
        ));
    }
    render::check(input.rollout, source.objects)?;
    let facts = moves::facts(input.rollout, source.objects, source.commit)?;
    if facts.revision == state.stable.revision {
        return sync_at_rest(input, state, source, facts);
    }
    if let Some(hold) = not_applied(input, state) {
        return Ok(Decision::Hold(hold, Box::new(state.clone())));
    }
    start(input, state, source, facts)
}

/// Whether a render is a rejected candidate. One of the same files is, even where the renderer has made something else of
/// them: people have not changed their minds, so nothing begins by itself.
fn is_rejected(state: &State, source: &Source<'_>, digest: &str) -> bool {
    let is_undone = state.stable.source != state.source.commit && !state.rejected.is_empty();
    let same_files = !source.inputs.is_empty() && *source.inputs == state.source.inputs && source.path == state.source.path;
    state.rejected.iter().any(|rejected| rejected == digest) || is_undone && same_files
}

fn sync_at_rest(input: &Input<'_>, state: &State, source: &Source<'_>, facts: SlotFacts) -> Result<Decision, RenderError> {
    let mut next = moves::advance(state.clone(), input, Leg::Sync, state.shape.clone());
    next.waiting_since = None;
    next.stable = facts;
    next.source = moves::source_facts(source);
    next.plan = moves::plan(input.rollout);
    let slots = NextSlots { stable: source.objects.clone(), candidate: None };
    let why = vec!["The source changed, the pod template did not: applied at once.".to_owned()];
    Ok(Decision::Commit(Box::new(moves::commit(input, next, slots, Leg::Sync, why, Vec::new())?)))
}

/// A release does not begin before the commit under it was applied: its controllers would see two changes as one.
fn not_applied(input: &Input<'_>, state: &State) -> Option<Hold> {
    let (reason, text) = match &input.seen {
        Some(Seen::Sight(sight)) if sight.applied => return None,
        Some(Seen::Sight(sight)) => {
            (Reason::NotApplied, sight.missing.clone().unwrap_or_else(|| "the last commit was not applied yet".to_owned()))
        }
        Some(Seen::Unreachable(cause)) => (Reason::Unreachable, cause.clone()),
        None => (Reason::Unreachable, "nobody has looked yet".to_owned()),
    };
    let text = format!("release {} waits for the commit before it: {text}", state.release + 1);
    Some(Hold { reason, text, since: state.moved_at, until: None, then: Some("it begins once that is seen".to_owned()) })
}

fn start(input: &Input<'_>, state: &State, source: &Source<'_>, facts: SlotFacts) -> Result<Decision, RenderError> {
    let rollout = input.rollout;
    let counted = moves::counted(input, None);
    moves::size_is_known(rollout, source.objects, counted)?;
    let ground = nodes::strictest(Ground::of(rollout, source.objects, counted)?, rollout, input.stable);
    nodes::fit(input, source.objects, ground)?;
    let mut next = moves::enter_step(state.clone(), 1);
    next.phase = Phase::Releasing;
    next.release += 1;
    next.source = moves::source_facts(source);
    next.candidate = Some(facts);
    next.plan = moves::plan(rollout);
    next.rollback = None;
    let slots = NextSlots {
        stable: input.stable.cloned().ok_or_else(|| moves::missing_slot("stable"))?,
        candidate: Some(source.objects.clone()),
    };
    let mut why = vec![super::words::images(rollout, &slots)];
    let routes = !rollout.routings.is_empty() && rollout.steps.iter().any(crate::api::Step::routes);
    if routes && !next.shape.stable_labelled {
        next.stable_selector = match &input.seen {
            Some(Seen::Sight(sight)) => sight.revision_label.clone(),
            _ => None,
        };
        if next.stable_selector.is_none() {
            why.push(
                "The running pods carry no label that tells versions apart, and nobody can read one: they get it first."
                    .to_owned(),
            );
            let shape = Shape { stable_labelled: true, ..next.shape.clone() };
            let next = moves::advance(next, input, Leg::Label, shape);
            return Ok(Decision::Commit(Box::new(moves::commit(input, next, slots, Leg::Label, why, Vec::new())?)));
        }
    }
    let (leg, shape) = match ground.size {
        0 => {
            next.phase = Phase::Finalising;
            legs::finalise(rollout, &next.shape, ground)
        }
        _ => {
            let narrow = moves::narrow(&next);
            match legs::within_step(rollout, 1, ground, &next.shape, narrow.as_ref()) {
                Some(step) => step,
                None => {
                    next.phase = Phase::Finalising;
                    legs::finalise(rollout, &next.shape, ground)
                }
            }
        }
    };
    let next = moves::advance(next, input, leg, shape);
    Ok(Decision::Commit(Box::new(moves::commit(input, next, slots, leg, why, Vec::new())?)))
}

fn news_in_release(input: &Input<'_>, state: &State, source: &Source<'_>) -> Result<Option<Decision>, RenderError> {
    let rollout = input.rollout;
    let candidate = state.candidate.as_ref().ok_or_else(|| moves::missing_slot("candidate"))?;
    render::check(rollout, source.objects)?;
    let facts = moves::facts(rollout, source.objects, source.commit)?;
    if facts.revision == candidate.revision {
        return sync_in_release(input, state, source, facts).map(Some);
    }
    let back = facts.revision == state.stable.revision;
    if !back && state.phase == Phase::Paused {
        return Ok(None);
    }
    let mut next = state.clone();
    let why =
        if back { "the source went back to the stable version" } else { "a new candidate came: it starts at step 1 from stable" };
    next.rollback = Some(Rollback { why: why.to_owned(), reject: false, by: None, in_batches: None });
    let why = vec![format!("Rolled back: {why}.")];
    // The new candidate does not wait for batches (Kruise's "continuous release" neither).
    let commit = if back { back::begin(input, next, why, Vec::new()) } else { moves::roll_back(input, next, why, Vec::new()) };
    Ok(Some(Decision::Commit(Box::new(commit?))))
}

fn sync_in_release(input: &Input<'_>, state: &State, source: &Source<'_>, facts: SlotFacts) -> Result<Decision, RenderError> {
    let rollout = input.rollout;
    let (Some(stable), Some(before)) = (input.stable, input.candidate) else { return Err(moves::missing_slot("candidate")) };
    let ground = Ground::of(rollout, source.objects, moves::counted(input, Some(state)))?;
    let stable = moves::synced_stable(rollout, stable, before, source.objects)?;
    let shape = legs::resized(rollout, state.step, &state.shape, ground);
    let mut next = moves::advance(state.clone(), input, Leg::Sync, shape);
    next.stable = moves::facts(rollout, &stable, &state.stable.source)?;
    next.candidate = Some(facts);
    next.source = moves::source_facts(source);
    let slots = NextSlots { stable, candidate: Some(source.objects.clone()) };
    let why = vec!["The source changed, the candidate's pod template did not: applied at once, at the present step.".to_owned()];
    Ok(Decision::Commit(Box::new(moves::commit(input, next, slots, Leg::Sync, why, Vec::new())?)))
}

fn paused(state: State) -> Decision {
    let (text, since) = match &state.paused {
        Some(stop) => {
            let by = stop.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            (format!("paused{by}: {}", stop.why), stop.at)
        }
        None => ("paused".to_owned(), state.moved_at),
    };
    let then = Some(match state.rollback {
        Some(_) => {
            format!("`windlass resume {0}` goes on with the rollback, `windlass rollback {0} --now` ends it", state.rollout)
        }
        None => format!("`windlass resume {0}` goes on, `windlass rollback {0}` goes back", state.rollout),
    });
    Decision::Hold(Hold { reason: Reason::Paused, text, since, until: None, then }, Box::new(state))
}

fn paused_by_the_spec(state: State) -> Decision {
    let hold = Hold {
        reason: Reason::Paused,
        text: "the Rollout says `paused: true`".to_owned(),
        since: state.moved_at,
        until: None,
        then: Some("set it to false in the source".to_owned()),
    };
    Decision::Hold(hold, Box::new(state))
}

/// The wait for the newest move: a hold, or what its deadline decides, or nothing.
fn waiting(input: &Input<'_>, state: &State, ground: Ground) -> Result<Option<Decision>, RenderError> {
    if let Some((reason, text)) = wait::missing(state, input, ground) {
        let late = wait::deadline(state, input.rollout).is_some_and(|deadline| input.now >= deadline);
        if late {
            let length = gates::duration(i64::from(wait::timeout(state, input.rollout)));
            return fail(input, state, format!("not done within {length}: {text}"), Vec::new()).map(Some);
        }
        return Ok(Some(Decision::Hold(wait::hold(state, input.rollout, reason, text), Box::new(state.clone()))));
    }
    let Some(start) = gates::soak_start(state, input) else { return Ok(None) };
    if input.now < start {
        let hold = Hold {
            reason: Reason::Grace,
            text: "routes are given time to reach every proxy".to_owned(),
            since: state.settled_at.unwrap_or(state.moved_at),
            until: Some(start),
            then: None,
        };
        return Ok(Some(Decision::Hold(hold, Box::new(state.clone()))));
    }
    Ok(None)
}

fn releasing(input: &Input<'_>, state: State, ground: Ground) -> Result<Decision, RenderError> {
    let rollout = input.rollout;
    if rollout.paused {
        return Ok(paused_by_the_spec(state));
    }
    if wait::is_stranded(&state, input) && state.leg != Leg::RestoreRoutes {
        return restore(input, state);
    }
    if let Some(size) = legs::outgrown(rollout, state.step, &state.shape, ground) {
        let shape = legs::resized(rollout, state.step, &state.shape, ground);
        let why = vec![format!("The cluster wants {} pods of it now; at the last move it wanted {size}.", ground.size)];
        return step(input, state, Leg::Grow, shape, why, Vec::new());
    }
    if ground.kind.splits_nodes()
        && let Some(shape) = nodes::without_gone(input, &state.shape, ground)
    {
        let why =
            vec!["Nodes of the second DaemonSet are gone from the cluster; where the step wants more, others follow.".to_owned()];
        return step(input, state, Leg::Grow, shape, why, Vec::new());
    }
    if let Some(decision) = waiting(input, &state, ground)? {
        return Ok(decision);
    }
    if state.leg == Leg::RestoreRoutes {
        return restore(input, state);
    }
    let mut state = state;
    if let (Leg::RestorePods, false, Some(Seen::Sight(sight))) = (state.leg, state.shape.stable_labelled, &input.seen)
        && state.stable_selector.is_some()
    {
        // Another cluster may tell its pods apart by another value.
        state.stable_selector.clone_from(&sight.revision_label);
    }
    let narrow = moves::narrow(&state);
    if let Some((leg, shape)) = legs::within_step(rollout, state.step, ground, &state.shape, narrow.as_ref()) {
        let why = vec![done(input, &state)];
        return step(input, state, leg, shape, why, Vec::new());
    }
    let Some(spec) = rollout.steps.get(usize::try_from(state.step).unwrap_or(0).saturating_sub(1)) else {
        return next_step(input, state, ground, Vec::new());
    };
    let start = gates::soak_start(&state, input).unwrap_or(input.now);
    match gates::judge(&state, input, spec, start) {
        Gates::Hold(hold) => Ok(Decision::Hold(hold, Box::new(state))),
        Gates::Fail { why, facts } => fail(input, &state, why, facts),
        Gates::Inconclusive { why, facts } => stop(input, &state, why, facts),
        Gates::Pass(facts) => next_step(input, state, ground, facts),
    }
}

/// The cluster has lost the stable pods. Looks at the metrics so far were about another cluster, or about one without them.
fn restore(input: &Input<'_>, state: State) -> Result<Decision, RenderError> {
    let stable = input.stable.ok_or_else(|| moves::missing_slot("stable"))?;
    let ground = Ground::of(input.rollout, stable, moves::counted(input, Some(&state)))?;
    let (leg, shape) = legs::restore(input.rollout, &state.shape, ground);
    let why = vec![match state.leg {
        Leg::RestoreRoutes => done(input, &state),
        _ => {
            "The cluster runs new pods only, more than the step allows, and no stable ones: it is new, or they were deleted. The \
              stable pods come back first, then the step's."
                .to_owned()
        }
    }];
    let mut state = state;
    state.tallies.clear();
    step(input, state, leg, shape, why, Vec::new())
}

fn step(
    input: &Input<'_>,
    state: State,
    leg: Leg,
    shape: Shape,
    why: Vec<String>,
    facts: Vec<GateFact>,
) -> Result<Decision, RenderError> {
    let next = moves::advance(state, input, leg, shape);
    Ok(Decision::Commit(Box::new(moves::commit(input, next, NextSlots::kept(input), leg, why, facts)?)))
}

/// What the wait for the newest move has shown.
fn done(input: &Input<'_>, state: &State) -> String {
    let what = state.leg.word();
    match &input.seen {
        Some(Seen::Sight(sight)) => match sight.counts {
            Some(counts) if matches!(state.shape.pods, Pods::Held { .. } | Pods::Candidate) => {
                format!("After {what}: applied, {} of {} updated pods ready.", counts.updated_ready, counts.updated)
            }
            Some(counts) => format!("After {what}: applied, {} pods ready.", counts.ready),
            None => format!("After {what}: the settle time is over (not observed)."),
        },
        _ => format!("After {what}."),
    }
}

fn next_step(input: &Input<'_>, state: State, ground: Ground, facts: Vec<GateFact>) -> Result<Decision, RenderError> {
    let mut why = vec![super::words::passed(state.step, &facts)];
    let following = state.step + 1;
    let last = u32::try_from(input.rollout.steps.len()).unwrap_or(u32::MAX);
    if following > last {
        let mut next = state;
        let (leg, shape) = legs::finalise(input.rollout, &next.shape, ground);
        if leg == Leg::Complete {
            return complete(input, next, shape, why, facts);
        }
        next.phase = Phase::Finalising;
        return step(input, next, leg, shape, why, facts);
    }
    let next = moves::enter_step(state, following);
    let narrow = moves::narrow(&next);
    let moved = legs::within_step(input.rollout, following, ground, &next.shape, narrow.as_ref());
    let (leg, shape) = moved.unwrap_or_else(|| {
        why.push("This step changes nothing.".to_owned());
        (Leg::Shift, next.shape.clone())
    });
    step(input, next, leg, shape, why, facts)
}

fn finalising(input: &Input<'_>, state: State, ground: Ground) -> Result<Decision, RenderError> {
    if let Some(decision) = waiting(input, &state, ground)? {
        return Ok(decision);
    }
    let (leg, shape) = legs::finalise(input.rollout, &state.shape, ground);
    let why = vec![done(input, &state)];
    if leg != Leg::Complete {
        return step(input, state, leg, shape, why, Vec::new());
    }
    complete(input, state, shape, why, Vec::new())
}

fn complete(
    input: &Input<'_>,
    state: State,
    shape: Shape,
    why: Vec<String>,
    facts: Vec<GateFact>,
) -> Result<Decision, RenderError> {
    let leg = Leg::Complete;
    let objects = input.candidate.cloned().ok_or_else(|| moves::missing_slot("candidate"))?;
    let mut next = moves::advance(state, input, leg, shape);
    next.stable = next.candidate.take().ok_or_else(|| moves::missing_slot("candidate"))?;
    next.stable_selector = None;
    next.outcome = Some(Outcome { release: next.release, completed: true, why: "all steps passed".to_owned(), at: input.now });
    let next = moves::at_rest(next);
    let slots = NextSlots { stable: objects, candidate: None };
    Ok(Decision::Commit(Box::new(moves::commit(input, next, slots, leg, why, facts)?)))
}

fn rolling_back(input: &Input<'_>, state: State, ground: Ground) -> Result<Decision, RenderError> {
    let batches = back::batches(input, &state);
    if input.rollout.paused && batches.is_some() {
        return Ok(paused_by_the_spec(state));
    }
    if let Some(decision) = waiting(input, &state, ground)? {
        return Ok(decision);
    }
    let done = done(input, &state);
    if let Some(of) = batches {
        return back::go_on(input, state, ground, of, done);
    }
    let why = vec![done];
    Ok(Decision::Commit(Box::new(moves::roll_back(input, state, why, Vec::new())?)))
}

/// A gate failed or a deadline passed: `onFailure` decides.
fn fail(input: &Input<'_>, state: &State, why: String, facts: Vec<GateFact>) -> Result<Decision, RenderError> {
    match input.rollout.on_failure {
        OnFailure::Pause => stop(input, state, why, facts),
        OnFailure::Rollback => {
            let mut next = state.clone();
            let text = format!("step {}: {why}", state.step);
            next.rollback = Some(Rollback { why: text.clone(), reject: true, by: None, in_batches: None });
            let why = vec![format!("Rolled back at {text}.")];
            Ok(Decision::Commit(Box::new(back::begin(input, next, why, facts)?)))
        }
    }
}

/// Stops for a person to look.
fn stop(input: &Input<'_>, state: &State, why: String, facts: Vec<GateFact>) -> Result<Decision, RenderError> {
    let mut next = state.clone();
    next.phase = Phase::Paused;
    next.paused = Some(Stop { by: None, why: why.clone(), at: input.now });
    let why = vec![format!("Paused at step {}: {why}.", state.step)];
    let commit: Move = moves::commit(input, next, NextSlots::kept(input), Leg::Note, why, facts)?;
    Ok(Decision::Commit(Box::new(commit)))
}

/// Whether anything needs to be looked at for `decide`: the app is busy, or a release would begin.
pub fn wants_sight(rollout: &Rollout, state: Option<&State>, source: Option<&Source<'_>>) -> bool {
    let Some(state) = state else { return false };
    if state.phase.is_busy() {
        return true;
    }
    source.is_some_and(|source| {
        let revision = render::revision(source.objects, &rollout.workload);
        revision.is_ok_and(|revision| revision != state.stable.revision)
            && !is_rejected(state, source, &render::set_digest(source.objects))
    })
}
