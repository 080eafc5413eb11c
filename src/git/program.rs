//! The `git` program, for ssh and for folders with hooks. It sees no configuration but the one given here, asks nothing,
//! runs no hook of ours, and speaks only the protocols named.

use super::secret::Scrub;
use super::wire::{Advertised, Fetch, Update, Wire, declined};
use super::{GitError, Oid};
use git2::Repository;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How ssh is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// The program; `ssh` is looked up in `PATH`.
    pub program: String,
    /// A private key's file; `None`: what the agent and ssh's own configuration offer.
    pub key: Option<PathBuf>,
    /// The file of host keys to believe; `None`: the user's own. An unknown host is always refused.
    pub known_hosts: Option<PathBuf>,
}

impl Default for Ssh {
    fn default() -> Self {
        Self { program: "ssh".into(), key: None, known_hosts: None }
    }
}

/// The program with its settings.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) git: PathBuf,
    pub(super) ssh: Ssh,
    pub(super) timeout: Duration,
    pub(super) scrub: Scrub,
}

/// What of our own environment the program gets: what it takes to find programs, keys and temporary folders.
const PASSED_ON: [&str; 9] = ["PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "TMPDIR", "SYSTEMROOT", "USERPROFILE", "TEMP"];

/// What the program said (bytes of each stream that are kept at most).
const KEPT: u64 = 16 << 20;

struct Said {
    success: bool,
    stdout: String,
    stderr: String,
}

impl Program {
    fn run(&self, address: &str, repo: Option<&Path>, arguments: &[&str]) -> Result<Said, GitError> {
        let unreachable = |cause: String| GitError::Unreachable { address: address.into(), cause };
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
        command.env("GIT_SSH_COMMAND", self.ssh_command());
        for setting in [
            &format!("core.hooksPath={}", null_device()),
            "core.fsmonitor=false",
            "credential.helper=",
            "submodule.recurse=false",
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
        let mut child = command.spawn().map_err(|error| GitError::Refused {
            address: address.into(),
            cause: format!("the git program cannot be started: {error}"),
            hint: Some("ssh remotes and folders with hooks need the git program (2.30 or newer)".into()),
        })?;
        let (send, receive) = mpsc::channel();
        let readers = [
            child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
            child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        ];
        for (index, pipe) in readers.into_iter().enumerate() {
            let Some(mut pipe) = pipe else { continue };
            let send = send.clone();
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = pipe.by_ref().take(KEPT).read_to_end(&mut bytes);
                // What is beyond the limit is read and dropped, so that the program does not wait for us.
                let _ = std::io::copy(&mut pipe, &mut std::io::sink());
                let _ = send.send((index, bytes));
            });
        }
        let mut streams = [Vec::new(), Vec::new()];
        for _ in 0..2 {
            match receive.recv_timeout(self.timeout) {
                Ok((0, bytes)) => streams[0] = bytes,
                Ok((_, bytes)) => streams[1] = bytes,
                Err(_) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(unreachable(format!("no answer within {} s", self.timeout.as_secs())));
                }
            }
        }
        let status = child.wait().map_err(|error| unreachable(error.to_string()))?;
        let [stdout, stderr] = streams.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Said { success: status.success(), stdout, stderr })
    }

    fn ssh_command(&self) -> String {
        let mut command = quoted(&self.ssh.program);
        command.push_str(" -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=10 -o ServerAliveInterval=15");
        if let Some(key) = &self.ssh.key {
            command.push_str(&format!(" -o IdentitiesOnly=yes -i {}", quoted(&key.display().to_string())));
        }
        if let Some(file) = &self.ssh.known_hosts {
            command.push_str(&format!(" -o {}", quoted(&format!("UserKnownHostsFile={}", file.display()))));
        }
        command
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
            None => Err(self.failed(address, &said.stderr)),
        }
    }

    /// What a failed call means: whether trying again can help is read from ssh's and git's own words.
    fn failed(&self, address: &str, stderr: &str) -> GitError {
        let cause = self.scrub.text(stderr);
        let lower = cause.to_lowercase();
        let final_hint = if lower.contains("host key verification failed") {
            Some("add the host's key to the known_hosts file, after comparing it with what the host's owner publishes")
        } else if lower.contains("permission denied") || lower.contains("publickey") {
            Some("check the ssh key and that it may read and write this repository")
        } else if lower.contains("not found") && lower.contains("repositor")
            || lower.contains("does not appear to be a git repository")
        {
            Some("check the address, and that the key may read this repository")
        } else if lower.contains("dubious ownership") {
            Some("the folder must belong to the user that runs Windlass")
        } else {
            None
        };
        match final_hint {
            Some(hint) => GitError::Refused { address: address.into(), cause, hint: Some(hint.into()) },
            None => GitError::Unreachable { address: address.into(), cause },
        }
    }
}

