//! The rules, one function each.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::walk::{Change, Side, Step};
use super::{Rule, Violation};
use crate::api::{Amount, Gate, Pause, Rollout, Style};
use crate::engine::{self, Command, History, Input, Leg, Phase, State};
use crate::manifest::ObjectSet;
use crate::reconcile::layout::{self, AppId};
use crate::render::workload::{Kind, stays_old};
use crate::render::{self, Pods, REVISION_LABEL, Routes};
use crate::sim::cluster::IntOrPercent;

/// What must be remembered from commit to commit.
#[derive(Debug, Default)]
pub(super) struct Log {
    apps: BTreeMap<AppId, Memory>,
}

#[derive(Debug, Default, Clone)]
struct Memory {
    /// The live tree of the newest rest.
    stable: Option<ObjectSet>,
    /// A sync came after it, or a person's commit: a rollback does not undo those.
    changed: bool,
    /// The newest release that has ended.
    ended: u64,
}

pub(super) fn judge(step: &Step, log: &mut Log, found: &mut Vec<Violation>) {
    let mut say = |rule: Rule, text: String| {
        found.push(Violation { rule, commit: step.commit.id, subject: step.message.subject().to_owned(), text });
    };
    if step.ours && is_rest(step) {
        rest_alone(step, &mut say);
    } else if step.ours {
        one_move(step, &mut say);
        own_paths(step, &mut say);
        shared_as_needed(step, &mut say);
    }
    for change in &step.changes {
        let memory = log.apps.entry(change.app.clone()).or_default();
        if let (true, Some(after)) = (step.ours, &change.after) {
            if let Some(before) = &change.before {
                no_gate_skipped(step, before, after, &mut say);
                pods_never_shrink(step, before, after, &mut say);
                pause_wins(step, before, after, &mut say);
                finished_stays(step, memory, before, after, &mut say);
                no_traffic_to_absent(before, after, &mut say);
                no_premature_drain(step, before, after, &mut say);
            }
            traffic_as_planned(step, after, &mut say);
        }
        remember(step, memory, change);
        if let Some(after) = change.after.as_ref().filter(|after| after.state.phase.is_busy()) {
            rollback_reachable(memory, after, step.commit.time, &mut say);
        }
    }
}

/// A commit of what several Rollouts of one live path share.
fn is_rest(step: &Step) -> bool {
    step.message.only("Windlass-Release").is_some_and(|text| text.ends_with(":_rest#0") || text == "_rest#0")
}

/// A commit of the rest moves no app: objects change hands at most, and stay as they are.
fn rest_alone(step: &Step, say: &mut impl FnMut(Rule, String)) {
    if step.empty {
        say(Rule::OneMove, "its tree is its parent's".to_owned());
    }
    for change in &step.changes {
        let (Some(before), Some(after)) = (&change.before, &change.after) else {
            say(Rule::OwnPaths, format!("the rest brings or ends {}", change.app));
            continue;
        };
        let plain = |state: &State| State {
            files: Vec::new(),
            tree: String::new(),
            parent: None,
            stable: after.state.stable.clone(),
            candidate: after.state.candidate.clone(),
            source: after.state.source.clone(),
            ..state.clone()
        };
        if plain(&before.state) != plain(&after.state) {
            say(Rule::OneMove, format!("the rest moves {}", change.app));
        }
        for (key, object) in after.live.iter() {
            if before.live.get(key).is_some_and(|old| old != object) {
                say(Rule::OwnPaths, format!("the rest changes {key} of {}", change.app));
            }
        }
    }
}

fn by_person(step: &Step) -> bool {
    step.message.only("Windlass-By").is_some()
}

fn kind(step: &Step) -> &str {
    step.message.only("Windlass-Step").and_then(|text| text.rsplit(' ').next()).unwrap_or_default()
}

fn remember(step: &Step, memory: &mut Memory, change: &Change) {
    let Some(after) = &change.after else { return };
    if is_rest(step) {
        // Objects have changed hands: the mark of the next live tree is about others.
        memory.changed = true;
    } else if after.state.phase == Phase::Healthy {
        memory.stable = Some(after.live.clone());
        memory.changed = false;
        if step.ours && change.before.as_ref().is_some_and(|before| before.state.phase.is_busy()) {
            memory.ended = memory.ended.max(after.state.release);
        }
    } else if !step.ours || after.state.leg == Leg::Sync {
        memory.changed = true;
    }
}

