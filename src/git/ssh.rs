//! A remote that is reached by ssh: the `git` program with the `ssh` program, and what their words mean.

use super::program::Program;
use super::wire::{Advertised, Fetch, Update, Wire};
use super::{GitError, Oid};
use git2::Repository;
use std::path::{Path, PathBuf};

/// How ssh is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// The program; `ssh` is looked up in `PATH`.
    pub program: String,
    /// A private key's file, which is then the only one offered; `None`: what the agent and ssh's own configuration offer.
    pub key: Option<PathBuf>,
    /// The file of host keys to believe, and no other; `None`: the user's and the machine's own. An unknown host is always
    /// refused.
    pub known_hosts: Option<PathBuf>,
}

impl Default for Ssh {
    fn default() -> Self {
        Self { program: "ssh".into(), key: None, known_hosts: None }
    }
}

/// Nobody is there to answer a question, no key is believed unseen, nothing of this machine is lent to the server, and a
/// connection that died is noticed. These win over the user's own configuration.
const ALWAYS: [&str; 9] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    "ConnectTimeout=15",
    "ServerAliveInterval=15",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
];

impl Ssh {
    /// The command for the shell that `git` hands it to.
    pub(super) fn command(&self) -> String {
        let mut options: Vec<String> = ALWAYS.iter().map(|option| (*option).to_owned()).collect();
        if let Some(key) = &self.key {
            options.push("IdentitiesOnly=yes".to_owned());
            options.push(format!("IdentityFile={}", file(key)));
        }
        if let Some(known) = &self.known_hosts {
            options.push(format!("UserKnownHostsFile={}", file(known)));
            options.push("GlobalKnownHostsFile=none".to_owned());
        }
        options.iter().fold(quoted(&self.program), |command, option| format!("{command} -o {}", quoted(option)))
    }

    /// ssh passes over files that are not there, and then says something else.
    pub(super) fn check(&self, address: &str) -> Result<(), GitError> {
        let files =
            [("the ssh key", "WINDLASS_SSH_KEY", &self.key), ("the known hosts", "WINDLASS_SSH_KNOWN_HOSTS", &self.known_hosts)];
        for (what, variable, path) in files {
            let Some(path) = path else { continue };
            std::fs::File::open(path).map_err(|error| GitError::Refused {
                address: address.into(),
                cause: format!("{what} in {} cannot be read: {error}", path.display()),
                hint: Some(format!("check the path ({variable})")),
            })?;
        }
        Ok(())
    }
}

/// A file's name as ssh's configuration takes it: `%` begins a placeholder there, and a space ends a name.
fn file(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What every failed call ends with; of use only where nothing else was said.
const BOILERPLATE: [&str; 3] = [
    "fatal: could not read from remote repository.",
    "please make sure you have the correct access rights",
    "and the repository exists.",
];

/// How a line of progress begins, after `remote: ` perhaps.
const PROGRESS: [&str; 9] = [
    "Enumerating objects:",
    "Counting objects:",
    "Compressing objects:",
    "Receiving objects:",
    "Resolving deltas:",
    "Unpacking objects:",
    "Writing objects:",
    "Total ",
    "Delta compression using ",
];

/// What a failed call means: whether trying again can help is read from ssh's and git's own words, which are kept where they
/// say more than we do.
pub(super) fn failed(program: &Program, address: &str, mirror: Option<&Path>, stderr: &str) -> GitError {
    let is_progress = |line: &str| {
        let line = line.strip_prefix("remote:").unwrap_or(line).trim_start();
        PROGRESS.iter().any(|title| line.starts_with(title))
    };
    let lines: Vec<&str> =
        stderr.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty() && !is_progress(line)).collect();
    let (boilerplate, telling): (Vec<&str>, Vec<&str>) =
        lines.iter().partition(|line| BOILERPLATE.contains(&line.to_lowercase().as_str()));
    let said = program.scrub.text(&if telling.is_empty() { boilerplate } else { telling }.join("\n"));
    let lower = said.to_lowercase();
    let has = |text: &str| lower.contains(text);
    let refused = |cause: String, hint: String| GitError::Refused { address: address.into(), cause, hint: Some(hint) };
    let (host, port) = host(address);
    let option = port.map(|port| format!("-p {port} ")).unwrap_or_default();
    let name = port.map_or_else(|| host.to_owned(), |port| format!("'[{host}]:{port}'"));

    if has("host identification has changed") || has("host key for") && has("has changed") {
        return refused(
            format!("{host} shows another key than the one in known_hosts: it was changed, or somebody stands in between"),
            format!(
                "ask the host's owner; if the key was changed, take the old one out with `ssh-keygen -R {name}` and add the new one"
            ),
        );
    }
    if has("host key verification failed") {
        return refused(
            format!("known_hosts holds no key of {host}, and an unknown host is not believed"),
            format!(
                "`ssh-keyscan {option}{host}` shows its keys: compare them (`ssh-keygen -lf -`) with what the host's owner publishes, and \
                 add them to known_hosts (~/.ssh/known_hosts, or the file in WINDLASS_SSH_KNOWN_HOSTS)"
            ),
        );
    }
    if has("unprotected private key file") || has("bad permissions") {
        return refused("ssh does not use a private key that others can read".into(), "`chmod 600` the key's file".into());
    }
    if has("permission denied (") {
        let offered = match &program.ssh.key {
            Some(key) => format!("the key {}", key.display()),
            None => "any of our keys".into(),
        };
        return refused(
            format!("the server does not take {offered}: {said}"),
            "give the key's public half to the server; name another key in WINDLASS_SSH_KEY, or add it to the agent (`ssh-add`), where a key \
             with a passphrase must be"
                .into(),
        );
    }
    if has("not found") && has("repositor")
        || has("does not appear to be a git repository")
        || has("permission to ") && has(" denied")
    {
        return refused(said, "check the address, and that the key may read and write this repository".into());
    }
    if has("upload-pack: command not found") || has("upload-pack: not found") {
        return refused(said, "the server has no git for this user".into());
    }
    if has("cannot run ") || has("unable to fork") {
        return refused(said, "an ssh remote needs the program ssh in PATH (package openssh-client)".into());
    }
    if has("dubious ownership") {
        return refused(said, "the folder must belong to the user that runs Windlass".into());
    }
    let here = |line: &&&str| {
        !line.starts_with("remote:") && (line.contains("No space left on device") || line.contains("Read-only file system"))
    };
    if let (Some(line), Some(mirror)) = (lines.iter().find(here), mirror) {
        return GitError::Mirror { path: mirror.display().to_string(), cause: program.scrub.text(line) };
    }
    GitError::Unreachable { address: address.into(), cause: said }
}

