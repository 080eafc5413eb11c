//! Runs an external renderer: no environment, no network where the system allows that, little time, little output,
//! limited memory.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// What a program printed.
pub(super) struct Output {
    pub(super) success: bool,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

/// One run.
pub(super) struct Run<'a> {
    pub(super) program: &'a Path,
    pub(super) arguments: &'a [OsString],
    /// The folder to run in; also its home.
    pub(super) folder: &'a Path,
    pub(super) timeout: Duration,
    /// Bytes on stdout.
    pub(super) output: usize,
    /// Bytes of memory, for each of its processes.
    pub(super) memory: u64,
}

/// Messages of a program are cut to this many bytes.
const LONGEST_MESSAGE: usize = 16 << 10;

/// The program's path: as it is where it has a folder in it, else looked up in `PATH`.
pub(super) fn find(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return program.is_file().then(|| std::path::absolute(program).ok()).flatten();
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

impl Run<'_> {
    /// Waits for the end of the program, or ends it and all its children. An error is a cause in words.
    pub(super) fn run(&self) -> Result<Output, String> {
        let mut child = self.command().spawn().map_err(|error| format!("cannot be started: {error}"))?;
        limit_memory(&child, self.memory);
        let result = self.attend(&mut child);
        if result.is_err() {
            end(&mut child);
        }
        result
    }

    fn command(&self) -> Command {
        let mut command = if can_unshare() {
            let mut command = Command::new("unshare");
            command.args(UNSHARE).arg("--").arg(self.program);
            command
        } else {
            Command::new(self.program)
        };
        command.args(self.arguments).current_dir(self.folder).env_clear();
        // PATH stays, since the program may be a script. What it could still reach the network with is led nowhere.
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        for home in ["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "TMPDIR"] {
            command.env(home, self.folder);
        }
        for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env(proxy, "http://127.0.0.1:9");
        }
        command.env("GIT_ALLOW_PROTOCOL", "none").env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_NOSYSTEM", "1");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
    }

    fn attend(&self, child: &mut Child) -> Result<Output, String> {
        let (sender, receiver) = mpsc::channel();
        let (_running, stopped) = mpsc::channel::<()>();
        let (timeout, timer) = (self.timeout, sender.clone());
        // Ends with this function, as `_running` does.
        thread::spawn(move || {
            if stopped.recv_timeout(timeout) == Err(RecvTimeoutError::Timeout) {
                let _ = timer.send(Message::Timeout);
            }
        });
        if let Some(stdout) = child.stdout.take() {
            read(stdout, self.output, sender.clone(), Message::Stdout);
        }
        if let Some(stderr) = child.stderr.take() {
            read(stderr, usize::MAX, sender, Message::Stderr);
        }
        let (mut stdout, mut stderr) = (None, None);
        loop {
            match receiver.recv_timeout(Duration::from_millis(5)) {
                Ok(Message::Stdout(Some(bytes))) => stdout = Some(bytes),
                Ok(Message::Stdout(None)) => return Err(format!("it printed more than {} bytes", self.output)),
                Ok(Message::Stderr(bytes)) => stderr = bytes,
                Ok(Message::Timeout) => {
                    return Err(format!("it took longer than {} s and was ended", self.timeout.as_secs_f64()));
                }
                Err(_) => {}
            }
            if stdout.is_some() && stderr.is_some() {
                let status = child.try_wait().map_err(|error| format!("its end could not be awaited: {error}"))?;
                if let (Some(status), Some(stdout), Some(stderr)) = (status, stdout.as_mut(), stderr.as_ref()) {
                    return Ok(Output {
                        success: status.success(),
                        stdout: std::mem::take(stdout),
                        stderr: String::from_utf8_lossy(stderr).trim().to_owned(),
                    });
                }
            }
        }
    }
}

enum Message {
    /// All of it, or `None` where it was too much.
    Stdout(Option<Vec<u8>>),
    Stderr(Option<Vec<u8>>),
    Timeout,
}

/// Reads to the end, at most `limit` bytes; of a message only the beginning is kept, and the rest is read all the same.
fn read(from: impl Read + Send + 'static, limit: usize, to: Sender<Message>, message: fn(Option<Vec<u8>>) -> Message) {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let keep = if limit == usize::MAX { LONGEST_MESSAGE } else { limit.saturating_add(1) };
        let mut from = from.take(u64::MAX);
        let mut part = [0u8; 16 << 10];
        while let Ok(count) = from.read(&mut part) {
            let Some(read) = part.get(..count).filter(|read| !read.is_empty()) else { break };
            let free = keep - bytes.len();
            bytes.extend(read.iter().take(free));
            if bytes.len() > limit {
                let _ = to.send(message(None));
                return;
            }
        }
        let _ = to.send(message(Some(bytes)));
    });
}

/// A template can ask for any amount of memory. A system that cannot limit it has the limit of time.
fn limit_memory(child: &Child, bytes: u64) {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
        let _ = prlimit(Some(Pid::from_child(child)), Resource::Data, limit);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (child, bytes);
}

/// Ends the program and everything that it started.
fn end(child: &mut Child) {
    #[cfg(unix)]
    let _ = rustix::process::kill_process_group(rustix::process::Pid::from_child(child), rustix::process::Signal::KILL);
    let _ = child.kill();
    let _ = child.wait();
}

const UNSHARE: [&str; 2] = ["--net", "--map-root-user"];

/// Whether this system lets us start a program without network.
fn can_unshare() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let mut command = Command::new("unshare");
        command.args(UNSHARE).args(["--", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        cfg!(target_os = "linux") && command.status().is_ok_and(|status| status.success())
    })
}
