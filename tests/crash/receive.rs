//! The server dies in the middle of a push: `git receive-pack` is killed by its own hooks, at each stage of its work.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::place::Place;
use super::story::Referee;
use crate::git::server::hook;

const STEPS: &str = "      - {replicas: 1, pause: {duration: 0}}\n      - {replicas: 100%}\n";

/// The commits of a release: two steps of grow and shift, and the two of the end.
const RELEASE: usize = 6;

fn begin() -> Place {
    let place = Place::local();
    place.app("web", 1, STEPS, "");
    place.publish("The first version");
    place.windlass("cache", &["run"]).well();
    place
}

fn release(place: &Place, version: u32) {
    place.version("web", version);
    place.publish(&format!("Version {version}"));
}

/// A hook's script that kills the process that runs it, so many times.
fn killing(place: &Place, times: u32, when: &str) -> String {
    let count = place.folder.join("deaths").display().to_string();
    format!(
        "{when}\nn=$(cat '{count}' 2>/dev/null || echo 0)\n[ \"$n\" -lt {times} ] || exit 0\necho $((n + 1)) > '{count}'\nkill -9 $PPID\nsleep 1"
    )
}

#[test]
fn a_server_killed_inside_receive_pack_is_asked_again() {
    // `committed`: the branch has moved, and nobody is told.
    let stages = [
        ("pre-receive", "cat > /dev/null"),
        ("update", "true"),
        ("reference-transaction", "cat > /dev/null; [ \"$1\" = committed ] || exit 0"),
        ("post-receive", "cat > /dev/null"),
    ];
    for (name, when) in stages {
        let place = begin();
        let referee = Referee::new(&place, "referee");
        let before = referee.head();
        release(&place, 2);
        hook(&place.remote(), name, &killing(&place, 2, when));
        // A single run may end with the trouble; nothing is half done, and the next one goes on.
        let mut troubles = 0;
        loop {
            let ended = place.windlass("cache", &["run"]);
            if ended.code == Some(0) {
                break;
            }
            troubles += 1;
            assert_eq!(ended.code, Some(5), "{name}: {ended:?}");
            assert!(ended.err.contains("cannot reach") && troubles <= 2, "{name}: {ended:?}");
        }
        let deaths = std::fs::read_to_string(place.folder.join("deaths")).unwrap();
        assert_eq!(deaths.trim(), "2", "{name}");
        // Where the branch has moved before the end, the lost answer was found out and is no trouble.
        assert_eq!(troubles, if matches!(name, "pre-receive" | "update") { 2 } else { 0 }, "{name}");
        referee.check();
        assert_eq!(referee.commits(&before).len(), RELEASE, "{name}");
    }
}

/// Killed between the lock and the move, Git leaves its lock on the branch: nobody but the server's owner may take it away.
#[test]
fn a_lock_that_a_dead_server_left_is_named_and_waited_for() {
    let place = begin();
    let referee = Referee::new(&place, "referee");
    let before = referee.head();
    release(&place, 2);
    let when = "cat > /dev/null; [ \"$1\" = prepared ] || exit 0";
    hook(&place.remote(), "reference-transaction", &killing(&place, 1, when));
    place.windlass("cache", &["run"]);
    let lock = place.remote().join("refs/heads/deploy.lock");
    assert!(lock.exists(), "Git has left its lock");
    let ended = place.windlass("cache", &["run"]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.err.contains("deploy.lock") && ended.err.contains("was left by a crash"), "{ended:?}");
    // Who watches waits for it.
    let mut watcher = place.start("watcher", place.windlass_command("cache", &["run", "--watch", "--interval", "1s"]));
    let start = Instant::now();
    let said = || std::fs::read_to_string(place.folder.join("watcher.err")).unwrap_or_default();
    while !said().contains("waiting: ") {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", said());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(said().contains("deploy.lock"), "{}", said());
    assert!(lock.exists() && referee.commits(&before).is_empty());
    std::fs::remove_file(&lock).unwrap();
    while referee.head() == before || referee.commits(&before).len() < RELEASE {
        assert!(watcher.try_wait().unwrap().is_none() && start.elapsed() < Duration::from_secs(40), "{}", said());
        std::thread::sleep(Duration::from_millis(100));
    }
    kill_process(Pid::from_child(&watcher), Signal::TERM).unwrap();
    assert!(watcher.wait().unwrap().success());
    referee.check();
}

/// A push that goes on at the server when the process that sent it is dead already.
#[test]
fn a_push_that_outlives_its_sender_is_no_second_move() {
    let place = begin();
    let referee = Referee::new(&place, "referee");
    let before = referee.head();
    release(&place, 2);
    let pid = place.folder.join("pid").display().to_string();
    hook(
        &place.remote(),
        "pre-receive",
        &format!("cat > /dev/null\n[ -e '{pid}' ] || exit 0\nkill -9 $(cat '{pid}')\nrm '{pid}'\nsleep 0.3"),
    );
    let mut child = place.start("sender", {
        let mut command = place.windlass_command("cache", &["run"]);
        command.env("WINDLASS_FAILPOINT", "stop:push-ready:1");
        command
    });
    std::fs::write(&pid, child.id().to_string()).unwrap();
    // It has stopped itself just before the push, so the hook knows whom to kill.
    super::stops::wait_stopped(&child);
    kill_process(Pid::from_child(&child), Signal::CONT).unwrap();
    assert!(!child.wait().unwrap().success());
    place.windlass("cache", &["run"]).well();
    referee.check();
    assert_eq!(referee.commits(&before).len(), RELEASE);
}
