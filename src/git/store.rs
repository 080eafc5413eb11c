//! The real repository: a remote and its mirror on this machine.

use super::address::Address;
use super::folder::Folder;
use super::history::is_ancestor;
use super::http::Http;
use super::mirror::Mirror;
use super::options::{Options, branch, is_branch};
use super::program::Program;
use super::secret::Scrub;
use super::smart::Smart;
use super::ssh::Secure;
use super::wire::{Advertised, Fetch, Update, Wire, is_locked};
use super::{Change, CommitInfo, Entry, GitError, Heads, NewCommit, Oid, Person, Push, Repo, tree_read, tree_write};
use crate::failpoint::point;
use git2::{Commit, ObjectType, OdbLookupFlags, Signature, Time};
use std::cell::Cell;
use std::time::Duration;

/// How much of the live branch's history a fresh mirror holds (commits). Of the source branch it holds the head.
const LIVE_DEPTH: u32 = 100;

/// How often a push is sent that finds the branch locked, with more and more time between: two seconds in all.
const LOCK_TRIES: u32 = 6;

/// Which of the two branches a repository has for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Both,
    Source,
    Live,
}

/// Where the branches stand that a repository has for us; see [`Heads`].
pub(super) struct Fetched {
    pub(super) source: Option<Oid>,
    pub(super) live: Option<Oid>,
    pub(super) rewritten: bool,
}

/// A repository behind its address. `Send`, so that it can be used on a thread for blocking work; one at a time.
pub struct Store {
    wire: Box<dyn Wire>,
    pub(super) mirror: Mirror,
    address: String,
    part: Part,
    /// Full names.
    source: Option<String>,
    live: String,
    /// The branch that the remote's HEAD named at the last fetch.
    found: Option<String>,
    /// The live head at the last fetch or push.
    seen: Option<Oid>,
    /// Commits that the remote is known to have.
    bases: Vec<Oid>,
    /// Something in the mirror could not be read: the next fetch starts from nothing.
    pub(super) broken: Cell<bool>,
}

impl Store {
    /// Opens or makes the mirror; the remote is not asked anything yet.
    ///
    /// # Errors
    /// `Refused` for an address, a branch name or settings that cannot be used, `Mirror` for a folder that cannot be
    /// written.
    pub fn open(options: Options) -> Result<Self, GitError> {
        Self::open_part(options, Part::Both)
    }

    /// The same for a repository that has only one of the branches.
    pub(super) fn open_part(options: Options, part: Part) -> Result<Self, GitError> {
        let (address, found) = Address::parse(options.address.reveal())?;
        let shown = address.shown();
        let credentials = options.credentials.or(found);
        if credentials.is_some() && address.is_in_the_clear() && !options.network.credentials_in_the_clear {
            return Err(GitError::Refused {
                address: shown,
                cause: "credentials are not sent over plain http".into(),
                hint: Some("use https; only this machine itself may be spoken to in the clear".into()),
            });
        }
        let mut scrub = Scrub::default();
        if let Some(credentials) = &credentials {
            scrub.hide_credentials(credentials);
        }
        let live = branch(&shown, &options.live)?;
        let source = options.source.as_deref().map(|name| branch(&shown, name)).transpose()?;
        let program = Program { git: options.git, ssh: options.ssh, timeout: options.network.timeout, scrub: scrub.clone() };
        let wire: Box<dyn Wire> = match &address {
            Address::Http(url) => Box::new(Smart::new(Http::new(url, credentials.as_ref(), &options.network, scrub)?)),
            Address::Ssh(url) => {
                program.ssh.check(url)?;
                Box::new(Secure { program, address: url.clone() })
            }
            Address::Folder(path) => Box::new(Folder::new(path.clone(), program)),
        };
        let mirror = Mirror::open(options.cache.as_deref(), &address)?;
        let mut store = Self {
            wire,
            mirror,
            address: shown,
            part,
            source,
            live,
            found: None,
            seen: None,
            bases: Vec::new(),
            broken: Cell::new(false),
        };
        match store.mirror.reference(&store.seen_name()) {
            Ok(seen) => store.seen = seen,
            Err(_) => store.broken.set(true),
        }
        Ok(store)
    }

