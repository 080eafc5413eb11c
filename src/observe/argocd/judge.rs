//! Whether Argo CD has applied a commit, from the Application alone.
//!
//! `status.sync.revision` is what was *compared*, not what was applied: where the manifests are equal nothing is synced and
//! `operationState` stays on an older commit. So the compared revision must contain our commit with our live path, the comparison must
//! say Synced, no operation may be on its way, and the comparison must be younger than the last operation. Health is not asked: a
//! Deployment that is held at a step is Progressing all the time.

use jiff::Timestamp;

use super::application::{Application, Condition, Operation, OperationState, Source, revision};
use crate::observe::address::{covers, is_same_repository, plain_repository};
use crate::observe::words::{plain, short};
use crate::observe::{Live, Place};

/// Conditions that say that the status cannot be relied upon.
const BROKEN: [&str; 3] = ["ComparisonError", "InvalidSpecError", "SyncError"];
const SKIP: &str = "argocd.argoproj.io/skip-reconcile";

/// What is missing for the commit to be applied, in words; `None` where nothing is.
pub fn missing(application: &Application, live: &Live<'_>) -> Option<String> {
    let name = format!("Application {}/{}", application.metadata.namespace, application.metadata.name);
    if application.metadata.deletion_timestamp.is_some() {
        return Some(format!("{name} is being deleted"));
    }
    let annotations = application.metadata.annotations.as_ref();
    if annotations.and_then(|all| all.get(SKIP)).is_some_and(|value| value == "true") {
        return Some(format!("{name} is suspended: remove its annotation {SKIP}"));
    }
    let sources = application.sources();
    let ours = match our_sources(application, &sources, live) {
        Ok(ours) => ours,
        Err(text) => return Some(format!("{name} {text}")),
    };
    ours.into_iter().find_map(|index| of_source(application, &sources, index, live)).map(|text| format!("{name} {text}"))
}

/// The numbers of the sources that render our live path.
fn our_sources(application: &Application, sources: &[Source], live: &Live<'_>) -> Result<Vec<usize>, String> {
    let path = if live.path.is_empty() { "the branch's root" } else { live.path };
    let covering: Vec<usize> = (0..sources.len())
        .filter(|index| {
            sources.get(*index).is_some_and(|source| source.is_manifests_of_git() && covers(source.path(), live.path))
        })
        .collect();
    if covering.is_empty() {
        let paths: Vec<String> = sources
            .iter()
            .filter(|source| source.is_manifests_of_git())
            .map(|source| format!("`{}`", plain(source.path())))
            .collect();
        let has = if paths.is_empty() {
            "it has no source with manifests in Git".to_owned()
        } else {
            format!("it has {}", paths.join(", "))
        };
        return Err(format!("does not cover {path}: {has}"));
    }
    let same = |index: &usize| sources.get(*index).is_some_and(|source| is_same_repository(&source.repo_url, live.repository));
    let named: Vec<usize> = covering.iter().copied().filter(same).collect();
    if !named.is_empty() {
        return Ok(named);
    }
    // The same repository may have another address inside the cluster. A commit of ours proves it.
    let sync = application.status.sync.as_ref();
    let known = |index: &usize| {
        let compared = sync.and_then(|sync| revision(sync.revision.as_ref(), sync.revisions.as_ref(), *index));
        compared.is_some_and(|compared| live.lineage.place(compared) != Place::Unknown)
    };
    let known: Vec<usize> = covering.iter().copied().filter(known).collect();
    if !known.is_empty() {
        return Ok(known);
    }
    let addresses: Vec<String> =
        covering.iter().filter_map(|index| sources.get(*index)).map(|source| plain_repository(&source.repo_url)).collect();
    let mine = plain_repository(live.repository);
    Err(format!("has no source in {mine}, and is at no commit that is known there (it reads {})", addresses.join(", ")))
}

