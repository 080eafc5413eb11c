//! What a decision is made from, and what comes out of it. Both are plain data.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::judge::Look;
use super::state::{Leg, State};
use crate::api::Rollout;
use crate::manifest::ObjectSet;
use crate::render::{Live, Selector};

/// Everything that a decision may depend on.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// The Rollout in force: the source's, or the recorded one where the source has none any more.
    pub rollout: &'a Rollout,
    /// Whether the Rollout file is gone from the source.
    pub spec_gone: bool,
    /// Whether the source cannot be read, or what it says cannot be done. `rollout` is the recorded one then, `source` is `None`, and a
    /// release goes back where its gates and deadlines say so, but never on.
    pub halted: bool,
    /// `None`: Windlass has not met this app yet.
    pub state: Option<&'a State>,
    pub stable: Option<&'a ObjectSet>,
    pub candidate: Option<&'a ObjectSet>,
    /// The newest render; `None` where there is none, or nothing in it changed.
    pub source: Option<Source<'a>>,
    pub history: History,
    /// `None`: nobody looked.
    pub seen: Option<Seen>,
    pub looks: &'a [Look],
    pub now: Timestamp,
}

/// A source directory at one commit.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    pub path: &'a str,
    pub commit: &'a str,
    pub inputs: &'a BTreeMap<String, String>,
    pub objects: &'a ObjectSet,
}

/// Whose commits brought the app to where it stands.
#[derive(Debug, Clone, PartialEq)]
pub enum History {
    Ours,
    /// Somebody reverted one of our commits: the state is a copy of an older one.
    Reverted {
        commit: String,
        by: String,
        newer: Box<State>,
    },
    /// Somebody changed the live path by hand.
    Foreign {
        commit: String,
        by: String,
        /// Where one of our commits was reverted, too: the state before that.
        newer: Option<Box<State>>,
    },
    /// The live branch was rewritten.
    Rewritten,
}

/// What the observer answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    Sight(Sight),
    /// It could not look.
    Unreachable(String),
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sight {
    /// The newest move was applied and taken up.
    pub applied: bool,
    /// What is missing, where it was not; else what the workload does not say, for a wait that this may explain.
    pub missing: Option<String>,
    /// `None` where the observer counts no pods.
    pub counts: Option<Counts>,
    /// The label by which the workload's controller tells the newest pods apart.
    pub revision_label: Option<Selector>,
    /// The nodes of a DaemonSet that goes by nodes; of others, and where not all are known, empty.
    pub nodes: Vec<NodeSeen>,
}

/// A node that has a pod of a DaemonSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSeen {
    pub name: String,
    /// Whether a pod of it is Ready there.
    pub ready: bool,
}

/// Pods, as the workload's controllers count them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pods that the workload shall have, as the cluster knows it.
    pub size: u32,
    pub replicas: u32,
    pub updated: u32,
    pub updated_ready: u32,
    pub ready: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// At rest: nothing is due.
    Rest,
    /// Not yet, and why. The state carries what was learned; it differs from the recorded one where something was.
    Hold(Hold, Box<State>),
    Commit(Box<Move>),
}

/// One commit to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// The next state; `tree` and `parent` are filled in where the commit is made.
    pub state: State,
    pub live: Live,
    pub stable: ObjectSet,
    pub candidate: Option<ObjectSet>,
    pub leg: Leg,
    /// The commit's subject without the app's name.
    pub title: String,
    /// Why now: paragraphs.
    pub why: Vec<String>,
    pub gates: Vec<GateFact>,
    pub approvals: Vec<super::state::Approval>,
    /// The person whose word this is.
    pub by: Option<String>,
}

/// A gate's verdict, as the commit's trailers tell it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GateFact {
    pub name: String,
    pub verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub looks: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Digest of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

/// Waiting, always with a reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    pub reason: Reason,
    pub text: String,
    pub since: Timestamp,
    /// When the wait ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What happens then, or what a person can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub then: Option<String>,
}

/// Stable codes of hold reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    NotApplied,
    NotReady,
    Grace,
    Soak,
    Approval,
    Metrics,
    Paused,
    Frozen,
    ForeignChange,
    HistoryRewritten,
    Rejected,
    Invalid,
    Unreachable,
}

impl Reason {
    /// The code, as `status` and JSON show it.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotApplied => "not-applied",
            Self::NotReady => "not-ready",
            Self::Grace => "grace",
            Self::Soak => "soak",
            Self::Approval => "approval",
            Self::Metrics => "metrics",
            Self::Paused => "paused",
            Self::Frozen => "frozen",
            Self::ForeignChange => "foreign-change",
            Self::HistoryRewritten => "history-rewritten",
            Self::Rejected => "rejected",
            Self::Invalid => "invalid",
            Self::Unreachable => "unreachable",
        }
    }
}