    fn seen_name(&self) -> String {
        format!("refs/windlass/seen/{}", self.live.strip_prefix("refs/heads/").unwrap_or(&self.live))
    }

    fn refused(&self, cause: String, hint: &str) -> GitError {
        GitError::Refused { address: self.address.clone(), cause, hint: Some(hint.into()) }
    }

    fn fetch_once(&mut self) -> Result<Fetched, GitError> {
        let live = Some(self.live.as_str()).filter(|_| self.part != Part::Source);
        let names: Vec<&str> = [live, self.source.as_deref()].into_iter().flatten().collect();
        point("fetch");
        let advertised = self.wire.list(&names)?;
        point("branches-listed");
        let source = match self.part {
            Part::Live => None,
            Part::Both | Part::Source => Some(self.source_of(&advertised)?),
        };
        let live = advertised.refs.get(&self.live).copied().filter(|_| self.part != Part::Source);
        let lock = self.mirror.lock()?;
        self.mirror.reopen()?;
        point("mirror-locked");
        let live = live.map(|tip| self.bring(&self.live.clone(), tip, None)).transpose()?;
        let source = match source {
            Some((name, tip)) if self.part == Part::Both && name == self.live => Some(live.unwrap_or(tip)),
            Some((name, tip)) => Some(self.bring(&name, tip, Some(1))?),
            None => None,
        };
        let rewritten = match (self.seen, live) {
            _ if self.part == Part::Source => false,
            (None, _) => false,
            (Some(_), None) => true,
            (Some(seen), Some(live)) => {
                !is_ancestor(self.mirror.repo(), seen, live).map_err(|error| self.mirror.error(&error))?
            }
        };
        point("branches-noted");
        if self.part == Part::Both {
            self.note_seen(live)?;
        }
        drop(lock);
        self.bases = [live, source].into_iter().flatten().collect();
        Ok(Fetched { source, live, rewritten })
    }

    /// The head that was told counts as seen from now on: that the branch was rewritten is told no more.
    fn note_seen(&mut self, live: Option<Oid>) -> Result<(), GitError> {
        match live {
            Some(live) if self.mirror.reference(&self.seen_name())? == Some(live) => {}
            Some(live) => self.mirror.set_reference(&self.seen_name(), live)?,
            None => self.mirror.remove_reference(&self.seen_name())?,
        }
        point("head-noted");
        self.seen = live;
        Ok(())
    }

    /// The same for who had fetched the live branch alone, once everything else is there too.
    pub(super) fn told(&mut self, live: Option<Oid>) -> Result<(), GitError> {
        let _lock = self.mirror.lock()?;
        self.note_seen(live)
    }

    /// The source branch's full name and where it stands.
    fn source_of(&mut self, advertised: &Advertised) -> Result<(String, Oid), GitError> {
        let head = advertised.head.clone();
        let head = head.filter(|head| head == "HEAD" || head.strip_prefix("refs/heads/").is_some_and(is_branch));
        let name =
            self.source.clone().or(head).ok_or_else(|| {
                self.refused("the remote's HEAD names no branch".into(), "name the source branch in the settings")
            })?;
        self.found = Some(name.clone());
        let tip = advertised.refs.get(&name).copied().ok_or_else(|| {
            let name = name.strip_prefix("refs/heads/").unwrap_or(&name);
            self.refused(format!("there is no branch {name}"), "push the branch, or name another source branch")
        })?;
        Ok((name, tip))
    }

