//! What people do to the branches beside Windlass, and what it makes of it.

use super::desk::{adopted, releasing};

#[test]
fn a_change_by_hand_holds_until_it_is_reverted() {
    let desk = adopted(&["web"]);
    desk.colleague(|clone, git| {
        let file = clone.join("apps/web/deployment-web.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, text.replace("replicas: 4", "replicas: 9")).unwrap();
        git(&["commit", "--quiet", "--all", "--message", "more pods, quickly"]);
    });
    let foreign = desk.live();
    desk.windlass(&["run"]).exits(0).tells(&[
        "foreign-change",
        "Grace changed the live path in commit",
        "git revert",
        "windlass adopt web",
    ]);
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    desk.windlass(&["run"]).exits(0).tells(&["foreign-change"]);
    desk.windlass(&["promote", "web"]).exits(1).tells(&["Grace changed the live path"]);
    assert_eq!(desk.live(), foreign, "nobody's commit is overwritten");
    desk.colleague(|_, git| {
        git(&["revert", "--no-edit", "HEAD"]);
    });
    desk.windlass(&["run"]).exits(0).tells(&["web: step 1/2, grow to 1 of 4 pods"]);
}

#[test]
fn a_change_by_hand_can_be_adopted() {
    let desk = adopted(&["web"]);
    desk.colleague(|clone, git| {
        let file = clone.join("apps/web/deployment-web.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, text.replace("replicas: 4", "replicas: 9")).unwrap();
        git(&["commit", "--quiet", "--all", "--message", "more pods, quickly"]);
    });
    desk.windlass(&["adopt", "web"]).exits(0).tells(&["web: adopt a change of the live path"]);
    desk.windlass(&["run"]).exits(0);
    assert!(desk.live_file("apps/web/deployment-web.yaml").contains("replicas: 9"));
    // What was adopted is the stable version now: a release begins from it and its sync is the source's.
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    desk.windlass(&["run"]).exits(0).tells(&["web: step 1/2, grow"]);
}

#[test]
fn a_revert_of_a_step_is_a_rollback() {
    let desk = releasing(&["web"]);
    let stable = desk.git(&["show", "deploy~3:apps/web/deployment-web.yaml"]);
    desk.colleague(|_, git| {
        git(&["revert", "--no-edit", "HEAD", "HEAD~1"]);
    });
    let before = desk.live();
    desk.windlass(&["run", "--until-done"]).exits(3).tells(&["Grace reverted a step"]);
    let subjects = desk.subjects(&before);
    assert_eq!(subjects.last().unwrap(), "web: release 1 rolled back", "{subjects:?}");
    let line = |text: &str| text.lines().find(|line| line.contains("image:")).map(str::to_owned);
    assert_eq!(line(&desk.live_file("apps/web/deployment-web.yaml")), line(&stable));
}

#[test]
fn a_revert_of_a_whole_release_is_a_rollback() {
    let desk = releasing(&["web"]);
    desk.windlass(&["promote"]).exits(0);
    desk.windlass(&["run", "--until-done"]).exits(0);
    let first = desk.git(&["rev-list", "--max-parents=0", "deploy"]);
    desk.colleague(|_, git| {
        git(&["revert", "--no-edit", "--no-commit", &format!("{first}..HEAD")]);
        git(&["commit", "--quiet", "--message", "Back to the start"]);
    });
    desk.windlass(&["run"]).exits(0).tells(&["rejected"]);
    assert!(desk.live_file("apps/web/deployment-web.yaml").contains("image: web:1"));
    let resting = desk.live();
    desk.windlass(&["run"]).exits(0);
    assert_eq!(desk.live(), resting, "at rest nothing is written");
}

#[test]
fn a_rollout_that_is_deleted_freezes_its_release() {
    let desk = releasing(&["web", "api"]);
    desk.git(&["rm", "--quiet", "apps/web/rollout.yaml"]);
    desk.commit("no more rollouts of web");
    let before = desk.live();
    desk.windlass(&["run"]).exits(0).tells(&[
        "frozen at step 1: the Rollout file is gone from the source",
        "`windlass promote web` or `windlass rollback web` finishes the release",
    ]);
    assert_eq!(desk.live(), before);
    desk.windlass(&["promote", "web"]).exits(0);
    desk.windlass(&["run", "web", "--until-done"]).exits(0).tells(&["web: release 1 complete"]);
    // The other app was not touched by any of that.
    desk.windlass(&["status", "api"]).exits(0).tells(&["step 1 waits for an approval"]);
}

#[test]
fn a_rewritten_branch_holds_a_running_process_and_resume_accepts_it() {
    let desk = releasing(&["web"]);
    let mut watcher = desk.program();
    let log = std::fs::File::create(desk.repo().join("../watch.txt")).unwrap();
    let mut child =
        watcher.args(["run", "--watch", "--interval", "1s"]).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let said = || std::fs::read_to_string(desk.repo().join("../watch.txt")).unwrap();
    let wait = |text: &str| {
        for _ in 0..100 {
            if said().contains(text) {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        false
    };
    let begun = wait("approval");
    desk.git(&["branch", "--force", "deploy", "deploy~1"]);
    let held = wait("history-rewritten");
    let _ = child.kill();
    let _ = child.wait();
    assert!(begun && held, "{}", said());
    desk.windlass(&["resume", "web", "--rewritten"]).exits(0).tells(&["web: resume after the branch was rewritten"]);
    desk.windlass(&["run"]).exits(0).tells(&["approval"]);
}
