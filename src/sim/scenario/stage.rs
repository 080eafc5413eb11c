//! The stage: processes, people and the world in one thread, one after the other.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};

use super::app::NAMESPACE;
use super::desk::Desk;
use super::script::{Block, Script};
use super::tap::{Shared, Weather};
use super::{Conditions, Play, ground, rests, time};
use crate::api::Observe;
use crate::engine::Reason;
use crate::git::{CommitInfo, Oid, Repo as _};
use crate::manifest::ObjectSet;
use crate::metrics::{MetricsError, Sample};
use crate::observe::{Live, ObserveError, Sighting, Target};
use crate::reconcile::{AppReport, Overrides, Reconciler, Surroundings, layout};
use crate::sim::git::{MemoryGit, Remote};
use crate::sim::world::{EPOCH, World};

pub(super) const SOURCE: &str = "main";
pub(super) const LIVE: &str = "deploy";
/// How often a process looks again at what the clock alone does not change, milliseconds.
const POLL: u64 = 5_000;
/// Pods that are on their way get there within this time, milliseconds.
const STILL: u64 = 30_000;
/// Longest wait of `until`, and of a disturbed play for its commits, milliseconds.
const PATIENCE: u64 = 4 * 3_600_000;

/// The world as the processes see it; their clock may be wrong.
#[derive(Debug)]
pub(super) struct Around {
    world: World,
    pub(super) offset_ms: Cell<i64>,
}

impl Around {
    pub(super) fn new(world: &World) -> Self {
        Self { world: world.clone(), offset_ms: Cell::new(0) }
    }
}

impl Surroundings for Around {
    fn now(&self) -> Timestamp {
        let now = self.world.now();
        now.checked_add(SignedDuration::from_millis(self.offset_ms.get())).unwrap_or(now)
    }

    fn observe(&self, how: &Observe, target: &Target, live: &Live<'_>) -> Result<Sighting, ObserveError> {
        self.world.observe(how, target, live)
    }

    /// The simulated source has its own clock, and takes arguments without the quotes that templates put around them.
    fn query(&self, source: &str, query: &str, _now: Timestamp) -> Result<Vec<Sample>, MetricsError> {
        self.world.query(source, &query.replace('"', ""), self.world.now())
    }

    fn default_namespace(&self) -> String {
        NAMESPACE.to_owned()
    }

    fn back_off(&self, _attempt: u32) {}

    fn render_options(&self) -> crate::source::Options {
        self.world.render_options()
    }
}

struct Process<'a> {
    git: Shared,
    reconciler: Reconciler<'a>,
}

