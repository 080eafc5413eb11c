//! People beside Windlass: words that fit and words that do not, changes by hand, files that go, histories that are rewritten.

use super::super::desk::{Desk, adopted, releasing};
use super::Scene;

#[test]
fn words_that_fit() {
    let desk = releasing(&["web"]);
    let mut scene = Scene::new("words");
    scene.windlass(&desk, &["pause", "--reason", "looking at latency"]).exits(0);
    scene.windlass(&desk, &["status"]).exits(0);
    scene.windlass(&desk, &["resume"]).exits(0);
    scene.windlass(&desk, &["goto", "2"]).exits(0);
    scene.windlass(&desk, &["run"]).exits(0);
    scene.end();
    let desk = releasing(&["web"]);
    let mut scene = Scene::new("promote");
    scene.windlass(&desk, &["promote"]).exits(0);
    scene.windlass(&desk, &["run", "--until-done"]).exits(0);
    scene.windlass(&desk, &["status"]).exits(0);
    scene.end();
}

#[test]
fn words_that_do_not_fit() {
    let desk = releasing(&["api", "web"]);
    let mut scene = Scene::new("words-refused");
    scene.windlass(&desk, &["approve"]).exits(1);
    scene.windlass(&desk, &["approve", "shop"]).exits(1);
    scene.windlass(&desk, &["approve", "web"]).exits(0);
    scene.windlass(&desk, &["approve", "web"]).exits(1);
    for words in [&["resume", "web"][..], &["goto", "9", "web"], &["goto", "1", "web"], &["retry", "web"], &["adopt", "web"]] {
        scene.windlass(&desk, words).exits(1);
    }
    scene.windlass(&desk, &["eject", "web"]).exits(1);
    desk.windlass(&["pause", "web"]).exits(0);
    for words in [&["pause", "web"][..], &["approve", "web"]] {
        scene.windlass(&desk, words).exits(1);
    }
    desk.windlass(&["rollback", "web"]).exits(0);
    for words in [&["rollback", "web"][..], &["promote", "web"], &["pause", "web"]] {
        scene.windlass(&desk, words).exits(1);
    }
    desk.windlass(&["run", "web"]).exits(0);
    scene.note("at rest");
    for words in [&["approve", "web"][..], &["rollback", "web"], &["promote", "web"], &["pause", "web"]] {
        scene.windlass(&desk, words).exits(1);
    }
    scene.end();
    let desk = Desk::new();
    desk.commit("nothing");
    let mut scene = Scene::new("no-app");
    scene.windlass(&desk, &["approve"]).exits(1);
    scene.windlass(&desk, &["run"]);
    scene.windlass(&desk, &["approve", "--output", "json"]).exits(1);
    scene.end();
}

/// Grace changes the number of pods on the live branch.
fn changed_by_hand(desk: &Desk) {
    desk.colleague(|clone, git| {
        let file = clone.join("apps/web/deployment-web.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, text.replace("replicas: 4", "replicas: 9")).unwrap();
        git(&["commit", "--quiet", "--all", "--message", "more pods, quickly"]);
    });
}

#[test]
fn the_live_path_is_changed_by_hand() {
    let desk = adopted(&["web"]);
    let mut scene = Scene::new("foreign-change");
    changed_by_hand(&desk);
    scene.windlass(&desk, &["run"]).exits(0).tells(&["git revert", "windlass adopt web"]);
    scene.windlass(&desk, &["promote"]).exits(1);
    scene.windlass(&desk, &["adopt"]).exits(0);
    scene.windlass(&desk, &["run"]).exits(0);
    scene.end();
    let desk = releasing(&["web"]);
    let mut scene = Scene::new("foreign-change-in-release");
    desk.colleague(|clone, git| {
        let extra = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra, namespace: prod}\n";
        std::fs::write(clone.join("apps/web/extra.yaml"), extra).unwrap();
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message", "an extra"]);
    });
    scene.windlass(&desk, &["run"]).exits(0);
    scene.windlass(&desk, &["adopt"]).exits(1);
    scene.windlass(&desk, &["rollback"]).exits(1);
    scene.end();
}

#[test]
fn a_step_is_reverted_by_hand() {
    let desk = releasing(&["web"]);
    let mut scene = Scene::new("revert");
    desk.colleague(|_, git| {
        git(&["revert", "--no-edit", "HEAD", "HEAD~1"]);
    });
    scene.windlass(&desk, &["run"]).exits(0);
    scene.windlass(&desk, &["status"]).exits(0).tells(&["Grace reverted a step"]);
    scene.end();
}

#[test]
fn the_rollout_is_deleted_or_disabled() {
    let desk = releasing(&["web"]);
    let mut scene = Scene::new("rollout-deleted");
    desk.git(&["rm", "--quiet", "apps/web/rollout.yaml"]);
    desk.commit("no more rollouts");
    scene.windlass(&desk, &["run"]).exits(0).tells(&["windlass promote web", "windlass rollback web"]);
    scene.windlass(&desk, &["approve"]);
    scene.windlass(&desk, &["rollback"]).exits(0);
    scene.windlass(&desk, &["run"]).exits(0);
    scene.windlass(&desk, &["eject"]).exits(0);
    scene.windlass(&desk, &["status"]).exits(0);
    scene.end();
    let desk = releasing(&["web"]);
    let mut scene = Scene::new("rollout-disabled");
    desk.edit("apps/web/rollout.yaml", "spec:\n", "spec:\n  disabled: true\n").commit("hands off");
    scene.windlass(&desk, &["run"]).exits(0);
    scene.end();
}

#[test]
fn the_history_is_rewritten() {
    let desk = releasing(&["web"]);
    let mut scene = Scene::new("history-rewritten");
    desk.windlass(&["run", "--cache", "../cache"]).exits(0);
    desk.git(&["branch", "--force", "deploy", "deploy~1"]);
    scene.windlass(&desk, &["run", "--cache", "../cache"]).exits(0).tells(&["windlass resume web --rewritten"]);
    scene.windlass(&desk, &["resume", "web", "--rewritten"]).exits(0);
    scene.windlass(&desk, &["run", "--cache", "../cache"]).exits(0);
    scene.end();
}
