//! `plan`: every future commit.

use serde_json::json;
use similar::TextDiff;

use super::exit::{Exit, Failure};
use super::terminal::{BOLD, CYAN, DIM, GREEN, RED, Terminal, YELLOW, styled};
use crate::api::{Amount, Pause, Rollout, Step, Style};
use crate::engine::{self, Planned, Reason};
use crate::manifest::{self, ObjectSet};
use crate::reconcile::Forecast;
use crate::render::obstacles::{Obstacle, Peak, obstacles};
use crate::render::traffic;
use crate::render::{self, Pods, Routes};

pub(super) fn show(terminal: &mut Terminal, forecast: &Forecast, diff: bool) -> Result<Exit, Failure> {
    if terminal.is_json() {
        terminal.json(&as_json(forecast));
        return Ok(Exit::Done);
    }
    if let Some(shared) = &forecast.shared {
        for line in super::scopes::lines(&shared.directory, &shared.scopes) {
            terminal.line(line);
        }
        let shown = |keys: &[manifest::ObjectKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        for (what, keys) in
            [("follow the source first, at once", &shared.changes), ("change hands first, as they are", &shared.hands)]
        {
            if !keys.is_empty() {
                terminal.line(format!("  {what}: {}", shown(keys)));
            }
        }
        terminal.line("");
    }
    if forecast.planned.is_empty() {
        match &forecast.hold {
            None => terminal.line(format!("{}: nothing to do, the live branch is where the source leads", forecast.app)),
            Some(hold) => {
                terminal.line(format!("{}: nothing to do, {} {}", forecast.app, styled(CYAN, hold.reason.code()), hold.text));
                if let Some(then) = &hold.then {
                    terminal.line(styled(DIM, format!("  {then}")));
                }
            }
        }
        return Ok(Exit::Done);
    }
    let total = forecast.planned.last().map_or(0, |planned| planned.after);
    let commits = forecast.planned.len();
    terminal.line(format!(
        "{}: {commits} commit{} to come, at least {} of waiting",
        styled(BOLD, &forecast.app),
        if commits == 1 { "" } else { "s" },
        engine::length(total)
    ));
    terminal.line(styled(DIM, format!("source {}", forecast.source.get(..10).unwrap_or(&forecast.source))));
    if !forecast.observed {
        terminal.line(styled(DIM, "not observed: each commit counts as applied after a fixed time"));
    }
    let mut before = &forecast.live;
    for (index, planned) in forecast.planned.iter().enumerate() {
        for wait in planned.waits.iter().filter(|wait| matches!(wait.reason, Reason::Soak | Reason::Approval)) {
            terminal.line(format!("      {} {}", styled(CYAN, "gate"), wait.text));
        }
        let (updated, all) = planned.pods;
        let pods = match planned.commit.state.shape.pods {
            Pods::Stable => format!("{all} pods"),
            _ => format!("pods {updated} new + {} old", all.saturating_sub(updated)),
        };
        let route = match &planned.commit.state.shape.routes {
            Routes::Stable => String::new(),
            routes => format!(", {}", traffic::describe(routes)),
        };
        terminal.line(format!(
            "{:>4}  {:<8} {}  {}",
            index + 1,
            format!("+{}", engine::length(planned.after)),
            planned.commit.title,
            styled(DIM, format!("({pods}{route})"))
        ));
        if diff {
            for line in difference(before, &planned.commit.live.objects) {
                terminal.line(line);
            }
        }
        before = &planned.commit.live.objects;
    }
    if let Some(line) = shared_routing(forecast) {
        terminal.line(styled(DIM, line));
    }
    let later = |planned: &Planned| planned.commit.state.shape.nodes.iter().any(|node| node.starts_with(engine::CHOSEN_LATER));
    if forecast.planned.iter().any(later) {
        let text = "Nodes are chosen when a step needs them, among those that have a pod then.";
        terminal.line(styled(DIM, text));
    }
    for (number, obstacle) in warnings(forecast) {
        terminal.line(format!("{} commit {number}: {}: {}", styled(YELLOW, "warning:"), obstacle.object, obstacle.text));
        terminal.line(styled(DIM, format!("  = help: {}", obstacle.hint)));
    }
    terminal.line("");
    for (index, step) in forecast.rollout.steps.iter().enumerate() {
        terminal.line(styled(DIM, gates_of(&forecast.rollout, index, step)));
    }
    Ok(Exit::Done)
}

/// What the routing that the Rollout shares does, and with which commits the release needs it.
fn shared_routing(forecast: &Forecast) -> Option<String> {
    let routing = forecast.rollout.shared.as_ref()?.routing.as_ref()?;
    let needs = |planned: &Planned| planned.commit.state.shape.shared.as_ref() == Some(&routing.name);
    let first = forecast.planned.iter().position(needs)? + 1;
    let last = forecast.planned.iter().rposition(needs)? + 1;
    Some(format!(
        "Shared routing `{}`, from commit {first} to {last} and as long as others need it: {}.",
        routing.name,
        traffic::describe_shared(routing)
    ))
}

/// What may keep pods of these commits from coming: each obstacle where it is met first, and where it is worst. With the number of
/// the commit.
fn warnings(forecast: &Forecast) -> Vec<(usize, Obstacle)> {
    let mut found: Vec<(usize, u32, Obstacle)> = Vec::new();
    for (index, planned) in forecast.planned.iter().enumerate() {
        let (_, all) = planned.pods;
        let live = &planned.commit.live.objects;
        let Ok(size) = render::size(&forecast.rollout, live) else { continue };
        let mixed = !matches!(planned.commit.state.shape.pods, Pods::Stable)
            || planned.commit.state.shape.extra.is_some()
            || !planned.commit.state.shape.nodes.is_empty();
        // Where the cluster alone knows the size, no more pods than that are counted.
        let peak = Peak { size: size.unwrap_or(all), pods: all, mixed };
        for obstacle in obstacles(&forecast.rollout, live, peak) {
            let same =
                |(_, _, known): &(usize, u32, Obstacle)| (&known.object, &known.hint) == (&obstacle.object, &obstacle.hint);
            let first = found.iter().position(same);
            let worst = found.iter().rposition(same);
            match (first, worst) {
                (Some(_), Some(worst)) if found.get(worst).is_some_and(|(_, pods, _)| all <= *pods) => {}
                (Some(first), Some(worst)) if first != worst => {
                    if let Some(known) = found.get_mut(worst) {
                        *known = (index + 1, all, obstacle);
                    }
                }
                _ => found.push((index + 1, all, obstacle)),
            }
        }
    }
    found.into_iter().map(|(number, _, obstacle)| (number, obstacle)).collect()
}

/// The gates of a step in a line.
fn gates_of(rollout: &Rollout, index: usize, step: &Step) -> String {
    let last = index + 1 == rollout.steps.len();
    let pause = match step.pause {
        _ if last && step.replicas == Amount::Percent(100) && rollout.style != Style::BlueGreen => "no pause".to_owned(),
        Pause::Approval => "an approval".to_owned(),
        Pause::Seconds(0) => "no pause".to_owned(),
        Pause::Seconds(seconds) => format!("soak {}", engine::length(i64::from(seconds))),
    };
    let metrics: Vec<String> = rollout
        .metrics
        .iter()
        .map(|metric| {
            let bounds = [
                metric.min.map(|min| format!("≥ {}", engine::figure(min))),
                metric.max.map(|max| format!("≤ {}", engine::figure(max))),
            ];
            format!("{} {}", metric.name, bounds.into_iter().flatten().collect::<Vec<_>>().join(" and "))
        })
        .collect();
    let metrics = if metrics.is_empty() { String::new() } else { format!(", {}", metrics.join(", ")) };
    let name = step.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let timeout = engine::length(i64::from(step.timeout));
    format!("step {}{name}: applied and ready within {timeout}, {pause}{metrics}", index + 1)
}

/// The changed files of a commit as a unified diff. Data of Secrets is not shown.
fn difference(before: &ObjectSet, after: &ObjectSet) -> Vec<String> {
    let (old, new) = (texts(before), texts(after));
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut lines = Vec::new();
    for name in names {
        let (a, b) = (old.get(name).map_or("", String::as_str), new.get(name).map_or("", String::as_str));
        if a == b {
            continue;
        }
        let diff = TextDiff::from_lines(a, b);
        let text = diff.unified_diff().context_radius(1).header(&format!("a/{name}"), &format!("b/{name}")).to_string();
        for line in text.lines() {
            let style = match line.as_bytes().first() {
                Some(b'+') => GREEN,
                Some(b'-') => RED,
                Some(b'@') => CYAN,
                _ => DIM,
            };
            lines.push(format!("        {}", styled(style, line)));
        }
    }
    lines
}

fn texts(objects: &ObjectSet) -> std::collections::BTreeMap<String, String> {
    let stems = objects.file_stems();
    let text = |object: &manifest::Object| manifest::write(&shown(object));
    objects.iter().filter_map(|(key, object)| Some((format!("{}.yaml", stems.get(key)?), text(object)))).collect()
}

/// An object as it may be shown: data of a Secret is left out.
fn shown(object: &manifest::Object) -> manifest::Object {
    let mut object = object.clone();
    if object.kind() == "Secret" {
        for field in ["data", "stringData"] {
            let Some(serde_json::Value::Object(data)) = object.get_mut(&format!("/{field}")) else { continue };
            for (_, value) in data.iter_mut() {
                *value = json!("(not shown)");
            }
        }
    }
    object
}

fn planned_json(planned: &Planned, before: &ObjectSet) -> serde_json::Value {
    let state = &planned.commit.state;
    let changed: Vec<String> = {
        let (old, new) = (texts(before), texts(&planned.commit.live.objects));
        let names: std::collections::BTreeSet<String> = old.keys().chain(new.keys()).cloned().collect();
        names.into_iter().filter(|name| old.get(name) != new.get(name)).collect()
    };
    json!({
        "title": planned.commit.title,
        "step": state.step,
        "move": planned.commit.leg.word(),
        "phase": state.phase,
        "after": planned.after,
        "updatedPods": planned.pods.0,
        "pods": planned.pods.1,
        "traffic": match &state.shape.routes { Routes::Split { weight, .. } => *weight, Routes::Stable => None },
        "routes": traffic::describe(&state.shape.routes),
        "sharedRouting": state.shape.shared,
        "waits": planned.waits,
        "files": changed,
    })
}

fn as_json(forecast: &Forecast) -> serde_json::Value {
    let mut before = &forecast.live;
    let mut commits = Vec::new();
    for planned in &forecast.planned {
        commits.push(planned_json(planned, before));
        before = &planned.commit.live.objects;
    }
    let mut value = json!({
        "app": forecast.app.to_string(),
        "source": forecast.source,
        "observed": forecast.observed,
        "hold": forecast.hold,
        "commits": commits,
        "warnings": warnings(forecast).iter().map(|(number, obstacle)| json!({
            "commit": number,
            "object": obstacle.object.to_string(),
            "text": obstacle.text,
            "hint": obstacle.hint,
        })).collect::<Vec<_>>(),
    });
    if let Some(shared) = &forecast.shared {
        let names = |keys: &[manifest::ObjectKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
        value["scopes"] = super::scopes::as_json(&shared.scopes);
        value["rest"] = json!({"changes": names(&shared.changes), "changeHands": names(&shared.hands)});
    }
    value
}