    /// Asks the remote for its part; [`Self::told`] must follow for a live branch alone. Nothing is fetched where its branches stand as they stood; a broken mirror is rebuilt once.
    pub(super) fn fetch_part(&mut self) -> Result<Fetched, GitError> {
        let broken = self.broken.get() || self.mirror.is_marked_broken();
        if broken {
            tracing::warn!(mirror.path = %self.mirror.shown(), "the mirror is broken and is made anew");
        }
        if broken || self.mirror.is_cluttered() {
            self.rebuild()?;
        }
        match self.fetch_once() {
            Err(GitError::Mirror { path, cause }) => {
                tracing::warn!(mirror.path = path, cause, "the mirror cannot be used and is made anew");
                self.rebuild()?;
                self.fetch_once()
            }
            other => other,
        }
    }

    /// Whether the mirror holds this object, as far as it knows without looking for new packs.
    pub(super) fn has(&self, id: Oid) -> bool {
        self.repo().odb().is_ok_and(|odb| odb.exists_ext(id, OdbLookupFlags::NO_REFRESH))
    }

    /// The same, after a look for new packs.
    pub(super) fn finds(&self, id: Oid) -> bool {
        self.repo().odb().is_ok_and(|odb| odb.exists(id))
    }

    fn rebuild(&mut self) -> Result<(), GitError> {
        self.mirror.rebuild()?;
        self.broken.set(false);
        if !self.mirror.is_whole() {
            // Whether the old head is below the new one cannot be told from a history that is cut off.
            self.seen = None;
        }
        Ok(())
    }

    /// Makes sure that the mirror holds the branch `name`, which stands at `tip`. Gives the tip that it holds then.
    fn bring(&mut self, name: &str, tip: Oid, depth: Option<u32>) -> Result<Oid, GitError> {
        let note = |name: &str| format!("refs/windlass/remote/{}", name.strip_prefix("refs/").unwrap_or(name));
        let before = self.mirror.reference(&note(name))?;
        if before == Some(tip) {
            return if self.mirror.holds(tip) { Ok(tip) } else { Err(self.mirror.broken("the last commit fetched is gone")) };
        }
        let mut heads: Vec<Oid> = before.into_iter().collect();
        for other in [Some(self.live.as_str()), self.source.as_deref()].into_iter().flatten() {
            heads.extend(self.mirror.reference(&note(other))?);
        }
        let known = self.mirror.known(&heads)?;
        // Later fetches of the live branch bring all that came since, so that ancestors can be told.
        let depth = depth.or(before.is_none().then_some(LIVE_DEPTH));
        let request = Fetch { name, tip, known: &known, depth };
        self.mirror.sweep();
        let tip = self.wire.fetch(self.mirror.repo(), &request)?;
        point("history-fetched");
        if !self.mirror.holds(tip) {
            return Err(self.mirror.broken(&format!("the commit {tip} was fetched and is not there")));
        }
        self.mirror.set_reference(&note(name), tip)?;
        Ok(tip)
    }

    /// What became of a push that did not plainly succeed. Told by the branch itself, never by words.
    fn settle(&mut self, old: Option<Oid>, new: Oid, failure: GitError) -> Result<Push, GitError> {
        let live = self.live.clone();
        let current = match self.wire.list(&[&live]) {
            Ok(advertised) => advertised.refs.get(&live).copied(),
            Err(again) => {
                return Err(match failure {
                    GitError::Unreachable { address, cause } => {
                        let cause = format!(
                            "{cause}; what became of the push is not known, since the branch could not be read again: {again}"
                        );
                        GitError::Unreachable { address, cause }
                    }
                    failure => failure,
                });
            }
        };
        point("push-settled");
        if current == Some(new) {
            return Ok(self.done(new));
        }
        if current == old {
            return Err(failure);
        }
        let Some(current) = current else { return Ok(Push::Moved) };
        let _lock = self.mirror.lock()?;
        let built_on = match self.bring(&live, current, None) {
            Ok(current) => is_ancestor(self.mirror.repo(), new, current).unwrap_or(false),
            // Not knowing whether our commit is below is no harm: whoever fetches next sees it.
            Err(_) => false,
        };
        Ok(if built_on { Push::Done } else { Push::Moved })
    }

