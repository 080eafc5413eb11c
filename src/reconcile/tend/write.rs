//! The commits of a rest.

use std::collections::{BTreeMap, BTreeSet};

use super::Draft;
use crate::api::Repository;
use crate::engine::{SourceFacts, State};
use crate::git::trailers::{Message, TrailerError};
use crate::git::{Change, NewCommit, Oid, Person};
use crate::manifest::ObjectKey;
use crate::reconcile::layout::{self, AppId};
use crate::reconcile::parts::{self, Record};
use crate::reconcile::shared::Directory;
use crate::reconcile::{Reconciler, Trouble};
use crate::render;
use crate::render::scope::{Holder, Pair};

impl Reconciler<'_> {
    /// A person has reverted a commit of the rest: what it had brought is not written again before the source changes.
    pub(super) fn note_revert(
        &mut self,
        settings: &Repository,
        directory: &Directory,
        draft: &Draft,
        head: Option<Oid>,
        digest: String,
    ) -> Result<(Oid, String), Trouble> {
        let Some(record) = draft.parts.record.clone() else { return Err(Trouble::Defect("no record to note in".to_owned())) };
        let record = Record {
            rejected: Some(digest).filter(|digest| *digest != record.digest),
            parent: head.map(|head| head.to_string()),
            ..record
        };
        let why = vec!["A person reverted a commit of the rest: what it brought waits until the source changes.".to_owned()];
        self.commit_rest(
            settings,
            directory,
            head,
            vec![record.change(&directory.path)?],
            ("noted that a person reverted it", "note", why),
        )
    }

    pub(super) fn write_rest(
        &mut self,
        settings: &Repository,
        directory: &Directory,
        draft: &Draft,
        head: Option<Oid>,
    ) -> Result<(Oid, String), Trouble> {
        let path = &directory.path;
        let file = |key: &ObjectKey| draft.places.get(key).cloned();
        let files = |keys: &BTreeMap<String, BTreeSet<ObjectKey>>, name: &str| -> BTreeSet<String> {
            keys.get(name).into_iter().flatten().filter_map(file).collect()
        };
        let mut changes = Vec::new();
        let mut record = None;
        if draft.single {
            changes.push(Change::Remove { path: layout::rest_home(path) });
        } else {
            let mut own = draft.loose.clone();
            own.extend(draft.next.losses.keys().flat_map(|name| files(&draft.next.losses, name)));
            for name in draft.next.gains.keys() {
                own.retain(|file| !files(&draft.next.gains, name).contains(file));
            }
            let attributes = head.map(|head| layout::read_file(&*self.repo, head, ".gitattributes")).transpose()?.flatten();
            if attributes.is_none() {
                let content = b".windlass/** linguist-generated=true\n".to_vec();
                changes.push(Change::File { path: ".gitattributes".to_owned(), content });
            }
            let written = parts::rewrite(&*self.repo, head, path, (&draft.parts.entries, &own), &draft.next.rest)?;
            changes.extend(written.changes);
            let source = self.source_facts(directory);
            let metadata = layout::metadata(&source.commit, &self.repo.address(), directory.command.as_deref());
            changes.push(Change::File { path: layout::join(path, parts::METADATA), content: metadata.into_bytes() });
            let mut fresh = Record::of(source, draft.digest.clone(), self.around.now());
            let root = self.repo.tree_of(head, &changes)?;
            let entries = layout::own_entries(&*self.repo, root, path)?;
            let names = written.names.iter().map(String::as_str).chain([parts::METADATA]);
            fresh.files = names.filter_map(|name| Some((name.to_owned(), entries.get(name)?.id.to_string()))).collect();
            fresh.parent = head.map(|head| head.to_string());
            record = Some(fresh);
        }
        let root = self.repo.tree_of(head, &changes)?;
        for holder in &draft.holders {
            let name = &holder.member.name;
            let (Some(head), Some(state)) = (head, draft.parts.apps.get(name)) else { continue };
            if !draft.changes(holder) {
                continue;
            }
            let mut own: BTreeSet<String> = if state.files.is_empty() {
                draft.parts.entries.keys().filter(|name| name.as_str() != parts::METADATA).cloned().collect()
            } else {
                state.files.iter().cloned().collect()
            };
            own.retain(|file| !files(&draft.next.losses, name).contains(file));
            own.extend(files(&draft.next.gains, name));
            let next = State { files: if draft.single { Vec::new() } else { own.into_iter().collect() }, ..state.clone() };
            changes.push(self.handed(head, root, path, holder, draft.next.slots.get(name), next)?);
        }
        if let Some(record) = &record {
            changes.push(parts::home(path, record, &draft.switch)?);
        }
        let (title, word) = match (&draft.parts.record, draft.next.slots.is_empty() && !draft.single) {
            (None, true) => ("adopt the source as it is", "adopt"),
            (_, true) => ("sync", "sync"),
            _ => ("objects change hands", "hand-over"),
        };
        self.commit_rest(settings, directory, head, changes, (title, word, draft.why()))
    }

    /// The home of an app whose objects have changed.
    fn handed(
        &self,
        head: Oid,
        root: Oid,
        path: &str,
        holder: &Holder,
        slots: Option<&Pair>,
        mut state: State,
    ) -> Result<Change, Trouble> {
        let id = AppId { path: path.to_owned(), name: holder.member.name.clone() };
        let (stable, candidate) = slots.cloned().unwrap_or_else(|| (holder.stable.clone(), holder.candidate.clone()));
        state.stable.digest = render::set_digest(&stable);
        if let (Some(facts), Some(candidate)) = (&mut state.candidate, &candidate) {
            facts.digest = render::set_digest(candidate);
        }
        state.tree = layout::part_id(&*self.repo, root, path, &state.files)?;
        state.parent = Some(head.to_string());
        if state.files.is_empty() {
            // Its source is the whole directory now, which nobody has compared with it yet.
            let path = state.source.path.clone();
            state.source.inputs.insert(path, String::new());
        }
        let missing = || Trouble::Content { path: id.home(), cause: "the recorded Rollout is missing".to_owned() };
        let rollout = layout::read_rollout(&*self.repo, head, &id)?.ok_or_else(missing)?;
        let files = layout::home_files(&state, &rollout, &stable, candidate.as_ref())?;
        Ok(Change::Directory { directory: id.home(), files })
    }

    fn source_facts(&self, directory: &Directory) -> SourceFacts {
        SourceFacts { path: directory.directory.clone(), commit: directory.commit.clone(), inputs: directory.inputs.clone() }
    }

    fn commit_rest(
        &mut self,
        settings: &Repository,
        directory: &Directory,
        head: Option<Oid>,
        changes: Vec<Change>,
        (title, word, why): (&str, &str, Vec<String>),
    ) -> Result<(Oid, String), Trouble> {
        let app = AppId { path: directory.path.clone(), name: layout::REST.to_owned() };
        let defect = |error: TrailerError| Trouble::Defect(error.to_string());
        let subject = format!("{}: {title}", rest_name(&directory.path));
        let message = why.iter().fold(Message::new(&subject), |message, why| message.paragraph(why));
        let message = message
            .word("Windlass-Release", &format!("{app}#0"))
            .and_then(|message| message.word("Windlass-Step", word)?.word("Windlass-Source", &directory.commit))
            .map_err(defect)?;
        let author = Person { name: settings.author.name.clone(), email: settings.author.email.clone() };
        let commit = NewCommit { changes, message: message.text(), author, time: self.around.now().as_second() };
        Ok((self.repo.write(head, &commit)?, subject))
    }
}

/// What people read of the rest of a live path.
fn rest_name(path: &str) -> String {
    if path.is_empty() { "rest of the root".to_owned() } else { format!("rest of {path}") }
}
