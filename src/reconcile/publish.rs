//! From a decision to a commit: files, message, trailers.

use std::collections::BTreeSet;

use serde_json::json;

use super::layout::{self, AppId};
use super::parts::{self, Parts, Record};
use super::switch;
use super::{Trouble, apart};
use crate::api::{Author, Rollout};
use crate::engine::{Leg, Move, State};
use crate::git::trailers::{Message, TrailerError};
use crate::git::{Change, NewCommit, Oid, Person, Repo};
use crate::manifest::ObjectSet;
use crate::render::Pods;

const ATTRIBUTES: &str = ".gitattributes";

/// What a commit is made from, beside the move.
pub(super) struct Frame<'a> {
    pub app: &'a AppId,
    pub rollout: &'a Rollout,
    /// Where other Rollouts share its live path: the files of it that are the app's now.
    pub files: Option<&'a [String]>,
    /// The command that renders the source, if there is one.
    pub command: Option<&'a str>,
    pub author: &'a Author,
    /// Seconds since 1970 UTC.
    pub time: i64,
}

/// Writes the commit on `parent`. Gives its id and subject.
pub(super) fn write(repo: &mut dyn Repo, parent: Option<Oid>, frame: &Frame<'_>, step: &Move) -> Result<(Oid, String), Trouble> {
    let mut changes = Vec::new();
    let attributes = parent.map(|parent| layout::read_file(repo, parent, ATTRIBUTES)).transpose()?.flatten();
    let is_new = attributes.is_none();
    let attributes = attributes.unwrap_or_else(|| b".windlass/** linguist-generated=true\n".to_vec());
    if is_new && !frame.app.path.is_empty() {
        changes.push(Change::File { path: ATTRIBUTES.to_owned(), content: attributes.clone() });
    }
    changes.extend(apart::mark(repo, parent)?);
    let source = step.candidate.as_ref().filter(|_| matches!(step.state.shape.pods, Pods::Held { .. } | Pods::Candidate));
    let slot = source.and(step.state.candidate.as_ref()).unwrap_or(&step.state.stable);
    let metadata = layout::metadata(&slot.source, &repo.address(), frame.command);
    let mut state = step.state.clone();
    match frame.files {
        Some(files) => {
            let (part, names) = part(repo, parent, frame, step, files)?;
            changes.extend(part);
            state.files = names;
        }
        None => {
            let mut files = layout::live_files(&step.live.objects, &metadata)?;
            if frame.app.path.is_empty() {
                // Of the root's own files this one is not the app's.
                files.insert(ATTRIBUTES.to_owned(), attributes);
            }
            changes.push(Change::Files { directory: frame.app.path.clone(), files });
            state.files = Vec::new();
        }
    }
    let mut root = repo.tree_of(parent, &changes)?;
    state.tree = layout::part_id(repo, root, &frame.app.path, &state.files)?;
    let mut why = step.why.clone();
    if let (Some(parent), Some(_)) = (parent, frame.files) {
        let turn = switch::turn(repo, parent, root, frame.app, &state)?;
        if !turn.changes.is_empty() {
            root = repo.tree_of(Some(parent), &[vec![Change::Root { tree: root }], turn.changes].concat())?;
        }
        why.extend(turn.why);
    }
    state.parent = parent.map(|parent| parent.to_string());
    let home = layout::home_files(&state, frame.rollout, &step.stable, step.candidate.as_ref())?;
    // What is written already is not written again.
    let changes = [Change::Root { tree: root }, Change::Directory { directory: frame.app.home(), files: home }];
    let root = repo.tree_of(parent, &changes)?;
    let slot = |repo: &dyn Repo, name: &str| -> Result<Option<String>, Trouble> {
        Ok(repo.entry_in(root, &layout::join(&frame.app.home(), name))?.map(|entry| entry.id.to_string()))
    };
    let (stable, candidate) = (slot(repo, "stable")?, slot(repo, "candidate")?);
    let subject = format!("{}: {}", frame.app.name, step.title);
    let message = why.iter().fold(Message::new(&subject), |message, why| message.paragraph(why));
    let elsewhere = repo.is_apart().then(|| repo.address());
    let message = trailers(message, frame, step, &state, (stable, candidate, elsewhere)).map_err(defect)?;
    let author = Person { name: frame.author.name.clone(), email: frame.author.email.clone() };
    let commit = NewCommit { changes: vec![Change::Root { tree: root }], message: message.text(), author, time: frame.time };
    Ok((repo.write(parent, &commit)?, subject))
}

/// The changes that write an app's part of a live path that it shares, and the names of its files then. At its adoption it takes
/// from the rest what the rest has held for it.
fn part(
    repo: &dyn Repo,
    parent: Option<Oid>,
    frame: &Frame<'_>,
    step: &Move,
    files: &[String],
) -> Result<(Vec<Change>, Vec<String>), Trouble> {
    let path = &frame.app.path;
    let missing = || parts::missing(path);
    let parent = parent.ok_or_else(missing)?;
    let parts = Parts::read(repo, parent, path)?;
    let mut record = parts.record.clone().ok_or_else(missing)?;
    let mut own: BTreeSet<String> = files.iter().cloned().collect();
    let mut changes = Vec::new();
    if files.is_empty() {
        let mut left = ObjectSet::default();
        for (name, objects) in parts::objects_by_file(repo, parent, path, parts.loose())? {
            let is_ours = objects.iter().any(|(key, _)| step.live.objects.get(key).is_some());
            if is_ours && record.files.remove(&name).is_some() {
                own.insert(name);
            } else {
                objects.values().for_each(|object| drop(left.insert(object.clone())));
            }
        }
        if !own.is_empty() {
            let switch = switch::recorded(repo, parent, path)?.unwrap_or_default();
            switch.take_back(&mut left);
            record.digest = switch.digest(&left);
            record.parent = Some(parent.to_string());
            changes.push(record.change(path)?);
        }
    }
    let written = parts::rewrite(repo, Some(parent), path, (&parts.entries, &own), &step.live.objects)?;
    changes.extend(written.changes);
    Ok((changes, written.names))
}

