//! What a changed source does to an app.

use super::desk::{Desk, adopted, releasing, rollout, settings, write_app};

#[test]
fn at_rest_a_second_run_writes_nothing() {
    let desk = adopted(&["web"]);
    let before = desk.live();
    desk.windlass(&["run"]).exits(0);
    desk.write("README.md", "nothing of the app").commit("a page");
    desk.windlass(&["run", "--until-done"]).exits(0);
    assert_eq!(desk.live(), before);
}

#[test]
fn replicas_in_mid_release_are_a_sync() {
    let desk = releasing(&["web"]);
    let before = desk.live();
    desk.edit("apps/web/app.yaml", "replicas: 4", "replicas: 8").commit("twice the size");
    desk.windlass(&["run"]).exits(0);
    assert_eq!(desk.subjects(&before), ["web: step 1/2, sync with the source, 2 of 8 pods", "web: step 1/2, evidence: settled"]);
    let text = desk.live_file("apps/web/deployment-web.yaml");
    assert!(text.contains("replicas: 8") && text.contains("image: web:2"), "{text}");
    desk.windlass(&["rollback"]).exits(0);
    desk.windlass(&["run", "--until-done"]).exits(3);
    let text = desk.live_file("apps/web/deployment-web.yaml");
    assert!(text.contains("replicas: 8") && text.contains("image: web:1"), "a rollback keeps the sync: {text}");
}

#[test]
fn a_new_candidate_in_mid_release_goes_back_and_begins_again() {
    let desk = releasing(&["web"]);
    let before = desk.live();
    desk.edit("apps/web/app.yaml", ":2'", ":3'").commit("version 3");
    desk.windlass(&["run"]).exits(0).tells(&["approval"]);
    let subjects = desk.subjects(&before);
    assert_eq!(
        subjects,
        [
            "web: roll back, stable pods",
            "web: release 1 rolled back",
            "web: step 1/2, grow to 1 of 4 pods",
            "web: step 1/2, shift to 1 of 4 pods",
            "web: step 1/2, evidence: settled",
        ]
    );
    let body = desk.git(&["log", "--format=%B", "--grep=roll back, stable pods", "deploy"]);
    assert!(body.contains("a new candidate came: it starts at step 1 from stable"), "{body}");
}

#[test]
fn the_source_going_back_is_a_rollback_without_a_rejection() {
    let desk = releasing(&["web"]);
    desk.edit("apps/web/app.yaml", ":2'", ":1'").commit("back to 1");
    desk.windlass(&["run", "--until-done"]).exits(3).tells(&["the source went back to the stable version"]);
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("2 again");
    desk.windlass(&["run"]).exits(0).tells(&["web: step 1/2, grow to 1 of 4 pods"]);
}

#[test]
fn edited_steps_go_on_with_at_least_the_pods_of_today() {
    let desk = releasing(&["web"]);
    desk.write(
        "apps/web/rollout.yaml",
        &rollout("web", "      - {replicas: 2, pause: {}}\n      - {replicas: 3, pause: {}}\n      - {replicas: 100%}\n"),
    );
    desk.commit("other steps");
    desk.windlass(&["run"]).exits(0).tells(&["web: step 1/3, go on from here", "web: step 1/3, grow to 2 of 4 pods"]);
}

#[test]
fn a_soak_goes_on_over_runs_that_end_before_it() {
    let desk = adopted(&["web"]);
    desk.write(
        "apps/web/rollout.yaml",
        &rollout("web", "      - {replicas: 1, pause: {duration: 3s}}\n      - {replicas: 100%}\n"),
    );
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    for _ in 0..8 {
        let said = desk.windlass(&["run", "--until-done", "--timeout", "1s"]);
        if said.code == 0 {
            return;
        }
        said.exits(4).tells(&["soak"]);
    }
    panic!("a soak of 3 s is not over after 8 runs of 1 s:\n{}", desk.subjects("").join("\n"));
}