fn of_source(application: &Application, sources: &[Source], index: usize, live: &Live<'_>) -> Option<String> {
    let source = sources.get(index)?;
    let status = &application.status;
    if let Some(condition) = broken(status.conditions.as_deref()) {
        let told = condition.message.as_deref().map(plain).unwrap_or_default();
        return Some(format!("has the condition {}: {told}", condition.kind));
    }
    let is_plain = status.source_type.as_deref() == Some("Directory");
    let recurses = source.directory.as_ref().and_then(|directory| directory.recurse).unwrap_or(false);
    if is_plain && !recurses && crate::observe::address::clean_path(source.path()).as_deref() != Some(live.path) {
        return Some(format!(
            "reads the files of `{}` only, not those below: set `directory.recurse: true`, or its path to `{}`",
            plain(source.path()),
            live.path
        ));
    }
    let Some(sync) = &status.sync else { return Some("was not compared yet".to_owned()) };
    if sync.compared_to.as_ref().is_some_and(|compared| is_other(compared.source.as_ref(), compared.sources.as_deref(), sources))
    {
        return Some("was not compared since its source was changed".to_owned());
    }
    let Some(compared) = revision(sync.revision.as_ref(), sync.revisions.as_ref(), index) else {
        return Some("was not compared yet".to_owned());
    };
    let place = live.lineage.place(compared);
    if place == Place::Superseded {
        return Some(format!("is at {}, in which somebody has changed the live path again: superseded", short(compared)));
    }
    let state = status.operation_state.as_ref();
    if let Some(text) = running(application, state, index, live) {
        return Some(text);
    }
    match place {
        Place::Ours | Place::Superseded => {}
        Place::Older => return Some(format!("was compared with {}, which is before the commit", short(compared))),
        Place::Elsewhere => {
            let follows = source.target_revision.as_deref().filter(|target| !target.is_empty()).unwrap_or("HEAD");
            return Some(format!(
                "is at {}, which is no commit of `{}` (its targetRevision is `{}`)",
                short(compared),
                live.branch,
                plain(follows)
            ));
        }
        Place::Unknown => return Some(format!("is at {}, which is not known here yet", short(compared))),
    }
    let on = state.and_then(|state| operated(state, index));
    let place_of_sync = on.map(|on| live.lineage.place(on));
    if place_of_sync == Some(Place::Superseded) {
        return Some("was synced to a commit in which somebody has changed the live path again: superseded".to_owned());
    }
    let told = |state: &OperationState| state.message.as_deref().map(plain).unwrap_or_default();
    let failed = state.filter(|state| place_of_sync == Some(Place::Ours) && state.phase != "Succeeded");
    if let Some(failed) = failed {
        let again = if has_self_heal(application) { "" } else { "; without selfHeal or retry Argo CD tries a commit only once" };
        return Some(format!("could not sync the commit ({}): {}{again}", plain(&failed.phase), told(failed)));
    }
    if sync.status != "Synced" {
        return Some(out_of_sync(application, &sync.status, on.zip(place_of_sync)));
    }
    let finished = state.and_then(|state| state.finished_at.as_deref());
    if let Some(finished) = finished
        && !is_after(status.reconciled_at.as_deref(), finished)
    {
        return Some("was not compared since its last sync ended".to_owned());
    }
    None
}

fn broken(conditions: Option<&[Condition]>) -> Option<&Condition> {
    conditions.unwrap_or_default().iter().find(|condition| BROKEN.contains(&condition.kind.as_str()))
}

/// Whether the comparison was made with another source than the present one.
fn is_other(one: Option<&Source>, many: Option<&[Source]>, sources: &[Source]) -> bool {
    let compared: Vec<&Source> = match many {
        Some(many) if !many.is_empty() => many.iter().collect(),
        _ => one.into_iter().collect(),
    };
    let same = |(a, b): (&&Source, &Source)| {
        a.repo_url == b.repo_url
            && a.path() == b.path()
            && a.target_revision.as_deref().unwrap_or("") == b.target_revision.as_deref().unwrap_or("")
    };
    // An empty `comparedTo` says nothing.
    let said = compared.iter().any(|source| !source.repo_url.is_empty());
    said && (compared.len() != sources.len() || !compared.iter().zip(sources).all(same))
}

/// The revision that the last operation is, or was, about.
fn operated(state: &OperationState, index: usize) -> Option<&str> {
    let result = state.sync_result.as_ref();
    let result = result.and_then(|result| revision(result.revision.as_ref(), result.revisions.as_ref(), index));
    result.or_else(|| asked(state.operation.as_ref()?, index))
}

