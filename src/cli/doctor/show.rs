//! Findings as text, as JSON and as annotations of a GitHub workflow.

use crate::cli::args::Output;
use crate::cli::terminal::{BOLD, CYAN, DIM, GREEN, RED, Terminal, YELLOW, styled};
use crate::reconcile::doctor::{Finding, Level, Report};

pub(super) fn show(terminal: &mut Terminal, report: &Report) {
    match terminal.output {
        Output::Json => {
            let value = serde_json::json!({
                "errors": report.count(Level::Error),
                "warnings": report.count(Level::Warning),
                "unknown": report.count(Level::Unknown),
                "findings": report.findings,
            });
            terminal.json(&value);
        }
        Output::Github => {
            for finding in &report.findings {
                if let Some(line) = annotation(finding) {
                    terminal.line(line);
                }
            }
        }
        Output::Human => human(terminal, report),
    }
}

/// A workflow command; what is fine needs none.
fn annotation(finding: &Finding) -> Option<String> {
    let command = match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Unknown => "notice",
        Level::Ok => return None,
    };
    let mut text = format!("{}: {}", finding.subject, finding.seen);
    if let Some(so) = &finding.consequence {
        text.push_str(&format!("\n{so}"));
    }
    if let Some(mend) = &finding.mend {
        text.push_str(&format!("\nto mend: {}", mend.text));
        text.extend(mend.exactly.iter().map(|exactly| format!("\n{exactly}")));
    }
    let data = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    Some(format!("::{command} title={}::{data}", finding.code))
}

fn human(terminal: &mut Terminal, report: &Report) {
    let mut area = None;
    for finding in &report.findings {
        if area != Some(finding.area) {
            if area.is_some() {
                terminal.line("");
            }
            terminal.line(styled(BOLD, finding.area));
            area = Some(finding.area);
        }
        one(terminal, finding);
    }
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    let (errors, warnings) = (count(report.count(Level::Error), "error"), count(report.count(Level::Warning), "warning"));
    let fine = report.count(Level::Ok);
    terminal.line("");
    terminal.line(format!("{fine} fine, {errors}, {warnings}, {} not known", report.count(Level::Unknown)));
}

fn one(terminal: &mut Terminal, finding: &Finding) {
    let (sign, style) = match finding.level {
        Level::Error => ("✗", RED.bold()),
        Level::Warning => ("!", YELLOW.bold()),
        Level::Unknown => ("?", CYAN),
        Level::Ok => ("✓", GREEN),
    };
    let code =
        if finding.level == Level::Ok { String::new() } else { format!(" {}", styled(DIM, format!("[{}]", finding.code))) };
    terminal.line(format!("  {} {}: {}{code}", styled(style, sign), printable(&finding.subject), printable(&finding.seen)));
    if let Some(so) = &finding.consequence {
        terminal.line(format!("      {}", printable(so)));
    }
    if let Some(mend) = &finding.mend {
        terminal.line(format!("      {} {}", styled(CYAN, "to mend:"), printable(&mend.text)));
        for line in mend.exactly.iter().flat_map(|exactly| exactly.lines()) {
            terminal.line(format!("        {}", printable(line)));
        }
    }
}

/// Texts of a server must not move the terminal's cursor.
fn printable(text: &str) -> String {
    text.chars()
        .map(|one| match one {
            '\n' => ' ',
            one if one.is_control() => '\u{fffd}',
            one => one,
        })
        .collect()
}
