//! `log`: the story of the live branch, from its commits alone.

use jiff::Timestamp;
use serde::Serialize;

use super::args::LogArgs;
use super::exit::{Exit, Failure};
use super::terminal::{CYAN, DIM, GREEN, RED, Terminal, YELLOW, moment, styled};
use crate::git::trailers::Message;
use crate::git::{Oid, Repo};
use crate::reconcile::Trouble;

/// One commit of the story.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    commit: String,
    at: Timestamp,
    author: String,
    subject: String,
    body: Vec<String>,
    /// Whether Windlass made it.
    windlass: bool,
    trailers: Vec<(String, String)>,
}

pub(super) fn show(terminal: &mut Terminal, repo: &mut dyn Repo, args: &LogArgs) -> Result<Exit, Failure> {
    let range = args.what.iter().find(|what| what.contains(".."));
    let app = args.what.iter().find(|what| !what.contains(".."));
    if args.what.len() == 2 && (range.is_none() || app.is_none()) {
        return Err(Failure::usage("give at most one app and one range `A..B`"));
    }
    let heads = repo.fetch().map_err(Trouble::from)?;
    let (stop, start) = match range.and_then(|range| range.split_once("..")) {
        None => (None, heads.live),
        Some((from, to)) => (resolve(repo, from)?, resolve(repo, to)?.or(heads.live)),
    };
    let Some(mut at) = start else {
        terminal.note("the live branch does not exist yet");
        return Ok(Exit::Done);
    };
    let mut lines = Vec::new();
    while lines.len() < args.limit && Some(at) != stop {
        let Ok(commit) = repo.commit(at) else { break };
        let message = Message::parse(&commit.message);
        let release = message.only("Windlass-Release").map(str::to_owned);
        let fits = app.is_none_or(|app| release.as_deref().is_some_and(|release| names(release, app)));
        if fits {
            lines.push(Line {
                commit: commit.id.to_string(),
                at: Timestamp::from_second(commit.time).unwrap_or(Timestamp::UNIX_EPOCH),
                author: commit.author.name.clone(),
                subject: message.subject().to_owned(),
                body: message.body().split("\n\n").filter(|text| !text.is_empty()).map(str::to_owned).collect(),
                windlass: release.is_some(),
                trailers: message.trailers().iter().map(|trailer| (trailer.key.clone(), trailer.value.clone())).collect(),
            });
        }
        let Some(parent) = commit.parent else { break };
        at = parent;
    }
    if terminal.is_json() {
        terminal.json(&lines);
        return Ok(Exit::Done);
    }
    for line in &lines {
        story(terminal, line);
    }
    Ok(Exit::Done)
}

/// Whether `prod/checkout#3` belongs to what a person calls `app`.
fn names(release: &str, app: &str) -> bool {
    let (id, number) = release.rsplit_once('#').unwrap_or((release, ""));
    let app = app.trim_matches('/');
    let last = id.rsplit(['/', ':']).next().unwrap_or(id);
    release == app
        || id == app
        || last == app
        || id.rsplit_once(':').is_some_and(|(path, _)| path == app)
        || format!("{last}#{number}") == app
}

fn resolve(repo: &mut dyn Repo, name: &str) -> Result<Option<Oid>, Failure> {
    if name.is_empty() {
        return Ok(None);
    }
    match repo.resolve_live(name).map_err(Trouble::from)? {
        Some(id) => Ok(Some(id)),
        None => Err(Failure::usage(format!("`{name}` is no commit, branch or tag of this repository"))),
    }
}

fn story(terminal: &mut Terminal, line: &Line) {
    let short = line.commit.get(..10).unwrap_or(&line.commit);
    let style = match () {
        () if !line.windlass => RED,
        () if line.subject.contains("roll back") || line.subject.contains("rolled back") => YELLOW,
        () => GREEN,
    };
    let foreign =
        if line.windlass { String::new() } else { format!("  {}", styled(RED, format!("by {}, not by Windlass", line.author))) };
    terminal.line(format!("{} {} {}{foreign}", styled(style, short), styled(DIM, moment(line.at)), line.subject));
    if !line.windlass {
        return;
    }
    for paragraph in &line.body {
        terminal.line(format!("           {paragraph}"));
    }
    for (key, value) in &line.trailers {
        let told = match key.as_str() {
            "Windlass-Gate" => gate(value),
            "Windlass-Approved-By" => person(value).map(|login| format!("approved by {login}")),
            "Windlass-By" => Some(format!("asked for by {}", value.trim_matches('"'))),
            _ => None,
        };
        if let Some(told) = told {
            terminal.line(format!("           {}", styled(CYAN, told)));
        }
    }
}

fn gate(value: &str) -> Option<String> {
    let gate: serde_json::Value = serde_json::from_str(value).ok()?;
    let text = |key: &str| gate.get(key).and_then(serde_json::Value::as_str);
    Some(format!(
        "gate {}: {}{}",
        text("name")?,
        text("verdict")?,
        text("detail").map(|detail| format!(", {detail}")).unwrap_or_default()
    ))
}

fn person(value: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(value).ok()?;
    value.get("login").and_then(serde_json::Value::as_str).map(str::to_owned)
}