pub(super) struct Stage<'a> {
    pub(super) world: &'a World,
    pub(super) around: &'a Around,
    pub(super) weather: Rc<Weather>,
    pub(super) remote: Remote,
    processes: Vec<Process<'a>>,
    /// Reads without faults and without being counted.
    pub(super) reader: MemoryGit,
    pub(super) desk: Desk,
    /// Source and foreign commits so far: their times must not depend on how long things took.
    pub(super) hands: i64,
    known: Option<Oid>,
    pub(super) seen: Vec<Oid>,
    pub(super) submitted: Option<Oid>,
    pub(super) reports: Vec<AppReport>,
    pub(super) trouble: Option<String>,
    pub(super) out: Vec<String>,
    /// `#! ground`: what is printed is the same in every world. No times; commits are told when a wait is over, since elsewhere
    /// they come whenever they come.
    pub(super) plain: bool,
    /// Commits that are to be told then.
    later: Vec<String>,
    pub(super) findings: Vec<String>,
    disturbed: bool,
    /// How many pods may be missing: `#! unavailable`.
    pub(super) spare: Option<String>,
    /// Commits that the undisturbed play had after the present command.
    pub(super) wanted: Option<usize>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        world: &'a World,
        around: &'a Around,
        weather: Rc<Weather>,
        conditions: &Conditions,
        script: &Script,
    ) -> Self {
        let remote = Remote::new("shop", SOURCE, LIVE);
        let mut stage = Self {
            world,
            around,
            weather,
            reader: MemoryGit::open(&remote),
            remote,
            processes: Vec::new(),
            desk: Desk::default(),
            hands: 0,
            known: None,
            seen: Vec::new(),
            submitted: None,
            reports: Vec::new(),
            trouble: None,
            out: Vec::new(),
            plain: script.directive("ground").is_some(),
            later: Vec::new(),
            findings: Vec::new(),
            disturbed: conditions.crash.is_some() || conditions.chance.is_some() || conditions.commits.is_some(),
            spare: script.directive("unavailable").map(str::to_owned),
            wanted: None,
        };
        stage.staff(conditions.processes.max(1));
        stage
    }

    /// So many processes run the loop from now on, all with empty memories.
    pub(super) fn staff(&mut self, count: usize) {
        self.processes = (0..count).map(|_| self.process(MemoryGit::open(&self.remote))).collect();
    }

    fn process(&self, git: MemoryGit) -> Process<'a> {
        let git = Shared::new(git, &self.weather);
        let reconciler = Reconciler::new(Box::new(git.clone()), self.around, Overrides::default());
        Process { git, reconciler }
    }

    /// Every process is ended and started again: its mirror is still on its disk.
    pub(super) fn revive_all(&mut self) {
        for index in 0..self.processes.len() {
            self.revive(index);
        }
    }

    fn revive(&mut self, index: usize) {
        if let Some(git) = self.processes.get(index).map(|process| process.git.restart()) {
            let process = self.process(git);
            if let Some(place) = self.processes.get_mut(index) {
                *place = process;
            }
        }
    }

    pub(super) fn head(&self) -> Option<Oid> {
        self.remote.head(LIVE)
    }

    /// Commits on the live branch.
    pub(super) fn commits(&self) -> Result<usize, String> {
        Ok(self.log()?.len())
    }

    /// The live branch, newest first.
    pub(super) fn log(&self) -> Result<Vec<CommitInfo>, String> {
        if self.head().is_none() { Ok(Vec::new()) } else { self.remote.log(LIVE).map_err(|error| error.to_string()) }
    }

    /// Follows one command. `wanted`: commits that the undisturbed play had after it.
    pub(super) fn follow(&mut self, block: &Block, wanted: Option<usize>) -> Result<Vec<String>, String> {
        self.out.clear();
        self.wanted = wanted;
        ground::follow(self, block)
    }

    // --- people ---

    /// A person's word, said by a process of its own, again after a crash, as people do.
    pub(super) fn speak(
        &mut self,
        mut word: impl FnMut(&mut Reconciler<'a>) -> Result<crate::reconcile::Made, crate::reconcile::Trouble>,
    ) -> Result<(), String> {
        use crate::reconcile::Trouble;
        let wanted = self.wanted;
        let before = self.head();
        let mut git = MemoryGit::open(&self.remote);
        for attempt in 0..50 {
            // The word was heard before the process died: people look before they say it again.
            if attempt > 0 && self.head() != before {
                return self.news();
            }
            let mut process = self.process(git);
            let answer = word(&mut process.reconciler);
            git = process.git.restart();
            match answer {
                Ok(_) => return self.news(),
                // What was read of the branch was too old for the word: it is said again.
                Err(Trouble::Refused { text, .. }) if wanted.is_some_and(|wanted| self.commits() < Ok(wanted)) => {
                    self.trouble = Some(text);
                }
                Err(Trouble::Refused { code, text }) => {
                    self.out.push(format!("refused, {code}: {text}"));
                    return Ok(());
                }
                Err(trouble) if self.disturbed => self.trouble = Some(trouble.to_string()),
                Err(trouble) => {
                    self.out.push(format!("error: {trouble}"));
                    return self.news();
                }
            }
        }
        Err(format!("nobody listens: {}", self.trouble.clone().unwrap_or_default()))
    }

    // --- time ---

    /// Prints commits that are new on the live branch, and shows the applier the branch.
    pub(super) fn news(&mut self) -> Result<(), String> {
        let head = self.head();
        if head != self.known {
            let log = self.log()?;
            let fresh: Vec<&CommitInfo> = log.iter().take_while(|commit| Some(commit.id) != self.known).collect();
            let rewritten = self.known.is_some_and(|known| log.iter().all(|commit| commit.id != known));
            if rewritten {
                self.out.push("the live branch was rewritten".to_owned());
            } else {
                for commit in fresh.into_iter().rev() {
                    let title = commit.message.lines().next().unwrap_or_default();
                    let ours = crate::git::trailers::Message::parse(&commit.message).only("Windlass-Release").is_some();
                    match (ours, self.plain) {
                        (true, true) => self.later.push(title.to_owned()),
                        (true, false) => self.out.push(format!("{} {title}", time::show(commit.time - EPOCH))),
                        (false, true) => self.later.push(format!("by hand: {title}")),
                        (false, false) => self.out.push(format!("by hand: {title}")),
                    }
                    self.seen.push(commit.id);
                }
            }
            self.known = head;
        }
        if let Some(head) = head.filter(|head| self.submitted != Some(*head)) {
            self.submitted = Some(head);
            self.reader.fetch().map_err(|error| error.to_string())?;
            let mut all = ObjectSet::default();
            let paths: std::collections::BTreeSet<&str> = self.desk.apps.iter().map(|app| app.path.as_str()).collect();
            for path in paths {
                // What cannot be read cannot be applied: the applier stays where it is.
                let Ok(objects) = layout::read_live(&self.reader, head, path) else { return Ok(()) };
                objects.unwrap_or_default().values().for_each(|object| drop(all.insert(object.clone())));
            }
            let mut state = self.world.lock();
            let now = state.cluster.now();
            state.applier.submit(now, &head.to_string(), all);
        }
        Ok(())
    }

    /// Lets every process look once. Says when something can be due next.
    fn turn(&mut self) -> Result<u64, String> {
        let mut restless = false;
        for index in 0..self.processes.len() {
            let before = self.head();
            let Some(process) = self.processes.get_mut(index) else { continue };
            let result = process.reconciler.pass();
            let died = process.git.is_dead();
            match result {
                Ok(pass) => {
                    self.reports = pass.apps;
                    self.trouble = None;
                }
                Err(trouble) => {
                    let text = trouble.to_string();
                    if !self.disturbed && !self.plain && self.trouble.as_ref() != Some(&text) {
                        self.out.push(format!("{} error: {text}", time::show(self.seconds())));
                    }
                    self.trouble = Some(text);
                }
            }
            if died {
                self.revive(index);
            }
            restless |= died || before != self.head();
            self.news()?;
        }
        let now = self.world.elapsed();
        if restless {
            return Ok(now + 1_000);
        }
        let offset = self.around.offset_ms.get();
        let moments =
            self.reports.iter().flat_map(|report| [report.next_check_at, report.hold.as_ref().and_then(|hold| hold.until)]);
        let clock = moments.flatten().filter_map(|at| u64::try_from(at.as_millisecond() - EPOCH * 1000 - offset).ok());
        let waits = self.reports.iter().any(|report| {
            let unseen = |reason: Reason| {
                matches!(reason, Reason::NotApplied | Reason::NotReady | Reason::Unreachable | Reason::HistoryRewritten)
            };
            report.error.is_some() || report.hold.as_ref().is_some_and(|hold| unseen(hold.reason))
        });
        let poll = (waits || self.trouble.is_some()).then_some(now + POLL);
        let state = self.world.lock();
        let world = [state.applier.next_due(), state.cluster.next_event()].into_iter().flatten();
        let next = clock.chain(world).filter(|at| *at > now).chain(poll).min();
        Ok(next.map_or(u64::MAX, |at| at.div_ceil(1000).saturating_mul(1000)))
    }

    fn seconds(&self) -> i64 {
        self.around.now().as_second() - EPOCH
    }

    /// Lets the time pass until `done`. `wanted` commits must be there, too. Says whether that came about.
    fn pass_time(&mut self, end: u64, wanted: Option<usize>, mut done: impl FnMut(&Self, u64) -> bool) -> Result<bool, String> {
        loop {
            let next = self.turn()?;
            let now = self.world.elapsed();
            let enough = match wanted {
                Some(wanted) => self.commits()? >= wanted,
                None => true,
            };
            if enough && done(self, next) {
                return Ok(true);
            }
            if now >= end {
                return Ok(false);
            }
            let next = if next == u64::MAX && wanted.is_some() { now + POLL } else { next };
            self.world.advance(next.min(end).max(now + 1) - now);
        }
    }

    /// `run`: the time passes.
    pub(super) fn live_on(&mut self, ms: u64) -> Result<(), String> {
        let wanted = self.wanted;
        let end = self.world.elapsed() + ms;
        self.pass_time(end, None, |_, _| false)?;
        if wanted.is_some() {
            let end = end + PATIENCE;
            self.pass_time(end, wanted, |_, _| true)?;
        }
        self.rest()
    }

    /// `until`: the time passes until all is at rest (`None`), or until an app holds with this code.
    pub(super) fn live_until(&mut self, code: Option<&str>) -> Result<(), String> {
        let wanted = self.wanted;
        let end = self.world.elapsed() + PATIENCE;
        let reached = self.pass_time(end, wanted, |stage, _| match code {
            None => stage.is_applied() && stage.trouble.is_none() && stage.reports.iter().all(|report| report.hold.is_none()),
            Some(code) => {
                let holds = stage.reports.iter().any(|report| {
                    let held = report.hold.as_ref().is_some_and(|hold| hold.reason.code() == code);
                    held || (code == "error" && report.error.is_some())
                });
                holds && (!stage.plain || stage.is_still())
            }
        })?;
        self.out.append(&mut self.later);
        if !reached {
            self.out.push("this did not come about within 4 h".to_owned());
        }
        self.rest()
    }

    /// Compares the cluster with what the live branch asks for, where nothing is on its way.
    fn rest(&mut self) -> Result<(), String> {
        // Where somebody else has changed the branch, or a move is on its way, there is nothing to compare.
        let waits = |report: &AppReport| {
            let way = |reason: Reason| {
                !matches!(reason, Reason::Soak | Reason::Grace | Reason::Approval | Reason::Metrics | Reason::Rejected)
            };
            report.error.is_some() || report.hold.as_ref().is_some_and(|hold| way(hold.reason))
        };
        let Some(head) = self.head().filter(|_| self.trouble.is_none() && !self.reports.iter().any(waits)) else {
            return Ok(());
        };
        if self.is_applied() {
            self.reader.fetch().map_err(|error| error.to_string())?;
            let state = self.world.lock();
            self.findings.extend(rests::counts(&self.reader, head, &state.cluster)?);
        }
        Ok(())
    }

    /// Whether the newest commit is applied and the cluster stands still. Wake-ups of controllers that only look at a
    /// deadline lie further ahead than pods need for anything.
    fn is_applied(&self) -> bool {
        let applied = self.world.lock().applier.applied().map(str::to_owned) == self.head().map(|head| head.to_string());
        applied && self.stands_still()
    }

    /// Whether nothing more happens in the cluster before somebody acts.
    fn is_still(&self) -> bool {
        let suspended = self.world.lock().applier.suspended;
        self.is_applied() || (suspended && self.stands_still())
    }

    fn stands_still(&self) -> bool {
        let state = self.world.lock();
        state.cluster.next_event().is_none_or(|at| at > state.cluster.now() + STILL)
    }

    // --- the end ---

    /// Two more processes look at the repository; says whether they wrote anything.
    fn writes_again(&mut self) -> Result<bool, String> {
        let updates = self.remote.updates();
        for _ in 0..2 {
            let mut process = self.process(MemoryGit::open(&self.remote));
            process.reconciler.pass().map_err(|trouble| trouble.to_string())?;
            process.reconciler.pass().map_err(|trouble| trouble.to_string())?;
        }
        Ok(self.remote.updates() != updates)
    }

    pub(super) fn finish(mut self, script: &Script, outputs: Vec<Vec<String>>, commits: Vec<usize>) -> Result<Play, String> {
        let mut story: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        self.reader.fetch().map_err(|error| error.to_string())?;
        for commit in self.log()?.into_iter().rev() {
            let title = commit.message.lines().next().unwrap_or_default().to_owned();
            let app = self.desk.apps.iter().find(|app| title.starts_with(&format!("{}: ", app.name)));
            let path = app.map_or("", |app| &app.path);
            let of_path = |app: &&super::app::App| app.path == path;
            if let Some(app) = app.filter(|_| self.desk.apps.iter().filter(of_path).count() > 1) {
                // Rollouts that share a path go their own ways, whichever comes first.
                let id = crate::reconcile::AppId { path: path.to_owned(), name: app.name.clone() };
                let state = layout::read_state(&self.reader, commit.id, &id).map_err(|error| error.to_string())?;
                let tree = state.map(|state| state.tree).unwrap_or_default();
                story.entry(format!("{path}:{}", app.name)).or_default().push((title, tree));
                continue;
            }
            let tree = self.remote.tree(commit.id, path).map_err(|error| error.to_string())?;
            // Of a person's commit the whole tree would hold Windlass' times.
            let tree = tree.filter(|_| app.is_some()).map(|id| id.to_string()).unwrap_or_default();
            story.entry(path.to_owned()).or_default().push((title, tree));
        }
        let (head, restless) = (self.head(), !self.disturbed && self.writes_again()?);
        let state = self.world.lock();
        if !self.disturbed || script.directive("crash").is_none() {
            self.findings.extend(rests::capacity(&self.desk.apps, self.spare.as_deref(), &state));
        }
        drop(state);
        Ok(Play {
            outputs,
            commits,
            head,
            restless,
            seen: self.seen,
            effects: self.weather.effects(),
            faults: self.weather.happened.get(),
            findings: self.findings,
            story,
            remote: self.remote,
        })
    }

    pub(super) fn look(&mut self) -> Result<Vec<AppReport>, String> {
        let Some(process) = self.processes.first_mut() else { return Ok(Vec::new()) };
        process.reconciler.status().map(|pass| pass.apps).map_err(|trouble| trouble.to_string())
    }

    pub(super) fn is_disturbed(&self) -> bool {
        self.disturbed
    }
}
