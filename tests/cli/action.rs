//! action.yml: its script, run as a runner runs it.

use std::path::PathBuf;

use super::desk::{Desk, adopted};

fn script() -> String {
    let text = std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("action.yml")).unwrap();
    let (_, body) = text.split_once("      run: |\n").unwrap();
    assert!(!body.contains("${{"), "inputs reach the script by the environment only");
    body.lines().map(|line| line.strip_prefix("        ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// Runs the script with these inputs; gives its exit code, its outputs file and its summary.
fn run(desk: &Desk, inputs: &[(&str, &str)]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let (outputs, summary) = (folder.path().join("outputs"), folder.path().join("summary"));
    let mut command = desk.command("bash", &desk.repo());
    command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", &script()]);
    for name in ["COMMAND", "APP", "REPOSITORY", "CONFIG"] {
        command.env(format!("INPUT_{name}"), "");
    }
    command.env("INPUT_WINDLASS_PATH", env!("CARGO_BIN_EXE_windlass")).env("WINDLASS_TOKEN", "").env("NO_COLOR", "1");
    command.env("GITHUB_OUTPUT", &outputs).env("GITHUB_STEP_SUMMARY", &summary);
    command.envs(inputs.iter().map(|(name, value)| (format!("INPUT_{name}"), *value)));
    let output = command.output().unwrap();
    let read = |path| std::fs::read_to_string(path).unwrap_or_else(|_| String::from_utf8_lossy(&output.stdout).into_owned());
    (output.status.code().unwrap_or(-1), read(&outputs), read(&summary))
}

fn jq_is_there() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|folder| folder.join("jq").is_file());
    if !there {
        eprintln!("skipped: the action needs jq, which runners have and this machine has not");
    }
    there
}

#[test]
fn the_action_runs_and_tells_what_came_of_it() {
    if !jq_is_there() {
        return;
    }
    let desk = adopted(&["web", "api"]);
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    let (code, outputs, summary) = run(&desk, &[("COMMAND", "plan"), ("APP", "web")]);
    assert_eq!(code, 0, "{outputs}");
    assert!(outputs.contains("changed=false\n") && summary.contains("step 1/2, grow to 1 of 4 pods"), "{outputs}\n{summary}");

    let (code, outputs, summary) = run(&desk, &[("COMMAND", "run")]);
    assert_eq!(code, 0, "{outputs}");
    let newest = desk.live();
    assert!(outputs.contains("changed=true\n") && outputs.contains(&newest), "{outputs}");
    assert!(outputs.contains("exit-code=0\n") && outputs.contains("result-json<<"), "{outputs}");
    assert!(summary.contains("apps/web  Releasing  step 1/2  step 1 waits for an approval"), "{summary}");

    desk.edit("apps/web/rollout.yaml", "replicas: 1", "replica: 1").commit("a slip");
    let (code, outputs, _) = run(&desk, &[("COMMAND", "run")]);
    assert!(code == 1 && outputs.contains("exit-code=1\n"), "{code} {outputs}");
    let (code, _, summary) = run(&desk, &[("COMMAND", "validate"), ("APP", "apps/web")]);
    assert!(code == 1 && summary.contains("apps/web/rollout.yaml:9:"), "{code} {summary}");
}

#[test]
fn no_input_is_read_as_a_part_of_the_script() {
    if !jq_is_there() {
        return;
    }
    let desk = adopted(&["web"]);
    let before = desk.live();
    let evil = "$(touch stolen); `touch stolen`; touch stolen";
    for inputs in
        [[("COMMAND", evil), ("APP", "")], [("COMMAND", "status"), ("APP", evil)], [("COMMAND", "status"), ("APP", "--repo=/")]]
    {
        let (_, outputs, _) = run(&desk, &inputs);
        assert!(!desk.repo().join("stolen").exists(), "{outputs}");
    }
    assert_eq!(run(&desk, &[("COMMAND", "rollback")]).0, 2, "only what the action is for");
    assert_eq!(run(&desk, &[("COMMAND", "run"), ("WINDLASS_PATH", "not-there")]).0, 2);
    assert_eq!(desk.live(), before);
}
