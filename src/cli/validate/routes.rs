//! Whether each step's routing can be made from the routes of the source, for sources that no program renders.

use std::path::Path;

use crate::api::{Diagnostic, Document, Meaning, Severity, Style};
use crate::cli::folder;
use crate::render::{RenderError, traffic};
use crate::source::{self, Folder, Options};

/// What the providers refuse. What a source lacks is found by names, also where a program renders it.
pub(super) fn judge(directory: &Path, document: &Document) -> Vec<Diagnostic> {
    let Meaning::Rollout(rollout) = document.meaning() else { return Vec::new() };
    if rollout.routings.is_empty() || folder::kustomization(directory).is_some() || directory.join("Chart.yaml").is_file() {
        return Vec::new();
    }
    // A source that cannot be read has findings of its own.
    let Ok(rendered) = source::render(&Folder::new(directory), "", &Options::default()) else { return Vec::new() };
    let form = if rollout.style == Style::BlueGreen { "blueGreen" } else { "canary" };
    traffic::check(&rendered.objects.into_iter().collect(), rollout)
        .into_iter()
        .filter(|(_, error)| !matches!(error, RenderError::Missing { .. }))
        .map(|(step, error)| {
            let step = step.map(|step| step.to_string());
            let place = match &step {
                Some(step) => document.locate(&["spec", "strategy", form, "steps", step]),
                None => document.locate(&["spec", "strategy", form, "trafficRoutings"]),
            };
            let (message, hint) = match error {
                RenderError::Unsupported { provider, what, hint } => (format!("{provider} cannot express {what}"), Some(hint)),
                other => (other.to_string(), None),
            };
            Diagnostic {
                code: "route",
                severity: Severity::Error,
                file: document.file().to_owned(),
                line: place.line,
                column: place.column,
                length: place.length.max(1),
                field: step.map_or_else(String::new, |step| format!("spec.strategy.{form}.steps[{step}]")),
                message,
                snippet: None,
                hint,
            }
        })
        .collect()
}
