//! The applier between Git and the cluster, as Flux and Argo CD are seen from outside: it comes some time after the
//! commit, takes the newest one it finds, and puts things back that somebody else changed.

use std::collections::VecDeque;

use crate::manifest::ObjectSet;
use crate::sim::cluster::Cluster;

/// What the applier did at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Milliseconds since the cluster's start.
    pub at: u64,
    pub commit: String,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Applied,
    /// Broken off after this many objects; the rest follows after the lag.
    Partial(usize),
    /// The API server refused an object; tried again after the lag.
    Refused(String),
    /// Already applied; done again to undo what others changed.
    Healed,
}

#[derive(Debug, Clone)]
struct Waiting {
    due: u64,
    commit: String,
    objects: ObjectSet,
}

/// Applies commits after a lag. The caller moves the time with [`Applier::advance_to`], which moves the cluster's too.
#[derive(Debug, Clone)]
pub struct Applier {
    /// Milliseconds from a commit until it is applied.
    pub lag_ms: u64,
    /// While set, nothing is applied; what waits is applied when it ends.
    pub suspended: bool,
    /// A newer commit takes the place of one that still waits, and is applied when that one was due.
    pub skip_intermediate: bool,
    /// The next apply stops after this many objects.
    pub break_after: Option<usize>,
    /// Milliseconds between two corrections of drift; `None`: drift stays until the next commit.
    pub heal_every_ms: Option<u64>,
    waiting: VecDeque<Waiting>,
    last: Option<(String, ObjectSet)>,
    next_heal: u64,
}

impl Applier {
    pub fn new(lag_ms: u64) -> Self {
        Self {
            lag_ms,
            suspended: false,
            skip_intermediate: true,
            break_after: None,
            heal_every_ms: None,
            waiting: VecDeque::new(),
            last: None,
            next_heal: 0,
        }
    }

    /// A commit appeared at `at` with these manifests.
    pub fn submit(&mut self, at: u64, commit: &str, objects: ObjectSet) {
        let mut due = at.saturating_add(self.lag_ms);
        if self.skip_intermediate {
            due = self.waiting.iter().map(|waiting| waiting.due).min().map_or(due, |first| first.max(at).min(due));
            self.waiting.clear();
        }
        self.waiting.push_back(Waiting { due, commit: commit.to_owned(), objects });
    }

    /// The commit that was applied whole last.
    pub fn applied(&self) -> Option<&str> {
        self.last.as_ref().map(|(commit, _)| commit.as_str())
    }

    /// The newest commit that waits.
    pub(super) fn waiting(&self) -> Option<&str> {
        self.waiting.back().map(|waiting| waiting.commit.as_str())
    }

    /// When the applier acts next.
    pub fn next_due(&self) -> Option<u64> {
        if self.suspended {
            return None;
        }
        let heal = self.heal_every_ms.and(self.last.as_ref()).map(|_| self.next_heal);
        self.waiting.front().map(|waiting| waiting.due).into_iter().chain(heal).min()
    }

    /// Moves applier and cluster to `to` (milliseconds since the cluster's start). Gives what was applied on the way.
    pub fn advance_to(&mut self, cluster: &mut Cluster, to: u64) -> Vec<Applied> {
        let mut done = Vec::new();
        while let Some(due) = self.next_due().filter(|due| *due <= to) {
            cluster.advance_to(due);
            done.push(self.act(cluster));
        }
        cluster.advance_to(to);
        done
    }

    fn act(&mut self, cluster: &mut Cluster) -> Applied {
        let at = cluster.now();
        self.next_heal = at + self.heal_every_ms.unwrap_or(0).max(1);
        let again = at + self.lag_ms.max(1);
        let Some(waiting) = self.waiting.front_mut().filter(|waiting| waiting.due <= at) else {
            let (commit, objects) = self.last.clone().unwrap_or_default();
            let outcome = match cluster.apply(&objects) {
                Ok(()) => Outcome::Healed,
                Err(refused) => Outcome::Refused(refused.to_string()),
            };
            return Applied { at, commit, outcome };
        };
        let commit = waiting.commit.clone();
        let outcome = match self.break_after.take() {
            Some(count) => cluster.apply_some(&waiting.objects, count).map(|()| Outcome::Partial(count)),
            None => cluster.apply(&waiting.objects).map(|()| Outcome::Applied),
        };
        let outcome = outcome.unwrap_or_else(|refused| Outcome::Refused(refused.to_string()));
        if outcome == Outcome::Applied {
            self.last = self.waiting.pop_front().map(|waiting| (waiting.commit, waiting.objects));
        } else {
            waiting.due = again;
        }
        Applied { at, commit, outcome }
    }
}
