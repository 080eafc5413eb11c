//! Apps at rest: what need not be looked at while nothing that it came from has changed.
//!
//! An app is put to rest when a whole look has found nothing to write and nothing that the clock or the cluster could change.
//! That finding depends on its home and its live path on the live branch, on the inputs of its source, and on the settings.
//! Git's ids tell whether these are as they were: from one head to the next only directories with another id are compared.
//! What wakes goes the ordinary way from its beginning, and all of this can be forgotten at any time.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::AppReport;
use super::compare::differ;
use super::layout::{self, AppId};
use crate::api::Repository;
use crate::git::{EntryKind, Heads, Oid, Repo};

/// More differences than this between two heads: everything is looked at anew.
const MOST_CHANGES: usize = 100_000;

/// The apps of one repository that rest, and which do not.
#[derive(Default)]
pub(super) struct Rest {
    /// What the findings are about; `None`: nothing is known.
    at: Option<At>,
    /// By source directory. The apps of one directory rest together, since they are told apart by its Rollout.
    resting: BTreeMap<String, Vec<Resting>>,
    /// Directories of the source in which not all rests.
    restless: BTreeSet<String>,
    /// Apps with a state on the live branch that do not rest.
    awake: BTreeSet<AppId>,
    /// Of some that rest no report is kept.
    silent: bool,
}

#[derive(Clone)]
struct At {
    source: Oid,
    live: Option<Oid>,
    settings: Repository,
}

/// One app at rest.
pub(super) struct Resting {
    pub id: AppId,
    /// Paths of the source that it was rendered from, beside the directory itself.
    pub inputs: Vec<String>,
    /// Its Rollout is gone from the source.
    pub gone: bool,
    /// What was told of it; `None` where nobody asks for it again.
    pub report: Option<Box<AppReport>>,
}

/// What is to be looked at.
pub(super) struct Awake {
    /// Directories of the source.
    pub directories: Vec<String>,
    /// Apps that the live branch may remember.
    pub ids: Vec<AppId>,
}

impl Rest {
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Wakes what has changed since the last look, and says what is awake; `None`: nothing is known, so everything is.
    /// `directories` lists the source's directories with Rollouts.
    ///
    /// # Errors
    /// Those of `directories`. What cannot be compared is forgotten instead.
    pub(super) fn wake<E>(
        &mut self,
        repo: &dyn Repo,
        heads: &Heads,
        settings: &Repository,
        directories: impl FnOnce() -> Result<Vec<String>, E>,
    ) -> Result<Option<Awake>, E> {
        let now = At { source: heads.source, live: heads.live, settings: settings.clone() };
        let Some(before) = self.at.take() else {
            self.forget();
            return Ok(None);
        };
        if before.source == now.source && before.live == now.live && before.settings == now.settings {
            self.at = Some(now);
            return Ok(Some(self.restless()));
        }
        let changes = if before.settings == now.settings { changes(repo, &before, &now) } else { None };
        let Some(Changes { source, live, states }) = changes else {
            self.forget();
            return Ok(None);
        };
        let risen = self.raise(|directory, app| {
            source.contains(directory)
                || app.inputs.iter().any(|input| source.contains(input))
                || !live.is_empty()
                    && (live.contains(&app.id.path)
                        || live.contains(&app.id.home())
                        || live.contains(&layout::rest_home(&app.id.path)))
        });
        if !states.is_empty() {
            let known: HashSet<&AppId> = self.resting.values().flatten().map(|app| &app.id).collect();
            let fresh: Vec<AppId> = states.into_iter().filter(|id| !known.contains(id)).collect();
            self.awake.extend(fresh);
        }
        if before.source == now.source {
            // The list is the same; only what rested can be new in it.
            self.restless.extend(risen);
        } else {
            self.restless = directories()?.into_iter().filter(|directory| !self.holds(directory)).collect();
        }
        self.at = Some(now);
        Ok(Some(self.restless()))
    }

    /// Wakes the apps of these homes, though they may look as they did.
    pub(super) fn rouse(&mut self, homes: &HashSet<&str>) {
        let risen = self
            .raise(|_, app| homes.contains(app.id.home().as_str()) || homes.contains(layout::rest_home(&app.id.path).as_str()));
        self.restless.extend(risen);
    }

