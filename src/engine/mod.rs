//! Pure: states, moves, decisions and their reasons. Nothing in here reads a clock, a file or the network.

mod back;
mod command;
mod decide;
mod forecast;
mod gates;
mod halt;
mod history;
mod input;
mod judge;
mod legs;
mod moves;
mod nodes;
mod state;
mod wait;
mod words;

pub use command::{Command, Refusal, command, remember};
pub use decide::{decide, due_looks, next_check, wants_sight};
pub use forecast::{CHOSEN_LATER, Planned, forecast};
pub use input::{Counts, Decision, GateFact, History, Hold, Input, Move, NodeSeen, Reason, Seen, Sight, Source};
pub use judge::{Answer, Look, bounds};
pub use legs::Ground;
pub use state::{Approval, Leg, Outcome, Phase, Rollback, STATE_VERSION, SlotFacts, SourceFacts, State, Stop, Tally};
pub use words::{figure, length};
