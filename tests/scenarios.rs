//! Scenarios: every file of `scenarios/` is played and compared with its text. `WINDLASS_UPDATE=1` writes the text anew,
//! `WINDLASS_SCENARIO=name` chooses those whose name holds it.

mod broken;
mod faults;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use windlass::git::Repo as _;
use windlass::sim::invariants;
use windlass::sim::scenario::{Conditions, Play, Script, play};

/// A folder of scenarios; those of `ground` are played in the lab, too.
fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// Name and text of every scenario.
fn all() -> Vec<(String, Script)> {
    read("scenarios")
}

/// Name and text of every scenario of a folder.
pub(crate) fn read(name: &str) -> Vec<(String, Script)> {
    let chosen = std::env::var("WINDLASS_SCENARIO").unwrap_or_default();
    let mut found: Vec<(String, Script)> = std::fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let script = Script::parse(&text).unwrap_or_else(|cause| panic!("{name}: {cause}"));
            (name, script)
        })
        .filter(|(name, _)| name.contains(&chosen))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!found.is_empty() || !chosen.is_empty(), "{name} holds no scenario");
    found
}

/// Does `work` for every item on two threads; gives what it found, in the items' order.
fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let mut found: Vec<(usize, R)> = std::thread::scope(|scope| {
        let worker = || {
            let mut found = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(index) else { return found };
                found.push((index, work(item)));
            }
        };
        let other = scope.spawn(worker);
        let mut found = worker();
        found.extend(other.join().unwrap());
        found
    });
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, result)| result).collect()
}

/// Every rule that a play breaks.
fn judge(name: &str, script: &Script, played: &Play) -> Vec<String> {
    let mut wrong: Vec<String> = played.findings.iter().map(|finding| format!("{name}: {finding}")).collect();
    let Some(head) = played.head else { return wrong };
    let mut git = played.open();
    git.fetch().unwrap();
    let mut found = invariants::check(&git, head).unwrap();
    if script.directive("rewritten").is_none() {
        found.extend(invariants::nothing_lost(&git, head, &played.seen).unwrap());
    }
    wrong.extend(found.iter().map(|violation| format!("{name}: {violation}")));
    wrong
}

#[test]
fn scenarios_play_as_they_are_written() {
    play_all("scenarios");
}

/// The texts that the lab plays with real servers (`lab::ground`), in the simulator.
#[test]
fn the_labs_scenarios_play_in_the_simulator() {
    play_all("ground");
}

fn play_all(place: &str) {
    let update = std::env::var("WINDLASS_UPDATE").is_ok_and(|value| value == "1");
    let wrong = each(&read(place), |(name, script)| {
        let played = match play(script, &Conditions::default()) {
            Ok(played) => played,
            Err(failure) => return vec![format!("{name}: {failure}")],
        };
        let mut wrong = judge(name, script, &played);
        let (is, should) = (script.with_output(&played.outputs).to_string(), script.to_string());
        if update {
            std::fs::write(folder(place).join(format!("{name}.txt")), &is).unwrap();
        } else if is != should {
            let diff = similar::TextDiff::from_lines(&should, &is);
            wrong.push(format!("{name}:\n{}", diff.unified_diff().context_radius(4).header("written", "played")));
        }
        let again = play(script, &Conditions::default()).unwrap();
        if again.head != played.head {
            wrong.push(format!("{name}: played again, it gives other commits"));
        }
        if played.restless {
            wrong.push(format!("{name}: another look at its end writes once more"));
        }
        wrong
    });
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
