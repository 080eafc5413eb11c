//! Kills against Gitea: of windlass at every place of the program, and of Gitea itself in the middle of its work.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::repository::Repository;
use super::servers::Lab;
use crate::crash::place::Place;
use crate::crash::race::Random;
use crate::crash::story::Referee;
use crate::crash::sweep::{Sweep, wanted_kills};

/// What a look in CI kills; more by `WINDLASS_KILLS`.
const SHORT: usize = 40;

#[test]
fn a_kill_anywhere_changes_no_commit_at_gitea() {
    let Some(lab) = Lab::up(&["gitea"]) else {
        return;
    };
    let repository = Repository::create(&lab, "kills");
    let place = Place::gitea(&repository, &lab.folder().join("kills"));
    let sweep = Sweep::begin(&place);
    let kills = wanted_kills(SHORT);
    let points = if kills > SHORT { sweep.points() } else { sweep.some(kills) };
    println!("{}", sweep.run(points, kills, 1));
}

/// Gitea's process, as the lab has started it.
struct Gitea<'a> {
    lab: &'a Lab,
    pid_file: PathBuf,
}

impl<'a> Gitea<'a> {
    fn of(lab: &'a Lab) -> Self {
        Self { lab, pid_file: lab.folder().join("gitea.pid") }
    }

    /// Ends it as a lost machine does, and starts the same again after a while.
    fn crash(&self, pause: Duration) {
        let pid: i32 = std::fs::read_to_string(&self.pid_file).unwrap().trim().parse().unwrap();
        let proc = Path::new("/proc").join(pid.to_string());
        let list = |name: &str| -> Vec<String> {
            let text = std::fs::read(proc.join(name)).unwrap();
            text.split(|byte| *byte == 0)
                .filter(|part| !part.is_empty())
                .map(|part| String::from_utf8(part.into()).unwrap())
                .collect()
        };
        let (arguments, environment) = (list("cmdline"), list("environ"));
        let folder = std::fs::read_link(proc.join("cwd")).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        std::thread::sleep(pause);
        let log = std::fs::File::options().append(true).open(self.lab.folder().join("gitea.log")).unwrap();
        let mut command = Command::new(&arguments[0]);
        command.args(&arguments[1..]).env_clear().envs(environment.iter().filter_map(|pair| pair.split_once('=')));
        command.current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().unwrap();
        // `lab down` ends it by this id.
        std::fs::write(&self.pid_file, format!("{}\n", child.id())).unwrap();
        std::thread::spawn(move || child.wait());
        let url = format!("{}/api/v1/version", self.lab.var("LAB_GITEA"));
        let agent = ureq::Agent::config_builder().proxy(None).build().new_agent();
        self.lab.wait("Gitea", Duration::from_secs(60), || agent.get(&url).call().map(drop).map_err(|error| error.to_string()));
    }
}

#[test]
fn gitea_dies_in_the_middle_of_pushes() {
    let Some(lab) = Lab::up(&["gitea"]) else {
        return;
    };
    let repository = Repository::create(&lab, "dying");
    let place = Place::gitea(&repository, &lab.folder().join("dying"));
    let steps: String = (1..=3).map(|pods| format!("      - {{replicas: {pods}, pause: {{duration: 0}}}}\n")).collect();
    place.app("web", 1, &format!("{steps}      - {{replicas: 100%}}\n"), "");
    place.publish("The first version");
    place.windlass("cache", &["run"]).well();
    let referee = Referee::new(&place, "referee");
    let before = referee.head();
    let gitea = Gitea::of(&lab);
    let mut watcher = place.start("watcher", place.windlass_command("cache", &["run", "--watch", "--interval", "1s"]));
    let mut random = Random::new(7);
    let (start, deaths) = (Instant::now(), wanted_kills(SHORT) / 12);
    let releases = u64::try_from(deaths).unwrap();
    for release in 1..=releases {
        place.version("web", u32::try_from(release).unwrap() + 1);
        place.publish(&format!("Version {}", release + 1));
        std::thread::sleep(Duration::from_millis(200 + 10 * random.below(120) as u64));
        gitea.crash(Duration::from_millis(300));
        lab.wait("the end of the release", Duration::from_secs(120), || {
            assert!(watcher.try_wait().unwrap().is_none(), "the watcher has ended");
            referee.head();
            let wanted = format!("web: release {release} complete");
            let there = referee.commits(&before).iter().any(|told| told.subject == wanted);
            if there { Ok(()) } else { Err("not there".into()) }
        });
    }
    kill_process(Pid::from_child(&watcher), Signal::TERM).unwrap();
    assert!(watcher.wait().unwrap().success());
    referee.check();
    let told = referee.commits(&before);
    // Four steps of grow and shift, the last two moves.
    assert_eq!(told.len(), 10 * deaths, "{told:#?}");
    let said = std::fs::read_to_string(place.folder.join("watcher.err")).unwrap();
    let waits = said.lines().filter(|line| line.starts_with("waiting: ")).count();
    // What it waits for may be told with a hint.
    let expected = ["waiting: ", "hint: ", "apps/web: "];
    let other: Vec<&str> = said.lines().filter(|line| !expected.iter().any(|start| line.starts_with(start))).collect();
    assert!(other.is_empty(), "{other:?}");
    println!("{deaths} deaths of Gitea, {} commits, {waits} waits, {:.1} s", told.len(), start.elapsed().as_secs_f64());
}
