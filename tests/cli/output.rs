//! JSON, colours, the log.

use super::desk::{Desk, adopted, releasing};

#[test]
fn every_verb_answers_in_json() {
    let desk = adopted(&["web"]);
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    let json = |args: &[&str], code: i32| desk.windlass(&[args, &["--output", "json"]].concat()).exits(code).json();

    let plan = json(&["plan"], 0);
    assert_eq!((&plan["app"], &plan["observed"]), (&"apps/web".into(), &false.into()));
    assert_eq!(plan["commits"][0]["move"], "grow");
    assert_eq!((&plan["commits"][0]["updatedPods"], &plan["commits"][0]["pods"]), (&1.into(), &5.into()));

    let run = json(&["run"], 0);
    let subjects: Vec<&str> = run["commits"].as_array().unwrap().iter().map(|made| made["subject"].as_str().unwrap()).collect();
    let expected =
        ["web: step 1/2, grow to 1 of 4 pods", "web: step 1/2, shift to 1 of 4 pods", "web: step 1/2, evidence: settled"];
    assert_eq!(subjects, expected);
    let hold = &run["apps"][0]["hold"];
    assert_eq!(hold["reason"], "approval");

    let status = json(&["status"], 0);
    let app = &status["apps"][0];
    assert_eq!((&app["app"], &app["phase"], &app["step"]), (&"apps/web".into(), &"Releasing".into(), &1.into()));
    assert_eq!(status["commits"], serde_json::json!([]));

    assert_eq!(json(&["approve"], 0)["subject"], "web: step 1/2, approved by Ada");
    let error = json(&["approve"], 1);
    assert_eq!(error["error"]["code"], "approved-already");
    assert_eq!(json(&["validate"], 0)["findings"], serde_json::json!([]));
    assert_eq!(json(&["run", "--until-done"], 0)["apps"][0]["outcome"]["completed"], true);
    assert_eq!(json(&["log"], 0)[0]["subject"], "web: release 1 complete");
}

#[test]
fn the_log_says_what_git_says() {
    let desk = releasing(&["web"]);
    desk.windlass(&["pause", "--reason", "a \"quoted\" reason: with Windlass-By: nobody"]).exits(0);
    desk.windlass(&["rollback"]).exits(0);
    desk.windlass(&["run", "--until-done"]).exits(3);
    let log = desk.windlass(&["log", "--output", "json"]).exits(0).json();
    let commits = log.as_array().unwrap();
    let count = desk.git(&["rev-list", "--count", "deploy"]);
    assert_eq!(commits.len().to_string(), count);
    for commit in commits {
        let id = commit["commit"].as_str().unwrap();
        let of_git = desk.git(&["log", "-1", "--format=%(trailers:only,unfold)", id]);
        let of_git: Vec<Vec<String>> = of_git
            .lines()
            .map(|line| line.split_once(": ").unwrap())
            .map(|(key, value)| vec![key.into(), value.into()])
            .collect();
        assert_eq!(commit["trailers"], serde_json::json!(of_git), "{id}");
        assert_eq!(commit["subject"].as_str().unwrap(), desk.git(&["log", "-1", "--format=%s", id]));
        assert_eq!(commit["windlass"], true);
        // Every trailer's tree is the tree that the commit holds.
        let tree = commit["trailers"].as_array().unwrap().iter().find(|pair| pair[0] == "Windlass-Tree").unwrap();
        assert_eq!(tree[1].as_str().unwrap(), desk.git(&["rev-parse", &format!("{id}:apps/web")]));
    }
}

#[test]
fn a_range_and_an_app_narrow_the_log() {
    let desk = releasing(&["web", "api"]);
    let said = desk.windlass(&["log", "api", "deploy~2..deploy"]).exits(0);
    assert!(said.out.lines().filter(|line| !line.starts_with(' ')).all(|line| line.contains("api: ")), "{}", said.out);
    desk.windlass(&["log", "nonsense..deploy"]).exits(2).tells(&["`nonsense` is no commit, branch or tag"]);
    desk.windlass(&["log", "web", "api"]).exits(2);
    assert_eq!(desk.windlass(&["log", "--limit", "1", "--output", "json"]).exits(0).json().as_array().unwrap().len(), 1);
    let empty = Desk::new();
    empty.commit("nothing");
    empty.windlass(&["log"]).exits(0).tells(&["the live branch does not exist yet"]);
}

#[test]
fn colours_are_for_terminals_and_for_who_asks() {
    let desk = releasing(&["web"]);
    let plain = desk.windlass(&["status"]).exits(0).out;
    assert!(!plain.contains('\u{1b}'), "{plain}");
    assert!(desk.windlass(&["status", "--color", "always"]).exits(0).out.contains('\u{1b}'));
    assert!(!desk.windlass_with(&["status", "--color", "never"], &[("CLICOLOR_FORCE", "1")]).exits(0).out.contains('\u{1b}'));
    assert!(!desk.windlass_with(&["status"], &[("NO_COLOR", "1"), ("TERM", "xterm")]).exits(0).out.contains('\u{1b}'));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let desk = releasing(&["web"]);
    let program = env!("CARGO_BIN_EXE_windlass");
    let output = desk
        .command("sh", &desk.repo())
        .args(["-c", &format!("set -o pipefail 2>/dev/null; {program} plan --diff | head -n 1")])
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.is_empty(), "{err}");
}

#[test]
fn a_plan_shows_pods_gates_and_differences() {
    let desk = adopted(&["web"]);
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    desk.windlass(&["plan", "--diff"]).exits(0).tells(&[
        "apps/web: 6 commits to come",
        "not observed: each commit counts as applied after a fixed time",
        "step 1/2, grow to 1 of 4 pods  (pods 1 new + 4 old)",
        "-      - image: web:1",
        "+      - image: web:2",
        "gate step 1 waits for an approval",
        "step 2: applied and ready within 10m0s, no pause",
    ]);
    desk.git(&["checkout", "--quiet", "-b", "next"]);
    desk.edit("apps/web/app.yaml", ":2'", ":3'").commit("version 3");
    desk.git(&["checkout", "--quiet", "main"]);
    desk.windlass(&["plan", "--source", "next", "--diff"]).exits(0).tells(&["+      - image: web:3"]);
    desk.windlass(&["plan", "--source", "nowhere"]).exits(2).tells(&["`nowhere` is no commit, branch or tag"]);
    desk.windlass(&["run"]).exits(0);
    desk.windlass(&["promote"]).exits(0);
    desk.windlass(&["run", "--until-done"]).exits(0);
    desk.windlass(&["plan"]).exits(0).tells(&["nothing to do, the live branch is where the source leads"]);
}

#[test]
fn a_plan_warns_of_what_may_keep_pods_from_coming() {
    let desk = adopted(&["web"]);
    let quota = "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: team}\nspec: {hard: {pods: 4}}\n";
    desk.write("apps/web/quota.yaml", quota).commit("a quota");
    desk.windlass(&["run"]).exits(0);
    desk.windlass(&["plan"]).exits(0);
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    desk.windlass(&["plan"]).exits(0).tells(&[
        "warning: commit 1: ResourceQuota team: 5 pods at once need `pods: 5` for this workload alone, and it allows 4",
        "warning: commit 3: ResourceQuota team: 7 pods at once need `pods: 7` for this workload alone, and it allows 4",
        "  = help: raise `spec.hard.pods`",
    ]);
    let plan = desk.windlass(&["plan", "--output", "json"]).exits(0).json();
    assert_eq!((&plan["warnings"][0]["commit"], &plan["warnings"][0]["object"]), (&1.into(), &"ResourceQuota team".into()));
}
