//! Forges: GitHub, GitLab, Gitea and Forgejo. So far only what they tell of a repository and a branch, for `doctor`.

mod ask;

pub use ask::{Access, ask};

use serde_json::Value;

/// Whose API answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    GitHub,
    GitLab,
    /// Gitea and Forgejo.
    Gitea,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
            Self::Gitea => "Gitea",
        })
    }
}

/// One answer of an API.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Json(Value),
    /// Another status than 2xx.
    Status(u16),
    /// No answer, or none that can be read; the text holds no secrets.
    Failed(String),
    /// Not asked, since an earlier answer made it pointless.
    NotAsked,
}

/// What a host told of a repository.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// `None`: the host speaks no forge's API that we know.
    pub kind: Option<Kind>,
    /// The account that the credentials belong to.
    pub user: Answer,
    pub repository: Answer,
    pub branch: Answer,
    /// GitHub only: the rules that hold for the branch.
    pub rules: Answer,
    /// What a GitHub token may do (`x-oauth-scopes`), where it is told.
    pub scopes: Option<String>,
    /// Seconds by which the host's clock is ahead of ours, as the `Date` header of its answer says.
    pub ahead: Option<i64>,
}
