//! Several Rollouts in one source directory: which objects are whose.
//!
//! A Rollout's scope is what its pods reach and what reaches its pods. What two scopes share, and what none reaches, is *rest*.
//! A pure function of the objects and of what the Rollouts name; nothing else goes in.

mod handover;
mod pods;
mod reach;

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{Rollout, SharedRouting, TrafficRouting, WorkloadRef};
use crate::manifest::{ObjectKey, ObjectSet};

pub use handover::{Handover, Holder, Pair, hand_over};

/// A Rollout, as far as scopes depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    pub namespace: Option<String>,
    pub workload: WorkloadRef,
    /// Group, kind and name of what its own routings name: that is changed by its steps, so nobody else may have it.
    pub routed: Vec<(String, String, String)>,
    /// The routing that it shares with others.
    pub shared: Option<String>,
}

impl Member {
    pub fn of(rollout: &Rollout) -> Self {
        let owned = |(group, kind, name): (&str, &str, &str)| (group.to_owned(), kind.to_owned(), name.to_owned());
        let routed = rollout.routings.iter().flat_map(TrafficRouting::named).map(owned).collect();
        Self {
            name: rollout.name.clone(),
            namespace: rollout.namespace.clone(),
            workload: rollout.workload.clone(),
            routed,
            shared: rollout.shared.as_ref().map(|shared| shared.name.clone()),
        }
    }
}

/// Something that a Rollout's steps change, and that other Rollouts of the directory need too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The Rollout whose routing names it.
    pub rollout: String,
    pub object: ObjectKey,
    /// The others; empty: a routing that Rollouts share changes it.
    pub others: Vec<String>,
}

impl Conflict {
    /// Why the Rollout cannot have the object to itself.
    pub fn cause(&self) -> String {
        if self.others.is_empty() {
            return "is changed by a TrafficRouting of the directory, too".to_owned();
        }
        let others = self.others.iter().map(|other| format!("`{other}`")).collect::<Vec<_>>().join(" and ");
        format!("reaches the pods of Rollout {others} too")
    }
}

fn is_service(key: &ObjectKey) -> bool {
    key.group.is_empty() && key.kind == "Service"
}

/// Whose the objects of a directory are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes {
    /// Every object, with the Rollouts whose scopes reach it.
    reached: BTreeMap<ObjectKey, BTreeSet<String>>,
    /// Routes that Rollouts share: nobody has one alone.
    common: BTreeSet<ObjectKey>,
    /// What a Rollout has to itself because its steps change it, whoever else reaches it.
    kept: BTreeMap<ObjectKey, String>,
    conflicts: Vec<Conflict>,
}

impl Scopes {
    /// The scopes of `members` among `objects`. With one member its scope is everything.
    pub fn of(objects: &ObjectSet, members: &[Member]) -> Self {
        Self::beside(objects, members, &[])
    }

    /// The same where Rollouts share `routings`, whose routes belong to none of them.
    pub fn beside(objects: &ObjectSet, members: &[Member], routings: &[SharedRouting]) -> Self {
        let mut scopes = Self::default();
        for (key, _) in objects.iter() {
            scopes.reached.insert(key.clone(), BTreeSet::new());
        }
        let routes = crate::render::traffic::known_to(objects, routings);
        scopes.common = routes.iter().map(|(key, _)| key).filter(|key| !is_service(key)).cloned().collect();
        if let [only] = members {
            for names in scopes.reached.values_mut() {
                names.insert(only.name.clone());
            }
        }
        for member in members.iter().filter(|_| members.len() > 1) {
            for key in reach::reached(objects, member) {
                scopes.reached.entry(key).or_default().insert(member.name.clone());
            }
        }
        for member in members {
            for (group, kind, name) in &member.routed {
                let Some(key) = reach::named(objects, member, group, kind, name) else { continue };
                if scopes.common.contains(&key) {
                    scopes.conflicts.push(Conflict { rollout: member.name.clone(), object: key, others: Vec::new() });
                    continue;
                }
                let others = scopes.reached.get(&key).into_iter().flatten().filter(|other| **other != member.name);
                let others: Vec<String> = others.cloned().collect();
                if !others.is_empty() {
                    scopes.kept.entry(key.clone()).or_insert_with(|| member.name.clone());
                    let conflict = Conflict { rollout: member.name.clone(), object: key, others };
                    if !scopes.conflicts.contains(&conflict) {
                        scopes.conflicts.push(conflict);
                    }
                }
            }
        }
        scopes
    }

    /// The Rollout that alone has this object; `None`: it is rest, or not of the directory.
    pub fn owner(&self, key: &ObjectKey) -> Option<&str> {
        if self.common.contains(key) {
            return None;
        }
        if let Some(name) = self.kept.get(key) {
            return Some(name);
        }
        let mut names = self.reached.get(key)?.iter();
        names.next().filter(|_| names.next().is_none()).map(String::as_str)
    }

    /// The routes that Rollouts share.
    pub fn common(&self) -> impl Iterator<Item = &ObjectKey> {
        self.common.iter()
    }

    /// Whether the directory has this object.
    pub fn has(&self, key: &ObjectKey) -> bool {
        self.reached.contains_key(key)
    }

    /// The Rollouts whose scopes reach an object, by name.
    pub fn sharers(&self, key: &ObjectKey) -> Vec<&str> {
        self.reached.get(key).into_iter().flatten().map(String::as_str).collect()
    }

    /// Every object of the directory with its owner (`None`: rest) and the Rollouts that reach it.
    pub fn all(&self) -> impl Iterator<Item = (&ObjectKey, Option<&str>, Vec<&str>)> {
        self.reached.keys().map(|key| (key, self.owner(key), self.sharers(key)))
    }

    /// The objects that `name` alone has; `None`: the rest.
    pub fn part(&self, objects: &ObjectSet, name: Option<&str>) -> ObjectSet {
        objects.iter().filter(|(key, _)| self.owner(key) == name).map(|(_, object)| object.clone()).collect()
    }

    /// What routings name and others need too. Those Rollouts cannot be carried out.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }
}
