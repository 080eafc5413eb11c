//! Directories with several Rollouts: whose the objects are, and what cannot be shared.

use std::path::Path;

use crate::api::{Diagnostic, Document, Meaning, SharedRouting, Style};
use crate::cli::folder;
use crate::render::scope::{Member, Scopes};
use crate::source::{self, Folder, Options};

/// The scopes of one directory; `None` where only its renderer knows its objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    pub directory: String,
    pub scopes: Option<Scopes>,
}

/// The scopes of a directory, where it has several Rollouts, with what is wrong about them.
pub(super) fn judge(directory: &Path, shown: &str, documents: &[&Document]) -> Option<(Shared, Vec<Diagnostic>)> {
    let rollouts = documents.iter().filter_map(|document| match document.meaning() {
        Meaning::Rollout(rollout) => Some((*document, rollout)),
        _ => None,
    });
    let rollouts: Vec<_> = rollouts.collect();
    let routing = |document: &&Document| match document.meaning() {
        Meaning::TrafficRouting(routing) => Some(routing.clone()),
        _ => None,
    };
    let routings: Vec<SharedRouting> = documents.iter().filter_map(routing).collect();
    if rollouts.len() + routings.len() < 2 {
        return None;
    }
    let mut shared = Shared { directory: shown.to_owned(), scopes: None };
    let is_rendered = folder::kustomization(directory).is_some() || directory.join("Chart.yaml").is_file();
    if is_rendered || rollouts.iter().any(|(_, rollout)| rollout.helm.is_some()) {
        return Some((shared, Vec::new()));
    }
    // A source that cannot be read has findings of its own.
    let rendered = source::render(&Folder::new(directory), "", &Options::default()).ok()?;
    let members: Vec<Member> = rollouts.iter().map(|(_, rollout)| Member::of(rollout)).collect();
    let scopes = Scopes::beside(&rendered.objects.into_iter().collect(), &members, &routings);
    let finding = |conflict: &crate::render::scope::Conflict| {
        let (document, rollout) = rollouts.iter().find(|(_, rollout)| rollout.name == conflict.rollout)?;
        let form = if rollout.style == Style::BlueGreen { "blueGreen" } else { "canary" };
        let path = ["spec", "strategy", form, "trafficRoutings"];
        let message = format!("{} {}", conflict.object, conflict.cause());
        let hint = "its steps would change their requests: give each Rollout one of its own".to_owned();
        Some(super::fault("shared-route", document, &path, path.join("."), message, Some(hint)))
    };
    let findings = scopes.conflicts().iter().filter_map(finding).collect();
    shared.scopes = Some(scopes);
    Some((shared, findings))
}
