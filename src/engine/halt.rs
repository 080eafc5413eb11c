//! A release that something keeps from going on: its source cannot be read, or what it says cannot be done. What was recorded still
//! takes it back.

use super::input::{Decision, Hold, Input, Move, Reason};
use super::state::{Leg, Phase, State};
use super::{moves, wait};
use crate::render::RenderError;

/// Of what would be decided freely, what may be done ([`Input::halted`]).
pub(super) fn keep(input: &Input<'_>, decision: Result<Decision, RenderError>) -> Result<Decision, RenderError> {
    match (&decision, input.state.filter(|_| input.halted)) {
        (Ok(Decision::Commit(step)), Some(_)) if is_retreat(step) => decision,
        (Ok(Decision::Commit(_)) | Err(_), Some(recorded)) => hold(input, recorded),
        (Ok(Decision::Hold(hold, state)), Some(_)) if matches!(hold.reason, Reason::Approval | Reason::Paused) => {
            // A person's word is taken, and moves nothing yet.
            let then = format!("nothing goes on before that is mended; `windlass rollback {}` goes back", state.rollout);
            Ok(Decision::Hold(Hold { then: Some(then), ..hold.clone() }, state.clone()))
        }
        _ => decision,
    }
}

/// Whether a move takes requests and pods back to the stable version, or stops for a person to look.
fn is_retreat(step: &Move) -> bool {
    let back =
        matches!(step.leg, Leg::RollbackRoutes | Leg::RollbackPods | Leg::RollbackEnd | Leg::RestoreRoutes | Leg::RestorePods);
    back || step.state.phase == Phase::Paused
}

/// The release would go on now, or cannot. What was learned is kept, so that a look at a metric counts once.
fn hold(input: &Input<'_>, recorded: &State) -> Result<Decision, RenderError> {
    let mut state = recorded.clone();
    wait::learn(&mut state, input, moves::ground(input, recorded)?);
    let hold = Hold {
        reason: Reason::Invalid,
        text: "nothing goes on before that is mended".to_owned(),
        since: state.settled_at.unwrap_or(state.moved_at),
        until: None,
        then: Some(format!("its gates and deadlines still take it back, and so does `windlass rollback {}`", state.rollout)),
    };
    Ok(Decision::Hold(hold, Box::new(state)))
}
