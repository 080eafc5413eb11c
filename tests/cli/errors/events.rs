//! What can happen in the middle of a release (design, rollouts 6): gates, candidates, plans, broken files.

use super::super::desk::{adopted, deployment, releasing, rollout, settings};
use super::Scene;

const STEPS: &str = "      - {replicas: 1, pause: {duration: 0}}\n      - {replicas: 100%}\n";

/// A look at a metric whose source nobody has defined, each second; the second failure counts.
const METRIC: &str = "  analysis:\n    metrics:\n      - {name: errors, source: prom, query: 'sum(up)', max: 1, interval: 1s, \
                      count: 1, consecutiveErrorLimit: 1}\n";

#[test]
fn a_gate_fails_and_the_release_goes_back() {
    let desk = adopted(&["web"]);
    let mut scene = Scene::new("gate-fails-rollback");
    desk.write("apps/web/rollout.yaml", &(rollout("web", STEPS) + METRIC)).edit("apps/web/app.yaml", ":1'", ":2'");
    desk.commit("version 2");
    scene.windlass(&desk, &["run", "--until-done", "--timeout", "60s"]).exits(3);
    scene.note("the bad candidate is still in the source").windlass(&desk, &["run"]).exits(0);
    scene.windlass(&desk, &["status"]).exits(0);
    scene.windlass(&desk, &["retry"]).exits(0);
    scene.end();
}

#[test]
fn a_gate_fails_and_the_release_pauses() {
    let desk = adopted(&["web"]);
    let mut scene = Scene::new("gate-fails-pause");
    let pausing = rollout("web", STEPS) + METRIC + "  onFailure: pause\n";
    desk.write("apps/web/rollout.yaml", &pausing).edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    desk.windlass(&["run"]).exits(0).tells(&["metric errors"]);
    // A look that failed is taken again after ten seconds.
    std::thread::sleep(std::time::Duration::from_millis(10_500));
    desk.windlass(&["run"]);
    scene.windlass(&desk, &["status"]).exits(0).tells(&["windlass resume web", "windlass rollback web"]);
    scene.windlass(&desk, &["approve"]).exits(1);
    scene.end();
}

#[test]
fn a_deadline_passes() {
    // A commit counts as applied after eight seconds; the step gives it one.
    let play = |name: &'static str, then: &str| {
        let desk = adopted(&["web"]);
        let mut scene = Scene::new(name);
        let steps = "      - {replicas: 1, timeout: 1s, pause: {duration: 0}}\n      - {replicas: 100%}\n";
        let late = rollout("web", steps) + &format!("  onFailure: {then}\n");
        std::thread::sleep(std::time::Duration::from_millis(8_100));
        desk.write("apps/web/rollout.yaml", &late).edit("apps/web/app.yaml", ":1'", ":2'");
        desk.write(".windlass.yaml", &settings(8)).commit("version 2");
        scene.windlass(&desk, &["run"]).exits(0).tells(&["not-applied"]);
        std::thread::sleep(std::time::Duration::from_millis(1_300));
        scene.windlass(&desk, &["run"]).exits(0);
        scene.windlass(&desk, &["status"]).exits(0);
        scene.end();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| play("deadline-rollback", "rollback"));
        scope.spawn(|| play("deadline-pause", "pause"));
    });
}

#[test]
fn a_rollback_is_asked_for() {
    for (name, words) in [("rollback", &["rollback"][..]), ("rollback-now", &["rollback", "--now"])] {
        let desk = releasing(&["web"]);
        let mut scene = Scene::new(name);
        scene.windlass(&desk, words).exits(0);
        scene.windlass(&desk, &["run"]).exits(0).tells(&["rejected", "windlass retry web"]);
        scene.windlass(&desk, words).exits(1);
        scene.end();
    }
}

#[test]
fn the_source_changes_in_the_middle() {
    let desk = releasing(&["web"]);
    let mut scene = Scene::new("source-changes");
    desk.edit("apps/web/app.yaml", "replicas: 4", "replicas: 6").commit("more pods");
    scene.note("more pods, the same template").windlass(&desk, &["run"]).exits(0);
    desk.edit("apps/web/app.yaml", ":2'", ":3'").commit("version 3");
    scene.note("a new candidate").windlass(&desk, &["run"]).exits(0);
    desk.edit("apps/web/app.yaml", ":3'", ":1'").commit("back");
    scene.note("the candidate set back to stable").windlass(&desk, &["run"]).exits(0);
    scene.windlass(&desk, &["status"]).exits(0);
    scene.end();
}

#[test]
fn the_plan_is_edited() {
    let desk = releasing(&["web"]);
    let mut scene = Scene::new("plan-edited");
    let steps = "      - {replicas: 2, pause: {}}\n      - {replicas: 3, pause: {}}\n      - {replicas: 100%}\n";
    desk.write("apps/web/rollout.yaml", &rollout("web", steps)).commit("another plan");
    scene.windlass(&desk, &["run"]).exits(0);
    scene.end();
}

#[test]
fn an_autoscaler_owns_the_size() {
    let desk = adopted(&["web"]);
    let mut scene = Scene::new("autoscaler");
    let scaler = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web, namespace: prod}\nspec: \
                  {maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}\n";
    desk.write("apps/web/scaler.yaml", scaler).edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2, and an autoscaler");
    scene.windlass(&desk, &["run"]).exits(1);
    scene.windlass(&desk, &["status"]).exits(1);
    scene.end();
}

#[test]
fn one_apps_files_are_broken() {
    let desk = releasing(&["bad", "web"]);
    let mut scene = Scene::new("spec-broken");
    desk.edit("apps/bad/rollout.yaml", "replicas: 1", "replica: 1").commit("a slip");
    scene.windlass(&desk, &["run"]).exits(1).tells(&["did you mean `replicas`?"]);
    scene.windlass(&desk, &["status", "bad"]).exits(1);
    scene.note("its release can still go back").windlass(&desk, &["rollback", "bad"]).exits(0);
    scene.windlass(&desk, &["run", "bad"]);
    scene.end();

    let desk = releasing(&["web"]);
    let mut scene = Scene::new("source-broken");
    desk.write("apps/web/app.yaml", "kind: Deployment\n  metadata: [\n").commit("no YAML");
    scene.windlass(&desk, &["run"]).exits(1);
    desk.write("apps/web/app.yaml", &deployment("other", "1", 4)).commit("another name");
    scene.windlass(&desk, &["run"]).exits(1);
    desk.write(".windlass.yaml", "apiVersion: windlass.dev/v1alpha1\nkind: Repository\nlivebranch: x\n").commit("settings");
    scene.note("the repository's settings").windlass(&desk, &["run"]).exits(1);
    scene.end();
}
