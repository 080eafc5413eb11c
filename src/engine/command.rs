//! What a person can say to an app. Each word is one commit on the live branch; the command line, comments and the
//! dashboard all come here.

use super::input::{History, Input, Move};
use super::moves::{self, NextSlots};
use super::state::{Approval, Leg, Outcome, Phase, Rollback, State, Stop};
use super::{back, history, legs};
use crate::manifest::ObjectSet;
use crate::render::{RenderError, Shape};

/// A person's word.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Approve,
    Pause {
        why: Option<String>,
    },
    Resume,
    /// `now`: in one commit, without waiting for anything.
    Rollback {
        now: bool,
    },
    /// Try a rejected candidate again, or a paused step.
    Retry,
    /// Go to this step (1-based). Pods never shrink.
    Goto(u32),
    /// To the end, past all gates.
    Promote,
    /// Take a person's change of the live path as the stable version. Holds the objects that are live.
    Adopt(ObjectSet),
}

/// Why a word cannot be followed. Codes are stable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{text}")]
    No { code: &'static str, text: String },
    #[error(transparent)]
    Render(#[from] RenderError),
}

fn no<T>(code: &'static str, text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::No { code, text: text.into() })
}

/// The commit that records what was learned without a move: for a process that ends, so that the next one goes on from
/// there. `None` where there is nothing that a later process could not see again.
///
/// # Errors
/// The recorded slots cannot be rendered.
pub fn remember(input: &Input<'_>, learned: State) -> Result<Option<Move>, RenderError> {
    let Some(state) = input.state.filter(|state| learned.settled_at != state.settled_at || learned.tallies != state.tallies)
    else {
        return Ok(None);
    };
    let looks: u32 = learned.tallies.values().map(|tally| tally.count + tally.no_data + tally.error).sum();
    let seen = match looks {
        0 => "settled".to_owned(),
        1 => "1 look".to_owned(),
        looks => format!("{looks} looks"),
    };
    let title = format!("{}, evidence: {seen}", at(input, state));
    let why = vec!["Recorded for the next run; the live tree does not change.".to_owned()];
    let mut commit = moves::commit(input, learned, NextSlots::kept(input), Leg::Note, why, Vec::new())?;
    commit.title = title;
    Ok(Some(commit))
}

/// The commit that follows from a person's word.
///
/// # Errors
/// The word does not fit where the app stands; nothing is written.
pub fn command(input: &Input<'_>, command: &Command, by: &str) -> Result<Move, Refusal> {
    let Some(state) = input.state else {
        return no("unknown-app", "Windlass has not taken this app over yet: the first `windlass run` does");
    };
    match (&input.history, command) {
        (History::Foreign { commit, .. }, Command::Adopt(_)) => {
            if state.phase.is_busy() {
                let text =
                    format!("a release is on its way, and a change in it cannot be adopted: `git revert {}`", short(commit));
                return no("busy", text);
            }
        }
        (History::Foreign { commit, by, .. }, _) => {
            let take = if state.phase.is_busy() { "" } else { ", or `windlass adopt` takes it" };
            return no("foreign-change", format!("{by} changed the live path in {0}: `git revert {0}`{take}", short(commit)));
        }
        (History::Rewritten, Command::Resume) => return accept_history(input, state, by),
        (History::Rewritten, _) => {
            return no("history-rewritten", "the live branch was rewritten: `windlass resume --rewritten` accepts that");
        }
        (History::Ours | History::Reverted { .. }, _) => {}
    }
    let next = match command {
        Command::Approve => approve(input, state, by),
        Command::Pause { why } => pause(input, state, why.as_deref(), by),
        Command::Resume => resume(input, state),
        Command::Rollback { now } => return roll_back(input, state, *now, by),
        Command::Retry => retry(input, state),
        Command::Goto(step) => go_to(input, state, *step),
        Command::Promote => return promote(input, state, by),
        Command::Adopt(objects) => return adopt(input, state, objects, by),
    };
    let (next, title, why) = next?;
    let mut commit = moves::commit(input, next, NextSlots::kept(input), Leg::Note, vec![why], Vec::new())?;
    commit.title = title;
    commit.by = Some(by.to_owned());
    Ok(commit)
}

type Said = Result<(State, String, String), Refusal>;

fn at(input: &Input<'_>, state: &State) -> String {
    format!("step {}/{}", state.step, input.rollout.steps.len())
}

fn in_release(state: &State) -> Result<(), Refusal> {
    match state.phase {
        Phase::Paused if state.rollback.is_some() => no("rolling-back", "the release is being rolled back"),
        Phase::Releasing | Phase::Paused => Ok(()),
        Phase::Healthy => no("no-release", "no release is on its way"),
        Phase::Finalising => no("finalising", "all steps have passed, the release is being finished; only `rollback` stops it"),
        Phase::RollingBack => no("rolling-back", "the release is being rolled back"),
    }
}

/// In a release, or in the middle of a rollback's batches.
fn in_steps(state: &State) -> Result<(), Refusal> {
    if back::can_be_stopped(state) { Ok(()) } else { in_release(state) }
}

fn approve(input: &Input<'_>, state: &State, by: &str) -> Said {
    in_steps(state)?;
    if state.phase == Phase::Paused {
        return no("paused", "the release is paused: `windlass resume` first");
    }
    if state.approvals.iter().any(|approval| approval.login == by && approval.tree == state.tree) {
        return no("approved-already", format!("{by} has approved this step already"));
    }
    let mut next = state.clone();
    next.approvals.push(Approval { login: by.to_owned(), tree: state.tree.clone(), at: input.now });
    Ok((next, format!("{}, approved by {by}", at(input, state)), format!("{by} approved the live tree {}.", short(&state.tree))))
}

fn pause(input: &Input<'_>, state: &State, why: Option<&str>, by: &str) -> Said {
    in_steps(state)?;
    if state.phase == Phase::Paused {
        return no("paused-already", "the release is paused already");
    }
    let mut next = state.clone();
    next.phase = Phase::Paused;
    let why = why.unwrap_or("no reason given").to_owned();
    next.paused = Some(Stop { by: Some(by.to_owned()), why: why.clone(), at: input.now });
    Ok((next, format!("{}, paused by {by}", at(input, state)), format!("Paused: {why}.")))
}

fn resume(input: &Input<'_>, state: &State) -> Said {
    if state.phase != Phase::Paused {
        return no("not-paused", "the release is not paused");
    }
    let mut next = state.clone();
    next.phase = if next.rollback.is_some() { Phase::RollingBack } else { Phase::Releasing };
    // What a gate has stopped is judged anew; a person's pause keeps what was seen.
    if next.paused.take().is_some_and(|stop| stop.by.is_none()) {
        next.tallies.clear();
    }
    next.settled_at = None;
    next.waiting_since = Some(input.now);
    Ok((next, format!("{}, resumed", at(input, state)), "Resumed: waits and deadlines begin anew.".to_owned()))
}

fn retry(input: &Input<'_>, state: &State) -> Said {
    match state.phase {
        Phase::Paused => resume(input, state),
        Phase::Healthy if state.rejected.is_empty() => no("nothing-rejected", "no candidate was rejected"),
        Phase::Healthy => {
            let mut next = state.clone();
            next.rejected.clear();
            Ok((next, "retry the rejected candidate".to_owned(), "What was rejected may be tried again.".to_owned()))
        }
        _ => no("busy", "a release is on its way"),
    }
}

fn go_to(input: &Input<'_>, state: &State, step: u32) -> Said {
    in_release(state)?;
    let last = input.rollout.steps.len();
    if step == 0 || usize::try_from(step).unwrap_or(usize::MAX) > last {
        return no("no-such-step", format!("there is no step {step}: the Rollout has {last}"));
    }
    if step == state.step && state.phase != Phase::Paused {
        return no("there-already", format!("the release is at step {step} already"));
    }
    let mut next = moves::enter_step(state.clone(), step);
    next.phase = Phase::Releasing;
    next.paused = None;
    next.settled_at = None;
    next.waiting_since = Some(input.now);
    let why = format!("From step {} to step {step}. Pods never become fewer.", state.step);
    Ok((next, format!("go to step {step}/{last}"), why))
}

fn promote(input: &Input<'_>, state: &State, by: &str) -> Result<Move, Refusal> {
    in_release(state)?;
    let mut next = state.clone();
    next.phase = Phase::Finalising;
    next.paused = None;
    let (leg, shape) = legs::finalise(input.rollout, &next.shape);
    let next = moves::advance(next, input, leg, shape);
    let why = vec![format!("{by} promoted the candidate at step {}: its remaining gates were passed over.", state.step)];
    let mut commit = moves::commit(input, next, NextSlots::kept(input), leg, why, Vec::new())?;
    commit.by = Some(by.to_owned());
    Ok(commit)
}

fn roll_back(input: &Input<'_>, state: &State, now: bool, by: &str) -> Result<Move, Refusal> {
    match state.phase {
        Phase::Healthy => {
            return no("no-release", "no release is on its way: to undo a finished one, revert its commit in the source");
        }
        Phase::RollingBack | Phase::Paused if !now && state.rollback.is_some() => {
            return no("rolling-back", "the release is being rolled back");
        }
        _ => {}
    }
    let mut next = state.clone();
    let why = format!("{by} asked for it at step {}", state.step);
    next.rollback = Some(Rollback { why: why.clone(), reject: true, by: Some(by.to_owned()), in_batches: None });
    let mut commit = if now {
        let labelled = state.shape.stable_labelled;
        let next = moves::advance(next, input, Leg::RollbackEnd, Shape::stable(labelled));
        let slots = NextSlots { candidate: None, ..NextSlots::kept(input) };
        let why = vec![format!("Rolled back at once: {why}. Traffic and pods in one commit.")];
        moves::commit(input, moves::ended(next, input), slots, Leg::RollbackEnd, why, Vec::new())?
    } else {
        back::begin(input, next, vec![format!("Rolled back: {why}.")], Vec::new())?
    };
    commit.by = Some(by.to_owned());
    Ok(commit)
}

fn accept_history(input: &Input<'_>, state: &State, by: &str) -> Result<Move, Refusal> {
    let mut next = state.clone();
    if next.phase.is_busy() {
        next.waiting_since = Some(input.now);
        next.settled_at = None;
    }
    let why = vec![format!("{by} accepts the rewritten live branch as it is.")];
    let mut commit = moves::commit(input, next, NextSlots::kept(input), Leg::Note, why, Vec::new())?;
    commit.title = "resume after the branch was rewritten".to_owned();
    commit.by = Some(by.to_owned());
    Ok(commit)
}

fn adopt(input: &Input<'_>, state: &State, objects: &ObjectSet, by: &str) -> Result<Move, Refusal> {
    let History::Foreign { commit: change, newer, .. } = &input.history else {
        return no("nothing-to-adopt", "the live path is as Windlass wrote it");
    };
    let mut next = moves::advance(state.clone(), input, Leg::Adopt, state.shape.clone());
    next.waiting_since = None;
    next.stable = moves::facts(input.rollout, objects, &state.stable.source)?;
    if let Some(newer) = newer {
        history::remember(&mut next, newer);
        history::reject(&mut next, newer);
    }
    // The source as it is was overruled by hand: it counts again when it changes.
    if !next.rejected.contains(&state.stable.digest) {
        next.rejected.push(state.stable.digest.clone());
    }
    next.outcome = Some(Outcome {
        release: next.release,
        completed: false,
        why: format!("{by} took the change of {} over the source", short(change)),
        at: input.now,
    });
    let slots = NextSlots { stable: objects.clone(), candidate: None };
    let why = vec![format!("{by} takes commit {} as the stable version.", short(change))];
    let mut commit = moves::commit(input, next, slots, Leg::Adopt, why, Vec::new())?;
    commit.title = "adopt a change of the live path".to_owned();
    commit.by = Some(by.to_owned());
    Ok(commit)
}

fn short(id: &str) -> &str {
    id.get(..10).unwrap_or(id)
}
