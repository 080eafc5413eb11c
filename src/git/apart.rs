//! The live branch in another repository than the source: two remotes, each with a mirror of its own.

use super::options::Options;
use super::store::{Part, Store};
use super::{Change, CommitInfo, Entry, GitError, Heads, NewCommit, Oid, Push, Repo, name_of};

/// A source, which is only ever read, and the repository with the live branch.
pub struct Apart {
    source: Store,
    live: Store,
    /// By what name the live branch remembers its source.
    name: Option<String>,
}

impl Apart {
    /// Opens or makes both mirrors; no remote is asked anything yet. Of `source` the live branch counts nothing, and of `live` the
    /// source branch. `remote`: the address that everybody knows the source by, where `source` is a clone of it that is only looked
    /// at.
    ///
    /// # Errors
    /// Those of [`Store::open`], for either.
    pub fn open(source: Options, live: Options, remote: Option<&str>) -> Result<Self, GitError> {
        let name = name_of(remote.unwrap_or(source.address.reveal()));
        let live = Options { source: None, ..live };
        Ok(Self {
            source: Store::open_part(source, Part::Source)?,
            live: Store::open_part(live, Part::Live).map_err(of_live)?,
            name,
        })
    }

    /// Reads from the mirror that holds `id`. Who has a commit or a tree has all that is in it. An object that neither mirror holds
    /// may have been lost by either.
    fn read<T>(&self, id: Oid, read: impl Fn(&Store) -> Result<T, GitError>) -> Result<T, GitError> {
        if self.live.has(id) {
            return read(&self.live);
        }
        if self.source.has(id) || self.source.finds(id) {
            return read(&self.source);
        }
        read(&self.live).map_err(|error| match error {
            GitError::Mirror { .. } => self.source.unreadable(error),
            error => error,
        })
    }
}

/// Credentials for the live branch's repository have names of their own.
fn of_live(error: GitError) -> GitError {
    match error {
        GitError::Refused { address, cause, hint } => {
            let own = |hint: String| {
                hint.replace("WINDLASS_TOKEN", "WINDLASS_LIVE_TOKEN").replace("WINDLASS_SSH_KEY", "WINDLASS_LIVE_SSH_KEY")
            };
            GitError::Refused { address, cause, hint: hint.map(own) }
        }
        error => error,
    }
}

impl Repo for Apart {
    /// The live branch is asked first: whatever it was made from, the source that is read after it is no older. The other way round,
    /// a commit that somebody made of a newer source in between would look like a step back. What comes onto the live branch
    /// after it was asked makes the push fail.
    fn fetch(&mut self) -> Result<Heads, GitError> {
        let live = self.live.fetch_part().map_err(of_live)?;
        let source = self.source.fetch()?.source;
        if live.live == Some(source) {
            return Err(GitError::Refused {
                address: self.live_address(),
                cause: format!(
                    "its branch `{}` stands at the source's own commit {}: it is the source branch, or a copy of it",
                    self.live_branch(),
                    source.to_string().get(..10).unwrap_or_default()
                ),
                hint: Some("name a live branch that is not there yet, or one that Windlass has made".into()),
            });
        }
        // Only now: that the branch was rewritten must not be lost because the source could not be reached.
        self.live.told(live.live)?;
        Ok(Heads { source, live: live.live, rewritten: live.rewritten })
    }

    fn entry(&self, commit: Oid, path: &str) -> Result<Option<Entry>, GitError> {
        self.read(commit, |store| store.entry(commit, path))
    }

    fn list(&self, tree: Oid) -> Result<Vec<Entry>, GitError> {
        self.read(tree, |store| store.list(tree))
    }

    fn blob(&self, id: Oid, limit: usize) -> Result<Vec<u8>, GitError> {
        self.read(id, |store| store.blob(id, limit))
    }

    fn commit(&self, id: Oid) -> Result<CommitInfo, GitError> {
        self.read(id, |store| store.commit(id))
    }

    fn write(&mut self, parent: Option<Oid>, commit: &NewCommit) -> Result<Oid, GitError> {
        self.live.write(parent, commit)
    }

    fn tree_of(&mut self, parent: Option<Oid>, changes: &[Change]) -> Result<Oid, GitError> {
        self.live.tree_of(parent, changes)
    }

    fn entry_in(&self, tree: Oid, path: &str) -> Result<Option<Entry>, GitError> {
        self.read(tree, |store| store.entry_in(tree, path))
    }

    fn push(&mut self, old: Option<Oid>, new: Oid) -> Result<Push, GitError> {
        self.live.push(old, new).map_err(of_live)
    }

    fn may_push(&mut self) -> Result<(), GitError> {
        self.live.may_push().map_err(of_live)
    }

    fn resolve(&mut self, name: &str) -> Result<Option<Oid>, GitError> {
        self.source.resolve(name)
    }

    fn live_branch(&self) -> String {
        self.live.live_branch()
    }

    fn set_live_branch(&mut self, name: &str) -> Result<(), GitError> {
        self.live.set_live_branch(name)
    }

    fn set_source_branch(&mut self, name: &str) -> Result<(), GitError> {
        self.source.set_source_branch(name)
    }

    fn source_branch(&self) -> Option<String> {
        self.source.source_branch()
    }

    fn same_branch(&self) -> bool {
        false
    }

    fn address(&self) -> String {
        self.source.address()
    }

    fn is_apart(&self) -> bool {
        true
    }

    fn live_address(&self) -> String {
        self.live.address()
    }

    fn resolve_live(&mut self, name: &str) -> Result<Option<Oid>, GitError> {
        self.live.resolve(name).map_err(of_live)
    }

    fn source_name(&self) -> Option<String> {
        self.name.clone()
    }
}
