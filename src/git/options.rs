//! What it takes to open a store.

use super::GitError;
use super::network::Network;
use super::path::shown;
use super::secret::{Credentials, Secret};
use super::ssh::Ssh;
use std::path::PathBuf;

/// Which repository, and how it is reached.
#[derive(Debug, Clone)]
pub struct Options {
    /// `https://…`, `http://…`, `ssh://…`, `user@host:path`, `file:///…` or a folder. Credentials in it are taken out.
    pub address: Secret,
    /// The folder below which mirrors are kept; `None`: a temporary one.
    pub cache: Option<PathBuf>,
    /// The branch that people write; `None`: the one that the remote's HEAD names.
    pub source: Option<String>,
    /// The branch that we write.
    pub live: String,
    /// For http(s). They win over those in the address.
    pub credentials: Option<Credentials>,
    pub network: Network,
    pub ssh: Ssh,
    /// The `git` program, for ssh and for folders with hooks.
    pub git: PathBuf,
}

impl Options {
    pub fn new(address: impl Into<String>, live: impl Into<String>) -> Self {
        Self {
            address: Secret::new(address),
            cache: None,
            source: None,
            live: live.into(),
            credentials: None,
            network: Network::default(),
            ssh: Ssh::default(),
            git: PathBuf::from("git"),
        }
    }
}

/// Whether this can be a branch's short name: Git's own rules, and nothing that a program could take for an option.
pub(super) fn is_branch(name: &str) -> bool {
    !name.starts_with('-')
        && !name.starts_with("refs/")
        && name != "HEAD"
        && name.len() < 200
        && git2::Reference::is_valid_name(&format!("refs/heads/{name}"))
}

/// A branch's full name, checked.
pub(super) fn branch(address: &str, name: &str) -> Result<String, GitError> {
    let full = format!("refs/heads/{name}");
    if is_branch(name) {
        return Ok(full);
    }
    Err(GitError::Refused {
        address: address.into(),
        cause: format!("{} is no name for a branch", shown(name)),
        hint: Some("give the branch's short name, such as main".into()),
    })
}