fn one_move(step: &Step, say: &mut impl FnMut(Rule, String)) {
    if step.empty {
        say(Rule::OneMove, "its tree is its parent's".to_owned());
    }
    if step.changes.len() != 1 {
        say(Rule::OneMove, format!("it moves {} apps", step.changes.len()));
    }
    for after in step.changes.iter().filter_map(|change| change.after.as_ref()) {
        if after.state.parent != step.commit.parent.map(|parent| parent.to_string()) {
            say(Rule::OneMove, "its state was made on another parent".to_owned());
        }
    }
}

/// Whether an app needs another shared routing than before.
fn turns(step: &Step) -> bool {
    let shared = |side: &Option<std::rc::Rc<Side>>| side.as_ref().and_then(|side| side.state.shape.shared.clone());
    step.changes.iter().any(|change| shared(&change.before) != shared(&change.after))
}

/// An app that is ejected says no more; the rest follows in a commit of its own.
fn shared_as_needed(step: &Step, say: &mut impl FnMut(Rule, String)) {
    let Some(shared) = step.shared.as_ref().filter(|shared| !shared.foreign && turns(step) && kind(step) != "eject") else {
        return;
    };
    if shared.on != shared.needed {
        say(Rule::SharedAsNeeded, format!("in force are {:?}, needed {:?}", shared.on, shared.needed));
    }
}

fn own_paths(step: &Step, say: &mut impl FnMut(Rule, String)) {
    let Some(app) = step.changes.first().map(|change| &change.app) else { return };
    let live = |path: &str| match path.rsplit_once('/') {
        Some((directory, _)) => directory == app.path,
        None => app.path.is_empty(),
    };
    let sides = step.changes.iter().flat_map(|change| [&change.before, &change.after]).flatten();
    let files: Vec<&String> = sides.flat_map(|side| &side.state.files).collect();
    let live =
        |path: &str| live(path) && (files.is_empty() || files.iter().any(|file| path.rsplit('/').next() == Some(file.as_str())));
    // At its adoption an app takes what the rest has held for it; the last that goes takes the rest's record and mark with it.
    let rest = format!("{}/", layout::rest_home(&app.path));
    let takes_rest = !files.is_empty() && step.paths.iter().any(|path| path.starts_with(&rest));
    let gone = step.changes.iter().all(|change| change.after.is_none());
    let mark = layout::join(&app.path, "hydrator.metadata");
    let turned: &dyn Fn(&str) -> bool = &|path| {
        let Some(shared) = step.shared.as_ref().filter(|_| turns(step)) else { return false };
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        path.starts_with(&rest) || directory == app.path && shared.files.contains(name)
    };
    for path in &step.paths {
        if turned(path) {
            continue;
        }
        if takes_rest && (path.starts_with(&rest) || gone && *path == mark) {
            continue;
        }
        let shared = path == ".gitattributes" || path == layout::SOURCE;
        let own = live(path) || path.starts_with(&format!("{}/", app.home())) || shared;
        if !own {
            say(Rule::OwnPaths, format!("{path} is not of {app}"));
        }
    }
}

/// The gates that the step before asked for, against the trailers.
fn no_gate_skipped(step: &Step, before: &Side, after: &Side, say: &mut impl FnMut(Rule, String)) {
    let forward = after.state.step > before.state.step || after.state.phase == Phase::Finalising;
    if before.state.phase != Phase::Releasing || before.state.step == 0 || !forward || by_person(step) {
        return;
    }
    if after.state.release != before.state.release || !matches!(after.state.phase, Phase::Releasing | Phase::Finalising) {
        return;
    }
    // A changed plan finds its place by pods; no gate is passed by that, since no pod and no request moves.
    if before.state.plan != after.state.plan && before.state.shape == after.state.shape {
        return;
    }
    let index = usize::try_from(before.state.step).unwrap_or(0).saturating_sub(1);
    let Some(spec) = after.rollout.steps.get(index) else { return };
    let gates: Vec<Value> = step.message.all("Windlass-Gate").filter_map(|value| serde_json::from_str(value).ok()).collect();
    let passed = |name: &str| gates.iter().any(|gate| gate["name"] == name && gate["verdict"] == "pass");
    for metric in &after.rollout.metrics {
        if !passed(&metric.name) {
            say(Rule::NoGateSkipped, format!("step {} was left without a pass of metric {}", before.state.step, metric.name));
        }
    }
    let people: std::collections::BTreeSet<&str> = before
        .state
        .approvals
        .iter()
        .filter(|approval| approval.tree == before.state.tree)
        .map(|approval| approval.login.as_str())
        .collect();
    let wanted = spec.gates.iter().map(|Gate::Approval { count }| *count).max().unwrap_or(0);
    if people.len() < usize::try_from(wanted).unwrap_or(usize::MAX) {
        say(Rule::NoGateSkipped, format!("step {} has {} of {wanted} approvals", before.state.step, people.len()));
    }
    let last = index + 1 >= after.rollout.steps.len();
    if last && spec.replicas == Amount::Percent(100) && after.rollout.style != Style::BlueGreen {
        return;
    }
    match spec.pause {
        Pause::Approval if people.is_empty() => {
            say(Rule::NoGateSkipped, format!("step {} was left without an approval", before.state.step));
        }
        Pause::Seconds(seconds) if people.is_empty() && seconds > 0 => {
            let soaked = after.state.moved_at.as_second() - before.state.moved_at.as_second();
            if soaked < i64::from(seconds) || !passed("pause") {
                say(Rule::NoGateSkipped, format!("step {} soaked {soaked} s of {seconds} s", before.state.step));
            }
        }
        _ => {}
    }
}

