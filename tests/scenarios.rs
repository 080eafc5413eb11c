//! Scenarios: every file of `scenarios/` is played and compared with its text. `WINDLASS_UPDATE=1` writes the text anew.

use std::path::PathBuf;

use windlass::git::Repo as _;
use windlass::sim::invariants;
use windlass::sim::scenario::{Conditions, Script, play};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Name and text of every scenario; `WINDLASS_SCENARIO` chooses those whose name holds it.
fn all() -> Vec<(String, Script)> {
    let chosen = std::env::var("WINDLASS_SCENARIO").unwrap_or_default();
    let mut found: Vec<(String, Script)> = std::fs::read_dir(folder())
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
    assert!(!found.is_empty(), "no scenario is called `{chosen}`");
    found
}

#[test]
fn scenarios_play_as_they_are_written() {
    let update = std::env::var("WINDLASS_UPDATE").is_ok_and(|value| value == "1");
    let mut wrong = Vec::new();
    for (name, script) in all() {
        let start = std::time::Instant::now();
        let played = match play(&script, &Conditions::default()) {
            Ok(played) => played,
            Err(failure) => {
                wrong.push(format!("{name}: {failure}"));
                continue;
            }
        };
        let (is, should) = (script.with_output(&played.outputs).to_string(), script.to_string());
        if update {
            std::fs::write(folder().join(format!("{name}.txt")), &is).unwrap();
        } else if is != should {
            let diff = similar::TextDiff::from_lines(&should, &is)
                .unified_diff()
                .context_radius(4)
                .header("written", "played")
                .to_string();
            wrong.push(format!("{name}:\n{diff}"));
        }
        if let Some(head) = played.head {
            let mut git = played.open();
            git.fetch().unwrap();
            let found = invariants::check(&git, head).unwrap();
            wrong.extend(found.iter().map(|violation| format!("{name}: {violation}")));
            if script.directive("rewritten").is_none() {
                let lost = invariants::nothing_lost(&git, head, &played.seen).unwrap();
                wrong.extend(lost.iter().map(|violation| format!("{name}: {violation}")));
            }
        }
        wrong.extend(played.findings.iter().map(|finding| format!("{name}: {finding}")));
        eprintln!("{name}: {} commits, {} effects, {} ms", played.story.len(), played.effects, start.elapsed().as_millis());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
