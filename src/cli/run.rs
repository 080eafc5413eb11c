//! `run`: once, on and on, or until done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::args::RunArgs;
use super::exit::{Exit, Failure};
use super::status::{self, hold_line};
use super::terminal::{CYAN, DIM, GREEN, RED, Terminal, YELLOW, styled};
use crate::engine::Reason;
use crate::failpoint::point;
use crate::reconcile::{AppReport, Pass, Reconciler, Surroundings};

/// Seconds between looks while a release is on its way.
const BUSY: u64 = 1;
/// Tenths of a second after a pass in which changes of the cluster are gathered.
const GATHERS: u64 = 2;
/// A single run ends after this many passes with commits: more is a loop that does not come to rest.
const PASSES: usize = 200;

pub(super) fn run(
    terminal: &mut Terminal,
    reconciler: &mut Reconciler<'_>,
    args: &RunArgs,
    stop: &Arc<AtomicBool>,
) -> Result<Exit, Failure> {
    reconciler.only = args.app.app.clone().into_iter().collect();
    if args.watch || args.until_done {
        return watch(terminal, reconciler, args, stop);
    }
    reconciler.persist = true;
    let mut all = Pass::default();
    for _ in 0..PASSES {
        let pass = reconciler.pass()?;
        show_commits(terminal, &pass);
        let quiet = pass.commits.is_empty();
        all.apps = pass.apps;
        all.commits.extend(pass.commits);
        if quiet {
            break;
        }
    }
    let now = reconciler.around.now();
    if terminal.is_json() {
        terminal.json(&all);
    } else {
        status::show(terminal, &all, now);
    }
    Ok(exit(&all.apps))
}

/// The exit code of where apps stand after a single pass.
fn exit(apps: &[AppReport]) -> Exit {
    let unreachable = |app: &AppReport| {
        // A full disk is a matter of this machine, wherever in a pass it was met.
        app.trouble.as_ref().is_some_and(|trouble| trouble.is_unreachable() && !trouble.is_local())
            || app.hold.as_ref().is_some_and(|hold| hold.reason == Reason::Unreachable)
    };
    if apps.iter().any(|app| app.error.is_some() && !unreachable(app)) {
        return Exit::Findings;
    }
    if apps.iter().any(unreachable) {
        return Exit::Unreachable;
    }
    Exit::Done
}

fn show_commits(terminal: &mut Terminal, pass: &Pass) {
    for made in &pass.commits {
        point("tell");
        let short = made.commit.get(..10).unwrap_or(&made.commit);
        let style = if made.subject.contains("roll") { YELLOW } else { GREEN };
        let line = format!("{} {}", styled(style, short), made.subject);
        if terminal.is_json() { terminal.note(line) } else { terminal.line(line) }
    }
}

fn watch(
    terminal: &mut Terminal,
    reconciler: &mut Reconciler<'_>,
    args: &RunArgs,
    stop: &Arc<AtomicBool>,
) -> Result<Exit, Failure> {
    reconciler.around.follow();
    let began = reconciler.around.now();
    // Who runs until all is done is told of all at the end; who watches hears of what moves.
    reconciler.brief = args.watch;
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    let mut started: BTreeMap<String, u64> = BTreeMap::new();
    let mut failures = 0u32;
    let mut once = false;
    loop {
        let pass = match reconciler.pass() {
            Ok(pass) => {
                (failures, once) = (0, true);
                pass
            }
            // Who is refused from the start has a wrong address or wrong credentials; later it may be a matter of time.
            Err(trouble) if args.watch && trouble.is_unreachable() && (once || !trouble.is_final()) => {
                failures += 1;
                terminal.note(format!("{} {trouble}; trying again", styled(YELLOW, "waiting:")));
                if let Some(hint) = trouble.hint().filter(|_| failures == 1) {
                    terminal.note(format!("{} {hint}", styled(CYAN, "hint:")));
                }
                sleep(None, stop, args.interval.min(1 << failures.min(6)));
                if stop.load(Ordering::Relaxed) {
                    return Ok(Exit::Done);
                }
                continue;
            }
            Err(trouble) => return Err(trouble.into()),
        };
        show_commits(terminal, &pass);
        let now = reconciler.around.now();
        for app in &pass.apps {
            if args.until_done {
                let next = app.release + u64::from(app.phase == "Healthy" || app.phase == "New");
                started.entry(app.app.clone()).or_insert(next);
            }
            announce(terminal, app, now, &mut said);
        }
        if args.until_done && pass.commits.is_empty() {
            if pass.apps.iter().all(is_done) {
                let exit = ended(&pass, &started);
                // Why a release went back is not in its commits' subjects.
                if terminal.is_json() || exit != Exit::Done {
                    status::show(terminal, &pass, now);
                }
                return Ok(exit);
            }
            if now.as_second() - began.as_second() >= i64::try_from(args.timeout).unwrap_or(i64::MAX) {
                // A later run goes on from what was seen: without this a soak longer than the limit would never end.
                reconciler.persist = true;
                let pass = reconciler.pass()?;
                show_commits(terminal, &pass);
                status::show(terminal, &pass, now);
                return Ok(Exit::Holding);
            }
        }
        if stop.load(Ordering::Relaxed) {
            // What was seen is written down, so that the next process goes on from there.
            reconciler.persist = true;
            point("last-words");
            if let Ok(pass) = reconciler.pass() {
                show_commits(terminal, &pass);
            }
            return Ok(Exit::Done);
        }
        if pass.commits.is_empty() {
            sleep(Some(reconciler.around), stop, pause(&pass, args, now));
        }
    }
}

