//! How long one step of a rollout takes: look for news, write a commit of six files, push it over http. For repositories
//! of growing size, and beside it the same with the `git` program and a clone that stays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

#[allow(dead_code, reason = "the tests use more of the server than the bench")]
#[path = "../tests/git/server.rs"]
mod server;

use server::{Server, make, run};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use windlass::git::{Change, NewCommit, Options, Person, Push, Repo, Store};

const SIZES: [usize; 3] = [1_000, 10_000, 50_000];
const STEPS: usize = 40;
const CLONE_STEPS: usize = 8;

fn main() {
    println!("{:>8}  {:>10}  {:>9}  {:>9}  {:>6}  {:>12}  {:>6}", "files", "first", "step p50", "step p95", "ratio", "clone p50", "ratio");
    let mut smallest = None;
    for files in SIZES {
        let folder = tempfile::tempdir().unwrap();
        let path = make(folder.path(), "repo.git", files, 1);
        let server = Server::start(folder.path());
        let (first, mut steps) = ours(&server);
        let mut clone = cloned(folder.path(), &server);
        run(&path, &["fsck", "--connectivity-only"], b"");
        let (p50, p95, clone) = (percentile(&mut steps, 50), percentile(&mut steps, 95), percentile(&mut clone, 50));
        let (small, small_clone) = *smallest.get_or_insert((p50, clone));
        let ratio = |value: Duration, of: Duration| value.as_secs_f64() / of.as_secs_f64();
        println!(
            "{files:>8}  {:>7.0} ms  {:>6.1} ms  {:>6.1} ms  {:>6.2}  {:>9.1} ms  {:>6.2}",
            milliseconds(first),
            milliseconds(p50),
            milliseconds(p95),
            ratio(p50, small),
            milliseconds(clone),
            ratio(clone, small_clone),
        );
    }
}

/// The first fetch, and the steps after it.
fn ours(server: &Server) -> (Duration, Vec<Duration>) {
    let mut store = Store::open(Options::new(server.address("repo.git"), "live")).unwrap();
    let start = Instant::now();
    let source = store.fetch().unwrap().source;
    let first = start.elapsed();
    let mut live = store.write(Some(source), &commit(0)).unwrap();
    assert_eq!(store.push(None, live).unwrap(), Push::Done);
    let steps = (1..=STEPS).map(|number| {
        let start = Instant::now();
        assert_eq!(store.fetch().unwrap().live, Some(live));
        let next = store.write(Some(live), &commit(number)).unwrap();
        assert_eq!(store.push(Some(live), next).unwrap(), Push::Done);
        live = next;
        start.elapsed()
    });
    (first, steps.collect())
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

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
