//! Three people at work on one repository.

use std::sync::atomic::Ordering;
use std::time::Duration;

use windlass::engine::Phase;

use super::race::{APPS, Random, Scene};
use super::story::Referee;

/// Approves, pauses and resumes by the program, as the live branch stands. In the end sees to it that nothing is left waiting.
pub(super) fn says_words(scene: &Scene<'_>, seed: u64) {
    let referee = Referee::new(scene.place, "ada");
    let mut random = Random::new(seed + 1);
    while !scene.done.load(Ordering::SeqCst) {
        referee.head();
        let over = scene.over.load(Ordering::SeqCst);
        let mut busy = false;
        for app in APPS {
            let state = scene.state(&referee, app);
            // An approval is for what was shown: what came later asks again.
            let asked = state.step == 2 && state.approvals.iter().all(|approval| approval.tree != state.tree);
            busy |= state.phase != Phase::Healthy;
            match state.phase {
                Phase::Paused if over || random.below(2) == 0 => say(scene, "resume", app),
                Phase::Releasing if !over && random.below(8) == 0 => say(scene, "pause", app),
                Phase::Releasing if asked && APPS.iter().position(|name| *name == app).unwrap() % 2 == 1 => {
                    say(scene, "approve", app);
                }
                _ => {}
            }
        }
        if over && !busy && released(scene, &referee) {
            scene.done.store(true, Ordering::SeqCst);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether each app's newest version is live.
fn released(scene: &Scene<'_>, referee: &Referee<'_>) -> bool {
    referee.head();
    scene.versions.lock().unwrap().iter().all(|(app, version)| {
        let live = referee.git(&["show", &format!("deploy:apps/{app}/deployment-{app}.yaml")]);
        scene.state(referee, app).phase == Phase::Healthy && live.contains(&format!("{app}:{version}"))
    })
}

/// A word may come too late, since others work too: then it is refused with a reason. Nothing else may be wrong.
fn say(scene: &Scene<'_>, word: &str, app: &str) {
    let ended = scene.place.windlass("cache-ada", &[word, app, "--output", "json", "--config", "none.yaml"]);
    let said: serde_json::Value = serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{word} {app}: {ended:?}"));
    assert_eq!(ended.err, "", "{word} {app}");
    match ended.code {
        Some(0) => scene.acknowledge("ada", said["commit"].as_str().unwrap()),
        Some(1) => {
            let code = said["error"]["code"].as_str().unwrap().to_owned();
            let known =
                ["approved-already", "finalising", "no-release", "not-paused", "paused", "paused-already", "rolling-back"];
            assert!(known.contains(&code.as_str()), "{word} {app}: {ended:?}");
            *scene.refusals.lock().unwrap().entry(format!("{word}: {code}")).or_default() += 1;
        }
        _ => panic!("{word} {app}: {ended:?}"),
    }
}

/// Gives apps new versions on the source branch; now and then in the middle of a release.
pub(super) fn writes_versions(scene: &Scene<'_>, seed: u64) {
    let referee = Referee::new(scene.place, "bob");
    let mut random = Random::new(seed + 2);
    while !scene.over.load(Ordering::SeqCst) {
        referee.head();
        let count = referee.git(&["rev-list", "--count", "deploy"]).parse().unwrap();
        scene.commits.store(count, Ordering::SeqCst);
        let app = APPS[random.below(APPS.len())];
        if scene.state(&referee, app).phase == Phase::Healthy || random.below(10) == 0 {
            let version = scene.versions.lock().unwrap()[app] + 1;
            scene.place.version(app, version);
            scene.place.publish(&format!("{app} {version}"));
            scene.versions.lock().unwrap().insert(app, version);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Commits files beside all live paths straight to the live branch, with nothing but git.
pub(super) fn commits_beside(scene: &Scene<'_>) {
    let folder = scene.place.folder.join("grace");
    std::fs::create_dir(&folder).unwrap();
    let git = |args: &[&str]| scene.place.git_in(&folder, args);
    git(&["init", "--quiet", "--initial-branch=deploy"]);
    git(&["remote", "add", "origin", &scene.place.live]);
    let mut number = 0;
    while !scene.over.load(Ordering::SeqCst) {
        number += 1;
        loop {
            git(&["fetch", "--quiet", "--depth=1", "origin", "deploy"]);
            git(&["reset", "--quiet", "--hard", "FETCH_HEAD"]);
            std::fs::create_dir_all(folder.join("notes")).unwrap();
            std::fs::write(folder.join(format!("notes/{number}.md")), format!("Note {number}\n")).unwrap();
            git(&["add", "--all"]);
            git(&["commit", "--quiet", "--message", &format!("Note {number}")]);
            let pushed = scene.place.git_command(&folder, &["push", "--quiet", "origin", "deploy"]).output().unwrap();
            if pushed.status.success() {
                scene.acknowledge("grace", &git(&["rev-parse", "HEAD"]));
                break;
            }
            let said = String::from_utf8_lossy(&pushed.stderr).into_owned();
            let late = ["fetch first", "non-fast-forward", "cannot lock ref", "failed to update ref", "incorrect old value"];
            assert!(late.iter().any(|word| said.contains(word)), "{said}");
            scene.rejected.fetch_add(1, Ordering::SeqCst);
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}
