//! One pass: decide for every app, publish in one push.

use std::collections::BTreeMap;

use super::discover::{App, Origin};
use super::gather::{Gathered, is_leaving};
use super::publish::{self, Frame};
use super::rest::Resting;
use super::tend::{RestReport, Written};
use super::{AppReport, Made, Pass, Reconciler, Trouble};
use crate::api::Repository;
use crate::engine::{self, Decision, Move, State};
use crate::git::{Heads, Oid, Push};
use crate::render::Routes;

/// How often a lost race is tried again before the pass gives up.
const TRIES: u32 = 10;

impl Reconciler<'_> {
    /// Does what is due for every app, once. Apps that cannot go on say so in their report; others are not affected.
    ///
    /// # Errors
    /// The repository could not be read or written.
    pub fn pass(&mut self) -> Result<Pass, Trouble> {
        self.mended(Self::try_pass)
    }

    /// Does `work`; where the mirror turns out to be broken, once more: the fetch that it begins with makes the mirror anew.
    /// `work` is told whether this is its last chance, and else gives up at the first such trouble.
    pub(super) fn mended<T>(&mut self, work: impl Fn(&mut Self, bool) -> Result<T, Trouble>) -> Result<T, Trouble> {
        match work(self, false) {
            Err(trouble) if trouble.is_local() => {
                self.memory.rest.forget();
                work(self, true)
            }
            other => other,
        }
    }

    fn try_pass(&mut self, last: bool) -> Result<Pass, Trouble> {
        if !self.brief && self.memory.rest.is_silent() {
            self.memory.rest.forget();
        }
        let mut earlier = Vec::new();
        for attempt in 1..=TRIES {
            let (heads, settings, apps) = self.look()?;
            let mut pass = Pass { commits: std::mem::take(&mut earlier), ..Pass::default() };
            let mut head = heads.live;
            let mut made = Vec::new();
            let mut beds: BTreeMap<String, Option<Vec<Resting>>> = BTreeMap::new();
            let rests = self.tend_all(&heads, &settings, &apps, (&mut head, Some(&mut made)), last)?;
            if rests.iter().any(|rest| rest.handed) {
                // What the Rollouts have is another now: they are looked at anew, once that is published.
                self.memory.walk = None;
                match self.publish(&heads, head, made, &mut pass)? {
                    Push::Done => {}
                    Push::Moved => self.around.back_off(attempt),
                }
                earlier = pass.commits;
                continue;
            }
            for rest in &rests {
                beds.extend(rest.report.as_ref().map(|_| (rest.directory.clone(), None)));
                pass.apps.extend(rest.report.clone());
            }
            for app in apps {
                let bed =
                    app.directory.as_ref().map(|directory| beds.entry(directory.clone()).or_insert_with(|| Some(Vec::new())));
                if !self.is_chosen(&app.id) {
                    bed.map(Option::take);
                    continue;
                }
                let app = waiting(app, &rests);
                let (report, commit, resting) = self.one(&heads, &settings, &app, head);
                if let Some(trouble) = report.trouble.as_ref().filter(|trouble| !last && trouble.is_local()) {
                    return Err(trouble.clone());
                }
                match (bed, resting) {
                    (Some(Some(bed)), Some(resting)) => bed.push(resting),
                    (bed, _) => drop(bed.map(Option::take)),
                }
                if let Some((id, subject)) = commit {
                    head = Some(id);
                    made.push((app.id.clone(), id, subject));
                }
                pass.apps.push(report);
            }
            self.memory.walk = None;
            if !self.brief {
                pass.apps.extend(self.memory.rest.reports().filter(|report| self.is_chosen(&report.id)).cloned());
                // A rival for the same live path has the same id, and comes after it.
                pass.apps.sort_by(|a, b| (&a.id, a.error.is_some()).cmp(&(&b.id, b.error.is_some())));
            }
            for (directory, apps) in beds {
                if let Some(apps) = apps {
                    self.put_to_rest(directory, apps);
                }
            }
            match self.publish(&heads, head, made, &mut pass)? {
                Push::Done => return Ok(pass),
                Push::Moved => {
                    tracing::debug!(attempt, "the live branch moved: decide again");
                    self.around.back_off(attempt);
                    earlier = pass.commits;
                }
            }
        }
        Err(Trouble::Busy(TRIES))
    }

    /// Moves the live branch to the newest of these commits.
    fn publish(&mut self, heads: &Heads, head: Option<Oid>, made: Written, pass: &mut Pass) -> Result<Push, Trouble> {
        let Some(new) = head.filter(|_| !made.is_empty()) else {
            let live = heads.live.map_or_else(|| "none".to_owned(), |live| live.to_string());
            tracing::debug!(source = %heads.source, live, "nothing is due");
            return Ok(Push::Done);
        };
        if self.repo.push(heads.live, new)? == Push::Moved {
            return Ok(Push::Moved);
        }
        self.memory.head = Some(new);
        for (app, commit, subject) in made {
            self.memory.learned.remove(&app);
            self.memory.rewritten.remove(&app);
            if let Ok(Some(home)) = self.repo.entry(commit, &app.home()) {
                self.memory.verified.insert(app.clone(), home.id);
            }
            tracing::info!(app = %app, commit = %commit, "{subject}");
            pass.commits.push(Made { app: app.to_string(), commit: commit.to_string(), subject });
        }
        Ok(Push::Done)
    }

    /// Looks at every app without writing anything.
    ///
    /// # Errors
    /// The repository could not be read.
    pub fn status(&mut self) -> Result<Pass, Trouble> {
        self.mended(Self::try_status)
    }

    fn try_status(&mut self, last: bool) -> Result<Pass, Trouble> {
        let (heads, settings, apps) = self.look_at_all()?;
        let mut pass = Pass::default();
        let rests = self.tend_all(&heads, &settings, &apps, (&mut heads.live.clone(), None), last)?;
        pass.apps.extend(rests.iter().filter_map(|rest| rest.report.clone()));
        for app in apps.iter().filter(|app| self.is_chosen(&app.id)).cloned().collect::<Vec<_>>() {
            let app = waiting(app, &rests);
            let report = match self.judge(&heads, &settings, &app) {
                Ok((_, decision, report)) => AppReport { hold: held(&decision, report.hold.clone()), ..report },
                Err(trouble) if !last && trouble.is_local() => return Err(trouble),
                Err(trouble) => failed(&app, &trouble),
            };
            pass.apps.push(report);
        }
        pass.apps.sort_by(|a, b| (&a.id, a.error.is_some()).cmp(&(&b.id, b.error.is_some())));
        Ok(pass)
    }

    fn put_to_rest(&mut self, directory: String, apps: Vec<Resting>) {
        for app in &apps {
            self.memory.learned.remove(&app.id);
        }
        self.memory.renders.remove(&directory);
        self.memory.rest.put(directory, apps);
    }

    /// Decides for one app and writes what is due. Gives its report, the commit, and what is remembered if it rests.
    fn one(
        &mut self,
        heads: &Heads,
        settings: &Repository,
        app: &App,
        head: Option<Oid>,
    ) -> (AppReport, Option<(Oid, String)>, Option<Resting>) {
        let result = self.judge(heads, settings, app).and_then(|(gathered, decision, report)| {
            let resting = gathered.resting(&app.origin, &decision);
            let commit = self.due(&gathered, decision, head, settings)?;
            Ok((report, commit, resting))
        });
        match result {
            Ok((report, commit, resting)) => {
                let told = |resting: Resting| {
                    let report = (!self.brief).then(|| Box::new(report.clone()));
                    Resting { report, ..resting }
                };
                let resting = resting.filter(|_| commit.is_none() && report.next_check_at.is_none()).map(told);
                (report, commit, resting)
            }
            Err(trouble) => (failed(app, &trouble), None, None),
        }
    }

    /// Brings together what an app's decision needs, and decides. Where that cannot be done in the middle of a release, what is recorded
    /// is in force, and the report holds the trouble, too: the release does not go on, but goes back or, past its last gate, to its end.
    fn judge(&mut self, heads: &Heads, settings: &Repository, app: &App) -> Result<(Gathered, Decision, AppReport), Trouble> {
        let trouble = match self.gather(heads, settings, app, false).and_then(|gathered| self.decide(gathered)) {
            Err(trouble) if !trouble.is_local() => trouble,
            other => return other,
        };
        tracing::debug!(app = %app.id, "{trouble}");
        let Some(state) = app.state.as_ref().filter(|state| state.phase.is_busy()) else {
            return Err(trouble);
        };
        let halted = !is_leaving(state);
        let broken = App { origin: Origin::Broken(trouble.clone()), ..app.clone() };
        let gathered = self.gather(heads, settings, &broken, true);
        match gathered.and_then(|gathered| self.decide(Gathered { halted, ..gathered })) {
            Ok((gathered, decision, report)) => {
                let report = AppReport { error: Some(trouble.to_string()), trouble: Some(trouble), ..report };
                Ok((gathered, decision, report))
            }
            Err(other) if other.is_local() => Err(other),
            // It is told first what a person can mend.
            Err(_) => Err(trouble),
        }
    }

    /// The commit that a decision asks for.
    fn due(
        &mut self,
        gathered: &Gathered,
        decision: Decision,
        head: Option<Oid>,
        settings: &Repository,
    ) -> Result<Option<(Oid, String)>, Trouble> {
        let step = match decision {
            Decision::Rest => return Ok(None),
            Decision::Commit(step) => *step,
            Decision::Hold(_, learned) => {
                let Some(recorded) = gathered.recorded.as_ref().filter(|recorded| **recorded != *learned) else {
                    return Ok(None);
                };
                if !self.persist {
                    self.memory.learned.insert(gathered.id.clone(), (recorded.clone(), *learned));
                    return Ok(None);
                }
                // Compared with what Git holds, not with what this process has learned before.
                let input = engine::Input { state: Some(recorded), ..gathered.input(self.around.now()) };
                match engine::remember(&input, *learned)? {
                    Some(step) => step,
                    None => return Ok(None),
                }
            }
        };
        self.write(gathered, &step, head, settings).map(Some)
    }

    /// Writes a move on top of `head`, without publishing it.
    pub(super) fn write(
        &mut self,
        gathered: &Gathered,
        step: &Move,
        head: Option<Oid>,
        settings: &Repository,
    ) -> Result<(Oid, String), Trouble> {
        let frame = Frame {
            app: &gathered.id,
            rollout: &gathered.rollout,
            files: gathered.shares.then(|| gathered.files()),
            command: gathered.command(),
            author: &settings.author,
            time: gathered.now.as_second(),
        };
        publish::write(&mut *self.repo, head, &frame, step)
    }

    fn decide(&self, gathered: Gathered) -> Result<(Gathered, Decision, AppReport), Trouble> {
        let input = gathered.input(gathered.now);
        let decision = engine::decide(&input)?;
        let (state, hold) = match &decision {
            Decision::Rest => (gathered.state.clone(), None),
            Decision::Hold(hold, state) => (Some((**state).clone()), Some(hold.clone())),
            Decision::Commit(step) => (Some(step.state.clone()), None),
        };
        let next_check_at = match (&state, &hold) {
            (Some(state), Some(hold)) => engine::next_check(&input, state, hold),
            _ => None,
        };
        let report = AppReport { hold, next_check_at, ..report(&gathered, state.as_ref()) };
        Ok((gathered, decision, report))
    }
}

