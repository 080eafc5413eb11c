//! What each provider writes for each question that a step can ask, or how it refuses: `goldens/*.txt`.
//! `WINDLASS_UPDATE=1` writes them anew.

use std::fmt::Write as _;
use std::path::PathBuf;

use windlass::manifest::write;
use windlass::render::traffic::{describe, route};

use super::samples::{Sample, questions, samples};
use super::*;

/// The objects that differ: `+` (new) with what tells them from the user's object, or `~` (changed) with the changed lines;
/// `whole`: their text.
fn changes(before: &ObjectSet, after: &ObjectSet, whole: bool) -> String {
    let mut text = String::new();
    for (key, object) in after.iter() {
        let there = before.get(key);
        if there == Some(object) {
            continue;
        }
        let sign = if there.is_some() { '~' } else { '+' };
        let _ = writeln!(text, "{sign} {key}");
        let old = there.or_else(|| before.values().find(|other| other.kind() == key.kind));
        let (old, new) = (old.map(write).unwrap_or_default(), write(object));
        if whole {
            text.push_str(&new);
            continue;
        }
        for change in similar::TextDiff::from_lines(&old, &new).iter_all_changes() {
            match change.tag() {
                similar::ChangeTag::Equal => {}
                similar::ChangeTag::Delete => text.push_str(&format!("-{change}")),
                similar::ChangeTag::Insert => text.push_str(&format!("+{change}")),
            }
        }
    }
    text
}

fn golden(sample: &Sample) -> String {
    let before = sample.set();
    let mut text = format!("{}: {}\n", sample.label, sample.entry);
    let mut refused: Vec<(String, Vec<String>)> = Vec::new();
    // What another golden shows is not shown again.
    let asked = if sample.name == "destinationrule" { 2 } else { usize::MAX };
    for (index, (_, _, routes)) in questions().into_iter().take(asked).enumerate() {
        let mut after = before.clone();
        let words = describe(&routes);
        match route(&mut after, &sample.routing, &routes) {
            Ok(()) => drop(write!(text, "\n=== {words}\n{}", changes(&before, &after, index == 0))),
            Err(error) => match refused.iter_mut().find(|(there, _)| *there == error.to_string()) {
                Some((_, asked)) => asked.push(words),
                None => refused.push((error.to_string(), vec![words])),
            },
        }
    }
    for (error, asked) in refused {
        let _ = writeln!(text, "\n=== refused: {error}\n{}", asked.join("\n"));
    }
    text
}

#[test]
fn every_provider_writes_what_its_golden_says() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/traffic/goldens");
    let update = std::env::var_os("WINDLASS_UPDATE").is_some();
    let mut wrong = Vec::new();
    for sample in samples() {
        let path = folder.join(format!("{}.txt", sample.name));
        let text = golden(&sample);
        if update {
            std::fs::write(&path, &text).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != text {
            wrong.push(format!("{}:\n{text}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "not as written there; WINDLASS_UPDATE=1 writes it anew\n{}", wrong.join("\n"));
    let mut files: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().trim_end_matches(".txt").to_owned())
        .collect();
    files.sort();
    let mut names: Vec<String> = samples().iter().map(|sample| sample.name.to_owned()).collect();
    names.sort();
    assert_eq!(files, names, "a golden without a provider");
}
