//! What must hold of every live branch, as predicates over its commits alone (design: trust, invariants). One checker serves
//! scenarios, random plays and tests. It reads what stands in Git, never what a process remembers.

mod rules;
mod shared;
mod walk;

use std::collections::BTreeSet;

use crate::git::{Oid, Repo};
use crate::reconcile::Trouble;

/// The rules, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// I1: a step is only left when its gates passed, or by a person's word.
    NoGateSkipped,
    /// I2: updated pods never become fewer within a release.
    PodsNeverShrink,
    /// I2: the share of requests is the one that the step names.
    TrafficAsPlanned,
    /// I3: no requests to pods that an earlier commit has not asked for.
    NoTrafficToAbsent,
    /// I3b: no pods go before an earlier commit has taken their requests away.
    NoPrematureDrain,
    /// I4: one app's move per commit, and every commit changes something.
    OneMove,
    /// I5: `rollback --now` gives the last stable live tree, byte for byte.
    RollbackReachable,
    /// I7: no commit that anybody has seen is lost.
    NothingLost,
    /// I14: a commit changes its own app's paths only.
    OwnPaths,
    /// I15: nothing goes on past a pause, or past a rollback.
    PauseWins,
    /// I17: a release that has ended stays ended.
    FinishedStays,
    /// A routing that Rollouts share is in force while the shape of one names it, and no longer.
    SharedAsNeeded,
}

/// A rule that a commit breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub rule: Rule,
    pub commit: Oid,
    /// The commit's subject.
    pub subject: String,
    pub text: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let id = self.commit.to_string();
        write!(f, "{:?} at {} ({}): {}", self.rule, id.get(..10).unwrap_or(&id), self.subject, self.text)
    }
}

/// Checks all commits of the live branch at `head`, oldest first.
///
/// # Errors
/// The branch holds something that cannot be read.
pub fn check(repo: &dyn Repo, head: Oid) -> Result<Vec<Violation>, Trouble> {
    let mut found = Vec::new();
    let (mut log, mut cache) = (rules::Log::default(), walk::Cache::default());
    for commit in walk::commits(repo, head)? {
        let step = walk::read(repo, &commit, &mut cache)?;
        rules::judge(&step, &mut log, &mut found);
    }
    Ok(found)
}

/// I7: every commit of `seen` is still on the branch at `head`.
///
/// # Errors
/// The branch cannot be read.
pub fn nothing_lost(repo: &dyn Repo, head: Oid, seen: &[Oid]) -> Result<Vec<Violation>, Trouble> {
    let present: BTreeSet<Oid> = walk::commits(repo, head)?.into_iter().map(|commit| commit.id).collect();
    let lost = seen.iter().filter(|id| !present.contains(id));
    let violation = |id: &Oid| Violation {
        rule: Rule::NothingLost,
        commit: *id,
        subject: String::new(),
        text: "it was on the live branch, and is not any more".to_owned(),
    };
    Ok(lost.map(violation).collect())
}
