//! Mirrors that are broken, may not be written, or lie on a disk that is full: they are made anew, and the pass goes on; where that
//! cannot be, the error says what to do, nothing is lost, and the next run goes on.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::place::{Ended, Place};
use super::stops::wait_stopped;
use super::story::Referee;

const STEPS: &str = "      - {replicas: 1, pause: {duration: 0}}\n      - {replicas: 100%}\n";
const RELEASE: usize = 6;

fn begin() -> Place {
    let place = Place::local();
    place.app("web", 1, STEPS, "");
    place.publish("The first version");
    place
}

fn release(place: &Place, version: usize) {
    place.version("web", u32::try_from(version).unwrap());
    place.publish(&format!("Version {version}"));
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn replace(file: &Path, content: &[u8]) {
    // Git's objects are read-only files.
    std::fs::remove_file(file).unwrap();
    std::fs::write(file, content).unwrap();
}

fn damage(git: &Path, kind: &str) {
    let objects = files(&git.join("objects"));
    let packs = objects.iter().filter(|file| file.extension().is_some_and(|end| end == "pack"));
    let loose = objects.iter().filter(|file| file.extension().is_none());
    match kind {
        "a truncated pack" => packs.for_each(|pack| {
            let content = std::fs::read(pack).unwrap();
            replace(pack, &content[..content.len() / 2]);
        }),
        "a pack of other bytes" => packs.for_each(|pack| {
            let mut content = std::fs::read(pack).unwrap();
            content[12..].iter_mut().for_each(|byte| *byte ^= 0x55);
            replace(pack, &content);
        }),
        "objects that are gone" => loose.for_each(|file| std::fs::remove_file(file).unwrap()),
        "objects of other bytes" => loose.for_each(|file| replace(file, b"nonsense")),
        "empty objects" => loose.for_each(|file| replace(file, b"")),
        "truncated references" => files(&git.join("refs")).iter().for_each(|file| replace(file, b"")),
        "locks of a dead process" => files(&git.join("refs")).iter().for_each(|file| {
            std::fs::write(format!("{}.lock", file.display()), "").unwrap();
        }),
        "no repository at all" => {
            std::fs::remove_dir_all(git).unwrap();
            std::fs::write(git, "").unwrap();
        }
        _ => panic!("no such damage: {kind}"),
    }
}

/// Ended well, and has said one thing about the mirror in one line of the log.
#[track_caller]
fn warned(ended: &Ended, words: &str, about: &str) {
    let lines: Vec<&str> = ended.err.lines().collect();
    assert!(ended.code == Some(0), "{about}: {ended:?}");
    assert!(lines.len() == 1 && lines[0].contains("WARN") && lines[0].contains(words), "{about}: {ended:?}");
}

#[test]
fn a_mirror_with_any_damage_is_made_anew_and_the_pass_goes_on() {
    let place = begin();
    place.windlass("cache", &["run"]).well();
    let referee = Referee::new(&place, "referee");
    let kinds = [
        "a truncated pack",
        "a pack of other bytes",
        "objects that are gone",
        "objects of other bytes",
        "empty objects",
        "truncated references",
        "locks of a dead process",
        "no repository at all",
    ];
    let mut quiet = 0;
    for (index, kind) in kinds.into_iter().enumerate() {
        let before = referee.head();
        release(&place, index + 2);
        damage(&place.mirror("cache").join("git"), kind);
        let ended = place.windlass("cache", &["run"]);
        // What is not needed is not missed: nothing is said of a lost object that the next fetch brings anyway.
        if ended.err.is_empty() {
            ended.well();
            quiet += 1;
        } else {
            warned(&ended, "made anew", kind);
            assert_eq!(super::story::faults_of_mirror(&place, "cache"), Vec::<String>::new(), "{kind}");
        }
        referee.head();
        assert_eq!(referee.commits(&before).len(), RELEASE, "{kind}");
        place.windlass("cache", &["run"]).well();
    }
    assert!(quiet <= 3, "{quiet} of {} went unnoticed", kinds.len());
    referee.check();
}

/// People look and speak with a broken mirror too.
#[test]
fn status_and_words_mend_a_mirror_as_well() {
    let place = Place::local();
    place.app("web", 1, "      - {replicas: 1, pause: {}}\n      - {replicas: 100%}\n", "");
    place.publish("The first version");
    place.windlass("cache", &["run"]).well();
    release(&place, 2);
    place.windlass("cache", &["run"]).well();
    let words: [&[&str]; 3] = [&["status"], &["pause", "web"], &["resume", "web"]];
    for word in words {
        let git = place.mirror("cache").join("git");
        damage(&git, "objects of other bytes");
        damage(&git, "a pack of other bytes");
        warned(&place.windlass("cache", word), "made anew", &word.join(" "));
    }
}

/// A small disk of one's own at a folder; `None` where this user may not mount one.
struct Disk {
    folder: PathBuf,
}

impl Disk {
    fn mount(folder: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&folder).unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&folder).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self { folder });
        }
        println!("skipped: this user may not mount a small disk");
        None
    }

    fn read_only(&self) {
        let status = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.folder).status().unwrap();
        assert!(status.success());
    }

    /// Leaves no room at all.
    fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.folder.join("filler")).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.folder.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.folder).status();
    }
}

