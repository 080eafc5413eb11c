//! A source directory with several Rollouts: which of its objects are whose.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::Trouble;
use super::discover::{App, Fresh, Origin, Reading, Rollouts};
use super::layout::{self, AppId};
use super::parts::{self, Parts};
use super::spec::{Found, Several};
use super::switch::{self, Switch};
use crate::api::SharedRouting;
use crate::engine::State;
use crate::git::{Heads, Oid, Repo};
use crate::manifest::ObjectSet;
use crate::render::scope::{Member, Scopes};

/// A directory that several Rollouts share.
#[derive(Debug, Clone)]
pub struct Directory {
    /// The live path.
    pub path: String,
    /// The source directory.
    pub directory: String,
    pub scopes: Scopes,
    /// Routings that its Rollouts can share.
    pub routings: Vec<SharedRouting>,
    /// The source commit.
    pub commit: String,
    /// All that it renders to.
    pub objects: ObjectSet,
    pub inputs: BTreeMap<String, String>,
    pub command: Option<String>,
    /// Its Rollouts, and those that are gone from it and not yet ejected.
    pub members: Vec<Member>,
}

/// Where a directory is, and where it goes to.
pub(super) struct Place<'a> {
    pub repo: &'a dyn Repo,
    pub heads: &'a Heads,
    pub path: &'a str,
    pub directory: &'a str,
}

/// The apps of a directory that is shared. `recorded`: those of its live path that the live branch remembers.
pub(super) fn apps(
    place: &Place<'_>,
    reading: &Reading,
    mut recorded: BTreeMap<String, Result<State, Trouble>>,
) -> Result<Vec<App>, Trouble> {
    let Several { found, routings } = match &reading.rollouts {
        Rollouts::Several(several) => several.clone(),
        Rollouts::One(rollout) => {
            let member = Some(Member::of(rollout));
            let found = vec![Found { name: rollout.name.clone(), member, rollout: Ok((**rollout).clone()) }];
            Several { found, routings: Vec::new() }
        }
    };
    let mut known: BTreeMap<String, Member> = BTreeMap::new();
    for (name, _) in recorded.iter().filter(|(_, state)| state.is_ok()) {
        let id = AppId { path: place.path.to_owned(), name: name.clone() };
        let rollout = place.heads.live.map(|live| layout::read_rollout(place.repo, live, &id)).transpose()?.flatten();
        known.extend(rollout.map(|rollout| (name.clone(), Member::of(&rollout))));
    }
    let mut troubles: BTreeMap<String, Trouble> = BTreeMap::new();
    let mut members: Vec<Member> = Vec::new();
    let named: BTreeSet<&str> = found.iter().map(|found| found.name.as_str()).collect();
    // Who was first keeps its workload; who has come since is refused.
    let gone = known.values().filter(|member| !named.contains(member.name.as_str())).map(|member| (member, None));
    let present = found.iter().map(|found| (found.member.as_ref().or_else(|| known.get(&found.name)), Some(found)));
    let mut claims: Vec<(Option<&Member>, Option<&Found>)> =
        gone.map(|(member, found)| (Some(member), found)).chain(present).collect();
    claims.sort_by_key(|(member, _)| !member.is_some_and(|member| known.contains_key(&member.name)));
    for (member, found) in claims {
        let Some(member) = member else {
            let trouble = found.and_then(|found| found.rollout.as_ref().err().cloned());
            return Err(trouble.unwrap_or_else(|| Trouble::Defect(format!("{}: a Rollout without a workload", place.directory))));
        };
        if let Some(other) = members.iter().find(|other| is_rival(member, other)) {
            let workload = format!("{} `{}`", member.workload.kind, member.workload.name);
            let is_gone = !named.contains(other.name.as_str());
            let hint = match is_gone {
                true => format!(
                    "Rollout `{0}` is gone from the source, and the live branch still remembers it with this workload: bring its name back, \
                     or end it with `windlass eject {1}:{0}`",
                    other.name, place.path
                ),
                false => format!("Rollout `{}` of the same directory names it too: remove one of them", other.name),
            };
            let text = format!("{}: Rollout `{}`: {workload} can have one Rollout only. {hint}", place.directory, member.name);
            troubles.insert(member.name.clone(), Trouble::Invalid(text.clone()));
            if !is_gone {
                troubles.insert(other.name.clone(), Trouble::Invalid(text));
            }
            continue;
        }
        members.push(member.clone());
    }
    members.sort_by(|one, other| one.name.cmp(&other.name));
    // A routing that the source has no more is nobody's until the rest has brought its routes back.
    let known = match place.heads.live {
        Some(live) => switch::recorded(place.repo, live, place.path)?.unwrap_or_default(),
        None => Switch::default(),
    };
    let leaving = known.in_force().filter(|old| routings.iter().all(|routing| routing.name != old.name));
    let common: Vec<SharedRouting> = routings.iter().chain(leaving).cloned().collect();
    let scopes = Scopes::beside(&reading.objects, &members, &common);
    for conflict in scopes.conflicts() {
        let text = format!(
            "{}: Rollout `{}` routes by {}, which {}: its steps would change their requests. Give each Rollout one of its own",
            place.directory,
            conflict.rollout,
            conflict.object,
            conflict.cause()
        );
        troubles.entry(conflict.rollout.clone()).or_insert(Trouble::Invalid(text));
    }
    let directory = Rc::new(Directory {
        path: place.path.to_owned(),
        directory: place.directory.to_owned(),
        scopes,
        routings,
        commit: place.heads.source.to_string(),
        objects: reading.objects.clone(),
        inputs: reading.inputs.clone(),
        command: reading.command.clone(),
        members,
    });
    let mut apps = Vec::new();
    let mut app = |name: &str, state: Option<State>, origin: Origin| {
        let id = AppId { path: place.path.to_owned(), name: name.to_owned() };
        apps.push(App { parts: Some(directory.clone()), ..App::new(id, state, origin, place.directory) });
    };
    for found in found {
        let trouble = troubles.get(&found.name).cloned();
        let origin = match (trouble, found.rollout) {
            (Some(trouble), _) | (None, Err(trouble)) => Origin::Broken(trouble),
            (None, Ok(rollout)) => {
                let objects = directory.scopes.part(&directory.objects, Some(&found.name));
                Origin::Fresh(Rc::new(reading.of(place.directory, &rollout, objects)))
            }
        };
        match recorded.remove(&found.name) {
            Some(Err(trouble)) => app(&found.name, None, Origin::Broken(trouble)),
            Some(Ok(state)) => app(&found.name, Some(state), origin),
            None => app(&found.name, None, origin),
        }
    }
    for (name, state) in recorded {
        match state {
            Ok(state) => app(&name, Some(state), Origin::Gone),
            Err(trouble) => app(&name, None, Origin::Broken(trouble)),
        }
    }
    Ok(apps)
}

