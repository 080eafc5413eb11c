//! Every word that a person can say, with its commit and its exit code.

use super::desk::{adopted, releasing, rollout};

#[test]
fn approve_lets_the_step_pass() {
    let desk = releasing(&["web"]);
    let before = desk.live();
    desk.windlass(&["approve", "web"]).exits(0).tells(&["web: step 1/2, approved by Ada"]);
    desk.windlass(&["approve", "web"]).exits(1).tells(&["error: Ada has approved this step already"]);
    desk.windlass(&["run", "--until-done"]).exits(0);
    assert_eq!(
        desk.subjects(&before),
        [
            "web: step 1/2, approved by Ada",
            "web: step 2/2, grow to 4 of 4 pods",
            "web: step 2/2, shift to 4 of 4 pods",
            "web: finalise, the workload's own strategy takes over",
            "web: release 1 complete",
        ]
    );
    let step = desk.git(&["log", "--format=%(trailers:key=Windlass-Approved-By,valueonly)", "--grep=step 2/2, grow", "deploy"]);
    let approved: serde_json::Value = serde_json::from_str(step.trim()).unwrap();
    assert_eq!(approved["login"], "Ada");
    desk.windlass(&["approve", "web"]).exits(1).tells(&["error: no release is on its way"]);
}

#[test]
fn two_people_must_approve_where_the_gate_says_so() {
    let desk = adopted(&["web"]);
    desk.write(
        "apps/web/rollout.yaml",
        &rollout(
            "web",
            "      - {replicas: 1, pause: {duration: 0}, gates: [{approval: {count: 2}}]}\n      - {replicas: 100%}\n",
        ),
    );
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    desk.windlass(&["run"]).exits(0).tells(&["step 1 has 0 of 2 approvals"]);
    desk.windlass(&["approve"]).exits(0);
    desk.windlass(&["run"]).exits(0).tells(&["step 1 has 1 of 2 approvals"]);
    desk.windlass_with(&["approve"], &[("WINDLASS_ACTOR", "Grace")]).exits(0).tells(&["approved by Grace"]);
    desk.windlass(&["run", "--until-done"]).exits(0).tells(&["web: release 1 complete"]);
}

#[test]
fn pause_holds_and_resume_goes_on() {
    let desk = releasing(&["web"]);
    desk.windlass(&["resume", "web"]).exits(1).tells(&["the release is not paused"]);
    desk.windlass(&["pause", "web", "--reason", "looking at latency"]).exits(0).tells(&["web: step 1/2, paused by Ada"]);
    desk.windlass(&["pause", "web"]).exits(1).tells(&["paused already"]);
    desk.windlass(&["approve", "web"]).exits(1).tells(&["`windlass resume` first"]);
    let paused = desk.live();
    desk.windlass(&["run"]).exits(0).tells(&["paused by Ada: looking at latency"]);
    assert_eq!(desk.live(), paused, "nothing moves while paused");
    desk.windlass(&["resume", "web"]).exits(0).tells(&["web: step 1/2, resumed"]);
    desk.windlass(&["approve", "web"]).exits(0);
    desk.windlass(&["run", "--until-done"]).exits(0).tells(&["web: release 1 complete"]);
}

#[test]
fn goto_jumps_and_promote_finishes() {
    let desk = releasing(&["web"]);
    desk.windlass(&["goto", "3", "web"]).exits(1).tells(&["there is no step 3: the Rollout has 2"]);
    desk.windlass(&["goto", "1", "web"]).exits(1).tells(&["the release is at step 1 already"]);
    desk.windlass(&["goto", "2", "web"]).exits(0).tells(&["web: go to step 2/2"]);
    desk.windlass(&["run", "--until-done"]).exits(0).tells(&["web: release 1 complete"]);

    let desk = releasing(&["web"]);
    let before = desk.live();
    desk.windlass(&["promote", "web"]).exits(0);
    desk.windlass(&["run", "--until-done"]).exits(0);
    assert_eq!(desk.subjects(&before), ["web: finalise, the workload's own strategy takes over", "web: release 1 complete"]);
    assert!(desk.live_file("apps/web/deployment-web.yaml").contains("image: web:2"));
}

