//! The store over a repository on this machine: the objects go straight in, the branch moves by compare-and-swap.

use std::path::PathBuf;

use git2::{ErrorCode, Repository};

use super::{Change, CommitInfo, Entry, GitError, Heads, NewCommit, Oid, Push, Repo, objects};

/// Which repository, which branches.
#[derive(Debug, Clone, Default)]
pub struct StoreOptions {
    pub remote: String,
    /// `None`: the branch that the remote's HEAD names.
    pub source_branch: Option<String>,
    pub live_branch: String,
    pub cache: Option<PathBuf>,
}

impl StoreOptions {
    pub fn from_environment(remote: String) -> Self {
        Self { remote, ..Self::default() }
    }
}

pub struct Store {
    repo: Repository,
    address: String,
    source_branch: Option<String>,
    live_branch: String,
    seen: Option<Oid>,
}

impl Store {
    pub fn open(options: StoreOptions) -> Result<Self, GitError> {
        let address = options.remote.clone();
        let path = address.strip_prefix("file://").unwrap_or(&address);
        let refused = |cause: String| GitError::Refused { address: address.clone(), cause, hint: None };
        if path.contains("://") {
            return Err(refused("only repositories on this machine can be opened so far".to_owned()));
        }
        let repo = Repository::open(path).map_err(|error| refused(error.message().to_owned()))?;
        Ok(Self {
            repo,
            address: options.remote,
            source_branch: options.source_branch,
            live_branch: options.live_branch,
            seen: None,
        })
    }

    fn head_of(&self, branch: &str) -> Option<Oid> {
        [format!("refs/heads/{branch}"), format!("refs/remotes/origin/{branch}")]
            .iter()
            .find_map(|name| self.repo.refname_to_id(name).ok())
    }

    fn source_name(&self) -> Option<String> {
        self.source_branch.clone().or_else(|| {
            let head = self.repo.find_reference("HEAD").ok()?;
            head.symbolic_target().ok().flatten()?.strip_prefix("refs/heads/").map(str::to_owned)
        })
    }

    fn refused(&self, cause: impl Into<String>, hint: Option<&str>) -> GitError {
        GitError::Refused { address: self.address.clone(), cause: cause.into(), hint: hint.map(str::to_owned) }
    }
}

impl Repo for Store {
    fn fetch(&mut self) -> Result<Heads, GitError> {
        let name = self
            .source_name()
            .ok_or_else(|| self.refused("HEAD names no branch", Some("give the branch with `--source-branch`")))?;
        let source = self.head_of(&name).ok_or_else(|| {
            self.refused(format!("there is no branch `{name}`"), Some("give the branch with the sources with `--source-branch`"))
        })?;
        let live = self.head_of(&self.live_branch);
        let gone = |seen: Oid| live.is_none_or(|live| live != seen && !self.repo.graph_descendant_of(live, seen).unwrap_or(true));
        let rewritten = self.seen.is_some_and(gone);
        self.seen = live;
        Ok(Heads { source, live, rewritten })
    }

    fn entry(&self, commit: Oid, path: &str) -> Result<Option<Entry>, GitError> {
        objects::entry(&self.repo, commit, path)
    }

    fn list(&self, tree: Oid) -> Result<Vec<Entry>, GitError> {
        objects::list(&self.repo, tree)
    }

    fn blob(&self, id: Oid, limit: usize) -> Result<Vec<u8>, GitError> {
        objects::blob(&self.repo, id, limit)
    }

    fn commit(&self, id: Oid) -> Result<CommitInfo, GitError> {
        objects::commit(&self.repo, id)
    }

    fn write(&mut self, parent: Option<Oid>, commit: &NewCommit) -> Result<Oid, GitError> {
        objects::write_commit(&self.repo, parent, commit)
    }

    fn tree_of(&mut self, parent: Option<Oid>, changes: &[Change]) -> Result<Oid, GitError> {
        objects::tree_of(&self.repo, parent, changes)
    }

    fn entry_in(&self, tree: Oid, path: &str) -> Result<Option<Entry>, GitError> {
        objects::entry_in(&self.repo, tree, path)
    }

    fn push(&mut self, old: Option<Oid>, new: Oid) -> Result<Push, GitError> {
        let name = format!("refs/heads/{}", self.live_branch);
        if !self.repo.is_bare()
            && self.repo.find_reference("HEAD").is_ok_and(|head| head.symbolic_target().ok().flatten() == Some(&name))
        {
            return Err(
                self.refused("the live branch is checked out here", Some("check out another branch, or use a bare repository"))
            );
        }
        let present = self.repo.refname_to_id(&name).ok();
        let moved = match (present, old) {
            (None, _) => self.repo.reference(&name, new, false, "windlass").map(|_| ()),
            (Some(present), Some(old)) if present == old => {
                self.repo.reference_matching(&name, new, true, old, "windlass").map(|_| ())
            }
            (Some(_), _) => return Ok(Push::Moved),
        };
        match moved {
            Ok(()) => {
                self.seen = Some(new);
                Ok(Push::Done)
            }
            Err(error) if matches!(error.code(), ErrorCode::Modified | ErrorCode::Exists | ErrorCode::Locked) => Ok(Push::Moved),
            Err(error) => Err(self.refused(error.message().to_owned(), None)),
        }
    }

    fn resolve(&self, name: &str) -> Result<Option<Oid>, GitError> {
        let remote = format!("refs/remotes/origin/{name}");
        let found = [name, &remote].iter().find_map(|name| self.repo.revparse_single(name).ok()?.peel_to_commit().ok());
        Ok(found.map(|commit| commit.id()))
    }

    fn live_branch(&self) -> String {
        self.live_branch.clone()
    }

    fn set_live_branch(&mut self, name: &str) -> Result<(), GitError> {
        self.live_branch = name.to_owned();
        self.seen = None;
        Ok(())
    }

    fn same_branch(&self) -> bool {
        self.source_name().as_deref() == Some(&self.live_branch)
    }

    fn address(&self) -> String {
        self.address.clone()
    }
}
