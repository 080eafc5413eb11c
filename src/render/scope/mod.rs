//! Several Rollouts in one source directory: which objects are whose.
//!
//! A Rollout's scope is what its pods reach and what reaches its pods. What two scopes share, and what none reaches, is *rest*.
//! A pure function of the objects and of what the Rollouts name; nothing else goes in.

mod handover;
mod pods;
mod reach;

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{Rollout, WorkloadRef};
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
}

impl Member {
    pub fn of(rollout: &Rollout) -> Self {
        let owned = |(group, kind, name): (&str, &str, &str)| (group.to_owned(), kind.to_owned(), name.to_owned());
        let mut routed = Vec::new();
        for routing in &rollout.routings {
            routed.push(owned(("", "Service", &routing.service)));
            if let Some(ingress) = &routing.ingress {
                routed.push(owned(match ingress.class_type.as_str() {
                    "traefik" => ("traefik.io", "TraefikService", &ingress.name),
                    _ => ("networking.k8s.io", "Ingress", &ingress.name),
                }));
            }
            for custom in &routing.custom {
                let group = custom.api_version.split_once('/').map_or("", |(group, _)| group);
                routed.push(owned((group, &custom.kind, &custom.name)));
            }
            for (_, kind, name) in routing.gateway.iter().flat_map(crate::api::GatewayRouting::routes) {
                routed.push(owned(("gateway.networking.k8s.io", kind, name)));
            }
        }
        Self { name: rollout.name.clone(), namespace: rollout.namespace.clone(), workload: rollout.workload.clone(), routed }
    }
}

/// Something that a Rollout's steps change, and that other Rollouts of the directory need too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The Rollout whose routing names it.
    pub rollout: String,
    pub object: ObjectKey,
    /// The others.
    pub others: Vec<String>,
}

/// Whose the objects of a directory are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes {
    /// Every object, with the Rollouts whose scopes reach it.
    reached: BTreeMap<ObjectKey, BTreeSet<String>>,
    /// What a Rollout has to itself because its steps change it, whoever else reaches it.
    kept: BTreeMap<ObjectKey, String>,
    conflicts: Vec<Conflict>,
}

impl Scopes {
    /// The scopes of `members` among `objects`. With one member its scope is everything.
    pub fn of(objects: &ObjectSet, members: &[Member]) -> Self {
        let mut scopes = Self::default();
        for (key, _) in objects.iter() {
            scopes.reached.insert(key.clone(), BTreeSet::new());
        }
        if let [only] = members {
            for names in scopes.reached.values_mut() {
                names.insert(only.name.clone());
            }
            return scopes;
        }
        for member in members {
            for key in reach::reached(objects, member) {
                scopes.reached.entry(key).or_default().insert(member.name.clone());
            }
        }
        for member in members {
            for (group, kind, name) in &member.routed {
                let Some(key) = reach::named(objects, member, group, kind, name) else { continue };
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
        if let Some(name) = self.kept.get(key) {
            return Some(name);
        }
        let mut names = self.reached.get(key)?.iter();
        names.next().filter(|_| names.next().is_none()).map(String::as_str)
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