fn updated(state: &State, size: Option<u32>) -> u32 {
    match state.shape.pods {
        Pods::Stable | Pods::Returning { .. } => state.shape.extra.unwrap_or(0),
        Pods::Held { to, .. } => to,
        Pods::Back { left, .. } => left,
        Pods::Candidate => size.unwrap_or(u32::MAX),
    }
}

/// `None` where only the cluster knows.
fn size(side: &Side) -> Option<u32> {
    let objects = side.candidate.as_ref().unwrap_or(&side.stable);
    render::size(&side.rollout, objects).ok().flatten()
}

fn pods_never_shrink(step: &Step, before: &Side, after: &Side, say: &mut impl FnMut(Rule, String)) {
    let forward = |phase: Phase| matches!(phase, Phase::Releasing | Phase::Paused | Phase::Finalising);
    if before.state.release != after.state.release || !forward(before.state.phase) || !forward(after.state.phase) {
        return;
    }
    let (was, is) = (updated(&before.state, size(before)), updated(&after.state, size(after)));
    let held = |side: &Side| match side.state.shape.pods {
        Pods::Held { size, .. } => Some(size),
        _ => None,
    };
    // Of a workload whose size is the cluster's, the move that follows a change of size says so itself.
    let counted = size(after).is_none() && held(before) != held(after);
    // Where a size waits for the end of the release, it comes with the workload's own strategy.
    let keeps = Kind::of(&after.rollout.workload).is_ok_and(|kind| kind.keeps_size(after.rollout.style));
    let came = keeps && after.state.shape.pods == Pods::Candidate && held(before).is_some() && held(before) != size(after);
    // A node that is gone takes its pod along.
    let lost = before.state.shape.nodes.iter().any(|node| !after.state.shape.nodes.contains(node));
    let resized = counted || came || lost || (kind(step) == "sync" && size(before) != size(after));
    if is < was && !resized && kind(step) != "restore-pods" {
        say(Rule::PodsNeverShrink, format!("{was} updated pods become {is}"));
    }
}

/// The shares in the live tree against the step in force.
fn traffic_as_planned(step: &Step, after: &Side, say: &mut impl FnMut(Rule, String)) {
    if kind(step) != "shift" || after.state.phase != Phase::Releasing {
        return;
    }
    let index = usize::try_from(after.state.step).unwrap_or(0).saturating_sub(1);
    let wanted = after.rollout.steps.get(index).and_then(|step| step.traffic);
    let Routes::Split { weight, .. } = &after.state.shape.routes else { return };
    if *weight != wanted {
        say(Rule::TrafficAsPlanned, format!("the live branch has {weight:?}, the step wants {wanted:?}"));
    }
}