    fn done(&mut self, new: Oid) -> Push {
        // The notes save the next fetch the way; where they cannot be written, it fetches once more.
        let note = format!("refs/windlass/remote/{}", self.live.strip_prefix("refs/").unwrap_or(&self.live));
        let _ = self.mirror.set_reference(&note, new);
        point("push-noted");
        let _ = self.mirror.set_reference(&self.seen_name(), new);
        self.seen = Some(new);
        self.bases.push(new);
        Push::Done
    }
}

impl Repo for Store {
    /// Nothing is fetched where the remote's branches stand as they stood. A broken mirror is rebuilt once. `rewritten` is
    /// told once: the new head counts as seen from then on.
    fn fetch(&mut self) -> Result<Heads, GitError> {
        let Fetched { source, live, rewritten } = self.fetch_part()?;
        let source = source.ok_or_else(|| self.refused("it has no source branch".into(), "name the source's repository"))?;
        Ok(Heads { source, live, rewritten })
    }

    fn entry(&self, commit: Oid, path: &str) -> Result<Option<Entry>, GitError> {
        self.find(self.find_commit(commit)?.tree_id(), path)
    }

    fn list(&self, tree: Oid) -> Result<Vec<Entry>, GitError> {
        let entries = tree_read::checked(&self.find_tree(tree)?)?;
        Ok(entries.into_iter().map(|raw| Entry { kind: tree_read::kind(raw.mode), name: raw.name, id: raw.id }).collect())
    }

    fn blob(&self, id: Oid, limit: usize) -> Result<Vec<u8>, GitError> {
        self.check_size(id, ObjectType::Blob, limit)?;
        Ok(self.repo().find_blob(id).map_err(|error| self.failed(&error))?.content().to_vec())
    }

    fn commit(&self, id: Oid) -> Result<CommitInfo, GitError> {
        let commit = self.find_commit(id)?;
        let odb = self.repo().odb().map_err(|error| self.failed(&error))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let author = commit.author();
        Ok(CommitInfo {
            id,
            tree: commit.tree_id(),
            parent: commit.parent_ids().next().filter(|parent| odb.exists(*parent)),
            author: Person { name: text(author.name_bytes()), email: text(author.email_bytes()) },
            time: commit.time().seconds(),
            message: text(commit.message_bytes()),
        })
    }

    fn write(&mut self, parent: Option<Oid>, commit: &NewCommit) -> Result<Oid, GitError> {
        point("write");
        let tree = self.tree_of(parent, &commit.changes)?;
        point("tree-written");
        let person = &commit.author;
        let content = |cause: &str| GitError::Content { path: "the commit".into(), cause: cause.into() };
        // libgit2 would quietly drop such characters.
        let odd = |text: &str| text.trim().is_empty() || text.contains(['<', '>', '\n', '\r', '\0']);
        if odd(&person.name) || odd(&person.email) {
            return Err(content("the author needs a name and an email address, without < > and line breaks"));
        }
        if commit.message.contains('\0') {
            return Err(content("the message holds a NUL"));
        }
        let parents: Vec<Commit<'_>> = parent.map(|parent| self.find_commit(parent)).transpose()?.into_iter().collect();
        let written = Signature::new(&person.name, &person.email, &Time::new(commit.time, 0)).and_then(|signature| {
            let tree = self.repo().find_tree(tree)?;
            let parents: Vec<&Commit<'_>> = parents.iter().collect();
            self.repo().commit(None, &signature, &signature, &commit.message, &tree, &parents)
        });
        point("commit-written");
        written.map_err(|error| self.failed(&error))
    }

    fn tree_of(&mut self, parent: Option<Oid>, changes: &[Change]) -> Result<Oid, GitError> {
        let base = parent.map(|parent| self.find_commit(parent).map(|commit| commit.tree_id())).transpose()?;
        tree_write::tree(self.repo(), base, changes).map_err(|error| self.tree_failed(error))
    }

