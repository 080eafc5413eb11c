//! Pages that are made from the program: they say what it says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use windlass::engine::Reason;

use super::desk::Desk;

fn page(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name)
}

fn verbs() -> Vec<String> {
    windlass::cli::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect()
}

#[test]
fn every_verb_has_help_with_an_example() {
    let desk = Desk::new();
    for verb in verbs().iter().filter(|verb| *verb != "completions") {
        let said = desk.windlass(&[verb, "--help"]).exits(0);
        assert!(said.out.contains("Example"), "{verb}:\n{}", said.out);
        assert!(said.out.contains(&format!("windlass {verb}")), "{verb}:\n{}", said.out);
    }
    assert!(desk.windlass(&["--help"]).exits(0).out.contains("Exit codes: 0 done"));
    assert!(desk.windlass(&["--version"]).exits(0).out.starts_with("windlass "));
}

#[test]
fn the_command_reference_is_what_help_prints() {
    let desk = Desk::new();
    let mut text = String::from(
        "# Commands\n\nWhat `windlass --help` and `windlass VERB --help` print; the global options, which all verbs take, once. Made by a test; `WINDLASS_UPDATE=1 cargo test --test main \
         reference` writes it anew.\n",
    );
    let mut section = |title: &str, args: &[&str]| {
        let help = desk.windlass(args).exits(0).out;
        let mut lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
        // They are the same for all verbs, and stand in the first section.
        let global = lines.iter().position(|line| *line == "Global options:").filter(|_| title != "windlass");
        if let Some(global) = global {
            let end =
                lines.iter().skip(global).position(|line| line.starts_with("Example")).map_or(lines.len(), |end| global + end);
            lines.drain(global..end);
        }
        text.push_str(&format!("\n## {title}\n\n```text\n{}\n```\n", lines.join("\n")));
    };
    section("windlass", &["--help"]);
    for verb in verbs() {
        section(&verb, &[&verb, "--help"]);
    }
    section("lua test", &["lua", "test", "--help"]);
    let page = page("cli.md");
    if std::env::var_os("WINDLASS_UPDATE").is_some() {
        std::fs::write(&page, &text).unwrap();
    }
    let there = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        there == text,
        "docs/reference/cli.md is not what `--help` prints; write it anew: WINDLASS_UPDATE=1 cargo test --test main reference"
    );
}

/// Every hold reason. A new one does not compile until it stands here.
fn reasons() -> Vec<Reason> {
    let all = [
        Reason::NotApplied,
        Reason::NotReady,
        Reason::Grace,
        Reason::Soak,
        Reason::Approval,
        Reason::Metrics,
        Reason::Paused,
        Reason::Frozen,
        Reason::ForeignChange,
        Reason::HistoryRewritten,
        Reason::Rejected,
        Reason::Invalid,
        Reason::Unreachable,
    ];
    for reason in all {
        match reason {
            Reason::NotApplied
            | Reason::NotReady
            | Reason::Grace
            | Reason::Soak
            | Reason::Approval
            | Reason::Metrics
            | Reason::Paused
            | Reason::Frozen
            | Reason::ForeignChange
            | Reason::HistoryRewritten
            | Reason::Rejected
            | Reason::Invalid
            | Reason::Unreachable => {}
        }
    }
    all.to_vec()
}

/// The first texts behind these words in the sources below a directory: `no("busy", …)` gives `busy`.
fn codes(directory: &str, words: &[&str]) -> BTreeSet<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut files = Vec::new();
    walk(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(directory), &mut files);
    let mut found = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        for word in words {
            for part in text.split(word).skip(1) {
                let inner = part.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                found.extend(
                    inner.filter(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')).map(str::to_owned),
                );
            }
        }
    }
    assert!(!found.is_empty(), "{directory} has none of {words:?}");
    found
}

#[test]
fn every_code_is_explained() {
    let text = std::fs::read_to_string(page("codes.md")).unwrap();
    let mut wanted: BTreeSet<String> = reasons().into_iter().map(|reason| reason.code().to_owned()).collect();
    wanted.extend(codes("src/engine", &[" no("]));
    wanted.extend(codes("src/reconcile", &["refuse(", "Refused { code:"]));
    wanted.extend(codes("src/api", &["Finding::error(", "Finding::warning(", "Diagnostic::error(", "Problem { code:"]));
    wanted.extend(codes("src/cli", &["code:", "fault("]));
    let levels = ["Finding::error(", "Finding::warning(", "Finding::unknown(", "Finding::fine("];
    wanted.extend(codes("src/reconcile/doctor", &levels));
    wanted.extend(codes("src/cli/doctor", &levels));
    let written: BTreeSet<String> =
        text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned)).collect();
    let missing: Vec<&String> = wanted.difference(&written).collect();
    assert!(missing.is_empty(), "docs/reference/codes.md does not explain {missing:?}");
    let unknown: Vec<&String> = written.difference(&wanted).filter(|code| code.parse::<u8>().is_err()).collect();
    assert!(unknown.is_empty(), "docs/reference/codes.md explains {unknown:?}, which the program does not use");
}

#[test]
fn completions_and_schemas_are_printed() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish"] {
        let said = desk.windlass(&["completions", shell]).exits(0);
        assert!(said.out.contains("rollback") && said.out.contains("windlass"), "{shell}");
    }
    for document in ["rollout", "repository", "config", "kruise-rollout"] {
        assert!(desk.windlass(&["schema", document]).exits(0).json()["$schema"].is_string(), "{document}");
    }
}

#[test]
fn pages_link_to_pages_that_are_there() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("ARCHITECTURE.md")];
    let mut folders = vec![root.join("docs"), root.join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    let mut broken = Vec::new();
    for page in &pages {
        let text = std::fs::read_to_string(page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            if !page.parent().unwrap().join(file).exists() {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
