//! Scenarios: text files that say what the user does, what the world does, and which commits follow. A scenario is played
//! against the real loop over Git in memory and the simulated cluster; what it prints is compared with the text. A text with the
//! line `#! ground` can be played in any other world, too, which need only be a [`Ground`].

mod app;
mod desk;
mod ground;
mod picture;
mod rests;
mod script;
mod simulated;
mod stage;
mod status;
mod tap;
mod time;
mod verbs;

pub use app::{App, NAMESPACE, Setting};
pub use desk::Desk;
pub use ground::{Ground, follow};
pub use picture::{Picture, standing};
pub use script::{Block, Script};
pub use tap::Crash;

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::git::Oid;
use crate::sim::git::{MemoryGit, Remote};
use crate::sim::world::World;
use stage::{Around, Stage};
use tap::Weather;

/// What `status` says in every world while the repository does not answer.
pub const UNREACHABLE: &str = "the repository does not answer";

/// What is played beside the script.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    /// A process dies here; another takes its place, with an empty memory.
    pub crash: Option<Crash>,
    /// Crashes, lost and failed pushes, failed and stale fetches are drawn from this seed.
    pub chance: Option<u64>,
    /// How many processes run the loop from the start; 0 is one.
    pub processes: usize,
    /// Commits after each command of the undisturbed play: the time goes on until as many are there.
    pub commits: Option<Vec<usize>>,
}

/// Why a scenario could not be played: a mistake in its text, or the world is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {cause}")]
pub struct Failure {
    pub line: usize,
    pub cause: String,
}

/// What came of a scenario.
#[derive(Debug)]
pub struct Play {
    /// Output of each command.
    pub outputs: Vec<Vec<String>>,
    /// Commits on the live branch after each command.
    pub commits: Vec<usize>,
    pub remote: Remote,
    /// The live branch's head at the end of the script.
    pub head: Option<Oid>,
    /// Whether two more processes, which look at the repository once all is said, write anything. Not tried in a disturbed
    /// play.
    pub restless: bool,
    /// Every head of the live branch that anybody has seen.
    pub seen: Vec<Oid>,
    /// Fetches, commits written and pushes of all processes.
    pub effects: u64,
    /// Planned and drawn faults that happened.
    pub faults: u64,
    /// What the cluster did and must not do.
    pub findings: Vec<String>,
    /// By live path, `""` for commits by hand: subject and live tree of each commit, oldest first. Nothing in it depends on
    /// the time.
    pub story: BTreeMap<String, Vec<(String, String)>>,
}

impl Play {
    /// A process of its own on the play's repository, without faults.
    pub fn open(&self) -> MemoryGit {
        MemoryGit::open(&self.remote)
    }
}

/// Plays a scenario.
///
/// # Errors
/// The text has a mistake: an unknown command, a word that is missing.
pub fn play(script: &Script, conditions: &Conditions) -> Result<Play, Failure> {
    let host = script.directive("host").unwrap_or("checkout.example");
    let world = World::new(NAMESPACE, host, 5_000, 7);
    let around = Around::new(&world);
    let weather = Weather::new(conditions.crash, conditions.chance);
    let mut stage = Stage::new(&world, &around, Rc::new(weather), conditions, script);
    let (mut outputs, mut commits) = (Vec::new(), Vec::new());
    for (index, block) in script.blocks().enumerate() {
        let wanted = conditions.commits.as_ref().and_then(|commits| commits.get(index)).copied();
        let fail = |cause: String| Failure { line: block.line, cause };
        outputs.push(stage.follow(block, wanted).map_err(fail)?);
        commits.push(stage.commits().map_err(fail)?);
    }
    stage.finish(script, outputs, commits).map_err(|cause| Failure { line: 0, cause })
}
