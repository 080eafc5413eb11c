//! Processes that stop at a place of the program while others go on.

use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::place::Place;
use super::story::Referee;

/// Waits until a process has stopped itself.
#[track_caller]
pub(super) fn wait_stopped(child: &Child) {
    let start = Instant::now();
    let stat = format!("/proc/{}/stat", child.id());
    let state = || std::fs::read_to_string(&stat).ok().and_then(|text| text.rsplit_once(") ")?.1.chars().next());
    while state() != Some('T') {
        assert!(start.elapsed() < Duration::from_secs(20), "{} has not stopped: {:?}", child.id(), state());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A process sleeps on its decision while another one releases and a person commits: what it had decided is not pushed.
#[test]
fn a_decision_that_was_slept_on_is_made_again() {
    let steps = "      - {replicas: 1, pause: {duration: 0}}\n      - {replicas: 100%}\n";
    for point in ["branches-listed", "head-noted", "commit-written", "push", "push-ready"] {
        let place = Place::local();
        place.app("web", 1, steps, "");
        place.publish("The first version");
        place.windlass("cache", &["run"]).well();
        let referee = Referee::new(&place, "referee");
        let before = referee.head();
        place.version("web", 2);
        place.publish("Version 2");
        let mut sleeper = place.windlass_command("cache-sleeper", &["run"]);
        sleeper.env("WINDLASS_FAILPOINT", format!("stop:{point}:1"));
        let mut sleeper = place.start("sleeper", sleeper);
        wait_stopped(&sleeper);
        place.windlass("cache", &["run"]).well();
        let head = referee.head();
        assert_eq!(referee.commits(&before).len(), 6, "{point}");
        kill_process(Pid::from_child(&sleeper), Signal::CONT).unwrap();
        assert!(sleeper.wait().unwrap().success(), "{point}");
        assert_eq!(referee.head(), head, "{point}: there was nothing left to do");
        let said = std::fs::read_to_string(place.folder.join("sleeper.err")).unwrap();
        assert_eq!(said, "", "{point}");
        referee.check();
    }
}