/// What a Rollout that is new to a shared live path begins with: its objects as they stand there already, in the rest's care, and the
/// others as the source has them. What differs is its first release.
pub(super) fn standing(repo: &dyn Repo, live: Option<Oid>, app: &App, fresh: &Rc<Fresh>) -> Result<Rc<Fresh>, Trouble> {
    let (Some(live), Some(directory), None) = (live, &app.parts, &app.state) else { return Ok(fresh.clone()) };
    let parts = Parts::read(repo, live, &app.id.path)?;
    let Some(record) = &parts.record else { return Ok(fresh.clone()) };
    let known = parts.loose().into_iter().filter(|name| record.files.contains_key(name));
    let mut objects = fresh.objects.clone();
    let mut stands = ObjectSet::default();
    for object in parts::objects_by_file(repo, live, &app.id.path, known)?.values().flat_map(ObjectSet::values) {
        if directory.scopes.owner(&object.key()) == Some(app.id.name.as_str()) {
            objects.insert(object.clone());
            stands.insert(object.clone());
        }
    }
    // Without its workload there is nothing that a release could begin with.
    match crate::render::find_workload(&stands, &fresh.rollout.workload) {
        Ok(_) => Ok(Rc::new(Fresh { objects, ..(**fresh).clone() })),
        Err(_) => Ok(fresh.clone()),
    }
}

fn is_rival(member: &Member, other: &Member) -> bool {
    let group = |member: &Member| member.workload.api_version.split_once('/').map(|(group, _)| group.to_owned());
    let near = member.namespace.as_deref().zip(other.namespace.as_deref()).is_none_or(|(one, other)| one == other);
    near && member.workload.kind == other.workload.kind
        && member.workload.name == other.workload.name
        && group(member) == group(other)
}
