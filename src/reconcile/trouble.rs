//! What can go wrong around an app, told so that the door can choose an exit code and a hint.

use crate::git::GitError;
use crate::metrics::MetricsError;
use crate::observe::ObserveError;
use crate::render::RenderError;
use crate::source::SourceError;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Observe(#[from] ObserveError),
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    #[error(transparent)]
    Render(#[from] RenderError),
    /// A Rollout or a settings file that says something wrong; the text holds every finding.
    #[error("{0}")]
    Invalid(String),
    /// Something on the live branch that is not as Windlass writes it.
    #[error("{path}: {cause}")]
    Content { path: String, cause: String },
    /// A person's word that cannot be followed.
    #[error("{text}")]
    Refused { code: &'static str, text: String },
    /// The live branch moved each time that we tried.
    #[error("the live branch moved {0} times in a row while we tried to write; it is tried again later")]
    Busy(u32),
    /// A defect of Windlass.
    #[error("{0}")]
    Defect(String),
}

impl Trouble {
    /// A way out, where there is one to tell.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.hint(),
            Self::Source(SourceError::Renderer { hint, .. }) | Self::Observe(ObserveError::Refused { hint, .. }) => hint.clone(),
            Self::Busy(_) => Some("somebody else writes to this branch very often; nothing is lost, run it again".to_owned()),
            _ => None,
        }
    }

    /// Whether the copy of the repository on this machine could not be read or written. It is made anew by the next fetch.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Git(GitError::Mirror { .. }) | Self::Source(SourceError::Repository(_)))
    }

    /// Whether something outside did not do its part. It may the next time.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Git(_) | Self::Observe(_) | Self::Metrics(_) | Self::Busy(_))
    }

    /// Whether the remote has said no: trying again helps only after somebody has changed something.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Git(GitError::Refused { .. }))
    }
}