#[test]
fn a_mirror_that_may_not_be_written_is_left_alone() {
    let place = begin();
    let Some(disk) = Disk::mount(place.folder.join("cache"), "8m") else { return };
    place.windlass("cache", &["run"]).well();
    let referee = Referee::new(&place, "referee");
    let before = referee.head();
    // One process has it open already, one comes later.
    let mut watcher = place.windlass_command("cache", &["run", "--watch", "--interval", "1s"]);
    watcher.env("WINDLASS_FAILPOINT", "stop:fetch:2");
    let mut watcher = place.start("watcher", watcher);
    wait_stopped(&watcher);
    disk.read_only();
    kill_process(Pid::from_child(&watcher), Signal::CONT).unwrap();
    release(&place, 2);
    let start = Instant::now();
    while referee.head() == before || referee.commits(&before).len() < RELEASE {
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", std::fs::read_to_string(place.folder.join("watcher.err")));
        std::thread::sleep(Duration::from_millis(100));
    }
    kill_process(Pid::from_child(&watcher), Signal::TERM).unwrap();
    assert!(watcher.wait().unwrap().success());
    let said = std::fs::read_to_string(place.folder.join("watcher.err")).unwrap();
    let warnings = said.lines().filter(|line| line.contains("WARN")).count();
    assert!(warnings <= 2 && said.contains("a temporary one is used") && !said.contains("waiting: "), "{said}");

    release(&place, 3);
    warned(&place.windlass("cache", &["run"]), "a temporary one is used", "a new process");
    referee.check();
    assert_eq!(referee.commits(&before).len(), 2 * RELEASE);
}

#[test]
fn a_full_disk_is_an_error_with_a_way_out_and_passes() {
    let place = begin();
    place.windlass("cache-elsewhere", &["run"]).well();
    let referee = Referee::new(&place, "referee");
    let before = referee.head();
    release(&place, 2);
    let Some(disk) = Disk::mount(place.folder.join("cache"), "1m") else { return };
    let full = |ended: &Ended| {
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let text = format!("{}{}", ended.out, ended.err);
        let cause = text.contains("No space left on device") || text.contains("is the disk full?");
        assert!(cause && text.contains("the mirror at"), "{ended:?}");
        assert!(!text.contains("panicked"), "{ended:?}");
    };
    // From the first byte on.
    disk.fill();
    let ended = place.windlass("cache", &["run"]);
    full(&ended);
    assert!(ended.err.contains("make room") && ended.err.contains("--cache"), "{ended:?}");
    disk.free();
    // After each effect on the mirror.
    for point in ["mirror-numbered:1", "mirror-made:1", "mirror-locked:1", "pack-received:1", "head-noted:1", "tree-written:1"] {
        let _ = std::fs::remove_dir_all(place.mirror("cache"));
        let mut command = place.windlass_command("cache", &["run"]);
        command.env("WINDLASS_FAILPOINT", format!("stop:{point}"));
        let child = place.start_piped(command);
        wait_stopped(&child);
        disk.fill();
        kill_process(Pid::from_child(&child), Signal::CONT).unwrap();
        let ended = Ended::of(&child.wait_with_output().unwrap());
        if ended.code != Some(0) {
            full(&ended);
        }
        disk.free();
    }
    assert!(referee.head() == before || !referee.commits(&before).is_empty());
    place.windlass("cache", &["run"]);
    referee.check();
    assert_eq!(referee.commits(&before).len(), RELEASE);
}