fn asked(operation: &Operation, index: usize) -> Option<&str> {
    let sync = operation.sync.as_ref()?;
    revision(sync.revision.as_ref(), sync.revisions.as_ref(), index)
}

/// An operation that is on its way, or about to begin.
fn running(application: &Application, state: Option<&OperationState>, index: usize, live: &Live<'_>) -> Option<String> {
    let state = state.filter(|state| matches!(state.phase.as_str(), "Running" | "Terminating"));
    let Some(state) = state else {
        return application.operation.is_some().then(|| "is about to begin a sync".to_owned());
    };
    // What it was asked for: the result is still that of the operation before, which Argo CD only patches over.
    let asked = state.operation.as_ref().and_then(|operation| asked(operation, index));
    let Some(on) = asked.or_else(|| operated(state, index)) else { return Some("is syncing".to_owned()) };
    match live.lineage.place(on) {
        Place::Ours => Some(format!("is syncing {}", short(on))),
        Place::Superseded => {
            Some(format!("is syncing {}, in which somebody has changed the live path again: superseded", short(on)))
        }
        place => {
            let which = if place == Place::Unknown { "a commit that is not known here yet" } else { "not the commit" };
            let retry = application.spec.sync_policy.as_ref().and_then(|policy| policy.retry.as_ref());
            let pinned = retry.is_some_and(|retry| !retry.refresh.unwrap_or(false));
            let way_out = if pinned && place != Place::Unknown {
                "; its retries hold on to that commit: set `spec.syncPolicy.retry.refresh: true`, or end it with `argocd app terminate-op`"
            } else {
                ""
            };
            Some(format!("is still syncing {}, {which}{way_out}", short(on)))
        }
    }
}

fn is_automated(application: &Application) -> bool {
    let automated = application.spec.sync_policy.as_ref().and_then(|policy| policy.automated.as_ref());
    automated.is_some_and(|automated| automated.enabled.unwrap_or(true))
}

fn has_self_heal(application: &Application) -> bool {
    let automated = application.spec.sync_policy.as_ref().and_then(|policy| policy.automated.as_ref());
    is_automated(application) && automated.is_some_and(|automated| automated.self_heal.unwrap_or(false))
}

/// The compared revision is ours, and the cluster is something else.
fn out_of_sync(application: &Application, status: &str, last: Option<(&str, Place)>) -> String {
    let status = if status.is_empty() { "Unknown" } else { status };
    let initiator = application.status.operation_state.as_ref().and_then(|state| state.operation.as_ref()?.initiated_by.as_ref());
    let person = initiator.and_then(|by| by.username.as_deref()).filter(|person| !person.is_empty());
    // Argo CD patches one operation over the other, so that a person's name may be left of an older one.
    let surely = initiator.is_some_and(|by| !by.automated.unwrap_or(false));
    let mut text = format!("is {}", plain(status));
    if let Some((on, Place::Older | Place::Elsewhere)) = last {
        text.push_str(&format!(": its last sync was of {}", short(on)));
        if let Some(person) = person.filter(|_| surely) {
            text.push_str(&format!(", by {}", plain(person)));
        }
    }
    if !is_automated(application) {
        text.push_str("; automated sync is off: set `spec.syncPolicy.automated`, or sync it");
    } else if !has_self_heal(application) && matches!(last, Some((_, Place::Older | Place::Elsewhere))) && person.is_some() {
        text.push_str(
            "; without selfHeal Argo CD does not sync a commit again: set `spec.syncPolicy.automated.selfHeal: true`, or sync it",
        );
    }
    if let Some(health) = application.status.health.as_ref()
        && health.status.as_deref() == Some("Degraded")
    {
        let told = health.message.as_deref().map(plain).unwrap_or_default();
        text.push_str(&format!("; its health is Degraded {told}"));
        text.truncate(text.trim_end().len());
    }
    text
}

/// Whether `moment` is not before `other`. What cannot be read is not.
fn is_after(moment: Option<&str>, other: &str) -> bool {
    let read = |text: &str| text.parse::<Timestamp>().ok();
    matches!((moment.and_then(read), read(other)), (Some(moment), Some(other)) if moment >= other)
}
