//! Everything that a decision about one app needs, brought together.

use std::collections::HashMap;
use std::rc::Rc;

use jiff::Timestamp;
use serde_json::Value;

use super::discover::{self, App, Fresh, Origin};
use super::layout::{self, AppId};
use super::lineage::OfMove;
use super::rest::Resting;
use super::{Reconciler, Trouble, history, kinds, shared, spec};
use crate::api::{Metric, Observe, Repository, Rollout};
use crate::engine::{self, Answer, Counts, Decision, History, Input, Look, NodeSeen, Reason, Seen, Sight, Source, State};
use crate::git::Heads;
use crate::manifest::{self, ObjectSet};
use crate::metrics;
use crate::observe::{Live, ObserveError, Sighting, Target};
use crate::render::{self, Selector};

/// One app with all that is known of it.
pub(super) struct Gathered {
    pub id: AppId,
    pub rollout: Rollout,
    pub spec_gone: bool,
    /// Something keeps it from going on, and only its gates and deadlines are asked.
    pub halted: bool,
    /// As the live branch has it.
    pub recorded: Option<State>,
    /// With what was learned since.
    pub state: Option<State>,
    pub stable: Option<ObjectSet>,
    pub candidate: Option<ObjectSet>,
    pub fresh: Option<Rc<Fresh>>,
    pub source_commit: String,
    pub history: History,
    pub seen: Option<Seen>,
    pub looks: Vec<Look>,
    pub now: Timestamp,
    pub observed: bool,
    /// It has a part of its live path only.
    pub shares: bool,
}

impl Gathered {
    /// The files of the live path that are the app's; empty: all, or none yet.
    pub(super) fn files(&self) -> &[String] {
        self.recorded.as_ref().map(|state| state.files.as_slice()).unwrap_or_default()
    }

    pub(super) fn input(&self, now: Timestamp) -> Input<'_> {
        Input {
            rollout: &self.rollout,
            spec_gone: self.spec_gone,
            halted: self.halted,
            state: self.state.as_ref(),
            stable: self.stable.as_ref(),
            candidate: self.candidate.as_ref(),
            source: self.source(),
            history: self.history.clone(),
            seen: self.seen.clone(),
            looks: &self.looks,
            now,
        }
    }

    pub(super) fn source(&self) -> Option<Source<'_>> {
        self.fresh.as_ref().map(|fresh| Source {
            path: &fresh.directory,
            commit: &self.source_commit,
            inputs: &fresh.inputs,
            objects: &fresh.objects,
        })
    }

    pub(super) fn command(&self) -> Option<&str> {
        self.fresh.as_ref().and_then(|fresh| fresh.command.as_deref())
    }

    /// What is remembered of an app for which nothing is to be done and nothing can come but from the repository.
    pub(super) fn resting(&self, origin: &Origin, decision: &Decision) -> Option<Resting> {
        let quiet = match decision {
            Decision::Rest => true,
            Decision::Hold(hold, state) => hold.reason == Reason::Rejected && self.recorded.as_ref() == Some(&**state),
            Decision::Commit(_) => false,
        };
        let recorded = self.recorded.as_ref().filter(|state| !state.phase.is_busy())?;
        if !quiet || self.history != History::Ours || self.seen.is_some() || self.state.as_ref() != Some(recorded) {
            return None;
        }
        let inputs = match origin {
            Origin::Unchanged => recorded.source.inputs.keys(),
            Origin::Fresh(fresh) => fresh.inputs.keys(),
            Origin::Gone => return Some(Resting { id: self.id.clone(), inputs: Vec::new(), gone: true, report: None }),
            Origin::Broken(_) => return None,
        };
        let directory = &recorded.source.path;
        let inputs = inputs.filter(|path| *path != directory).cloned().collect();
        Some(Resting { id: self.id.clone(), inputs, gone: false, report: None })
    }

    pub(super) fn counts(&self) -> Option<Counts> {
        match &self.seen {
            Some(Seen::Sight(sight)) => sight.counts,
            _ => None,
        }
    }
}