#[test]
fn rollback_rejects_the_candidate_until_retry() {
    let desk = releasing(&["web"]);
    let before = desk.live();
    desk.windlass(&["rollback", "web"]).exits(0);
    desk.windlass(&["run", "--until-done"]).exits(3).tells(&["rejected"]);
    assert_eq!(desk.subjects(&before).last().unwrap(), "web: release 1 rolled back");
    assert!(desk.live_file("apps/web/deployment-web.yaml").contains("image: web:1"));
    let resting = desk.live();
    desk.windlass(&["run"]).exits(0).tells(&["the source still holds a rejected candidate: Ada asked for it at step 1"]);
    assert_eq!(desk.live(), resting, "a rejected candidate is not tried again");
    desk.windlass(&["rollback", "web"]).exits(1).tells(&["no release is on its way", "revert its commit in the source"]);
    desk.windlass(&["retry", "web"]).exits(0).tells(&["web: retry the rejected candidate"]);
    desk.windlass(&["run"]).exits(0).tells(&["web: step 1/2, grow to 1 of 4 pods"]);
    desk.windlass(&["retry", "web"]).exits(1).tells(&["a release is on its way"]);
}

#[test]
fn rollback_now_is_one_commit_with_the_last_stable_tree() {
    let desk = adopted(&["web"]);
    // A release before, so that the stable tree is one that Windlass has brought there step by step.
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    desk.windlass(&["run"]).exits(0);
    desk.windlass(&["promote"]).exits(0);
    desk.windlass(&["run", "--until-done"]).exits(0);
    let stable = desk.git(&["ls-tree", "-r", "deploy:apps/web"]);
    desk.edit("apps/web/app.yaml", ":2'", ":3'").commit("version 3");
    desk.windlass(&["run"]).exits(0);
    let before = desk.live();
    desk.windlass(&["rollback", "web", "--now"]).exits(0).tells(&["web: release 2 rolled back"]);
    assert_eq!(desk.subjects(&before), ["web: release 2 rolled back"]);
    assert_eq!(desk.git(&["ls-tree", "-r", "deploy:apps/web"]), stable, "byte for byte the last stable tree");
    desk.windlass(&["run"]).exits(0).tells(&["rejected"]);
}

#[test]
fn eject_leaves_the_plain_source() {
    let desk = releasing(&["web", "api"]);
    desk.windlass(&["eject", "web"]).exits(1).tells(&["`windlass promote` or `windlass rollback` ends it first"]);
    desk.windlass(&["promote", "web"]).exits(0);
    desk.windlass(&["run", "web", "--until-done"]).exits(0);
    desk.windlass(&["eject", "web"]).exits(0).tells(&["web: eject"]);
    let files = desk.git(&["ls-tree", "-r", "--name-only", "deploy"]);
    assert!(files.contains("apps/web/deployment-web.yaml") && !files.contains(".windlass/apps/web/"), "{files}");
    assert!(files.contains(".windlass/apps/api/"), "the other app stays: {files}");
    assert!(!desk.live_file("apps/web/deployment-web.yaml").contains("windlass.dev/"));
}

#[test]
fn without_its_rollout_file_an_ejected_app_is_left_alone() {
    let desk = adopted(&["web"]);
    desk.git(&["rm", "--quiet", "apps/web/rollout.yaml"]);
    desk.commit("no more windlass");
    desk.windlass(&["run"]).exits(0);
    desk.windlass(&["eject", "web"]).exits(0);
    let ejected = desk.live();
    desk.windlass(&["run"]).exits(0).tells(&["No apps"]);
    assert_eq!(desk.live(), ejected);
}

#[test]
fn a_word_needs_an_app_and_a_person() {
    let desk = releasing(&["web", "api"]);
    desk.windlass(&["approve"]).exits(1).tells(&["error: several apps, name one: apps/api, apps/web"]);
    desk.windlass(&["approve", "shop"]).exits(1).tells(&["no app is called `shop`; there are: apps/api, apps/web"]);
    desk.windlass(&["approve", "apps/web"]).exits(0);
    desk.windlass(&["approve", "api", "--as", "Grace"]).exits(0).tells(&["api: step 1/2, approved by Grace"]);
    desk.windlass_with(&["pause", "web"], &[("HOME", "/nowhere")]).exits(2).tells(&["Git's `user.name` is not set", "--as NAME"]);
    desk.windlass(&["adopt", "web"]).exits(1).tells(&["the live path is as Windlass wrote it"]);
}
