//! Many apps in one repository: a thousand of them due at once, and ten thousand at rest, in this process and in the real
//! program.
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
use std::time::{Duration, Instant};

use ground::server::{Server, import, make};
use ground::{Quick, folder, milliseconds, on_processor, percentile, reconciler, release_all, thread_time};
use windlass::reconcile::{Pass, Reconciler};

const DUE: usize = 1_000;
const AT_REST: usize = 10_000;
const STEPS: u32 = 5;

fn main() {
    let wanted = |name: &str| std::env::var("FLEET").map_or(true, |only| only == name);
    if wanted("due") {
        due(true);
        due(false);
    }
    if wanted("rest") {
        at_rest();
    }
}

/// Every app has a new version: each pass is one commit for each of them, in one push.
fn due(http: bool) {
    let folder = folder();
    let path = make(folder.path(), "repo.git", 0, 1);
    release_all(&path, DUE, 1, STEPS);
    let server = Server::start(folder.path());
    let address = if http { server.address("repo.git") } else { path.display().to_string() };
    println!("{DUE} apps due at once, {}", if http { "http" } else { "folder" });
    let world = Quick::new();
    let mut reconciler = reconciler(&address, "live", &folder.path().join("mirrors"), &world);
    let mut all = (0, Duration::ZERO);
    let mut version = 1;
    for pass in 0..20 {
        world.later();
        let (start, cpu) = (Instant::now(), thread_time());
        let done = checked(&mut reconciler);
        let (took, cpu) = (start.elapsed(), thread_time() - cpu);
        let moves = done.commits.len();
        println!(
            "  pass {pass:>2}: {moves:>5} commits in {:>7.0} ms ({:.0} a second), processor {:.0} ms",
            milliseconds(took),
            moves as f64 / took.as_secs_f64(),
            milliseconds(cpu)
        );
        if pass > 0 {
            all = (all.0 + moves, all.1 + took);
        }
        if moves == 0 && version == 1 {
            version = 2;
            release_all(&path, DUE, version, STEPS);
        } else if moves == 0 {
            break;
        }
    }
    println!("  release: {} moves, {:.0} a second", all.0, all.0 as f64 / all.1.as_secs_f64());
}

fn checked(reconciler: &mut Reconciler<'_>) -> Pass {
    let pass = reconciler.pass().unwrap();
    assert!(pass.apps.iter().all(|app| app.error.is_none()), "{:?}", pass.apps.iter().find(|app| app.error.is_some()));
    pass
}

fn at_rest() {
    let folder = folder();
    let path = make(folder.path(), "repo.git", 0, 1);
    release_all(&path, AT_REST, 1, STEPS);
    let world = Quick::new();
    let mirrors = folder.path().join("mirrors");
    let address = path.display().to_string();
    let mut first = reconciler(&address, "live", &mirrors, &world);
    let start = Instant::now();
    println!("{AT_REST} apps adopted: {} commits in {:.0} ms", checked(&mut first).commits.len(), milliseconds(start.elapsed()));
    drop(first);
    ground::server::run(&path, &["gc", "--quiet"], b"");
    let server = Server::start(folder.path());
    for address in [address, server.address("repo.git")] {
        println!("{AT_REST} apps at rest, {}", if address.starts_with("http") { "http" } else { "folder" });
        let mut process = reconciler(&address, "live", &mirrors, &world);
        process.brief = true;
        let (start, cpu) = (Instant::now(), thread_time());
        assert!(checked(&mut process).commits.is_empty());
        println!("  first look: {:.0} ms, processor {:.0} ms", milliseconds(start.elapsed()), milliseconds(thread_time() - cpu));
        for (what, branch) in
            [("nothing new", None), ("news in the source", Some("main")), ("news on the live branch", Some("live"))]
        {
            let mut cpus = Vec::new();
            let ticks = 20;
            let start = Instant::now();
            let mut busy = Duration::ZERO;
            for tick in 0..ticks {
                if let Some(branch) = branch {
                    let text = format!("M 644 inline notes/{branch}\ndata 2\n{tick:02}\n");
                    import(&path, &format!("refs/heads/{branch}"), 1, |_| text.clone());
                }
                let cpu = thread_time();
                let start = Instant::now();
                assert!(checked(&mut process).commits.is_empty());
                busy += start.elapsed();
                cpus.push(thread_time() - cpu);
            }
            let _ = start;
            println!(
                "  {what}: processor p50 {:.2} ms, p95 {:.2} ms a pass, {:.1} ms in all",
                milliseconds(percentile(&mut cpus, 50)),
                milliseconds(percentile(&mut cpus, 95)),
                milliseconds(busy / ticks)
            );
        }
    }
    program(&server.address("repo.git"), folder.path());
}

/// The same by `windlass run --watch`.
fn program(address: &str, folder: &Path) {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_windlass"))
        .args(["run", "--watch", "--interval", "1s", "--repo", address, "--branch", "live"])
        .env("WINDLASS_CACHE", folder.join("mirrors-of-the-program"))
        .spawn()
        .unwrap();
    let process = format!("/proc/{}", child.id());
    let used = || -> Duration {
        let tasks = std::fs::read_dir(format!("{process}/task")).unwrap();
        tasks.map(|task| on_processor(&task.unwrap().path().join("schedstat").display().to_string())).sum()
    };
    let status = |word: &str| {
        let text = std::fs::read_to_string(format!("{process}/status")).unwrap();
        let line = text.lines().find(|line| line.starts_with(word)).unwrap_or_default().to_owned();
        line.split_whitespace().nth(1).and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    };
    // The first look is over when the process has been idle for a while.
    let mut before = Duration::ZERO;
    loop {
        std::thread::sleep(Duration::from_secs(3));
        let now = used();
        if now - before < Duration::from_millis(500) {
            break;
        }
        before = now;
    }
    println!("windlass run --watch: first look {:.0} ms of processor", milliseconds(used()));
    println!(
        "  memory: peak {:.1} MiB, now {:.1} MiB (anonymous {:.1}, files {:.1})",
        status("VmHWM:"),
        status("VmRSS:"),
        status("RssAnon:"),
        status("RssFile:")
    );
    let (start, cpu) = (Instant::now(), used());
    std::thread::sleep(Duration::from_secs(20));
    let ticks = start.elapsed().as_secs_f64();
    println!("  about {:.2} ms of processor a tick", milliseconds(used() - cpu) / ticks);
    child.kill().unwrap();
    child.wait().unwrap();
}
