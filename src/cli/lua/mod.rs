//! `windlass lua test`: scripts on test data in Kruise's format, and how what they give differs from what is expected.

mod data;

use std::path::{Path, PathBuf};

use serde::Serialize;
use similar::TextDiff;

use super::args::{LuaTestArgs, Output};
use super::exit::{Exit, Failure};
use super::folder;
use super::terminal::{DIM, GREEN, RED, Terminal, styled};
use crate::manifest::write_value;

/// Folders in folders that are followed.
const DEEPEST: usize = 50;

/// One step of one file of test data.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    file: String,
    /// 1-based; absent where the file itself is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<String>,
    passed: bool,
    /// What differs: `-` is expected, `+` is what the script gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn test(terminal: &mut Terminal, args: &LuaTestArgs) -> Result<Exit, Failure> {
    let mut files = Vec::new();
    for path in &args.paths {
        let metadata =
            std::fs::metadata(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())).hint(WHERE))?;
        if metadata.is_dir() { walk(path, 0, &mut files)? } else { files.push(path.clone()) }
    }
    files.sort();
    files.dedup();
    if files.is_empty() {
        let shown: Vec<String> = args.paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Failure::usage(format!("{}: no test data", shown.join(", "))).hint(WHERE));
    }
    let cases: Vec<Case> = files.iter().flat_map(|file| cases(file)).collect();
    let failed = cases.iter().filter(|case| !case.passed).count();
    if terminal.output == Output::Json {
        let value = serde_json::json!({"files": files.len(), "passed": cases.len() - failed, "failed": failed, "cases": cases});
        terminal.json(&value);
    } else {
        show(terminal, &cases, files.len(), failed);
    }
    Ok(if failed == 0 { Exit::Done } else { Exit::Findings })
}

const WHERE: &str = "test data are YAML files in folders named `testdata`, beside the scripts";

/// All `.yaml` and `.yml` files in folders named `testdata`. Links are not followed.
fn walk(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if depth > DEEPEST {
        return Err(Failure::usage(format!("{}: more than {DEEPEST} folders in each other", directory.display())));
    }
    let is_data = directory.file_name().is_some_and(|name| name == "testdata");
    for (path, kind) in folder::entries(directory)? {
        if kind.is_dir() {
            walk(&path, depth + 1, files)?;
        } else if kind.is_file() && is_data && folder::is_yaml(&path) {
            files.push(path);
        }
    }
    Ok(())
}

/// The cases of a file; one that says why, where the file is none.
fn cases(file: &Path) -> Vec<Case> {
    let broken = |script: Option<String>, error: String| {
        vec![Case { file: file.display().to_string(), step: None, script, passed: false, diff: None, error: Some(error) }]
    };
    let data = match data::read(file) {
        Ok(data) => data,
        Err(error) => return broken(None, error),
    };
    let script = data.script.display().to_string();
    let text = match std::fs::read_to_string(&data.script) {
        Ok(text) => text,
        Err(error) => return broken(Some(script.clone()), format!("cannot read the script {script}: {error}")),
    };
    let case = |(index, step): (usize, &data::Step)| {
        let given = data.give(step, &script, &text);
        let (diff, error) = match given {
            Ok(given) => (differ(&step.expected, &given), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let passed = diff.is_none() && error.is_none();
        Case { file: file.display().to_string(), step: Some(index + 1), script: Some(script.clone()), passed, diff, error }
    };
    data.steps.iter().enumerate().map(case).collect()
}

/// The lines that differ, with some around them; `None` where none do.
fn differ(expected: &serde_json::Value, given: &serde_json::Value) -> Option<String> {
    if expected == given {
        return None;
    }
    let (expected, given) = (write_value(expected), write_value(given));
    let diff = TextDiff::from_lines(&expected, &given);
    Some(diff.unified_diff().context_radius(3).header("expected", "given").to_string())
}

fn show(terminal: &mut Terminal, cases: &[Case], files: usize, failed: usize) {
    for case in cases {
        let word = if case.passed { styled(GREEN, "ok    ") } else { styled(RED.bold(), "FAILED") };
        let step = case.step.map(|step| format!(" step {step}")).unwrap_or_default();
        terminal.line(format!("{word} {}{step}", case.file));
        if let Some(error) = &case.error {
            terminal.line(format!("       {error}"));
        }
        for line in case.diff.iter().flat_map(|diff| diff.lines()) {
            let style = match line.as_bytes().first() {
                Some(b'-') => RED,
                Some(b'+') => GREEN,
                _ => DIM,
            };
            terminal.line(format!("       {}", styled(style, line)));
        }
    }
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    terminal.line(format!("{}: {}, {failed} failed", count(files, "file"), count(cases.len(), "step")));
}