#[test]
fn live_paths_and_branches_are_the_repositorys_choice() {
    let desk = Desk::new();
    let more = "liveBranch: live/prod\npaths: {apps: clusters/prod}\nauthor: {name: Robot, email: robot@example.com}\n";
    desk.write(".windlass.yaml", &(settings(0) + more));
    write_app(&desk, "web");
    desk.commit("apps");
    desk.windlass(&["run"]).exits(0);
    let files = desk.git(&["ls-tree", "-r", "--name-only", "live/prod"]);
    assert!(files.contains("clusters/prod/web/deployment-web.yaml"), "{files}");
    assert!(files.contains(".windlass/clusters/prod/web/web/state"), "{files}");
    assert_eq!(desk.git(&["log", "--format=%an <%ae>", "live/prod"]), "Robot <robot@example.com>");
    desk.windlass(&["log", "--branch", "live/prod"]).exits(0).tells(&["web: adopt the source as it is"]);
    desk.windlass(&["log"]).exits(0).tells(&["web: adopt the source as it is"]);
}

#[test]
fn the_settings_may_choose_the_source_branch() {
    let desk = adopted(&["web"]);
    desk.git(&["checkout", "--quiet", "-b", "release"]);
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2, on a branch of its own");
    desk.git(&["checkout", "--quiet", "main"]);
    desk.windlass(&["plan"]).exits(0).tells(&["nothing to do"]);
    desk.write(".windlass.yaml", &format!("{}sourceBranch: release\n", settings(0))).commit("releases come from another branch");
    desk.windlass(&["plan"]).exits(0).tells(&["step 1/2, grow to 1 of 4 pods"]);
    desk.windlass(&["plan", "--source-branch", "main"]).exits(0).tells(&["nothing to do"]);
}

#[test]
fn a_commit_that_is_checked_out_alone_is_the_source() {
    let desk = adopted(&["web"]);
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    desk.git(&["checkout", "--quiet", "--detach"]);
    desk.windlass(&["plan"]).exits(0).tells(&["step 1/2, grow to 1 of 4 pods"]);
    desk.windlass(&["log"]).exits(0).tells(&["web: adopt the source as it is"]);
}

#[test]
fn a_query_that_could_not_be_rendered_is_found_before_a_release() {
    let desk = adopted(&["web"]);
    let rollout = format!(
        "{}  analysis:\n    metrics:\n    - {{name: errors, source: prometheus, query: 'sum({{{{ workload }}}})', max: 1}}\n",
        rollout("web", "      - {replicas: 1, pause: {}}\n")
    );
    desk.write("apps/web/rollout.yaml", &rollout).commit("a query with a text outside of quotes");
    desk.windlass(&["validate"]).exits(1).tells(&["apps/web/rollout.yaml:12:", "metric-query", "outside quotes"]);
    desk.windlass(&["run"]).exits(1).tells(&["metric `errors`", "outside quotes"]);
}

#[test]
fn validate_looks_for_the_chart_and_its_values() {
    let desk = Desk::new();
    let write = |helm: &str| {
        let text = rollout("web", "      - {replicas: 100%}\n");
        desk.write("apps/web/rollout.yaml", &text.replace("spec:\n", &format!("spec:\n  source: {{helm: {helm}}}\n")));
    };
    desk.write("charts/web/Chart.yaml", "name: web\nversion: 1.0.0\n").write("charts/web/templates/app.yaml", "{{ no yaml");
    desk.write("apps/web/values.yaml", "replicas: 4\n");
    write("{chart: ../../charts/web, values: [values.yaml]}");
    desk.windlass(&["validate"]).exits(0);
    write("{chart: ../charts/web, values: [values.yaml, ../eu.yaml]}");
    desk.windlass(&["validate"]).exits(1).tells(&[
        "no Chart.yaml in `../charts/web`",
        "no file `../eu.yaml`",
        "missing-file",
        "relative to",
    ]);
    write("{}");
    desk.windlass(&["validate"]).exits(1).tells(&["no Chart.yaml beside this file"]);
}