impl Reconciler<'_> {
    /// Fetches and takes the live branch that the repository's settings name.
    ///
    /// # Errors
    /// The repository cannot be read, or its settings say something wrong.
    pub fn read_settings(&mut self) -> Result<(Heads, Repository), Trouble> {
        let mut heads = self.repo.fetch()?;
        let mut settings = self.settings(&heads)?;
        if let (Some(name), None, false) = (&settings.source_branch, &self.overrides.source_branch, self.memory.has_source) {
            // The settings of the branch that HEAD names choose the source branch, once; from then on its own settings count.
            let is_other = self.repo.source_branch().as_ref() != Some(name);
            self.memory.has_source = true;
            if is_other {
                self.repo.set_source_branch(name)?;
                // It is told once, by the first of the two.
                let rewritten = heads.rewritten;
                heads = self.repo.fetch()?;
                heads.rewritten |= rewritten;
                settings = self.settings(&heads)?;
            }
        }
        if settings.live_branch != self.repo.live_branch() {
            self.repo.set_live_branch(&settings.live_branch)?;
            heads = self.repo.fetch()?;
        }
        self.check_place(&heads, &settings)?;
        Ok((heads, settings))
    }

    /// Fetches, reads the repository's settings, finds the apps, those at rest too.
    pub(super) fn look_at_all(&mut self) -> Result<(Heads, Repository, Vec<App>), Trouble> {
        self.memory.rest.forget();
        self.look()
    }

    /// Fetches, reads the repository's settings, finds the apps that do not rest.
    pub(super) fn look(&mut self) -> Result<(Heads, Repository, Vec<App>), Trouble> {
        let (heads, settings) = self.read_settings()?;
        if heads.rewritten {
            self.memory.rest.forget();
        } else if let Some(live) = heads.live {
            history::forget_changed(&*self.repo, live, &mut self.memory)?;
        }
        let options = self.render_options(&settings);
        let apps = discover::apps(&*self.repo, &heads, &settings, &options, &mut self.memory)?;
        if heads.rewritten {
            self.memory.verified.clear();
            self.memory.learned.clear();
            let known = apps.iter().filter_map(|app| Some((app.id.clone(), app.state.clone()?)));
            self.memory.rewritten.extend(known);
            self.memory.lost = self.memory.lost.or(self.memory.head);
        } else if let (Some(lost), Some(live)) = (self.memory.lost, heads.live)
            && history::reaches(&*self.repo, live, lost)
        {
            // Nothing is gone: a replica of the remote had answered with an older branch.
            self.memory.rewritten.clear();
            self.memory.lost = None;
        }
        // Somebody has accepted the branch as it is, in another process.
        if !self.memory.rewritten.is_empty() {
            // None of these rests.
            let stands: HashMap<&AppId, Option<&State>> = apps.iter().map(|app| (&app.id, app.state.as_ref())).collect();
            self.memory.rewritten.retain(|id, state| stands.get(id) == Some(&Some(&*state)));
        }
        self.memory.head = heads.live;
        Ok((heads, settings, apps))
    }

    /// How sources are rendered: as the world around can, by the versions that the repository names.
    pub(super) fn render_options(&self, settings: &Repository) -> crate::source::Options {
        let mut options = self.around.render_options();
        options.helm_version.clone_from(&settings.renderers.helm);
        options.kustomize_version.clone_from(&settings.renderers.kustomize);
        options
    }

    fn settings(&mut self, heads: &Heads) -> Result<Repository, Trouble> {
        const FILE: &str = kinds::SETTINGS;
        let identity = self.repo.entry(heads.source, FILE)?.map(|entry| entry.id.to_string()).unwrap_or_default();
        let known = self.memory.settings.as_ref().filter(|(known, _)| *known == identity).map(|(_, settings)| settings.clone());
        let mut settings = match known {
            Some(settings) => settings,
            None => match layout::read_file(&*self.repo, heads.source, FILE)? {
                None => Repository::default(),
                Some(content) => spec::repository(FILE, &content)?,
            },
        };
        if self.memory.settings.as_ref().is_some_and(|(known, _)| *known != identity) {
            // Another version of a renderer may render what this one refused.
            self.memory.renders.clear();
        }
        self.memory.settings = Some((identity, settings.clone()));
        if let Some(branch) = &self.overrides.live_branch {
            settings.live_branch.clone_from(branch);
        }
        if let Some(observe) = &self.overrides.observe {
            settings.observe = observe.clone();
        }
        Ok(settings)
    }

    /// `lenient`: a source that cannot be read is no reason to give up; what is recorded is in force then.
    pub(super) fn gather(&mut self, heads: &Heads, settings: &Repository, app: &App, lenient: bool) -> Result<Gathered, Trouble> {
        if let (Origin::Broken(trouble), None) = (&app.origin, &app.state) {
            return Err(trouble.clone());
        }
        let now = self.around.now();
        let repo = &*self.repo;
        let history = history::of(repo, heads, &app.id, app.state.as_ref(), &mut self.memory)?;
        let recorded_rollout = || -> Result<Rollout, Trouble> {
            let gone = || Trouble::Content { path: app.id.home(), cause: "the recorded Rollout is missing".to_owned() };
            let live = heads.live.ok_or_else(gone)?;
            layout::read_rollout(repo, live, &app.id)?.ok_or_else(gone)
        };
        let (rollout, fresh, spec_gone) = match &app.origin {
            Origin::Unchanged => (recorded_rollout()?, None, false),
            Origin::Gone => (recorded_rollout()?, None, true),
            Origin::Fresh(fresh) => (fresh.rollout.clone(), Some(shared::standing(repo, heads.live, app, fresh)?), false),
            // What is on its way back, or past its last gate, needs nothing of the source any more.
            Origin::Broken(_) if app.state.as_ref().is_some_and(|state| lenient || is_leaving(state)) => {
                (recorded_rollout()?, None, false)
            }
            Origin::Broken(trouble) => return Err(trouble.clone()),
        };
        let at_rest = matches!(app.origin, Origin::Unchanged) && app.state.as_ref().is_some_and(|state| !state.phase.is_busy());
        let slot = |name: &str| match (heads.live, &app.state) {
            // At rest and unchanged: nothing is rendered, so nothing is read.
            (Some(_), Some(_)) if at_rest && !lenient && history == History::Ours => Ok(None),
            (Some(live), Some(_)) => layout::read_slot(repo, live, &app.id, name),
            _ => Ok(None),
        };
        let (stable, candidate) = (slot("stable")?, slot("candidate")?);
        let state = match (&app.state, self.memory.learned.get(&app.id)) {
            (Some(recorded), Some((known, learned))) if known == recorded => Some(learned.clone()),
            (state, _) => state.clone(),
        };
        let observe = rollout.observe.clone().unwrap_or_else(|| settings.observe.clone());
        let mut gathered = Gathered {
            id: app.id.clone(),
            rollout,
            spec_gone,
            halted: false,
            recorded: app.state.clone(),
            state,
            stable,
            candidate,
            fresh,
            source_commit: heads.source.to_string(),
            history,
            seen: None,
            looks: Vec::new(),
            now,
            observed: observe.is_sight(),
            shares: app.shares(),
        };
        if engine::wants_sight(&gathered.rollout, gathered.state.as_ref(), gathered.source().as_ref()) {
            gathered.seen = Some(self.sight(heads, &gathered, &observe));
        }
        let due = engine::due_looks(&gathered.input(now));
        let looks: Vec<Look> = gathered
            .rollout
            .metrics
            .iter()
            .filter(|metric| due.contains(&metric.name))
            .map(|metric| self.take_look(&gathered, metric))
            .collect();
        gathered.looks = looks;
        Ok(gathered)
    }

    fn namespace(&self, gathered: &Gathered) -> String {
        let workload =
            gathered.stable.as_ref().and_then(|objects| render::find_workload(objects, &gathered.rollout.workload).ok());
        workload
            .and_then(|workload| workload.namespace().map(str::to_owned))
            .or_else(|| gathered.rollout.namespace.clone())
            .unwrap_or_else(|| self.around.default_namespace())
    }

    fn sight(&self, heads: &Heads, gathered: &Gathered, observe: &Observe) -> Seen {
        let Some(state) = &gathered.state else { return Seen::Unreachable("nothing was applied yet".to_owned()) };
        let own = &gathered.rollout.workload.name;
        let target = Target {
            namespace: self.namespace(gathered),
            api_version: gathered.rollout.workload.api_version.clone(),
            kind: gathered.rollout.workload.kind.clone(),
            name: state.shape.shown_by(own),
            described: gathered.rollout.workload.described.as_deref().map(|kind| kinds::observed(kind, state)),
            mark: state.mark.clone(),
            committed_at: state.moved_at.as_second(),
            now: gathered.now.as_second(),
        };
        let (repository, branch) = (self.repo.live_address(), self.repo.live_branch());
        let live = Live {
            app: &gathered.rollout.name,
            repository: &repository,
            branch: &branch,
            path: &gathered.id.path,
            lineage: &OfMove::new(&*self.repo, heads, &gathered.id, state, &self.memory),
        };
        let unreachable = |error: ObserveError| match error {
            ObserveError::Refused { cause, hint } => {
                Seen::Unreachable([Some(cause), hint].into_iter().flatten().collect::<Vec<_>>().join("; "))
            }
            error => Seen::Unreachable(error.to_string()),
        };
        let mut sight = match self.around.observe(observe, &target, &live) {
            Ok(sighting) => sight(sighting),
            Err(error) => return unreachable(error),
        };
        if let (Some(counts), Some(_)) = (&mut sight.counts, state.shape.extra_for.filter(|_| target.name != *own)) {
            // The second Deployment tells its own size; the release goes by the one that the autoscaler has.
            let target = Target { name: own.clone(), ..target };
            match self.around.observe(observe, &target, &live).map(|sighting| sighting.workload) {
                Ok(Some(workload)) => counts.size = workload.size,
                Ok(None) => {
                    return Seen::Unreachable(format!("{} {own}, whose size an autoscaler owns, is not there", target.kind));
                }
                Err(error) => return unreachable(error),
            }
        }
        Seen::Sight(sight)
    }

    fn take_look(&self, gathered: &Gathered, metric: &Metric) -> Look {
        let revision = |slot: Option<&engine::SlotFacts>| slot.map(|slot| slot.revision.clone()).unwrap_or_default();
        let state = gathered.state.as_ref();
        let (namespace, step) = (self.namespace(gathered), state.map_or(0, |state| state.step));
        let (stable, candidate) =
            (revision(state.map(|state| &state.stable)), revision(state.and_then(|state| state.candidate.as_ref())));
        let variables = metrics::Variables {
            namespace: &namespace,
            workload: &gathered.rollout.workload.name,
            stable_revision: &stable,
            candidate_revision: &candidate,
            step,
            window: metric.window,
        };
        let (query, answer) = match metrics::template::render(&metric.query, &variables) {
            Err(error) => (String::new(), Answer::Error(error.to_string())),
            Ok(query) => {
                let answer = match self.around.query(&metric.source, &query, gathered.now) {
                    Ok(samples) => Answer::Samples(samples.into_iter().map(|sample| sample.value).collect()),
                    Err(error) => Answer::Error(error.to_string()),
                };
                (query, answer)
            }
        };
        let digest = manifest::digest(&Value::String(query)).chars().take(16).collect();
        Look { metric: metric.name.clone(), at: gathered.now, query: digest, answer }
    }
}

/// Whether it is on its way back, or past its last gate.
pub(super) fn is_leaving(state: &State) -> bool {
    matches!(state.phase, engine::Phase::RollingBack | engine::Phase::Finalising) || state.rollback.is_some()
}

/// What an observer saw, as the engine takes it.
pub fn sight(sighting: Sighting) -> Sight {
    let counts = sighting.workload.as_ref().map(|workload| Counts {
        size: workload.size,
        replicas: workload.replicas,
        updated: workload.updated,
        updated_ready: workload.updated_ready,
        ready: workload.ready,
    });
    let seen = sighting.workload.iter().flat_map(|workload| workload.nodes.clone());
    let nodes = seen.map(|(name, ready)| NodeSeen { name, ready }).collect();
    let revision_label =
        sighting.workload.and_then(|workload| workload.revision_label).map(|(key, value)| Selector { key, value });
    Sight { applied: sighting.applied, missing: sighting.missing, counts, revision_label, nodes }
}
