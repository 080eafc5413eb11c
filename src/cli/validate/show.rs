//! Findings as text, as JSON and as annotations of a GitHub workflow.

use std::fmt::Write;

use serde_json::json;

use super::Outcome;
use crate::api::{Diagnostic, Severity};

/// Findings for a person, in the manner of rustc, and a line that counts them.
pub fn render_text(outcome: &Outcome, color: bool) -> String {
    let mut text = String::new();
    for finding in &outcome.findings {
        one(&mut text, finding, color);
        text.push('\n');
    }
    for shared in &outcome.shared {
        let place = printable(&shared.directory);
        let lines = match &shared.scopes {
            Some(scopes) => crate::cli::scopes::lines(&place, scopes),
            None => vec![format!("scopes of {place}: a program renders its objects; `windlass plan` shows whose they are")],
        };
        lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
        text.push('\n');
    }
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    let files = count(outcome.files_checked, "file");
    let errors = count(outcome.count(Severity::Error), "error");
    let warnings = count(outcome.count(Severity::Warning), "warning");
    text.push_str(&format!("{files} checked: {errors}, {warnings}\n"));
    text
}

fn one(text: &mut String, finding: &Diagnostic, color: bool) {
    let (strong, weak, end) = match (color, finding.severity) {
        (false, _) => ("", "", ""),
        (true, Severity::Error) => ("\u{1b}[1;31m", "\u{1b}[1;34m", "\u{1b}[0m"),
        (true, Severity::Warning) => ("\u{1b}[1;33m", "\u{1b}[1;34m", "\u{1b}[0m"),
    };
    let number = finding.line.to_string();
    let margin = " ".repeat(number.len());
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line(format!("{strong}{}[{}]{end}: {}", finding.severity, finding.code, printable(&finding.message)));
    line(format!("{margin}{weak}-->{end} {}:{}:{}", printable(&finding.file), finding.line, finding.column));
    if let Some(snippet) = &finding.snippet {
        let shown = printable(snippet);
        let width = shown.chars().count();
        let before = usize::try_from(finding.column.saturating_sub(1)).unwrap_or(0).min(width);
        let length = usize::try_from(finding.length).unwrap_or(1).min(width.saturating_sub(before)).max(1);
        line(format!("{margin} {weak}|{end}"));
        line(format!("{weak}{number} |{end} {shown}"));
        line(format!("{margin} {weak}|{end} {}{strong}{}{end}", " ".repeat(before), "^".repeat(length)));
    }
    if let Some(hint) = &finding.hint {
        line(format!("{margin} {weak}={end} help: {}", printable(hint)));
    }
}

/// Text of a file must not move the terminal's cursor; a control character counts as one place.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// All findings as one JSON document.
pub fn render_json(outcome: &Outcome) -> String {
    let mut value = json!({
        "filesChecked": outcome.files_checked,
        "errors": outcome.count(Severity::Error),
        "warnings": outcome.count(Severity::Warning),
        "findings": outcome.findings,
    });
    if !outcome.shared.is_empty() {
        let scopes = |shared: &super::Shared| {
            let objects = shared.scopes.as_ref().map(crate::cli::scopes::as_json);
            json!({"directory": shared.directory, "objects": objects})
        };
        value["scopes"] = outcome.shared.iter().map(scopes).collect();
    }
    format!("{value:#}\n")
}

/// Findings as workflow commands, one line each, so that GitHub shows them beside the lines of a pull request.
pub fn render_github(outcome: &Outcome) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let mut text = String::new();
    for finding in &outcome.findings {
        let hint = finding.hint.as_ref().map(|hint| format!("\nhelp: {hint}")).unwrap_or_default();
        let _infallible = writeln!(
            text,
            "::{} file={},line={},col={},title={}::{}",
            finding.severity,
            property(&finding.file),
            finding.line,
            finding.column,
            property(finding.code),
            data(&format!("{}{hint}", finding.message))
        );
    }
    text
}
