//! The windlass program as a child.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::servers::tail;

/// Ended when dropped; its output is in a file.
pub(crate) struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `windlass ARGS…` with nothing of this process' environment but what is given, and `PATH` and `HOME` where they are not.
    pub(crate) fn start<'a>(folder: &Path, args: &[&str], env: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let log = folder.join("windlass.txt");
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.args(args).env_clear().env("HOME", folder).env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(env);
        command.current_dir(folder).stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Self { child: command.spawn().unwrap(), log }
    }

    /// All output of all programs that were started in this folder so far.
    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end; fails the test when it takes too long.
    pub(crate) fn wait(&mut self, longest: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < longest, "windlass still runs after {longest:?}:\n{}", tail(&self.log, 40));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it without a chance to clean up, as a crash does.
    pub(crate) fn crash(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.crash();
        if std::thread::panicking() {
            eprintln!("--- windlass\n{}", tail(&self.log, 60));
        }
    }
}

#[test]
fn a_program_ends_by_itself_or_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path(), &["--version"], [("NO_COLOR", "1")]);
    assert!(program.wait(Duration::from_secs(20)).success(), "{}", program.output());
    program.crash();
}