/// Whether live routes send requests to the canary Service. Read from the manifests, not from the state.
fn routed(rollout: &Rollout, live: &ObjectSet) -> bool {
    rollout.routings.iter().any(|routing| {
        let canary = format!("{}-canary", routing.service);
        live.values().any(|object| match object.kind() {
            "HTTPRoute" => {
                let rules = object.get("/spec/rules").and_then(Value::as_array).into_iter().flatten();
                let mut backends = rules.flat_map(|rule| rule["backendRefs"].as_array().into_iter().flatten());
                backends.any(|backend| backend["name"] == canary.as_str() && backend["weight"].as_u64() != Some(0))
            }
            "VirtualService" => {
                let rules = object.get("/spec/http").and_then(Value::as_array).into_iter().flatten();
                let mut routes = rules.flat_map(|rule| rule["route"].as_array().into_iter().flatten());
                routes.any(|route| {
                    let to = &route["destination"];
                    let named = to["host"].as_str().is_some_and(|host| host.split('.').next() == Some(canary.as_str()));
                    (named || to["subset"] == "canary") && route["weight"].as_u64() != Some(0)
                })
            }
            "Ingress" => {
                let note = |key: &str| object.text(&format!("/metadata/annotations/nginx.ingress.kubernetes.io~1{key}"));
                let named = object.to_value().to_string().contains(&format!("\"{canary}\""));
                let asked = note("canary-weight").is_some_and(|weight| weight != "0")
                    || note("canary-by-header").is_some()
                    || note("canary-by-cookie").is_some();
                named && asked
            }
            _ => false,
        })
    })
}

/// Updated pods that a live workload asks for, and their version's label: what its strategy lets come while it is held.
fn asked(side: &Side, live: &ObjectSet) -> (u32, String) {
    let rollout = &side.rollout;
    let Ok(workload) = render::find_workload(live, &rollout.workload) else { return (0, String::new()) };
    let template = workload.get(&rollout.workload.template_pointer());
    let revision = template.and_then(|template| template.pointer("/metadata/labels")?.get(REVISION_LABEL));
    let revision = revision.and_then(Value::as_str).unwrap_or_default().to_owned();
    let rolling = |field: &str| {
        if let ("partition", Some(kind)) = (field, &rollout.workload.described) {
            return workload.get(&kind.partition.pointer()).cloned().unwrap_or(Value::Null);
        }
        let at = ["strategy/rollingUpdate", "updateStrategy/rollingUpdate", "updateStrategy"];
        at.iter().find_map(|at| workload.get(&format!("/spec/{at}/{field}"))).cloned().unwrap_or(Value::Null)
    };
    let number = |value: &Value| u32::try_from(value.as_u64().unwrap_or(0)).unwrap_or(u32::MAX);
    // Of a workload whose size is the cluster's, the state alone can tell it.
    let held = match side.state.shape.pods {
        Pods::Held { size, .. } => size,
        _ => 0,
    };
    let size = size(side).unwrap_or(held);
    if workload.kind() != "Deployment" {
        let kept = match rolling("partition") {
            Value::String(text) => text.trim_end_matches('%').parse().map_or(0, |percent| stays_old(percent, size)),
            pods => number(&pods),
        };
        return (if kept == 0 { u32::MAX } else { size.saturating_sub(kept) }, revision);
    }
    let held = workload.get("/spec/minReadySeconds").and_then(Value::as_u64) == Some(2_147_483_646);
    let amount = |field: &str, up: bool| IntOrPercent::read(&rolling(field)).map_or(0, |amount| amount.of(size, up));
    let pods = if held { amount("maxSurge", true) + amount("maxUnavailable", false) } else { u32::MAX };
    (pods, revision)
}

/// The updated pods of the version that the canary Service selects.
fn asked_of_canary(side: &Side) -> u32 {
    let wanted = side.state.candidate.as_ref().map(|slot| slot.revision.as_str());
    let second = side.live.find("apps", "Deployment", &render::workload::extra::name(&side.rollout.workload.name));
    if let Some(second) = second {
        let pods = second.get("/spec/replicas").and_then(Value::as_u64).unwrap_or(0);
        return u32::try_from(pods).unwrap_or(u32::MAX);
    }
    let (pods, revision) = asked(side, &side.live);
    if wanted == Some(revision.as_str()) { pods } else { 0 }
}

fn no_traffic_to_absent(before: &Side, after: &Side, say: &mut impl FnMut(Rule, String)) {
    if !routed(&after.rollout, &after.live) {
        return;
    }
    let made = after.rollout.routings.iter().filter(|routing| !routing.disable_generate_canary_service);
    let services: Vec<String> = made.map(|routing| format!("{}-canary", routing.service)).collect();
    if let Some(name) = services.iter().find(|name| after.live.find("", "Service", name).is_none()) {
        say(Rule::NoTrafficToAbsent, format!("requests go to Service {name}, which is not there"));
    }
    if !routed(&before.rollout, &before.live) && (asked_of_canary(after) == 0 || asked_of_canary(before) == 0) {
        say(Rule::NoTrafficToAbsent, "requests go to pods that no earlier commit has asked for".to_owned());
    }
}

