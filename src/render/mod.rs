//! Pure: what the live tree of a step looks like. A live tree is a function of the two slots, the Rollout and a
//! [`Shape`]; nothing else goes in, so anybody can compute it again from Git alone.

mod live;
pub mod obstacles;
pub mod scope;
mod selector;
mod shape;
mod tracked;
pub mod traffic;
pub mod workload;

pub use live::{
    COMMIT_TREE, Live, REVISION_LABEL, Slots, check, live, revision, set_digest, size, unlabelled, workload as find_workload,
};
pub use shape::{Pods, PodsPhase, Routes, Selector, Shape};
pub use tracked::track;

use crate::lua::LuaError;

/// Why a live tree cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// An object that the Rollout names is not in the source.
    #[error("{what} `{name}` does not exist in the source")]
    Missing { what: String, name: String },
    /// The object is there, and cannot be used as the Rollout wants.
    #[error("{what} `{name}`: {cause}")]
    Unusable { what: String, name: String, cause: String },
    /// The Lua script that makes the object of a step gives none.
    #[error("{what} `{name}`: {error}")]
    Script { what: String, name: String, error: LuaError },
    /// The provider cannot express what the step asks for.
    #[error("{provider} cannot express {what}: {hint}")]
    Unsupported { provider: String, what: String, hint: String },
}
