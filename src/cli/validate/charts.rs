//! Whether the chart and the values files are there that a Rollout names. What helm makes of them is for `plan` to say.

use std::path::Path;

use crate::api::{Diagnostic, Document, Meaning};

/// The files that are missing, as seen from the Rollout's directory.
pub(super) fn judge(directory: &Path, document: &Document) -> Vec<Diagnostic> {
    let Meaning::Rollout(rollout) = document.meaning() else { return Vec::new() };
    let Some(helm) = &rollout.helm else { return Vec::new() };
    let missing = |path: &[&str], field: String, message: String, hint: &str| {
        super::fault("missing-file", document, path, field, message, Some(hint.to_owned()))
    };
    let mut found = Vec::new();
    let chart = helm.chart.as_deref().unwrap_or_default();
    if !directory.join(chart).join("Chart.yaml").is_file() {
        let (at, field): (&[&str], _) = match helm.chart {
            Some(_) => (&["spec", "source", "helm", "chart"], "spec.source.helm.chart"),
            None => (&["spec", "source", "helm"], "spec.source.helm"),
        };
        let message = match &helm.chart {
            Some(chart) => format!("there is no Chart.yaml in `{chart}`"),
            None => "there is no Chart.yaml beside this file".to_owned(),
        };
        found.push(missing(at, field.to_owned(), message, "`chart` is a directory, relative to that of this file"));
    }
    for (index, path) in helm.values.iter().enumerate() {
        if !directory.join(path).is_file() {
            let number = index.to_string();
            let (field, message) = (format!("spec.source.helm.values[{index}]"), format!("there is no file `{path}`"));
            let hint = "values files are relative to the directory of this file, not to the chart's";
            found.push(missing(&["spec", "source", "helm", "values", &number], field, message, hint));
        }
    }
    found
}