    fn entry_in(&self, tree: Oid, path: &str) -> Result<Option<Entry>, GitError> {
        self.find_tree(tree)?;
        self.find(tree, path)
    }

    fn push(&mut self, old: Option<Oid>, new: Oid) -> Result<Push, GitError> {
        if !self.mirror.holds(new) {
            // libgit2 does not notice that a disk was full when it ends an object.
            return Err(self.unreadable(self.mirror.broken("what was written cannot be read back: is the disk full?")));
        }
        if let Some(old) = old {
            let descends = is_ancestor(self.repo(), old, new).map_err(|error| self.failed(&error))?;
            if !descends {
                let cause = format!("{new} does not descend from {old}, and a branch is only ever moved forward");
                return Err(self.refused(cause, "fetch, and decide again from the branch's head"));
            }
        }
        let bases: Vec<Oid> = self.bases.iter().copied().chain(old).filter(|base| *base != new).collect();
        let live = self.live.clone();
        let update = Update { name: &live, old, new, bases: &bases };
        let mut attempt = 0;
        loop {
            attempt += 1;
            point("push");
            let pushed = self.wire.push(self.mirror.repo(), &update);
            point("push-answered");
            let settled = match pushed {
                Ok(()) => Ok(self.done(new)),
                // Nothing was sent: an object could not be read.
                Err(failure @ GitError::Mirror { .. }) => Err(self.unreadable(failure)),
                Err(failure) => self.settle(old, new, failure),
            };
            match settled {
                // Somebody else's push holds the lock for a moment, and has not moved the branch yet.
                Err(failure) if attempt < LOCK_TRIES && is_locked(&failure) => {
                    tracing::debug!(attempt, "the live branch is locked: push again");
                    std::thread::sleep(Duration::from_millis(25 << attempt));
                }
                settled => return settled,
            }
        }
    }

    fn may_push(&mut self) -> Result<(), GitError> {
        let at = self.seen.or_else(|| self.bases.last().copied());
        let live = self.live.clone();
        self.wire.may_push(self.mirror.repo(), &live, at)
    }

    /// Branches are asked from the remote and fetched; a commit's id must be in the mirror, which holds the newest commits
    /// of the live branch.
    fn resolve(&mut self, name: &str) -> Result<Option<Oid>, GitError> {
        if name.is_empty() || name.starts_with('-') {
            return Ok(None);
        }
        if let Some(found) = self.wire.revision(name) {
            return Ok(Some(found));
        }
        if let Ok(full) = branch(&self.address, name) {
            let tip = self.wire.list(&[&full])?.refs.get(&full).copied();
            if let Some(tip) = tip {
                let _lock = self.mirror.lock()?;
                let depth = (full != self.live || self.part == Part::Source).then_some(1);
                return self.bring(&full, tip, depth).map(Some);
            }
        }
        let found = self.repo().revparse_single(name).and_then(|object| object.peel_to_commit());
        Ok(found.ok().map(|commit| commit.id()))
    }

    fn live_branch(&self) -> String {
        self.live.strip_prefix("refs/heads/").unwrap_or(&self.live).to_owned()
    }

    fn set_live_branch(&mut self, name: &str) -> Result<(), GitError> {
        self.live = branch(&self.address, name)?;
        self.seen = self.mirror.reference(&self.seen_name())?;
        Ok(())
    }

    fn set_source_branch(&mut self, name: &str) -> Result<(), GitError> {
        self.source = Some(branch(&self.address, name)?);
        Ok(())
    }

    fn source_branch(&self) -> Option<String> {
        let full = self.source.as_ref().or(self.found.as_ref())?;
        Some(full.strip_prefix("refs/heads/").unwrap_or(full).to_owned())
    }

    fn same_branch(&self) -> bool {
        self.source.as_ref().or(self.found.as_ref()) == Some(&self.live)
    }

    fn address(&self) -> String {
        self.address.clone()
    }
}
