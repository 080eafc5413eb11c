//! What is told of a rest: holds, reports, and why a commit was made.

use std::collections::{BTreeMap, BTreeSet};

use super::{AppReport, Draft, RestHistory};
use crate::engine::{Hold, Reason};
use crate::git::Oid;
use crate::manifest::ObjectKey;
use crate::reconcile::Trouble;
use crate::reconcile::layout::AppId;
use crate::reconcile::parts::Record;
use crate::reconcile::shared::Directory;

pub(super) fn unready(directory: &Directory, names: &BTreeSet<String>, since: jiff::Timestamp) -> Hold {
    let list = |show: &dyn Fn(&String) -> String| names.iter().map(show).collect::<Vec<_>>().join(" and ");
    let ids = list(&|name| AppId { path: directory.path.clone(), name: name.clone() }.to_string());
    Hold {
        reason: Reason::ForeignChange,
        text: format!(
            "which objects are whose is to change for {}: what people committed there must be settled first",
            list(&|name| format!("`{name}`"))
        ),
        since,
        until: None,
        then: Some(format!("see what {ids} waits for")),
    }
}

pub(super) fn report(id: AppId, hold: Option<Hold>, trouble: Option<Trouble>) -> AppReport {
    AppReport {
        app: id.to_string(),
        id,
        phase: "Rest".to_owned(),
        release: 0,
        step: 0,
        steps: 0,
        traffic: None,
        shared_routing: None,
        pods: None,
        hold,
        error: trouble.as_ref().map(ToString::to_string),
        trouble,
        outcome: None,
        observed: true,
        metrics: BTreeMap::new(),
        next_check_at: None,
    }
}

pub(super) fn foreign(commit: &Oid, by: &str, record: &Record) -> RestHistory {
    let id = commit.to_string();
    let short = id.get(..10).unwrap_or(&id);
    RestHistory::Foreign(Hold {
        reason: Reason::ForeignChange,
        text: format!("{by} changed what no Rollout has alone in commit {short}, outside of Windlass"),
        since: record.at,
        until: None,
        then: Some(format!("`git revert {short}` on the live branch undoes it; the same change in the source takes it over")),
    })
}

/// The first of several objects.
fn list(keys: &[&ObjectKey]) -> String {
    let shown: Vec<String> = keys.iter().take(10).map(ToString::to_string).collect();
    let more = if keys.len() > 10 { format!(" and {} more", keys.len() - 10) } else { String::new() };
    shown.join(", ") + &more
}

impl Draft {
    pub(super) fn why(&self) -> Vec<String> {
        let mut why = Vec::new();
        if self.single {
            why.push("One Rollout is left: all of the live path is its own.".to_owned());
        } else if self.parts.record.is_none() {
            why.push("What several Rollouts share, and what none reaches: it follows the source at once.".to_owned());
        } else if self.next.slots.is_empty() {
            why.push("What no Rollout has alone has changed in the source: applied at once.".to_owned());
            let keys = self.rest.iter().chain(self.next.rest.iter()).map(|(key, _)| key);
            let changed: BTreeSet<&ObjectKey> = keys.filter(|key| self.rest.get(key) != self.next.rest.get(key)).collect();
            let word = |key: &ObjectKey| match (self.rest.get(key), self.next.rest.get(key)) {
                (None, _) => "New",
                (_, None) => "Gone",
                _ => "Changed",
            };
            for kind in ["New", "Changed", "Gone"] {
                let keys: Vec<&ObjectKey> = changed.iter().copied().filter(|key| word(key) == kind).collect();
                why.extend((!keys.is_empty()).then(|| format!("{kind}: {}.", list(&keys))));
            }
        }
        for (words, keys) in [("gets", &self.next.gains), ("gives away", &self.next.losses)] {
            for (name, keys) in keys.iter().filter(|_| !self.single) {
                why.push(format!("`{name}` {words} {}.", list(&keys.iter().collect::<Vec<_>>())));
            }
        }
        why.extend(self.switch.news(self.recorded.as_ref()));
        if !self.next.slots.is_empty() {
            why.push("The objects stay as they are; a rollback touches those of its own Rollout only.".to_owned());
        }
        why
    }
}
