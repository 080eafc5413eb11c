//! The rest of a live path that several Rollouts share: what two of them need, and what none reaches. It follows the source at once,
//! whatever the Rollouts do. Where the scopes are drawn anew, objects change hands in the same commit.

mod words;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::discover::App;
use super::history;
use super::layout::{self, AppId};
use super::parts::{self, Parts};
use super::shared::Directory;
use super::switch::{self, Switch};
use super::{AppReport, Reconciler, Sharing, Trouble};
use crate::api::Repository;
use crate::engine::{History, Hold, Reason, State};
use crate::git::{Heads, Oid};
use crate::manifest::{ObjectKey, ObjectSet};
use crate::render::scope::{Handover, Holder, Pair, hand_over};

/// Commits that are not yet published: whose, which, and their subjects.
pub(super) type Written = Vec<(AppId, Oid, String)>;

/// What a look at the rest has led to.
#[derive(Default)]
pub(super) struct Tended {
    /// The commit, not yet published.
    pub commit: Option<(Oid, String)>,
    /// Whether the commit changes what Rollouts have: they are to be read again.
    pub handed: bool,
    pub hold: Option<Hold>,
    /// Rollouts that cannot go on before the rest does.
    pub waiting: BTreeSet<String>,
}

/// Who has what now, and who is to have it.
struct Draft {
    parts: Parts,
    holders: Vec<Holder>,
    /// The file of each object that stands there.
    places: BTreeMap<ObjectKey, String>,
    /// Files that are no Rollout's.
    loose: BTreeSet<String>,
    /// The rest's objects now.
    rest: ObjectSet,
    next: Handover,
    /// A digest of what the rest is to be, whatever is in force ([`Switch::digest`]).
    digest: String,
    /// The shared routings as they are, and as they are to be.
    recorded: Option<Switch>,
    switch: Switch,
    /// One Rollout is left, and has everything.
    single: bool,
}

/// What a pass knows of the rest of one directory.
pub(super) struct RestReport {
    /// The source directory.
    pub directory: String,
    pub handed: bool,
    pub waiting: BTreeSet<String>,
    /// Why these wait.
    pub why: String,
    /// What is to be told of it; `None` where all is well.
    pub report: Option<AppReport>,
}

