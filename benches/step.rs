//! How long one step of a rollout takes: look for news, write a commit of six files, push it. For repositories of growing
//! size; over http (most of that time is Git's own server), to a folder (all of it is ours), and beside it the same over
//! http with the `git` program and a clone that stays.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench stops at the first surprise, and prints its table"
)]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

#[allow(dead_code, reason = "the tests use more of the server than the bench")]
#[path = "../tests/git/server.rs"]
mod server;

use server::{Server, make, run};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use windlass::git::{Change, NewCommit, Options, Person, Push, Repo, Store};

const SIZES: [usize; 3] = [1_000, 10_000, 50_000];
const WARM_UP: usize = 5;
const STEPS: usize = 40;
const CLONE_STEPS: usize = 8;

fn main() {
    println!("   files   first fetch      http p50    http p95  ratio    folder p50  folder p95  ratio     clone p50  ratio");
    let mut smallest = None;
    for files in SIZES {
        let folder = folder();
        let path = make(folder.path(), "repo.git", files, 1);
        let server = Server::start(folder.path());
        let (first, mut http) = ours(&server.address("repo.git"), "live", &folder.path().join("mirrors"));
        let (_, mut local) = ours(path.to_str().unwrap(), "local", &folder.path().join("mirrors"));
        let mut clone = cloned(folder.path(), &server);
        run(&path, &["fsck", "--connectivity-only"], b"");
        let now = [&mut http, &mut local, &mut clone].map(|times| (percentile(times, 50), percentile(times, 95)));
        let base = *smallest.get_or_insert(now);
        let [http, local, clone] =
            std::array::from_fn(|way| (now[way].0, now[way].1, now[way].0.as_secs_f64() / base[way].0.as_secs_f64()));
        println!(
            "{files:>8}  {:>9.0} ms  {:>9.1} ms  {:>7.1} ms  {:>5.2}  {:>9.1} ms  {:>7.1} ms  {:>5.2}  {:>9.1} ms  {:>5.2}",
            milliseconds(first),
            milliseconds(http.0),
            milliseconds(http.1),
            http.2,
            milliseconds(local.0),
            milliseconds(local.1),
            local.2,
            milliseconds(clone.0),
            clone.2,
        );
    }
}

/// The first fetch, and the steps after it. The first steps warm caches up and are not counted.
fn ours(address: &str, branch: &str, mirrors: &std::path::Path) -> (Duration, Vec<Duration>) {
    let mut options = Options::new(address, branch);
    options.cache = Some(mirrors.to_path_buf());
    let mut store = Store::open(options).unwrap();
    let start = Instant::now();
    let source = store.fetch().unwrap().source;
    let first = start.elapsed();
    let mut live = store.write(Some(source), &commit(0)).unwrap();
    assert_eq!(store.push(None, live).unwrap(), Push::Done);
    let steps = (1..=WARM_UP + STEPS).map(|number| {
        let start = Instant::now();
        assert_eq!(store.fetch().unwrap().live, Some(live));
        let next = store.write(Some(live), &commit(number)).unwrap();
        assert_eq!(store.push(Some(live), next).unwrap(), Push::Done);
        live = next;
        start.elapsed()
    });
    (first, steps.skip(WARM_UP).collect())
}

fn commit(number: usize) -> NewCommit {
    let files: BTreeMap<String, Vec<u8>> = (0..5).map(|file| (format!("f{file}.yaml"), content(number, file))).collect();
    NewCommit {
        changes: vec![
            Change::Files { directory: "apps/g0/s1".into(), files },
            Change::File { path: ".windlass/s1.json".into(), content: content(number, 5) },
        ],
        message: format!("s1: step {number}\n"),
        author: Person { name: "Windlass".into(), email: "windlass@example.com".into() },
        time: 1_800_000_000,
    }
}

fn content(step: usize, file: usize) -> Vec<u8> {
    format!("step: {step}\nfile: {file}\n").into_bytes()
}

/// The same steps as a script with a clone would make them.
fn cloned(folder: &std::path::Path, server: &Server) -> Vec<Duration> {
    let clone = folder.join("clone");
    run(folder, &["clone", "--quiet", "--depth=1", "--branch=live", &server.address("repo.git"), "clone"], b"");
    let steps = (1..=CLONE_STEPS).map(|number| {
        let start = Instant::now();
        run(&clone, &["fetch", "--quiet", "origin", "live"], b"");
        run(&clone, &["reset", "--quiet", "--hard", "FETCH_HEAD"], b"");
        for file in 0..5 {
            std::fs::write(clone.join(format!("apps/g0/s1/f{file}.yaml")), content(1_000 + number, file)).unwrap();
        }
        std::fs::write(clone.join(".windlass/s1.json"), content(1_000 + number, 5)).unwrap();
        run(&clone, &["commit", "--quiet", "--all", "-m", "step"], b"");
        run(&clone, &["push", "--quiet", "origin", "HEAD:live"], b"");
        start.elapsed()
    });
    steps.collect()
}

/// A throw-away folder in memory where there is such: a disk's own housekeeping grows with what was written to it before, and
/// would be measured instead.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