/// A remote that is reached by ssh.
pub(super) struct Secure {
    pub(super) program: Program,
    pub(super) address: String,
}

impl Wire for Secure {
    fn list(&mut self, names: &[&str]) -> Result<Advertised, GitError> {
        let arguments = [&["ls-remote", "--symref", "--", &self.address, "HEAD"], names].concat();
        let said = self.program.run(&self.address, None, &arguments)?;
        if !said.success {
            return Err(self.program.failed(&self.address, &said.stderr));
        }
        let mut advertised = Advertised::default();
        for line in said.stdout.lines() {
            match line.split_once('\t') {
                Some((target, "HEAD")) if target.starts_with("ref: ") => {
                    advertised.head = target.strip_prefix("ref: ").map(str::to_owned);
                }
                Some((id, name)) => {
                    if let Ok(id) = id.parse() {
                        advertised.refs.insert(name.to_owned(), id);
                    }
                }
                None => {}
            }
        }
        if let (Some(head), Some(id)) = (&advertised.head, advertised.refs.get("HEAD").copied()) {
            advertised.refs.insert(head.clone(), id);
        }
        Ok(advertised)
    }

    fn fetch(&mut self, mirror: &Repository, request: &Fetch<'_>) -> Result<Oid, GitError> {
        let incoming = format!("refs/windlass/incoming/{}", request.name);
        // The leading + is about our own note of the branch, not about the remote.
        let refspec = format!("+{}:{incoming}", request.name);
        let depth = request.depth.map(|depth| format!("--depth={depth}"));
        let mut arguments = vec!["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"];
        arguments.extend(depth.as_deref());
        arguments.extend(["--", &self.address, &refspec]);
        let said = self.program.run(&self.address, Some(mirror.path()), &arguments)?;
        if !said.success {
            return Err(self.program.failed(&self.address, &said.stderr));
        }
        mirror
            .refname_to_id(&incoming)
            .map_err(|error| GitError::Mirror { path: mirror.path().display().to_string(), cause: error.message().to_owned() })
    }

    fn may_push(&mut self, mirror: &Repository, name: &str, at: Option<Oid>) -> Result<(), GitError> {
        let Some(at) = at else {
            let cause = "there is no commit yet that a push could be tried with".to_owned();
            return Err(GitError::Unreachable { address: self.address.clone(), cause });
        };
        // The receiving side introduces itself, and nothing is sent to it.
        let refspec = format!("{at}:{name}");
        let arguments = ["push", "--dry-run", "--porcelain", "--no-verify", "--", &self.address, &refspec];
        let said = self.program.run(&self.address, Some(mirror.path()), &arguments)?;
        if said.success { Ok(()) } else { Err(self.program.failed(&self.address, &said.stderr)) }
    }

    fn push(&mut self, mirror: &Repository, update: &Update<'_>) -> Result<(), GitError> {
        self.program.push(mirror, &self.address, update)
    }
}

fn null_device() -> &'static str {
    if cfg!(windows) { "NUL" } else { "/dev/null" }
}

/// For the shell that `git` hands `GIT_SSH_COMMAND` to.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
