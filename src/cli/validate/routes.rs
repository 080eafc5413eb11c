//! Whether each step's routing can be made from the routes of the source, for sources that no program renders.

use std::collections::BTreeMap;
use std::path::Path;

use crate::api::{self, Diagnostic, Document, Meaning, SCRIPTS, Style};
use crate::cli::folder;
use crate::manifest::ObjectSet;
use crate::reconcile::scripts;
use crate::render::{RenderError, traffic};
use crate::source::{self, Folder, Options};

/// What the providers refuse. What a source lacks is found by names, also where a program renders it.
pub(super) fn judge(directory: &Path, document: &Document) -> Vec<Diagnostic> {
    let (wanted, by_helm) = match document.meaning() {
        Meaning::Rollout(rollout) if !rollout.routings.is_empty() => (rollout.wanted_scripts(), rollout.helm.is_some()),
        Meaning::TrafficRouting(routing) => (routing.wanted_scripts(), false),
        _ => return Vec::new(),
    };
    let found = root(directory).map(|root| scripts::find(&Folder::new(root), &wanted, &mut BTreeMap::new()));
    let scripts = match found.transpose() {
        Ok(scripts) => scripts.unwrap_or_default(),
        Err(error) => return vec![finding(document, None, error.to_string(), None)],
    };
    let mut missing = api::missing_scripts(document, &|path| scripts.contains_key(path));
    let rendered_elsewhere = folder::kustomization(directory).is_some() || directory.join("Chart.yaml").is_file() || by_helm;
    if !missing.is_empty() || rendered_elsewhere {
        missing.retain(Diagnostic::is_error);
        return missing;
    }
    // A source that cannot be read has findings of its own.
    let Ok(rendered) = source::render(&Folder::new(directory), "", &Options::default()) else { return Vec::new() };
    refused(document, &rendered.objects.into_iter().collect(), &scripts)
        .into_iter()
        .filter(|(_, error)| !matches!(error, RenderError::Missing { .. }))
        .map(|(step, error)| match error {
            RenderError::Unsupported { provider, what, hint } => {
                finding(document, step, format!("{provider} cannot express {what}"), Some(hint))
            }
            RenderError::Script { .. } => {
                let hint = "`windlass lua test` tries a script on test data (docs/tasks/lua.md)";
                finding(document, step, error.to_string(), Some(hint.to_owned()))
            }
            other => finding(document, step, other.to_string(), None),
        })
        .collect()
}

/// What of a document's routes cannot be made, with the step's index where it is about one.
fn refused(document: &Document, objects: &ObjectSet, scripts: &BTreeMap<String, String>) -> Vec<(Option<usize>, RenderError)> {
    match document.meaning() {
        Meaning::Rollout(rollout) => {
            let mut rollout = rollout.clone();
            rollout.give_scripts(scripts);
            traffic::check(objects, &rollout)
        }
        Meaning::TrafficRouting(routing) => {
            let mut routing = routing.clone();
            routing.give_scripts(scripts);
            traffic::check_shared(objects, &routing).into_iter().map(|error| (None, error)).collect()
        }
        _ => Vec::new(),
    }
}

/// Where the source around a folder begins: the nearest that has scripts or is a repository.
fn root(directory: &Path) -> Option<&Path> {
    directory.ancestors().find(|folder| [SCRIPTS, ".git"].iter().any(|name| folder.join(name).exists()))
}

fn finding(document: &Document, step: Option<usize>, message: String, hint: Option<String>) -> Diagnostic {
    let form = match document.meaning() {
        Meaning::TrafficRouting(_) => {
            let path = ["spec", "objectRef"];
            return super::fault("route", document, &path, path.join("."), message, hint);
        }
        Meaning::Rollout(rollout) if rollout.style == Style::BlueGreen => "blueGreen",
        _ => "canary",
    };
    let number = step.map(|step| step.to_string());
    let path = match &number {
        Some(step) => vec!["spec", "strategy", form, "steps", step],
        None => vec!["spec", "strategy", form, "trafficRoutings"],
    };
    let field = number.as_ref().map_or_else(String::new, |step| format!("spec.strategy.{form}.steps[{step}]"));
    super::fault("route", document, &path, field, message, hint)
}
