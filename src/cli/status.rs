//! Where apps stand, for people.

use jiff::Timestamp;

use super::terminal::{BOLD, CYAN, DIM, GREEN, RED, Terminal, YELLOW, clock, moment, styled};
use crate::engine::{self, Hold};
use crate::reconcile::{AppReport, Pass};

/// Writes a pass as a table of apps, each with its hold.
pub(super) fn show(terminal: &mut Terminal, pass: &Pass, now: Timestamp) {
    if terminal.is_json() {
        terminal.json(pass);
        return;
    }
    if pass.apps.is_empty() {
        terminal.line("No apps: no directory of the source branch holds a Rollout file. `windlass init` writes one.");
        return;
    }
    let rows: Vec<[String; 6]> = pass.apps.iter().map(row).collect();
    let heads = ["APP", "PHASE", "STEP", "PODS", "TRAFFIC", "RELEASE"].map(str::to_owned);
    let widths: Vec<usize> =
        (0..6).map(|column| rows.iter().chain([&heads]).map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &[String; 6]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    terminal.line(styled(BOLD, line(&heads)));
    for (app, row) in pass.apps.iter().zip(&rows) {
        terminal.line(line(row));
        for detail in details(app, now) {
            terminal.line(format!("  {detail}"));
        }
    }
}

fn row(app: &AppReport) -> [String; 6] {
    let dash = || "-".to_owned();
    [
        app.app.clone(),
        app.phase.clone(),
        match (app.step, app.steps) {
            (0, _) => dash(),
            // The Rollout cannot be read: how many steps it has is not known.
            (step, 0) => step.to_string(),
            (step, steps) => format!("{step}/{steps}"),
        },
        app.pods.map_or_else(dash, |pods| format!("{} of {} new, {} ready", pods.updated, pods.all, pods.ready)),
        app.traffic.map_or_else(dash, |percent| format!("{percent}%")),
        if app.release == 0 { dash() } else { format!("#{}", app.release) },
    ]
}

fn details(app: &AppReport, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(error) = &app.error {
        lines.extend(error.lines().map(|line| styled(RED, line)));
        let hint = app.trouble.as_ref().and_then(crate::reconcile::Trouble::hint);
        lines.extend(hint.map(|hint| format!("{} {hint}", styled(CYAN, "hint:"))));
    }
    if let Some(hold) = &app.hold {
        lines.push(hold_line(hold, now));
        lines.extend(hold.then.as_ref().map(|then| styled(DIM, then)));
    }
    if let Some(name) = &app.shared_routing {
        lines.push(format!("shared routing `{name}` is in force for it"));
    }
    for (name, value) in &app.metrics {
        lines.push(format!("{name}: {value}"));
    }
    if let Some(outcome) = app.outcome.as_ref().filter(|_| app.phase == "Healthy") {
        let (style, word) = if outcome.completed { (GREEN, "completed") } else { (YELLOW, "rolled back") };
        // What was adopted before the first release belongs to none.
        let what = if outcome.release == 0 { String::new() } else { format!("release #{} {word} ", outcome.release) };
        lines.push(styled(style, format!("{what}at {}: {}", moment(outcome.at), outcome.why)));
    }
    if !app.observed && app.release > 0 && app.phase != "Healthy" {
        lines.push(styled(DIM, "not observed: commits count as applied after a fixed time"));
    }
    lines
}

/// One hold: code, reason, since, until.
pub(super) fn hold_line(hold: &Hold, now: Timestamp) -> String {
    let since = now.as_second().saturating_sub(hold.since.as_second()).max(0);
    let until = hold.until.map(|until| format!(", until {}", clock(until))).unwrap_or_default();
    format!(
        "{} {} {}",
        styled(CYAN, hold.reason.code()),
        hold.text,
        styled(DIM, format!("(since {}, {}{until})", clock(hold.since), engine::length(since)))
    )
}