fn no_premature_drain(step: &Step, before: &Side, after: &Side, say: &mut impl FnMut(Rule, String)) {
    let at_once = by_person(step) && kind(step) == "rollback-end";
    let resized = kind(step) == "sync" && size(before) != size(after);
    if !routed(&before.rollout, &before.live) || at_once || resized {
        return;
    }
    let (was, is) = (asked_of_canary(before), asked_of_canary(after));
    if is < was {
        say(Rule::NoPrematureDrain, format!("{was} updated pods become {is} while requests go to them"));
    }
}

fn pause_wins(step: &Step, before: &Side, after: &Side, say: &mut impl FnMut(Rule, String)) {
    let (was, is) = (&before.state, &after.state);
    let word = by_person(step);
    let goes_on = matches!(is.phase, Phase::Releasing | Phase::Finalising) || (is.phase == Phase::Paused && is.step > was.step);
    if was.phase == Phase::Paused && goes_on && !word && was.plan == is.plan {
        say(Rule::PauseWins, "it goes on although nobody said so".to_owned());
    }
    if was.phase == Phase::Paused && was.rollback.is_some() && is.phase == Phase::RollingBack && !word {
        say(Rule::PauseWins, "the rollback goes on although nobody said so".to_owned());
    }
    let back = |state: &State| state.phase == Phase::RollingBack || (state.phase == Phase::Paused && state.rollback.is_some());
    if back(was) && !back(is) && is.phase != Phase::Healthy {
        say(Rule::PauseWins, "it goes forward in the middle of a rollback".to_owned());
    }
}

fn finished_stays(step: &Step, memory: &Memory, before: &Side, after: &Side, say: &mut impl FnMut(Rule, String)) {
    let (was, is) = (&before.state, &after.state);
    if is.release < was.release {
        say(Rule::FinishedStays, format!("release {} follows release {}", is.release, was.release));
    }
    // A person who reverts a finished release asks for its way back.
    if is.phase.is_busy() && is.release <= memory.ended && !by_person(step) && was.phase == Phase::Healthy {
        say(Rule::FinishedStays, format!("release {} moves again", is.release));
    }
}

fn rollback_reachable(memory: &Memory, side: &Side, time: i64, say: &mut impl FnMut(Rule, String)) {
    let Some(stable) = memory.stable.as_ref().filter(|_| !memory.changed) else { return };
    let input = Input {
        rollout: &side.rollout,
        spec_gone: false,
        halted: false,
        state: Some(&side.state),
        stable: Some(&side.stable),
        candidate: side.candidate.as_ref(),
        source: None,
        history: History::Ours,
        seen: None,
        looks: &[],
        now: Timestamp::from_second(time).unwrap_or(Timestamp::MAX),
    };
    match engine::command(&input, &Command::Rollback { now: true }, "anybody") {
        Err(refusal) => say(Rule::RollbackReachable, format!("`rollback --now` is refused: {refusal}")),
        Ok(commit) => {
            let labelled = |objects: &ObjectSet| !asked(side, objects).1.is_empty();
            let same = if labelled(stable) == labelled(&commit.live.objects) {
                bytes(stable) == bytes(&commit.live.objects)
            } else {
                // The label move came between; a rollback does not take it back.
                bytes(&unlabelled(&side.rollout, stable)) == bytes(&unlabelled(&side.rollout, &commit.live.objects))
            };
            if !same {
                say(Rule::RollbackReachable, "`rollback --now` does not give the last stable live tree".to_owned());
            }
        }
    }
}

fn bytes(objects: &ObjectSet) -> Vec<String> {
    objects.values().map(crate::manifest::write).collect()
}

fn unlabelled(rollout: &Rollout, objects: &ObjectSet) -> ObjectSet {
    let mut plain = objects.clone();
    if let Ok(workload) = render::find_workload(objects, &rollout.workload) {
        let mut workload = render::unlabelled(workload, &rollout.workload);
        workload.remove(&["metadata", "annotations", render::COMMIT_TREE]);
        plain.insert(workload);
    }
    plain
}
