//! What people did to the live branch: reverts, hand edits, rewritten history.

use super::input::{Decision, History, Hold, Input, Reason};
use super::moves::{self, NextSlots};
use super::state::{Leg, Outcome, Rollback, State};
use crate::render::{Pods, RenderError};

/// The decision that history forces, or `None` where all commits are ours.
pub(super) fn decide(input: &Input<'_>, state: &State) -> Result<Option<Decision>, RenderError> {
    let hold = |reason, text: String, then: String| {
        let hold = Hold { reason, text, since: state.moved_at, until: None, then: Some(then) };
        Ok(Some(Decision::Hold(hold, Box::new(state.clone()))))
    };
    match &input.history {
        History::Ours => Ok(None),
        History::Foreign { commit, by, .. } => hold(
            Reason::ForeignChange,
            format!("{by} changed the live path in commit {}, outside of Windlass", short(commit)),
            match state.phase.is_busy() {
                // What is live belongs to no single version now.
                true => format!("`git revert {}` on the live branch undoes it; in a release it cannot be adopted", short(commit)),
                false => {
                    format!(
                        "`git revert {}` on the live branch undoes it, `windlass adopt {}` takes it",
                        short(commit),
                        state.rollout
                    )
                }
            },
        ),
        History::Rewritten => hold(
            Reason::HistoryRewritten,
            "the live branch was rewritten: commits that were on it are gone".to_owned(),
            format!("look at what was lost, then `windlass resume {} --rewritten` goes on from here", state.rollout),
        ),
        History::Reverted { commit, by, newer } => reverted(input, state, commit, by, newer).map(Some),
    }
}

/// A person reverted one of our commits: that is understood as a rollback.
fn reverted(input: &Input<'_>, state: &State, commit: &str, by: &str, newer: &State) -> Result<Decision, RenderError> {
    let why = format!("{by} reverted a step with commit {}", short(commit));
    let mut next = state.clone();
    remember(&mut next, newer);
    if state.candidate.is_some() {
        // Pods do not go back with the commit: held by the older shape, the controller would even add new ones, since it never
        // scales the old version up. The way back begins where the undone step stood.
        if newer.candidate == state.candidate && matches!(newer.shape.pods, Pods::Held { .. } | Pods::Back { .. }) {
            next.shape.clone_from(&newer.shape);
        }
        next.rollback = Some(Rollback { why: why.clone(), reject: true, by: Some(by.to_owned()), in_batches: None });
        let mut commit = moves::roll_back(input, next, vec![format!("Rolled back: {why}.")], Vec::new())?;
        commit.by = Some(by.to_owned());
        return Ok(Decision::Commit(Box::new(commit)));
    }
    // The revert itself has brought the stable tree back: what is left is not to try the same candidate again.
    reject(&mut next, newer);
    next.outcome = Some(Outcome { release: next.release, completed: false, why: why.clone(), at: input.now });
    let mut commit =
        moves::commit(input, next, NextSlots::kept(input), Leg::Note, vec![format!("Rolled back: {why}.")], Vec::new())?;
    commit.by = Some(by.to_owned());
    Ok(Decision::Commit(Box::new(commit)))
}

/// Takes over what only the state before a revert knew.
pub(super) fn remember(state: &mut State, newer: &State) {
    state.release = state.release.max(newer.release);
    let fresh: Vec<String> = newer.rejected.iter().filter(|digest| !state.rejected.contains(digest)).cloned().collect();
    state.rejected.extend(fresh);
}

/// Marks what a person has reverted, so that it is not tried again.
pub(super) fn reject(state: &mut State, newer: &State) {
    let undone = newer.candidate.as_ref().unwrap_or(&newer.stable);
    if undone.digest != state.stable.digest && !state.rejected.contains(&undone.digest) {
        state.rejected.push(undone.digest.clone());
    }
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}