fn held(decision: &Decision, hold: Option<engine::Hold>) -> Option<engine::Hold> {
    match decision {
        Decision::Hold(hold, _) => Some(hold.clone()),
        _ => hold,
    }
}

/// An app that cannot go on before the rest of its directory does.
fn waiting(app: App, rests: &[RestReport]) -> App {
    let rest = rests.iter().find(|rest| app.parts.is_some() && Some(&rest.directory) == app.directory.as_ref());
    match rest.filter(|rest| rest.waiting.contains(&app.id.name) && !matches!(app.origin, Origin::Gone)) {
        Some(rest) => App { origin: Origin::Broken(Trouble::Invalid(rest.why.clone())), ..app },
        None => app,
    }
}

pub(super) fn failed(app: &App, trouble: &Trouble) -> AppReport {
    let state = app.state.as_ref();
    AppReport {
        app: app.id.to_string(),
        id: app.id.clone(),
        phase: state.map_or_else(|| "New".to_owned(), |state| format!("{:?}", state.phase)),
        release: state.map_or(0, |state| state.release),
        step: state.map_or(0, |state| state.step),
        steps: 0,
        traffic: None,
        shared_routing: state.and_then(|state| state.shape.shared.clone()),
        pods: None,
        hold: None,
        error: Some(trouble.to_string()),
        trouble: Some(trouble.clone()),
        outcome: state.and_then(|state| state.outcome.clone()),
        observed: false,
        metrics: BTreeMap::new(),
        next_check_at: None,
    }
}

fn report(gathered: &Gathered, state: Option<&State>) -> AppReport {
    let traffic = match state.map(|state| &state.shape.routes) {
        Some(Routes::Split { weight, .. }) => *weight,
        _ => None,
    };
    let metrics = state
        .map(|state| {
            let shown = |metric: &crate::api::Metric| {
                let tally = state.tallies.get(&metric.name)?;
                Some((metric.name.clone(), engine::bounds(metric, tally)))
            };
            gathered.rollout.metrics.iter().filter_map(shown).collect()
        })
        .unwrap_or_default();
    AppReport {
        app: gathered.id.to_string(),
        id: gathered.id.clone(),
        phase: state.map_or_else(|| "New".to_owned(), |state| format!("{:?}", state.phase)),
        release: state.map_or(0, |state| state.release),
        step: state.map_or(0, |state| state.step),
        steps: gathered.rollout.steps.len(),
        traffic,
        shared_routing: state.and_then(|state| state.shape.shared.clone()),
        pods: gathered.counts().map(Into::into),
        hold: None,
        error: None,
        trouble: None,
        outcome: state.and_then(|state| state.outcome.clone()),
        observed: gathered.observed,
        metrics,
        next_check_at: None,
    }
}
