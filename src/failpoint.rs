//! Named places at every effect of the program where tests kill or stop it. Only builds with debug assertions have them: in a
//! release build `point` is nothing, and the variable is never read.
//!
//! `WINDLASS_FAILPOINT` says what happens:
//! - `record:FILE`: each place that is reached adds its name to the file, one a line;
//! - `kill:NAME:N`: at the N-th time that NAME is reached, the process ends by SIGKILL;
//! - `stop:NAME:N`: it stops there by SIGSTOP, until somebody sends SIGCONT.

#[cfg(debug_assertions)]
pub(crate) use on::point;

/// A place where a debug build can be made to end.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn point(_name: &'static str) {}

#[cfg(debug_assertions)]
mod on {
    use std::collections::HashMap;
    use std::io::Write as _;
    use std::sync::{Mutex, OnceLock, PoisonError};

    use rustix::process::{Signal, getpid, kill_process};

    enum Plan {
        Nothing,
        Record(std::path::PathBuf),
        Signal { signal: Signal, name: String, nth: u32 },
    }

    static PLAN: OnceLock<Plan> = OnceLock::new();
    static COUNTS: Mutex<Option<HashMap<&'static str, u32>>> = Mutex::new(None);

    /// A place where a debug build can be made to end.
    pub(crate) fn point(name: &'static str) {
        match PLAN.get_or_init(plan) {
            Plan::Nothing => {}
            Plan::Record(path) => {
                // One write of a short line: lines of several threads do not mix.
                let file = std::fs::File::options().create(true).append(true).open(path);
                let _ = file.and_then(|mut file| file.write_all(format!("{name}\n").as_bytes()));
            }
            Plan::Signal { signal, name: wanted, nth } if wanted == name => {
                let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
                let count = counts.get_or_insert_default().entry(name).or_default();
                *count += 1;
                if *count == *nth {
                    let _ = kill_process(getpid(), *signal);
                }
            }
            Plan::Signal { .. } => {}
        }
    }

    #[expect(clippy::disallowed_methods, reason = "tests reach every room through this one variable; no release build has it")]
    fn plan() -> Plan {
        let Ok(text) = std::env::var("WINDLASS_FAILPOINT") else { return Plan::Nothing };
        if let Some(path) = text.strip_prefix("record:") {
            return Plan::Record(path.into());
        }
        let mut parts = text.split(':');
        let signal = match parts.next() {
            Some("kill") => Signal::KILL,
            Some("stop") => Signal::STOP,
            _ => return Plan::Nothing,
        };
        match (parts.next(), parts.next().and_then(|nth| nth.parse().ok())) {
            (Some(name), Some(nth)) => Plan::Signal { signal, name: name.to_owned(), nth },
            _ => Plan::Nothing,
        }
    }
}