/// Writes the commit that ends Windlass' work on an app with these objects. `others`: its directory has more Rollouts.
pub(super) fn eject(
    repo: &mut dyn Repo,
    parent: Oid,
    app: &AppId,
    (objects, state, others): (&ObjectSet, &State, bool),
    author: &Author,
    time: i64,
    by: &str,
) -> Result<(Oid, String), Trouble> {
    let mut changes = vec![Change::Remove { path: app.home() }];
    let mut text = "The live path is the plain source again; Windlass manages it no more.".to_owned();
    if state.files.is_empty() && !others {
        let mut files = layout::live_files(objects, "")?;
        files.remove(parts::METADATA);
        if let (true, Some(content)) = (app.path.is_empty(), layout::read_file(repo, parent, ATTRIBUTES)?) {
            files.insert(ATTRIBUTES.to_owned(), content);
        }
        changes.push(Change::Files { directory: app.path.clone(), files });
    } else {
        let shared = Parts::read(repo, parent, &app.path)?;
        let own: BTreeSet<String> = match state.files.is_empty() {
            true => shared.entries.keys().filter(|name| parts::is_manifest(name)).cloned().collect(),
            false => state.files.iter().cloned().collect(),
        };
        let written = parts::rewrite(repo, Some(parent), &app.path, (&shared.entries, &own), objects)?;
        changes.extend(written.changes);
        if !others && shared.apps.len() == 1 {
            changes.push(Change::Remove { path: layout::rest_home(&app.path) });
            changes.push(Change::Remove { path: layout::join(&app.path, parts::METADATA) });
        } else {
            // What it had is the rest's from now on.
            text = "What it had belongs to no Rollout alone, and follows the source at once; what another Rollout of the directory is to \
                    have waits for that one as it is."
                .to_owned();
            let at = jiff::Timestamp::from_second(time).unwrap_or(state.moved_at);
            let mut record = shared.record.clone().unwrap_or_else(|| Record::of(state.source.clone(), String::new(), at));
            let root = repo.tree_of(Some(parent), &changes)?;
            let entries = layout::own_entries(repo, root, &app.path)?;
            if let (None, Some(entry)) = (&shared.record, entries.get(parts::METADATA)) {
                record.files.insert(entry.name.clone(), entry.id.to_string());
            }
            let ids = written.names.iter().filter_map(|name| Some((name.clone(), entries.get(name)?.id.to_string())));
            record.files.extend(ids);
            let loose = shared.loose().into_iter().chain(written.names);
            // The new files stand in the next commit only.
            let before = parts::objects_by_file(repo, parent, &app.path, loose)?;
            let all = before.values().flat_map(ObjectSet::values).chain(objects.values());
            let mut all: ObjectSet = all.cloned().collect();
            let switch = switch::recorded(repo, parent, &app.path)?.unwrap_or_default();
            switch.take_back(&mut all);
            record.digest = switch.digest(&all);
            record.parent = Some(parent.to_string());
            changes.push(record.change(&app.path)?);
        }
    }
    let subject = format!("{}: eject", app.name);
    let message = Message::new(&subject)
        .paragraph(&format!("{text} Pods restart once where the revision label goes."))
        .word("Windlass-Release", &format!("{app}#0"))
        .and_then(|message| message.word("Windlass-Step", "eject")?.json("Windlass-By", &by))
        .map_err(defect)?;
    let author = Person { name: author.name.clone(), email: author.email.clone() };
    Ok((repo.write(Some(parent), &NewCommit { changes, message: message.text(), author, time })?, subject))
}

fn defect(error: TrailerError) -> Trouble {
    Trouble::Defect(error.to_string())
}

fn trailers(
    message: Message,
    frame: &Frame<'_>,
    step: &Move,
    state: &State,
    (stable, candidate, elsewhere): (Option<String>, Option<String>, Option<String>),
) -> Result<Message, TrailerError> {
    let at = match step.leg {
        Leg::Note | Leg::Adopt | Leg::Sync | Leg::Complete | Leg::RollbackEnd if state.step == 0 => step.leg.word().to_owned(),
        leg => format!("{}/{} {}", state.step, frame.rollout.steps.len(), leg.word()),
    };
    let mut message = message
        .word("Windlass-Release", &format!("{}#{}", frame.app, state.release))?
        .word("Windlass-Step", &at)?
        .word("Windlass-Phase", &format!("{:?}", state.phase))?
        .word("Windlass-Tree", &state.tree)?;
    if let Some(id) = stable {
        message = message.word("Windlass-Stable", &id)?;
    }
    if let Some(id) = candidate {
        message = message.word("Windlass-Candidate", &id)?;
    }
    message = message.word("Windlass-Source", &state.source.commit)?;
    if let Some(repository) = elsewhere {
        // The commit's id alone says nothing to a reader of the live branch's repository.
        message = message.json("Windlass-Source-Repository", &repository)?;
    }
    for gate in &step.gates {
        message = message.json("Windlass-Gate", gate)?;
    }
    for approval in &step.approvals {
        let fact = json!({"login": approval.login, "tree": approval.tree, "at": approval.at.to_string()});
        message = message.json("Windlass-Approved-By", &fact)?;
    }
    match &step.by {
        Some(by) => message.json("Windlass-By", by),
        None => Ok(message),
    }
}
