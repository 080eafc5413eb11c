//! From a decision to a commit: files, message, trailers.

use serde_json::json;

use super::Trouble;
use super::layout::{self, AppId};
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
    let source = step.candidate.as_ref().filter(|_| matches!(step.state.shape.pods, Pods::Held { .. } | Pods::Candidate));
    let slot = source.and(step.state.candidate.as_ref()).unwrap_or(&step.state.stable);
    let metadata = layout::metadata(&slot.source, &repo.address(), frame.command);
    let mut files = layout::live_files(&step.live.objects, &metadata)?;
    if frame.app.path.is_empty() {
        // Of the root's own files this one is not the app's.
        files.insert(ATTRIBUTES.to_owned(), attributes);
    }
    changes.push(Change::Files { directory: frame.app.path.clone(), files });
    let mut state = step.state.clone();
    let root = repo.tree_of(parent, &changes)?;
    state.tree = layout::live_id(repo, root, &frame.app.path)?;
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
    let message = step.why.iter().fold(Message::new(&subject), |message, why| message.paragraph(why));
    let message = trailers(message, frame, step, &state, stable, candidate).map_err(defect)?;
    let author = Person { name: frame.author.name.clone(), email: frame.author.email.clone() };
    let commit = NewCommit { changes: vec![Change::Root { tree: root }], message: message.text(), author, time: frame.time };
    Ok((repo.write(parent, &commit)?, subject))
}

/// Writes the commit that ends Windlass' work on an app.
pub(super) fn eject(
    repo: &mut dyn Repo,
    parent: Oid,
    app: &AppId,
    objects: &ObjectSet,
    author: &Author,
    time: i64,
    by: &str,
) -> Result<(Oid, String), Trouble> {
    let mut files = layout::live_files(objects, "")?;
    files.remove("hydrator.metadata");
    if let (true, Some(content)) = (app.path.is_empty(), layout::read_file(repo, parent, ATTRIBUTES)?) {
        files.insert(ATTRIBUTES.to_owned(), content);
    }
    let changes = vec![Change::Files { directory: app.path.clone(), files }, Change::Remove { path: app.home() }];
    let subject = format!("{}: eject", app.name);
    let text =
        "The live path is the plain source again; Windlass manages it no more. Pods restart once where the revision label goes.";
    let message = Message::new(&subject)
        .paragraph(text)
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
    stable: Option<String>,
    candidate: Option<String>,
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
