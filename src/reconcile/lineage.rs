//! Where revisions stand that an applier names: on the live branch, seen from the commit of an app's newest move.

use std::cell::RefCell;
use std::collections::HashMap;

use super::layout::{self, AppId};
use super::{Memory, Trouble};
use crate::engine::State;
use crate::git::{Heads, Oid, Repo};
use crate::observe::{Lineage, Place};

/// So many commits of the live branch are kept in mind; then the walk begins anew.
const MOST: usize = 100_000;
/// How far back a commit is sought that is older than a move, for better words only.
const FAR: usize = 1_000;

/// What is remembered of the live branch: the first parents, by their order. All of it can be lost.
#[derive(Default)]
pub(super) struct Chain {
    /// Commit → its number; a newer one has a higher number.
    places: HashMap<Oid, i64>,
    newest: Option<(Oid, i64)>,
    oldest: Option<(Oid, i64)>,
    /// The mirror's history reaches no further back than `oldest`.
    ends: bool,
    /// The commit of each app's newest move, by what tells moves apart.
    moves: HashMap<AppId, (String, jiff::Timestamp, Option<Oid>)>,
}

impl Chain {
    /// Takes in what is new on the branch.
    fn advance(&mut self, repo: &dyn Repo, head: Oid) {
        if self.newest.is_some_and(|(newest, _)| newest == head) {
            return;
        }
        let mut fresh = Vec::new();
        let mut next = Some(head);
        while let Some(id) = next.filter(|id| !self.places.contains_key(id)) {
            fresh.push(id);
            if self.places.is_empty() || fresh.len() + self.places.len() > MOST {
                next = None;
                break;
            }
            next = repo.commit(id).ok().and_then(|commit| commit.parent);
        }
        let base = next.and_then(|known| self.places.get(&known).copied());
        let Some(base) = base else {
            // Nothing of what was known is below: a first look, or another history.
            let moves = std::mem::take(&mut self.moves);
            *self = Self { moves, newest: Some((head, 0)), oldest: Some((head, 0)), ..Self::default() };
            self.places.insert(head, 0);
            return;
        };
        // A rewritten branch has left behind what stood above.
        self.places.retain(|_, place| *place <= base);
        let mut place = base;
        for id in fresh.into_iter().rev() {
            place += 1;
            self.places.insert(id, place);
        }
        self.newest = Some((head, place));
    }

    /// The number of a commit, looked for back to number `down_to`, and no further than `FAR` below.
    fn place(&mut self, repo: &dyn Repo, wanted: Oid) -> Option<i64> {
        let mut steps = 0;
        while !self.places.contains_key(&wanted) && steps < FAR && self.back(repo).is_some() {
            steps += 1;
        }
        self.places.get(&wanted).copied()
    }

    /// One commit further back.
    fn back(&mut self, repo: &dyn Repo) -> Option<(Oid, i64)> {
        if self.ends || self.places.len() > MOST {
            return None;
        }
        let (oldest, place) = self.oldest?;
        let parent = repo.commit(oldest).ok().and_then(|commit| commit.parent).filter(|parent| repo.commit(*parent).is_ok());
        let Some(parent) = parent else {
            self.ends = true;
            return None;
        };
        self.places.insert(parent, place - 1);
        self.oldest = Some((parent, place - 1));
        self.oldest
    }

    /// The commit that brought the live path's present files; `None` where it lies before all that is known.
    fn newest_move(&mut self, repo: &dyn Repo, head: Oid, app: &AppId, state: &State) -> Result<Option<Oid>, Trouble> {
        if let Some((tree, at, found)) = self.moves.get(app)
            && *tree == state.tree
            && *at == state.moved_at
            && found.is_none_or(|found| self.places.contains_key(&found))
        {
            return Ok(*found);
        }
        let same = |id: Oid| -> Result<bool, Trouble> {
            Ok(layout::part_id(repo, repo.commit(id)?.tree, &app.path, &state.files)? == state.tree)
        };
        let mut next = Some(head);
        let mut found = None;
        while let Some(id) = next {
            if same(id)? {
                found = Some(id);
            } else if found.is_some() {
                break;
            }
            next = repo.commit(id)?.parent.filter(|parent| repo.commit(*parent).is_ok());
        }
        // Where the walk came to the border of what is here, the move lies there or before.
        let found = if next.is_some() { found } else { None };
        self.moves.insert(app.clone(), (state.tree.clone(), state.moved_at, found));
        Ok(found)
    }

    fn judge(&mut self, repo: &dyn Repo, head: Oid, app: &AppId, state: &State, revision: &str) -> Result<Place, Trouble> {
        let Some(wanted) = Oid::from_str(revision).ok().filter(|_| revision.len() == 40) else { return Ok(Place::Unknown) };
        self.advance(repo, head);
        let newest_move = self.newest_move(repo, head, app, state)?;
        let Ok(commit) = repo.commit(wanted) else { return Ok(Place::Unknown) };
        let Some(place) = self.place(repo, wanted) else { return Ok(Place::Elsewhere) };
        let since = match newest_move {
            None => None,
            Some(id) => self.place(repo, id),
        };
        if since.is_some_and(|since| place < since) {
            return Ok(Place::Older);
        }
        let same = layout::part_id(repo, commit.tree, &app.path, &state.files)? == state.tree;
        Ok(if same { Place::Ours } else { Place::Superseded })
    }
}

/// The lineage of one app's newest move, for an observer.
pub(super) struct OfMove<'a> {
    pub repo: &'a dyn Repo,
    pub heads: &'a Heads,
    pub app: &'a AppId,
    pub state: &'a State,
    chain: &'a RefCell<Chain>,
}

impl<'a> OfMove<'a> {
    pub(super) fn new(repo: &'a dyn Repo, heads: &'a Heads, app: &'a AppId, state: &'a State, memory: &'a Memory) -> Self {
        Self { repo, heads, app, state, chain: &memory.chain }
    }
}

impl Lineage for OfMove<'_> {
    fn place(&self, revision: &str) -> Place {
        let Some(head) = self.heads.live else { return Place::Unknown };
        let judged = self.chain.borrow_mut().judge(self.repo, head, self.app, self.state, revision);
        judged.unwrap_or_else(|trouble| {
            // What cannot be read is not known; the loop itself reads the same and says so.
            tracing::debug!(app = %self.app, "{trouble}");
            Place::Unknown
        })
    }
}
