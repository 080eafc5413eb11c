//! The program itself: its size, how long it takes to start, and to plan a release of ten steps.
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

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ground::server::{Server, make};
use ground::{Quick, folder, milliseconds, percentile, reconciler, release};

const RUNS: usize = 40;

fn main() {
    let program = Path::new(env!("CARGO_BIN_EXE_windlass"));
    println!("size of the program: {:.1} MB", program.metadata().unwrap().len() as f64 / 1e6);
    told("windlass --version", || ran(program, &["--version"], &[]));
    let folder = folder();
    let path = make(folder.path(), "repo.git", 1_000, 1);
    release(&path, 1, 10);
    let world = Quick::new();
    let mirrors = folder.path().join("mirrors");
    let local = path.display().to_string();
    assert_eq!(reconciler(&local, "live", &mirrors, &world).pass().unwrap().commits.len(), 1);
    release(&path, 2, 10);
    let server = Server::start(folder.path());
    let remote = server.address("repo.git");
    for (what, address) in [("folder", &local), ("http", &remote)] {
        let common = ["--repo", address, "--branch", "live"];
        told(&format!("windlass plan of 10 steps, 1,000 files, {what}"), || {
            ran(program, &["plan", "--cache", mirrors.to_str().unwrap()], &common);
        });
        told(&format!("windlass status, 1,000 files, {what}"), || {
            ran(program, &["status", "--cache", mirrors.to_str().unwrap()], &common);
        });
    }
    let mut process = reconciler(&local, "live", &mirrors, &world);
    told("the same plan within a process that stays, folder", || {
        assert!(process.forecast(None, None).unwrap().planned.len() >= 10);
    });
}

fn ran(program: &Path, first: &[&str], rest: &[&str]) {
    let output = Command::new(program).args(first).args(rest).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn told(what: &str, mut run: impl FnMut()) {
    run();
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    let (p50, p95) = (percentile(&mut times, 50), percentile(&mut times, 95));
    println!("{what}: p50 {:.1} ms, p95 {:.1} ms", milliseconds(p50), milliseconds(p95));
}
