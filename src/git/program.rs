//! The `git` program, for ssh and for folders with hooks. It sees no configuration but the one given here, asks nothing,
//! runs no hook of ours, and speaks only the protocols named.

use super::GitError;
use super::network::WHOLE;
use super::secret::Scrub;
use super::ssh::{self, Ssh};
use super::wire::{Update, declined};
use crate::failpoint::point;
use git2::Repository;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

/// The program with its settings.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) git: PathBuf,
    pub(super) ssh: Ssh,
    /// The longest silence.
    pub(super) timeout: Duration,
    pub(super) scrub: Scrub,
}

/// What of our own environment the program gets: what it takes to find programs, keys and temporary folders.
const PASSED_ON: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "TMPDIR", "SYSTEMROOT", "USERPROFILE", "TEMP"];

/// What the program said (bytes of each stream that are kept at most).
const KEPT: usize = 16 << 20;

pub(super) struct Said {
    pub(super) success: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

enum Message {
    /// Something was printed.
    Alive,
    /// The end of a stream (0: stdout, 1: stderr), and all of it.
    End(usize, Vec<u8>),
    /// It has taken too long altogether.
    Late,
}

impl Program {
    /// Runs git until it ends, or ends it and its children when it is silent for too long.
    pub(super) fn run(&self, address: &str, repo: Option<&Path>, arguments: &[&str]) -> Result<Said, GitError> {
        let mut command = Command::new(&self.git);
        command.env_clear().envs(std::env::vars_os().filter(|(name, _)| PASSED_ON.iter().any(|passed| name == passed)));
        for (name, value) in [
            ("LC_ALL", "C"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_SYSTEM", null_device()),
            ("GIT_CONFIG_GLOBAL", null_device()),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_SSH_VARIANT", "ssh"),
        ] {
            command.env(name, value);
        }
        command.env("GIT_SSH_COMMAND", self.ssh.command());
        for setting in [
            &format!("core.hooksPath={}", null_device()),
            "core.fsmonitor=false",
            "credential.helper=",
            "submodule.recurse=false",
            // What is fetched stays a pack: only then does git tell its progress, which shows that the server is alive.
            "fetch.unpackLimit=1",
            "gc.auto=0",
            "maintenance.auto=false",
            "protocol.allow=never",
            "protocol.ssh.allow=always",
            "protocol.file.allow=always",
        ] {
            command.arg("-c").arg(setting);
        }
        if let Some(repo) = repo {
            command.arg("--git-dir").arg(repo);
        }
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|error| GitError::Refused {
            address: address.into(),
            cause: format!("the git program cannot be started: {error}"),
            hint: Some("ssh remotes and folders with hooks need the git program (2.30 or newer)".into()),
        })?;
        point("program-started");
        let result = self.attend(address, &mut child);
        if result.is_err() {
            end(&mut child);
        }
        result
    }

    fn attend(&self, address: &str, child: &mut Child) -> Result<Said, GitError> {
        let unreachable = |cause: String| GitError::Unreachable { address: address.into(), cause };
        let (send, receive) = mpsc::channel();
        let (_running, stopped) = mpsc::channel::<()>();
        let (whole, timer) = (self.timeout.saturating_mul(WHOLE), send.clone());
        // Ends with this function, as `_running` does.
        std::thread::spawn(move || {
            if stopped.recv_timeout(whole) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = timer.send(Message::Late);
            }
        });
        if let Some(stdout) = child.stdout.take() {
            read(0, stdout, send.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            read(1, stderr, send);
        }
        let mut streams = [None, None];
        while streams.iter().any(Option::is_none) {
            match receive.recv_timeout(self.timeout) {
                Ok(Message::Alive) => {}
                Ok(Message::End(0, bytes)) => streams[0] = Some(bytes),
                Ok(Message::End(_, bytes)) => streams[1] = Some(bytes),
                Ok(Message::Late) => return Err(unreachable(format!("not done within {} s", whole.as_secs()))),
                Err(_) => return Err(unreachable(format!("no answer within {} s", self.timeout.as_secs_f64()))),
            }
        }
        let status = child.wait().map_err(|error| unreachable(error.to_string()))?;
        let [stdout, stderr] = streams.map(|bytes| String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned());
        Ok(Said { success: status.success(), stdout, stderr })
    }

    /// Pushes by compare-and-swap: `--force-with-lease` with the exact old id, of which the caller knows that the new
    /// commit descends from it. Nothing is ever forced over another commit.
    pub(super) fn push(&self, mirror: &Repository, address: &str, update: &Update<'_>) -> Result<(), GitError> {
        let old = update.old.map(|old| old.to_string()).unwrap_or_default();
        let lease = format!("--force-with-lease={}:{old}", update.name);
        let refspec = format!("{}:{}", update.new, update.name);
        let said =
            self.run(address, Some(mirror.path()), &["push", "--porcelain", "--no-verify", &lease, "--", address, &refspec])?;
        if said.success {
            return Ok(());
        }
        let refusal = said.stdout.lines().find_map(|line| {
            let line = line.strip_prefix("!\t")?;
            line.rsplit('\t').next()
        });
        match refusal {
            Some(reason) => {
                let remote: Vec<&str> =
                    said.stderr.lines().filter_map(|line| line.strip_prefix("remote: ")).map(str::trim).collect();
                Err(declined(address, &self.scrub.text(reason), &self.scrub.text(&remote.join("\n"))))
            }
            None => Err(ssh::failed(self, address, Some(mirror.path()), &said.stderr)),
        }
    }
}

/// Reads a stream to its end. Beyond the limit bytes are dropped, so that the program does not wait for us.
fn read(index: usize, mut from: impl Read + Send + 'static, to: Sender<Message>) {
    std::thread::spawn(move || {
        let (mut bytes, mut part) = (Vec::new(), [0; 16 << 10]);
        while let Ok(count) = from.read(&mut part) {
            let Some(read) = part.get(..count).filter(|read| !read.is_empty()) else { break };
            if bytes.len() < KEPT {
                bytes.extend_from_slice(read);
            }
            let _ = to.send(Message::Alive);
        }
        let _ = to.send(Message::End(index, bytes));
    });
}

/// Ends the program and what it has started: ssh would hold the connection for as long as the server likes.
fn end(child: &mut Child) {
    #[cfg(unix)]
    let _ = rustix::process::kill_process_group(rustix::process::Pid::from_child(child), rustix::process::Signal::KILL);
    let _ = child.kill();
    let _ = child.wait();
}

fn null_device() -> &'static str {
    if cfg!(windows) { "NUL" } else { "/dev/null" }
}
