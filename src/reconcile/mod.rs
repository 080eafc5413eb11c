//! The only place where the rooms meet: gather, decide, carry out.
//!
//! There is one loop for all: fetch both branches, decide for every app from what stands there, write the commits one on
//! the other, publish them in one compare-and-swap. Who loses the race fetches and decides again. No process leads.

mod apart;
mod carry_out;
mod compare;
mod discover;
pub mod doctor;
mod gather;
mod history;
mod kinds;
pub mod layout;
mod lineage;
mod parts;
mod publish;
mod real;
mod rest;
mod say;
pub mod scripts;
mod shared;
mod spec;
mod surroundings;
mod switch;
mod tend;
mod tree;
mod trouble;

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Serialize;

pub use discover::{App, Fresh, Origin};
pub use gather::sight;
pub use layout::AppId;
pub use real::RealWorld;
pub use say::{Forecast, Sharing, pick};
pub use shared::Directory;
pub use surroundings::Surroundings;
pub use tree::GitTree;
pub use trouble::Trouble;

use crate::api::Repository;
use crate::engine::{Counts, Hold, Outcome, State};
use crate::git::{Oid, Repo, Secret};

/// What a process remembers between two passes. All of it can be lost at any time: it saves work, and the soak that was
/// seen so far.
#[derive(Default)]
pub struct Memory {
    /// What was learned since the recorded state, with the state that it belongs to.
    learned: HashMap<AppId, (State, State)>,
    /// Rendered sources by directory, with the identity of the directory.
    renders: discover::Renders,
    /// Apps that need not be looked at while nothing changes.
    rest: rest::Rest,
    /// The walk through the live branch's commits that the apps of one pass share.
    walk: Option<history::Walk>,
    /// Folders of apps whose newest commits are known to be ours.
    verified: HashMap<AppId, Oid>,
    /// Directories with Rollout files, by the identity of a tree.
    found: crate::source::Known,
    /// Apps of a live branch that was rewritten under us, as they stood when that was seen.
    rewritten: BTreeMap<AppId, State>,
    /// The live branch's head at the last look or push.
    head: Option<Oid>,
    /// The head that was gone when the branch was found rewritten.
    lost: Option<Oid>,
    /// The settings have chosen the source branch already.
    has_source: bool,
    /// The repository's settings, by the identity of their file.
    settings: Option<(String, Repository)>,
    /// The live branch's commits, where an observer names one.
    chain: std::cell::RefCell<lineage::Chain>,
}

/// Settings that were given on the command line; they win over `.windlass.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    pub live_branch: Option<String>,
    /// The source branch was named: the settings do not choose it.
    pub source_branch: Option<String>,
    pub observe: Option<crate::api::Observe>,
    /// Where everybody finds the source, if somebody's clone of it is read. It may hold credentials.
    pub remote: Option<Secret>,
}

/// The loop over one repository.
pub struct Reconciler<'a> {
    pub repo: Box<dyn Repo + 'a>,
    pub around: &'a dyn Surroundings,
    pub overrides: Overrides,
    /// Write what was learned at the end of a pass, since nobody will be there to remember it.
    pub persist: bool,
    /// Leave apps at rest out of the pass's report, once they were told: for who looks on and on.
    pub brief: bool,
    /// Only these apps are moved; empty: all.
    pub only: Vec<String>,
    memory: Memory,
}

/// What one pass has found and done.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pass {
    /// Every app, or with [`Reconciler::brief`] those that were looked at.
    pub apps: Vec<AppReport>,
    /// Published, oldest first.
    pub commits: Vec<Made>,
}

/// A commit that was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Made {
    pub app: String,
    pub commit: String,
    pub subject: String,
}

/// Where one app stands.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppReport {
    pub app: String,
    #[serde(skip)]
    pub id: AppId,
    pub phase: String,
    pub release: u64,
    pub step: u32,
    pub steps: usize,
    /// Percent of requests for the candidate, where a weight is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<u32>,
    /// The routing that it shares with other Rollouts and needs now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_routing: Option<String>,
    /// Updated and all pods, where they are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<Pods>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip)]
    pub trouble: Option<Trouble>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Whether a cluster is looked at.
    pub observed: bool,
    /// Newest values of the metrics of this step.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, String>,
    /// When the clock alone can change something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_check_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pods {
    pub updated: u32,
    pub updated_ready: u32,
    pub ready: u32,
    pub all: u32,
}

impl From<Counts> for Pods {
    fn from(counts: Counts) -> Self {
        Self { updated: counts.updated, updated_ready: counts.updated_ready, ready: counts.ready, all: counts.replicas }
    }
}

impl<'a> Reconciler<'a> {
    pub fn new(repo: Box<dyn Repo + 'a>, around: &'a dyn Surroundings, overrides: Overrides) -> Self {
        Self { repo, around, overrides, persist: false, brief: false, only: Vec::new(), memory: Memory::default() }
    }

    fn is_chosen(&self, id: &AppId) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| say::is_called(id, name))
    }
}