fn is_done(app: &AppReport) -> bool {
    app.phase == "Healthy" && app.error.is_none() && app.hold.as_ref().is_none_or(|hold| hold.reason == Reason::Rejected)
}

fn ended(pass: &Pass, started: &BTreeMap<String, u64>) -> Exit {
    let back = |app: &AppReport| {
        let rejected = app.hold.as_ref().is_some_and(|hold| hold.reason == Reason::Rejected);
        let since = started.get(&app.app).copied().unwrap_or(0);
        rejected || app.outcome.as_ref().is_some_and(|outcome| !outcome.completed && outcome.release >= since)
    };
    if pass.apps.iter().any(back) { Exit::RolledBack } else { Exit::Done }
}

/// Says what changed since the last time: the hold's reason, or an error.
fn announce(terminal: &mut Terminal, app: &AppReport, now: jiff::Timestamp, said: &mut BTreeMap<String, String>) {
    let key = match (&app.error, &app.hold) {
        (Some(error), _) => error.clone(),
        (None, Some(hold)) => format!("{} {}", hold.reason.code(), hold.text),
        (None, None) => String::new(),
    };
    if key.is_empty() {
        said.remove(&app.app);
        return;
    }
    if said.insert(app.app.clone(), key.clone()).is_some_and(|before| before == key) {
        return;
    }
    match (&app.error, &app.hold) {
        (Some(error), _) => terminal.note(format!("{} {}: {error}", styled(RED, "holding"), app.app)),
        (None, Some(hold)) => terminal.note(format!("{} {}", styled(DIM, format!("{}:", app.app)), hold_line(hold, now))),
        (None, None) => {}
    }
}

/// Seconds until something can be due.
fn pause(pass: &Pass, args: &RunArgs, now: jiff::Timestamp) -> u64 {
    let busy = pass.apps.iter().any(|app| app.phase != "Healthy" && (app.error.is_none() || app.hold.is_some()));
    let next = pass.apps.iter().filter_map(|app| app.next_check_at).min();
    let until = next.map(|next| u64::try_from(next.as_second() - now.as_second()).unwrap_or(0).max(1));
    let most = if busy { BUSY } else { args.interval };
    until.map_or(most, |until| until.min(most)).max(1)
}

/// Waits, but not past a request to end, nor past a change of what is kept in view.
fn sleep(around: Option<&dyn Surroundings>, stop: &Arc<AtomicBool>, seconds: u64) {
    for tenth in 0..seconds.saturating_mul(10) {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let tick = Duration::from_millis(100);
        match around {
            // Changes come in swarms: the first moments gather them, so that not each of them costs a pass.
            Some(around) if tenth >= GATHERS => {
                if around.wait(tick) {
                    return;
                }
            }
            _ => std::thread::sleep(tick),
        }
    }
}
