//! What stands between a process and its Git: the weather. Effects (fetches, commits written, pushes) are counted over all
//! processes of a play, so that a crash can be planned at any of them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::git::{Change, CommitInfo, Entry, GitError, Heads, NewCommit, Oid, Push, Repo};
use crate::sim::Rng;
use crate::sim::git::{Fault, MemoryGit, is_crash};

/// A death that is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Before this effect has happened (counted from 1).
    Before(u64),
    /// After it has happened, before the process learns of it.
    After(u64),
}

/// What goes wrong between processes and Git.
#[derive(Debug, Default)]
pub struct Weather {
    crash: Option<Crash>,
    /// Draws faults at random.
    chance: RefCell<Option<Rng>>,
    /// While set, the remote does not answer.
    pub down: Cell<bool>,
    /// The next so many fetches are answered by a replica that is this many updates old.
    pub stale: Cell<(u32, usize)>,
    /// The answers of the next so many pushes are lost.
    pub lose: Cell<u32>,
    effects: Cell<u64>,
    /// Planned crashes and drawn faults that have happened; what the script itself does is not among them.
    pub happened: Cell<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Fetch,
    Write,
    Push,
}

impl Weather {
    /// `chance` is the seed of random faults.
    pub fn new(crash: Option<Crash>, chance: Option<u64>) -> Self {
        Self { crash, chance: RefCell::new(chance.map(Rng::new)), ..Self::default() }
    }

    /// Effects so far.
    pub fn effects(&self) -> u64 {
        self.effects.get()
    }

    fn draw(&self, effect: Effect) -> u64 {
        let mut chance = self.chance.borrow_mut();
        let drawn = chance.as_mut().map_or(u64::MAX, |chance| chance.below(100));
        // Which fault is possible depends on the effect; crashes on both sides of each.
        match (effect, drawn) {
            (Effect::Write, 2..) | (_, 12..) => u64::MAX,
            _ => drawn,
        }
    }
}

/// One process' Git.
#[derive(Debug)]
pub struct Tap {
    git: MemoryGit,
    weather: Rc<Weather>,
    fetches: u64,
    pushes: u64,
    dead: bool,
}

/// A handle that the loop owns while the stage keeps another.
#[derive(Debug, Clone)]
pub struct Shared(Rc<RefCell<Tap>>);

impl Shared {
    pub fn new(git: MemoryGit, weather: &Rc<Weather>) -> Self {
        let tap = Tap { git, weather: Rc::clone(weather), fetches: 0, pushes: 0, dead: false };
        Self(Rc::new(RefCell::new(tap)))
    }

    pub fn is_dead(&self) -> bool {
        self.0.borrow().dead
    }

    /// The Git of the process that takes this one's place.
    pub fn restart(&self) -> MemoryGit {
        self.0.borrow().git.restart()
    }
}

impl Tap {
    fn effect<T>(&mut self, effect: Effect, run: impl FnOnce(&mut MemoryGit) -> Result<T, GitError>) -> Result<T, GitError> {
        if !self.dead {
            self.plan(effect)?;
        }
        let result = run(&mut self.git);
        self.dead |= result.as_ref().is_err_and(is_crash);
        result
    }

    fn plan(&mut self, effect: Effect) -> Result<(), GitError> {
        let weather = Rc::clone(&self.weather);
        if weather.down.get() && effect != Effect::Write {
            // Nothing happens, so nothing is counted.
            let cause = "connection timed out".to_owned();
            return Err(GitError::Unreachable { address: self.git.address(), cause });
        }
        let number = weather.effects.get() + 1;
        weather.effects.set(number);
        self.fetches += u64::from(effect == Effect::Fetch);
        self.pushes += u64::from(effect == Effect::Push);
        let next = self.git.effects() + 1;
        let mut faults = Vec::new();
        match weather.crash {
            Some(Crash::Before(at)) if at == number => faults.push(Fault::CrashBefore(next)),
            Some(Crash::After(at)) if at == number => faults.push(Fault::CrashAfter(next)),
            _ => {}
        }
        let (stale, behind) = weather.stale.get();
        if effect == Effect::Fetch && stale > 0 {
            weather.stale.set((stale - 1, behind));
            self.git.plan([Fault::StaleFetch { fetch: self.fetches, behind }]);
        }
        if effect == Effect::Push && weather.lose.get() > 0 {
            weather.lose.set(weather.lose.get() - 1);
            self.git.plan([Fault::LosePushReply(self.pushes)]);
        }
        match (weather.draw(effect), effect) {
            (0, _) => faults.push(Fault::CrashBefore(next)),
            (1, _) => faults.push(Fault::CrashAfter(next)),
            (2..=4, Effect::Fetch) => faults.push(Fault::FailFetch(self.fetches)),
            (behind @ 5..=11, Effect::Fetch) => {
                let behind = usize::try_from(behind - 4).unwrap_or(1);
                faults.push(Fault::StaleFetch { fetch: self.fetches, behind });
            }
            (2..=5, Effect::Push) => faults.push(Fault::FailPush(self.pushes)),
            (6..=11, Effect::Push) => faults.push(Fault::LosePushReply(self.pushes)),
            _ => {}
        }
        weather.happened.set(weather.happened.get() + u64::from(!faults.is_empty()));
        self.git.plan(faults);
        Ok(())
    }
}

impl Repo for Shared {
    fn fetch(&mut self) -> Result<Heads, GitError> {
        self.0.borrow_mut().effect(Effect::Fetch, Repo::fetch)
    }

    fn entry(&self, commit: Oid, path: &str) -> Result<Option<Entry>, GitError> {
        self.0.borrow().git.entry(commit, path)
    }

    fn list(&self, tree: Oid) -> Result<Vec<Entry>, GitError> {
        self.0.borrow().git.list(tree)
    }

    fn blob(&self, id: Oid, limit: usize) -> Result<Vec<u8>, GitError> {
        self.0.borrow().git.blob(id, limit)
    }

    fn commit(&self, id: Oid) -> Result<CommitInfo, GitError> {
        self.0.borrow().git.commit(id)
    }

    fn write(&mut self, parent: Option<Oid>, commit: &NewCommit) -> Result<Oid, GitError> {
        self.0.borrow_mut().effect(Effect::Write, |git| git.write(parent, commit))
    }

    fn tree_of(&mut self, parent: Option<Oid>, changes: &[Change]) -> Result<Oid, GitError> {
        self.0.borrow_mut().git.tree_of(parent, changes)
    }

    fn entry_in(&self, tree: Oid, path: &str) -> Result<Option<Entry>, GitError> {
        self.0.borrow().git.entry_in(tree, path)
    }

    fn push(&mut self, old: Option<Oid>, new: Oid) -> Result<Push, GitError> {
        self.0.borrow_mut().effect(Effect::Push, |git| git.push(old, new))
    }

    fn resolve(&mut self, name: &str) -> Result<Option<Oid>, GitError> {
        self.0.borrow_mut().git.resolve(name)
    }

    fn live_branch(&self) -> String {
        self.0.borrow().git.live_branch()
    }

    fn set_live_branch(&mut self, name: &str) -> Result<(), GitError> {
        self.0.borrow_mut().git.set_live_branch(name)
    }

    fn set_source_branch(&mut self, name: &str) -> Result<(), GitError> {
        self.0.borrow_mut().git.set_source_branch(name)
    }

    fn source_branch(&self) -> Option<String> {
        self.0.borrow().git.source_branch()
    }

    fn same_branch(&self) -> bool {
        self.0.borrow().git.same_branch()
    }

    fn address(&self) -> String {
        self.0.borrow().git.address()
    }
}