impl Reconciler<'_> {
    /// Looks at the rests of all directories that several Rollouts share. With `made`, what is due is written on `head`, not published.
    ///
    /// # Errors
    /// The mirror cannot be read.
    pub(super) fn tend_all(
        &mut self,
        heads: &Heads,
        settings: &Repository,
        apps: &[App],
        (head, mut made): (&mut Option<Oid>, Option<&mut Written>),
        last: bool,
    ) -> Result<Vec<RestReport>, Trouble> {
        let mut directories: BTreeMap<String, Rc<Directory>> = BTreeMap::new();
        for app in apps.iter().filter(|app| self.is_chosen(&app.id)) {
            if let Some(parts) = &app.parts {
                directories.insert(parts.directory.clone(), parts.clone());
            }
        }
        let mut found = Vec::new();
        for (name, directory) in directories {
            let id = AppId { path: directory.path.clone(), name: layout::REST.to_owned() };
            let (hold, trouble, tended) = match self.tend(heads, settings, &directory, *head, made.is_some()) {
                Ok(tended) => (tended.hold.clone(), None, tended),
                Err(trouble) if !last && trouble.is_local() => return Err(trouble),
                Err(trouble) => {
                    let waiting = directory.members.iter().map(|member| member.name.clone()).collect();
                    (None, Some(trouble), Tended { waiting, ..Tended::default() })
                }
            };
            let why = hold.as_ref().map(|hold| hold.text.clone()).or_else(|| trouble.as_ref().map(ToString::to_string));
            let why = format!("what the Rollouts of {name} share comes first: {}", why.unwrap_or_default());
            let report = (hold.is_some() || trouble.is_some()).then(|| words::report(id.clone(), hold, trouble));
            if let (Some((commit, subject)), Some(made)) = (tended.commit, &mut made) {
                *head = Some(commit);
                made.push((id, commit, subject));
            }
            found.push(RestReport { directory: name, handed: tended.handed, waiting: tended.waiting, why, report });
        }
        Ok(found)
    }

    /// Looks at the rest of a directory on top of `head`, and with `write` writes the commit that is due.
    ///
    /// # Errors
    /// What stands there cannot be read. All Rollouts of the directory wait.
    pub(super) fn tend(
        &mut self,
        heads: &Heads,
        settings: &Repository,
        directory: &Directory,
        head: Option<Oid>,
        write: bool,
    ) -> Result<Tended, Trouble> {
        let draft = self.draft(directory, head)?;
        if draft.parts.record.is_none() && draft.parts.apps.values().any(|state| !state.files.is_empty()) {
            return Err(parts::missing(&directory.path));
        }
        let mut tended = Tended::default();
        if draft.is_settled(directory) {
            return Ok(tended);
        }
        let waiting = |but: &BTreeSet<String>| {
            let new = directory.members.iter().map(|member| &member.name).filter(|name| !draft.parts.apps.contains_key(*name));
            let changing = draft.changing().map(|holder| &holder.member.name);
            changing.chain(new).filter(|name| !but.contains(*name)).cloned().collect()
        };
        let mut rejected = None;
        match self.rest_history(heads, directory, &draft)? {
            RestHistory::Ours => {}
            RestHistory::Reverted(newer) => rejected = newer,
            RestHistory::Foreign(hold) => {
                tended.hold = Some(hold);
                tended.waiting = waiting(&BTreeSet::new());
                // What they share could not change with them.
                let sharers = directory.members.iter().filter(|member| member.shared.is_some());
                tended.waiting.extend(sharers.map(|member| member.name.clone()));
                return Ok(tended);
            }
        }
        if rejected.is_none() && draft.is_done() {
            return Ok(tended);
        }
        let wanted = draft.digest.clone();
        let refused = draft.parts.record.as_ref().and_then(|record| record.rejected.as_ref());
        if let (Some(record), true, None) =
            (&draft.parts.record, refused == Some(&wanted) && draft.next.slots.is_empty(), &rejected)
        {
            tended.hold = Some(Hold {
                reason: Reason::Rejected,
                text: "a person has reverted these objects of the rest, and the source still holds them".to_owned(),
                since: record.at,
                until: None,
                then: Some("change the source".to_owned()),
            });
            return Ok(tended);
        }
        let unready = self.unready(heads, directory, &draft)?;
        if let Some((_, state)) = unready.first_key_value() {
            tended.hold = Some(words::unready(directory, &unready.keys().cloned().collect(), state.moved_at));
            // They themselves say what they wait for, and may do what brings them in order.
            tended.waiting = waiting(&unready.into_keys().collect());
            return Ok(tended);
        }
        if !write {
            return Ok(tended);
        }
        tended.handed = draft.changing().next().is_some();
        tended.commit = Some(match rejected {
            Some(digest) => self.note_revert(settings, directory, &draft, head, digest)?,
            None => self.write_rest(settings, directory, &draft, head)?,
        });
        Ok(tended)
    }

    /// What the rest of a directory is about to do, and the slots that one of its Rollouts will have after it, where these change.
    pub(super) fn sharing(
        &self,
        directory: &Directory,
        head: Option<Oid>,
        name: &str,
    ) -> Result<(Sharing, Option<Pair>), Trouble> {
        let mut draft = self.draft(directory, head)?;
        let hands: BTreeSet<ObjectKey> = draft.next.gains.values().chain(draft.next.losses.values()).flatten().cloned().collect();
        let keys = draft.rest.iter().chain(draft.next.rest.iter()).map(|(key, _)| key);
        let differs = |key: &&ObjectKey| draft.rest.get(key) != draft.next.rest.get(key) && !hands.contains(*key);
        let changes: BTreeSet<ObjectKey> = keys.filter(differs).cloned().collect();
        let sharing = Sharing {
            directory: directory.directory.clone(),
            scopes: directory.scopes.clone(),
            changes: changes.into_iter().collect(),
            hands: hands.into_iter().collect(),
        };
        Ok((sharing, draft.next.slots.remove(name)))
    }

    fn draft(&self, directory: &Directory, head: Option<Oid>) -> Result<Draft, Trouble> {
        let repo = &*self.repo;
        let path = &directory.path;
        let Some(head) = head else {
            let parts = Parts { record: None, apps: BTreeMap::new(), entries: BTreeMap::new() };
            let next = hand_over(&directory.objects, &directory.scopes, &[], &ObjectSet::default(), false);
            let switch = Switch::of(&directory.routings, &directory.objects, []);
            let digest = switch.digest(&next.rest);
            return Ok(Draft {
                parts,
                holders: Vec::new(),
                places: BTreeMap::new(),
                loose: BTreeSet::new(),
                rest: ObjectSet::default(),
                next,
                digest,
                recorded: None,
                switch,
                single: false,
            });
        };
        let parts = Parts::read(repo, head, path)?;
        let loose: BTreeSet<String> = match parts.record {
            Some(_) => parts.loose().into_iter().filter(|name| name != parts::METADATA).collect(),
            None => BTreeSet::new(),
        };
        let known = |name: &String| parts.record.as_ref().is_some_and(|record| record.files.contains_key(name));
        let files = parts::objects_by_file(repo, head, path, loose.iter().filter(|name| known(name)).cloned())?;
        let mut places: BTreeMap<ObjectKey, String> = BTreeMap::new();
        let mut rest = ObjectSet::default();
        for (name, objects) in &files {
            for (key, object) in objects.iter() {
                places.insert(key.clone(), name.clone());
                rest.insert(object.clone());
            }
        }
        let mut holders = Vec::new();
        for member in &directory.members {
            let Some(state) = parts.apps.get(&member.name) else { continue };
            let id = AppId { path: path.clone(), name: member.name.clone() };
            let own = if state.files.is_empty() { parts.entries.keys().cloned().collect() } else { state.files.clone() };
            let mut live = ObjectSet::default();
            for (name, objects) in parts::objects_by_file(repo, head, path, own)? {
                for (key, object) in objects.iter() {
                    places.insert(key.clone(), name.clone());
                    live.insert(object.clone());
                }
            }
            let stable = layout::read_slot(repo, head, &id, "stable")?.unwrap_or_default();
            let candidate = layout::read_slot(repo, head, &id, "candidate")?;
            holders.push(Holder { member: member.clone(), stable, candidate, live });
        }
        let recorded = switch::recorded(repo, head, path)?;
        let switch = Switch::of(&directory.routings, &directory.objects, parts.apps.values());
        let none_in_force = recorded.as_ref().is_none_or(|recorded| recorded.in_force().next().is_none());
        let single = directory.members.len() == 1 && holders.len() == 1 && switch.is_empty() && none_in_force;
        let mut next = hand_over(&directory.objects, &directory.scopes, &holders, &rest, single);
        let digest = switch.digest(&next.rest);
        switch.apply(&mut next.rest)?;
        Ok(Draft { parts, holders, places, loose, rest, next, digest, recorded, switch, single })
    }

    /// Whose commits brought the rest to where it stands.
    fn rest_history(&mut self, heads: &Heads, directory: &Directory, draft: &Draft) -> Result<RestHistory, Trouble> {
        let (Some(live), path) = (heads.live, &directory.path) else { return Ok(RestHistory::Ours) };
        let Some(record) = &draft.parts.record else {
            if draft.parts.apps.is_empty() {
                history::empty(&*self.repo, live, self.repo.commit(live)?.tree, path)?;
            }
            return Ok(RestHistory::Ours);
        };
        let home = layout::rest_home(path);
        let id = self.repo.entry(live, &home)?.map(|entry| entry.id);
        let app = AppId { path: path.clone(), name: layout::REST.to_owned() };
        if self.memory.verified.get(&app).copied() != id {
            let newest = history::brought(&*self.repo, live, &home, &mut self.memory)?;
            let made_on = |commit: Oid| -> Result<Option<String>, Trouble> {
                Ok(parts::record(&*self.repo, commit, path).ok().flatten().and_then(|record| record.parent))
            };
            let mut newest = newest.filter(|newest| Some(newest.parent.to_string()) != record.parent);
            if let Some(copied) = &newest
                && history::restored(&*self.repo, copied, &home, id, made_on)?
            {
                newest = None;
            }
            if let Some(newest) = newest {
                let newer = parts::record(&*self.repo, newest.parent, path)?;
                let Some(newer) = newer else { return Ok(words::foreign(&newest.id, &newest.by, record)) };
                return Ok(RestHistory::Reverted(Some(newer.digest)));
            }
        }
        if !draft.parts.is_as_left() && !self.is_as_wanted(live, directory, draft)? {
            let owned = draft.parts.owned();
            let at = |commit: Oid| -> Result<Vec<(String, Oid)>, Trouble> {
                let entries = layout::own_entries(&*self.repo, self.repo.commit(commit)?.tree, path)?;
                let loose = entries.into_values().filter(|entry| !owned.contains(entry.name.as_str()));
                Ok(loose.map(|entry| (entry.name, entry.id)).collect())
            };
            let newest = history::introduced(&*self.repo, live, at)?;
            let (commit, by) = newest.map_or_else(|| (live, "somebody".to_owned()), |newest| (newest.id, newest.author.name));
            return Ok(words::foreign(&commit, &by, record));
        }
        if let Some(id) = id {
            self.memory.verified.insert(app, id);
        }
        Ok(RestHistory::Ours)
    }

    /// Whether a person has brought the rest to where the source leads, and added nothing.
    fn is_as_wanted(&self, live: Oid, directory: &Directory, draft: &Draft) -> Result<bool, Trouble> {
        if draft.loose.iter().any(|name| !parts::is_manifest(name)) {
            return Ok(false);
        }
        let mut stands = ObjectSet::default();
        for objects in parts::objects_by_file(&*self.repo, live, &directory.path, draft.loose.iter().cloned())?.values() {
            objects.values().for_each(|object| drop(stands.insert(object.clone())));
        }
        Ok(stands == draft.next.rest && draft.next.slots.is_empty())
    }

    /// The Rollouts whose parts must be in order before anything changes hands, and are not: people's commits stand in them.
    fn unready(&mut self, heads: &Heads, directory: &Directory, draft: &Draft) -> Result<BTreeMap<String, State>, Trouble> {
        let mut unready = BTreeMap::new();
        for holder in draft.changing() {
            let name = &holder.member.name;
            let Some(state) = draft.parts.apps.get(name) else { continue };
            let id = AppId { path: directory.path.clone(), name: name.clone() };
            if history::of(&*self.repo, heads, &id, Some(state), &mut self.memory)? != History::Ours {
                unready.insert(name.clone(), state.clone());
            }
        }
        Ok(unready)
    }
}

enum RestHistory {
    Ours,
    /// A person reverted a commit of ours, which had brought objects with this digest.
    Reverted(Option<String>),
    Foreign(Hold),
}

impl Draft {
    /// Nothing was shared before, and one Rollout has all.
    fn is_settled(&self, directory: &Directory) -> bool {
        self.parts.record.is_none() && directory.members.len() < 2 && directory.routings.is_empty()
    }

    /// Whether the home of a Rollout changes with the rest: its slots, or which files are its own.
    fn changes(&self, holder: &Holder) -> bool {
        let name = &holder.member.name;
        let whole = self.parts.apps.get(name).is_some_and(|state| state.files.is_empty());
        self.single || whole || self.next.slots.contains_key(name)
    }

    fn changing(&self) -> impl Iterator<Item = &Holder> {
        self.holders.iter().filter(|holder| self.changes(holder))
    }

    /// Whether everything is where it belongs.
    fn is_done(&self) -> bool {
        let Some(record) = self.parts.record.as_ref().filter(|_| !self.single && self.next.slots.is_empty()) else {
            return false;
        };
        let switch = self.recorded.clone().unwrap_or_default();
        record.digest == self.digest && switch == self.switch && self.parts.is_as_left()
    }
}
