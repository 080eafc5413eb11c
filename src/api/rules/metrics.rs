//! Rules for metrics: those of Argo Rollouts (`utils/analysis/factory.go`, ValidateMetric), and our own.

use crate::api::diagnostic::Finding;
use crate::api::document::windlass::Metric;
use crate::api::model::QUERY_VARIABLES;
use crate::api::near;
use crate::api::path::Path;

pub(super) fn metrics(metrics: &[Metric], at: &Path, found: &mut Vec<Finding>) {
    for (index, metric) in metrics.iter().enumerate() {
        let at = at.index(index);
        if metrics.iter().take(index).any(|before| before.name == metric.name) {
            let message = format!("two metrics are named `{}`", metric.name);
            found.push(Finding::error("duplicate-name", &at.key("name"), message));
        }
        one(metric, &at, found);
    }
}

fn one(metric: &Metric, at: &Path, found: &mut Vec<Finding>) {
    let name = &metric.name;
    if name.chars().any(char::is_control) || name.chars().count() > 60 {
        found.push(Finding::error("bad-name", &at.key("name"), "a metric's name has 1 to 60 characters on one line"));
    }
    if metric.source.as_deref().unwrap_or_default().is_empty() {
        let finding = Finding::error("metric-source", &at.key("source"), format!("metric `{name}` has no source"));
        found.push(finding.hint("name a source that the operator has defined in `windlass.yaml`"));
    }
    match metric.query.as_deref() {
        None | Some("") => {
            found.push(Finding::error("metric-query", &at.key("query"), format!("metric `{name}` has no query")));
        }
        Some(query) => template(query, &at.key("query"), found),
    }
    match (metric.min, metric.max) {
        (None, None) => {
            let finding = Finding::error("metric-threshold", at, format!("metric `{name}` has neither `min` nor `max`"));
            found.push(finding.hint("without a threshold there is nothing to judge by"));
        }
        (Some(min), Some(max)) if min > max => {
            let message = format!("no number is at least {min} and at most {max}");
            found.push(Finding::error("metric-threshold", &at.key("min"), message));
        }
        _ => {}
    }
    limits(metric, at, found);
}

/// Argo's ValidateMetric, in its words.
fn limits(metric: &Metric, at: &Path, found: &mut Vec<Finding>) {
    let mut complain = |field: &str, message: &str| found.push(Finding::error("argo", &at.key(field), message));
    let failure = metric.failure_limit.unwrap_or(0);
    let inconclusive = metric.inconclusive_limit.unwrap_or(0);
    let success = metric.consecutive_success_limit.unwrap_or(0);
    for (field, value) in [
        ("failureLimit", failure),
        ("inconclusiveLimit", inconclusive),
        ("consecutiveErrorLimit", metric.consecutive_error_limit.unwrap_or(0)),
        ("consecutiveSuccessLimit", success),
    ] {
        if value < 0 {
            complain(field, &format!("{field} must be >= 0"));
        }
    }
    if let Some(count) = metric.count {
        if count < 1 {
            complain("count", "count must be >= 1");
        } else {
            if count > 1 && metric.interval.is_none() {
                complain("interval", "interval must be specified when count > 1");
            }
            if i64::from(count) < i64::from(failure.max(0)) + i64::from(success.max(0)) {
                complain("count", "count must be >= failureLimit + consecutiveSuccessLimit");
            }
            if count < inconclusive {
                complain("count", "count must be >= inconclusiveLimit");
            }
        }
    }
    for (field, value) in [("interval", metric.interval), ("window", metric.window)] {
        if value.is_some_and(|value| value.seconds() == 0) {
            complain(field, &format!("{field} must be longer than 0"));
        }
    }
}

/// A query must be a template that can be filled in.
fn template(query: &str, at: &Path, found: &mut Vec<Finding>) {
    let environment = minijinja::Environment::new();
    let template = match environment.template_from_str(query) {
        Ok(template) => template,
        Err(error) => {
            let detail = error.detail().unwrap_or("it cannot be read").to_owned();
            let message = format!("the query is no template: {detail} (its line {})", error.line().unwrap_or(1));
            found.push(Finding::error("metric-query", at, message));
            return;
        }
    };
    let mut unknown: Vec<String> = template.undeclared_variables(true).into_iter().collect();
    unknown.sort();
    for name in unknown {
        let fits = match name.split_once('.') {
            None => QUERY_VARIABLES.contains(&name.as_str()),
            Some((of, field)) => matches!(of, "stable" | "candidate") && field == "revision",
        };
        if !fits {
            let mut finding = Finding::error("metric-query", at, format!("the query uses `{name}`, which is not known"));
            let known = ["namespace", "workload", "stable.revision", "candidate.revision", "step", "window"];
            finding.hint = near::hint(&name, known);
            found.push(finding);
        }
    }
}
