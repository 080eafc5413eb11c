//! One step of a rollout, in repositories of growing size: the whole of it (look for news, decide, render, write, publish),
//! the store alone, and beside them the same change by the `git` program in three ways, and by the bare protocol, which is
//! what the server itself costs. All over the same http server with Git's own `http-backend`; ours also to a folder, where
//! all of the time is ours.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints, and ends where it fails"
)]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

mod ground;
mod peers;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use ground::server::{Server, make, run};
use ground::{Quick, folder, milliseconds, percentile, reconciler, release};
use windlass::git::{Change, NewCommit, Options, Person, Push, Repo, Store};

const SIZES: [usize; 3] = [1_000, 10_000, 50_000];
/// Steps of one release; each is two commits.
const STEPS: u32 = 25;

type Times = Vec<Duration>;

/// What is compared, in the order of the table.
const WAYS: [&str; 9] = [
    "windlass, whole step, http",
    "windlass, whole step, folder",
    "windlass, git store alone, http",
    "bare protocol: post of 7 objects",
    "bare protocol: branch read, post of 7 objects",
    "git, clone that stays: fetch, reset, commit, push",
    "git, bare clone that stays: fetch, ls-tree, mktree, push",
    "git, shallow clone for each step, commit, push",
    "windlass, first look of a fresh process, http",
];

fn main() {
    let mut table: Vec<Vec<Times>> = Vec::new();
    for files in SIZES {
        eprintln!("{files} files");
        table.push(measured(files));
    }
    println!("{:<58} {}   50,000/1,000", "p50 / p95, ms", SIZES.map(|files| format!("{files:>16} files")).join(" "));
    let p50 = |way: usize, size: usize| milliseconds(percentile(&mut table[size][way].clone(), 50));
    for (way, name) in WAYS.iter().enumerate() {
        let cells: Vec<String> = (0..SIZES.len())
            .map(|size| {
                let mut times = table[size][way].clone();
                let high = milliseconds(percentile(&mut times, 95));
                format!("{:>8.1} / {high:>7.1} n={:<2}", p50(way, size), times.len())
            })
            .collect();
        println!("{name:<58} {}   {:.2}", cells.join(" "), p50(way, 2) / p50(way, 0));
    }
    println!();
    for (size, files) in SIZES.iter().enumerate() {
        let git = (5..8).map(|way| p50(way, size)).fold(f64::MAX, f64::min);
        println!(
            "{files:>6} files: whole step / bare post {:.2}, whole step / (branch read + post) {:.2}, fastest git / whole step {:.1}",
            p50(0, size) / p50(3, size),
            p50(0, size) / p50(4, size),
            git / p50(0, size),
        );
    }
}

fn measured(files: usize) -> Vec<Times> {
    let folder = folder();
    let path = make(folder.path(), "repo.git", files, 1);
    // The branch that is written to holds all the files, for everybody.
    for branch in ["live", "local", "store", "peers"] {
        run(&path, &["branch", branch, "main"], b"");
    }
    release(&path, 1, STEPS);
    let server = Server::start(folder.path());
    let address = server.address("repo.git");
    let (mut bare, mut bare_read) = (Vec::new(), Vec::new());
    let mut peer = peers::Bare::new(&path, &address);
    // In turn, so that whatever else the machine does falls on all of them.
    let (first, http) = steps(&address, "live", &path, &mut || {
        bare.push(peer.step(false));
        bare_read.push(peer.step(true));
    });
    release(&path, 1, STEPS);
    let (_, local) = steps(path.to_str().unwrap(), "local", &path, &mut || {});
    let store = store(&address, &folder.path().join("mirrors-of-the-store"));
    let stays = peers::clone_that_stays(folder.path(), &address);
    let plumbing = peers::plumbing(folder.path(), &address);
    let shallow = peers::shallow(folder.path(), &address, if files > 20_000 { 5 } else { 10 });
    run(&path, &["fsck", "--connectivity-only"], b"");
    vec![http, local, store, bare, bare_read, stays, plumbing, shallow, vec![first]]
}

/// The first pass (everything is new), and the passes of a release that made a commit each.
fn steps(address: &str, branch: &str, path: &Path, between: &mut dyn FnMut()) -> (Duration, Times) {
    let world = Quick::new();
    let mut reconciler = reconciler(address, branch, &path.with_file_name("mirrors"), &world);
    let start = Instant::now();
    assert_eq!(reconciler.pass().unwrap().commits.len(), 1);
    let first = start.elapsed();
    release(path, 2, STEPS);
    let mut times = Vec::new();
    loop {
        world.later();
        let start = Instant::now();
        let pass = reconciler.pass().unwrap();
        let took = start.elapsed();
        assert!(pass.apps.iter().all(|app| app.error.is_none()), "{:?}", pass.apps);
        if !pass.commits.is_empty() {
            times.push(took);
            between();
        } else if pass.apps.iter().all(|app| app.phase == "Healthy") {
            break;
        }
    }
    assert!(times.len() > usize::try_from(STEPS).unwrap(), "only {} commits", times.len());
    // The first moves render the source and read the mirror for the first time.
    (first, times.split_off(2))
}

/// Steps of the Git store by itself: fetch, six files, push.
fn store(address: &str, mirrors: &Path) -> Times {
    const WARM_UP: usize = 5;
    let mut options = Options::new(address, "store");
    options.cache = Some(mirrors.to_path_buf());
    let mut store = Store::open(options).unwrap();
    let mut live = store.fetch().unwrap().live.unwrap();
    let steps = (1..=WARM_UP + 40).map(|number| {
        let start = Instant::now();
        assert_eq!(store.fetch().unwrap().live, Some(live));
        let next = store.write(Some(live), &commit(number)).unwrap();
        assert_eq!(store.push(Some(live), next).unwrap(), Push::Done);
        live = next;
        start.elapsed()
    });
    steps.skip(WARM_UP).collect()
}

fn commit(number: usize) -> NewCommit {
    let content = |file: usize| peers::content(number, file);
    let files: BTreeMap<String, Vec<u8>> = (0..5).map(|file| (format!("f{file}.yaml"), content(file))).collect();
    NewCommit {
        changes: vec![
            Change::Files { directory: "apps/g0/s1".into(), files },
            Change::File { path: ".windlass/s1/state".into(), content: content(5) },
        ],
        message: format!("s1: step {number}\n"),
        author: Person { name: "Windlass".into(), email: "windlass@example.com".into() },
        time: 1_800_000_000,
    }
}