/// Host and port of an ssh address, for messages.
fn host(address: &str) -> (&str, Option<&str>) {
    let (authority, has_port) = match address.split_once("://") {
        Some((_, rest)) => (rest.split('/').next().unwrap_or_default(), true),
        None => (address.split(':').next().unwrap_or_default(), false),
    };
    let place = authority.rsplit('@').next().unwrap_or_default();
    match place.rsplit_once(':') {
        Some((host, port)) if has_port && !port.contains(']') => (host.trim_matches(['[', ']']), Some(port)),
        _ => (place.trim_matches(['[', ']']), None),
    }
}

pub(super) struct Secure {
    pub(super) program: Program,
    pub(super) address: String,
}

impl Wire for Secure {
    fn list(&mut self, names: &[&str]) -> Result<Advertised, GitError> {
        let arguments = [&["ls-remote", "--symref", "--", &self.address, "HEAD"], names].concat();
        let said = self.program.run(&self.address, None, &arguments)?;
        if !said.success {
            return Err(failed(&self.program, &self.address, None, &said.stderr));
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
        // A fetch that was killed leaves these behind, and git would then refuse for ever. The caller holds the mirror's lock.
        for left in ["shallow.lock".to_owned(), format!("{incoming}.lock")] {
            let _ = std::fs::remove_file(mirror.path().join(left));
        }
        // The leading + is about our own note of the branch, not about the remote.
        let refspec = format!("+{}:{incoming}", request.name);
        let depth = request.depth.map(|depth| format!("--depth={depth}"));
        let mut arguments = vec!["fetch", "--progress", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"];
        arguments.extend(depth.as_deref());
        arguments.extend(["--", &self.address, &refspec]);
        let said = self.program.run(&self.address, Some(mirror.path()), &arguments)?;
        if !said.success {
            return Err(failed(&self.program, &self.address, Some(mirror.path()), &said.stderr));
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
        if said.success { Ok(()) } else { Err(failed(&self.program, &self.address, Some(mirror.path()), &said.stderr)) }
    }

    fn push(&mut self, mirror: &Repository, update: &Update<'_>) -> Result<(), GitError> {
        self.program.push(mirror, &self.address, update)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_reach_ssh_as_they_are() {
        let ssh = Ssh { key: Some("/a b/it's 100%".into()), known_hosts: Some("/k h".into()), ..Ssh::default() };
        let command = ssh.command();
        assert!(command.starts_with("'ssh' -o 'BatchMode=yes' -o 'StrictHostKeyChecking=yes'"), "{command}");
        assert!(command.contains(r#"-o 'IdentityFile="/a b/it'\''s 100%%"'"#), "{command}");
        assert!(command.contains(r#"-o 'UserKnownHostsFile="/k h"' -o 'GlobalKnownHostsFile=none'"#), "{command}");
    }

    #[test]
    fn hosts_are_found_in_addresses() {
        for (address, expected) in [
            ("ssh://git@host:2222/x", ("host", Some("2222"))),
            ("ssh://host/x", ("host", None)),
            ("git@host:x/y:z", ("host", None)),
            ("ssh://git@[::1]:22/x", ("::1", Some("22"))),
            ("ssh://[::1]/x", ("::1", None)),
        ] {
            assert_eq!(host(address), expected, "{address}");
        }
    }
}
