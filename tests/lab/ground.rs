//! The scenarios of `tests/ground/` with real servers: each with Flux and with Argo CD, several at the same time in one lab. What they print
//! must be what the simulator prints (`scenarios::the_labs_scenarios_play_in_the_simulator`).
//!
//! `WINDLASS_LAB_STORY=argo-03` plays only the cases whose name holds that word.

mod applier;
mod proxy;
mod stage;
mod view;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Instant;

use windlass::sim::scenario::{Script, follow};

use super::gauges::Gauges;
use super::rests::{Step, Subject, compare, history};
use super::servers::Lab;
use super::watch::Watcher;
use applier::Applier;
use stage::Stage;

/// Cases that are played at the same time.
const AT_ONCE: usize = 4;

/// What the cases share.
struct Site {
    // Ended in this order: the servers come last.
    watcher: Watcher,
    gauges: Gauges,
    lab: Lab,
}

struct Case {
    name: String,
    applier: Applier,
    script: Script,
}

fn cases() -> Vec<Case> {
    let only = std::env::var("WINDLASS_LAB_STORY").unwrap_or_default();
    let mut cases = Vec::new();
    for (name, script) in crate::scenarios::read("ground") {
        // A second cluster is a second lab: once is enough.
        let alone = script.blocks().any(|block| block.command == "cluster new");
        for applier in [Applier::ArgoCd, Applier::Flux] {
            let case = Case { name: format!("{}-{name}", applier.word()), applier, script: script.clone() };
            if case.name.contains(&only) && !(alone && applier == Applier::ArgoCd) {
                cases.push(case);
            }
        }
    }
    // The longest first: the last ones to end leave nothing idle.
    cases.sort_by_key(|case| (case.script.blocks().all(|block| block.command != "cluster new"), case.applier == Applier::Flux));
    cases
}

#[test]
fn the_scenarios_play_as_in_the_simulator() {
    let cases = cases();
    if cases.is_empty() {
        println!("no case has the name that WINDLASS_LAB_STORY asks for");
        return;
    }
    let Some(lab) = Lab::up(&["flux", "argo", "gitea", "prometheus"]) else {
        return;
    };
    let site = Site { watcher: Watcher::start_everywhere(&lab), gauges: Gauges::start(&lab), lab };
    let (next, failed) = (Mutex::new(cases.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(case) = next.lock().unwrap().next() else { return };
                    let start = Instant::now();
                    let ended = catch_unwind(AssertUnwindSafe(|| play(&site, case)));
                    let wrong = ended.unwrap_or_else(|panic| Err(text(&*panic)));
                    let word = if wrong.is_ok() { "as in the simulator" } else { "FAILED" };
                    println!("{}: {word}, {:.0} s", case.name, start.elapsed().as_secs_f64());
                    if let Err(wrong) = wrong {
                        // At once: the whole takes minutes, and may be ended before its end.
                        println!("{wrong}");
                        failed.lock().unwrap().push(format!("{}: {wrong}", case.name));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} cases differ:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}

/// Plays one case; the error says what differs.
fn play(site: &Site, case: &Case) -> Result<(), String> {
    let name = case.name.split_once('-').map_or("", |(_, name)| name);
    let mut stage = Stage::new(site, case.applier, name);
    let mut outputs = Vec::new();
    for block in case.script.blocks() {
        match follow(&mut stage, block) {
            Ok(output) => outputs.push(output),
            Err(cause) => return Err(format!("line {}: {cause}\n{}", block.line, stage.report())),
        }
    }
    let (is, should) = (case.script.with_output(&outputs).to_string(), case.script.to_string());
    let mut wrong = Vec::new();
    if is != should {
        let diff = similar::TextDiff::from_lines(&should, &is);
        wrong.push(format!("{}", diff.unified_diff().context_radius(4).header("in the simulator", "in the lab")));
    }
    stage.leave();
    let history = history(&stage.subject()?);
    let at_once = case.script.directive("at once").is_some();
    wrong.extend(stage.judge(&history, at_once)?);
    if wrong.is_empty() { Ok(()) } else { Err(format!("{}\n{}", wrong.join("\n"), stage.output())) }
}

/// All that is wrong with what happened in a cluster.
fn judge(subject: &Subject, watcher: &Watcher, history: &[Step], at_once: bool, place: &str) -> Vec<String> {
    let (rests, mut wrong) = compare(subject, watcher, history);
    wrong.extend(view::unanswered(&mut watcher.changes_in(&subject.namespace), &subject.id.name, at_once));
    if !wrong.is_empty() {
        wrong.push(super::rests::table(&rests));
    }
    wrong.into_iter().map(|text| format!("{place}{text}")).collect()
}
