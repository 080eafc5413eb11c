//! What Git remembers of an app between two commits: `.windlass/<live path>/<Rollout name>/state`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::render::{Selector, Shape};

/// The version of the state file that this program writes, and the only one that it reads.
pub const STATE_VERSION: u32 = 1;

/// The whole state of one app. It is written with every commit; nothing else is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct State {
    pub version: u32,
    pub rollout: String,
    pub phase: Phase,
    /// Number of the newest release; 0 before the first.
    pub release: u64,
    pub source: SourceFacts,
    pub stable: SlotFacts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<SlotFacts>,
    /// Digest of the steps' pods and routes; pauses and gates are not in it.
    pub plan: String,
    /// The step that the app is in, 1-based; 0 at rest.
    pub step: u32,
    /// The newest move.
    pub leg: Leg,
    pub shape: Shape,
    /// The value of the live workload's `windlass.dev/commit-tree`.
    pub mark: String,
    /// Git's id of the live path's tree; where several Rollouts share it, a digest of this one's `files`.
    pub tree: String,
    /// The files of the live path that are this app's, where several Rollouts share it; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// The commit that this state's commit was made on; a copy of the state on any other parent is a revert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// When the newest move was decided.
    pub moved_at: Timestamp,
    /// Since when the present wait is on, for its deadline; absent while nothing is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Timestamp>,
    /// When the newest move was first seen applied, with its pods ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// Looks at the metrics of this step.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tallies: BTreeMap<String, Tally>,
    /// Approvals of this step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// Who or what stopped the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Stop>,
    /// Why the app rolls back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// Digests of candidates that failed; they are not tried again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<String>,
    /// The label that told the stable pods apart when the release began, where they lack the revision label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_selector: Option<Selector>,
    /// How the newest release ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    Healthy,
    Releasing,
    Paused,
    RollingBack,
    Finalising,
}

impl Phase {
    /// Whether a release is on its way, in whatever state.
    pub fn is_busy(self) -> bool {
        self != Self::Healthy
    }
}

/// Where the newest objects came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceFacts {
    pub path: String,
    pub commit: String,
    /// What the render depended on: path → identity.
    pub inputs: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlotFacts {
    /// Digest of all objects.
    pub digest: String,
    /// Digest of the workload's pod template.
    pub revision: String,
    /// The source commit.
    pub source: String,
}

/// The kinds of commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leg {
    /// First contact: the source as it is.
    Adopt,
    /// Everything but the pod template follows the source.
    Sync,
    /// The stable pods get the revision label.
    Label,
    /// The stable Services select all pods again.
    Widen,
    /// Routes are as the user wrote them again.
    Unroute,
    /// New pods come.
    Grow,
    /// Requests go to them, old pods go.
    Shift,
    /// The user's own strategy finishes the workload.
    Resume,
    /// The candidate becomes stable.
    Complete,
    /// The cluster has lost the stable pods: requests to the stable version, until both versions are there again.
    RestoreRoutes,
    /// The cluster has lost the stable pods: they come back, then the step's pods.
    RestorePods,
    /// Rollback: requests to the stable version.
    RollbackRoutes,
    /// Rollback: the stable pods come back.
    RollbackPods,
    /// Rollback: what only the candidate had goes.
    RollbackEnd,
    /// A person's word, or a fact to remember; the live tree does not change.
    Note,
}

impl Leg {
    /// The word in the `Windlass-Step` trailer.
    pub fn word(self) -> &'static str {
        match self {
            Self::Adopt => "adopt",
            Self::Sync => "sync",
            Self::Label => "label",
            Self::Widen => "widen",
            Self::Unroute => "unroute",
            Self::Grow => "grow",
            Self::Shift => "shift",
            Self::Resume => "resume",
            Self::Complete => "complete",
            Self::RestoreRoutes => "restore-routes",
            Self::RestorePods => "restore-pods",
            Self::RollbackRoutes => "rollback-routes",
            Self::RollbackPods => "rollback-pods",
            Self::RollbackEnd => "rollback-end",
            Self::Note => "note",
        }
    }
}

/// What the looks at one metric gave so far. The counters are Argo Rollouts'.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tally {
    /// Looks that gave a verdict; errors do not count.
    pub count: u32,
    pub successful: u32,
    pub failed: u32,
    pub inconclusive: u32,
    pub error: u32,
    pub consecutive_error: u32,
    pub consecutive_success: u32,
    /// Looks without data; they count as nothing.
    pub no_data: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Timestamp>,
    /// The newest number, in full precision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_value: Option<f64>,
    /// What went wrong at the newest look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Digest of the query, so that evidence of another query never counts.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
}

/// Somebody's word for exactly this step's tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approval {
    pub login: String,
    pub tree: String,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stop {
    /// A person, or nobody where a gate stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    pub why: String,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rollback {
    pub why: String,
    /// Whether the candidate's digest is to be rejected.
    pub reject: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How many of the candidate's pods go back in the steps' batches; absent where they go at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_batches: Option<u32>,
}

impl Rollback {
    /// Whether a gate or a deadline decided it, and no person.
    pub fn is_automatic(&self) -> bool {
        self.reject && self.by.is_none()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Outcome {
    pub release: u64,
    pub completed: bool,
    pub why: String,
    pub at: Timestamp,
}