    /// Wakes the directories of which any app has changed. Gives those that lie in the source's list.
    fn raise(&mut self, has_changed: impl Fn(&str, &Resting) -> bool) -> Vec<String> {
        let mut risen = Vec::new();
        let awake = &mut self.awake;
        self.resting.retain(|directory, apps| {
            let changed = apps.iter().any(|app| has_changed(directory, app));
            if changed {
                // A Rollout that is gone lies in no directory of the list.
                if apps.iter().any(|app| !app.gone) {
                    risen.push(directory.clone());
                }
                awake.extend(apps.drain(..).map(|app| app.id));
            }
            !changed
        });
        risen
    }

    /// Whether a present Rollout of a directory rests.
    fn holds(&self, directory: &str) -> bool {
        self.resting.get(directory).is_some_and(|apps| apps.iter().any(|app| !app.gone))
    }

    fn restless(&self) -> Awake {
        Awake { directories: self.restless.iter().cloned().collect(), ids: self.awake.iter().cloned().collect() }
    }

    /// Everything was looked at: this is what is known from now on, all of it awake.
    pub(super) fn begin(
        &mut self,
        heads: &Heads,
        settings: &Repository,
        directories: &[String],
        ids: impl Iterator<Item = AppId>,
    ) {
        self.at = Some(At { source: heads.source, live: heads.live, settings: settings.clone() });
        self.resting.clear();
        self.silent = false;
        self.restless = directories.iter().cloned().collect();
        self.awake = ids.collect();
    }

    /// Whether the reports are not of all that rest.
    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    pub(super) fn reports(&self) -> impl Iterator<Item = &AppReport> {
        self.resting.values().flatten().filter_map(|app| app.report.as_deref())
    }

    /// The apps that rest.
    pub(super) fn apps(&self) -> impl Iterator<Item = (&str, &Resting)> {
        self.resting.iter().flat_map(|(directory, apps)| apps.iter().map(move |app| (directory.as_str(), app)))
    }

    /// Whether the apps of a directory rest.
    pub(super) fn rests(&self, directory: &str) -> bool {
        self.resting.contains_key(directory)
    }

    /// An app that was remembered and is there no more.
    pub(super) fn drop(&mut self, id: &AppId) {
        self.awake.remove(id);
    }

    /// Puts the apps of a directory to rest, all that it has.
    pub(super) fn put(&mut self, directory: String, apps: Vec<Resting>) {
        if self.at.is_none() {
            return;
        }
        for app in &apps {
            self.awake.remove(&app.id);
            self.silent |= app.report.is_none();
        }
        self.restless.remove(&directory);
        self.resting.insert(directory, apps);
    }
}

/// Where two looks differ.
struct Changes {
    /// Paths of the source.
    source: HashSet<String>,
    /// Paths of the live branch.
    live: HashSet<String>,
    /// Apps whose state is another.
    states: Vec<AppId>,
}

fn changes(repo: &dyn Repo, before: &At, now: &At) -> Option<Changes> {
    let mut changes = Changes { source: HashSet::new(), live: HashSet::new(), states: Vec::new() };
    let mut budget = MOST_CHANGES;
    let mut between = |old: Oid, new: Oid, note: &mut dyn FnMut(&str, EntryKind)| -> Option<()> {
        if old == new {
            return Some(());
        }
        let (old, new) = (repo.commit(old).ok()?.tree, repo.commit(new).ok()?.tree);
        differ(repo, "", Some(old), Some(new), &mut budget, note).ok()?
    };
    between(before.source, now.source, &mut |path, _| {
        changes.source.insert(path.to_owned());
    })?;
    match (before.live, now.live) {
        (None, None) => {}
        (Some(old), Some(new)) => between(old, new, &mut |path, kind| {
            if kind == EntryKind::Directory {
                changes.live.insert(path.to_owned());
            } else if let Some(app) = path.strip_suffix("/state").and_then(layout::app_at) {
                changes.states.push(app);
            }
        })?,
        _ => return None,
    }
    Some(changes)
}
