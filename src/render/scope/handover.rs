//! What must change hands when the scopes of a directory are drawn anew: a second Rollout has come, one is gone, an object is
//! shared now or is not any more. The live tree stays as it is; only whose the objects are changes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Member, Scopes, reach};
use crate::manifest::{Object, ObjectKey, ObjectSet};

/// A Rollout that the live branch remembers, with what it has.
#[derive(Debug, Clone)]
pub struct Holder {
    pub member: Member,
    pub stable: ObjectSet,
    pub candidate: Option<ObjectSet>,
    /// Its part of the live tree.
    pub live: ObjectSet,
}

impl Holder {
    fn keys(&self) -> BTreeSet<&ObjectKey> {
        self.stable.iter().chain(self.candidate.iter().flat_map(ObjectSet::iter)).map(|(key, _)| key).collect()
    }
}

/// The slots of one Rollout: stable, and candidate where there is one.
pub type Pair = (ObjectSet, Option<ObjectSet>);

/// Who has what from now on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Handover {
    /// The objects of the rest, as they are to be.
    pub rest: ObjectSet,
    /// The Rollouts whose slots change, by name.
    pub slots: BTreeMap<String, Pair>,
    /// What each of them gets; it stands on the live branch already.
    pub gains: BTreeMap<String, BTreeSet<ObjectKey>>,
    /// What each of them gives away.
    pub losses: BTreeMap<String, BTreeSet<ObjectKey>>,
}

/// Draws the scopes of a directory anew. `source`: its objects, `rest`: what of the live tree is the rest's now.
///
/// Nothing is without an owner in between: what a Rollout is to have that the live branch does not remember yet stays with the rest
/// until it is taken. What the source has no more, the rest keeps as long as a slot of a Rollout reaches it.
pub fn hand_over(source: &ObjectSet, scopes: &Scopes, holders: &[Holder], rest: &ObjectSet, single: bool) -> Handover {
    let mut result = Handover::default();
    let mut loose: BTreeMap<ObjectKey, Object> = rest.iter().map(|(key, object)| (key.clone(), object.clone())).collect();
    for holder in holders {
        let name = &holder.member.name;
        for key in holder.keys() {
            if !scopes.has(key) || scopes.owner(key) == Some(name) {
                continue;
            }
            result.losses.entry(name.clone()).or_default().insert(key.clone());
            if let Some(object) = holder.live.get(key) {
                loose.insert(key.clone(), object.clone());
            }
        }
    }
    for (key, object) in &loose {
        let owner = match scopes.has(key) {
            true => scopes.owner(key),
            false if single => holders.first().map(|holder| holder.member.name.as_str()),
            false => None,
        };
        let taker = holders.iter().find(|holder| Some(holder.member.name.as_str()) == owner);
        match taker {
            Some(taker) => drop(result.gains.entry(taker.member.name.clone()).or_default().insert(key.clone())),
            // In trust, until its Rollout takes it.
            None if owner.is_some() => drop(result.rest.insert(object.clone())),
            None => {}
        }
    }
    for holder in holders {
        let name = &holder.member.name;
        let (gains, losses) = (result.gains.get(name), result.losses.get(name));
        if gains.is_none() && losses.is_none() {
            continue;
        }
        let change = |slot: &ObjectSet| {
            let mut slot = slot.clone();
            losses.into_iter().flatten().for_each(|key| drop(slot.remove(key)));
            for key in gains.into_iter().flatten() {
                if let (None, Some(object)) = (slot.get(key), loose.get(key)) {
                    slot.insert(object.clone());
                }
            }
            slot
        };
        result.slots.insert(name.clone(), (change(&holder.stable), holder.candidate.as_ref().map(change)));
    }
    for (_, object) in source.iter().filter(|(key, _)| scopes.owner(key).is_none()) {
        if !single {
            result.rest.insert(object.clone());
        }
    }
    if !single {
        let needed = needed(holders, &loose);
        let old = loose.iter().filter(|(key, _)| !scopes.has(key) && needed.contains(*key)).map(|(_, object)| object.clone());
        old.for_each(|object| drop(result.rest.insert(object)));
    }
    result
}

/// What any recorded version of a Rollout needs.
fn needed(holders: &[Holder], loose: &BTreeMap<ObjectKey, Object>) -> BTreeSet<ObjectKey> {
    let slots = |holder: &Holder| {
        let both = [Some(&holder.stable), holder.candidate.as_ref()];
        let of = |slot: &ObjectSet| {
            let all: ObjectSet = loose.values().chain(slot.values()).cloned().collect();
            reach::needed(&all, slot, &holder.member)
        };
        both.into_iter().flatten().flat_map(of).collect::<Vec<_>>()
    };
    holders.iter().flat_map(slots).collect()
}
