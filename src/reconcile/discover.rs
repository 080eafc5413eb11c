//! Which apps there are, and what is new in their sources.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::layout::{AppId, recorded_apps};
use super::rest::Rest;
use super::shared::{self, Directory};
use super::spec::Several;
use super::tree::GitTree;
use super::{Memory, Trouble, layout, scripts};
use crate::api::{Repository, Rollout, SCRIPTS};
use crate::engine::State;
use crate::git::{Heads, Repo};
use crate::manifest::ObjectSet;
use crate::source::{self, Known, Options, SourceError};

/// A rendered source directory with its Rollout.
#[derive(Debug, Clone, PartialEq)]
pub struct Fresh {
    pub directory: String,
    pub rollout: Rollout,
    pub objects: ObjectSet,
    pub inputs: BTreeMap<String, String>,
    pub command: Option<String>,
}

/// A rendered source directory, before it is told whose its objects are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    pub rollouts: Rollouts,
    pub objects: ObjectSet,
    pub inputs: BTreeMap<String, String>,
    pub command: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rollouts {
    One(Box<Rollout>),
    Several(Several),
}

/// What is known of an app's source.
#[derive(Debug, Clone)]
pub enum Origin {
    /// As recorded: nothing to read.
    Unchanged,
    Fresh(Rc<Fresh>),
    /// The Rollout file is gone.
    Gone,
    /// It cannot be read; every finding is in the trouble.
    Broken(Trouble),
}

/// One app to look after.
#[derive(Debug, Clone)]
pub struct App {
    pub id: AppId,
    pub state: Option<State>,
    pub origin: Origin,
    /// The source directory; `None` where the state that knows it cannot be read.
    pub directory: Option<String>,
    /// The source directory as a whole, where its Rollouts share it.
    pub parts: Option<Rc<Directory>>,
}

/// What earlier looks rendered, by directory.
pub(super) type Renders = HashMap<String, (Ground, Result<Rc<Reading>, Trouble>)>;

/// What an error depends on: while it is the same, so is the error.
pub(super) struct Ground {
    path: String,
    identity: Option<String>,
    /// Of the Lua scripts: whether a route can be made is also said by them.
    scripts: Option<String>,
    seen: Instant,
}

impl Ground {
    fn holds(&self, tree: &GitTree<'_>, trouble: &Trouble) -> bool {
        use crate::source::Tree as _;
        // The program may be installed meanwhile, or the machine have more time for it.
        let is_stale = matches!(trouble, Trouble::Source(SourceError::Renderer { .. })) && self.seen.elapsed() > RETRY;
        let same = |path: &str, before: &Option<String>| tree.identity(path).is_ok_and(|identity| identity == *before);
        !is_stale && self.identity.is_some() && same(&self.path, &self.identity) && same(SCRIPTS, &self.scripts)
    }
}

/// A program that failed is asked again after this long, though the files are the same.
const RETRY: Duration = Duration::from_secs(120);

/// Finds the apps of the source branch and those that the live branch remembers, but for those that rest.
pub(super) fn apps(
    repo: &dyn Repo,
    heads: &Heads,
    settings: &Repository,
    options: &Options,
    memory: &mut Memory,
) -> Result<Vec<App>, Trouble> {
    let Memory { rest, renders, found, .. } = memory;
    let tree = GitTree::new(repo, heads.source);
    let awake = rest.wake(repo, heads, settings, || directories(&tree, settings, found))?;
    let (directories, ids) = match awake {
        Some(awake) => (awake.directories, awake.ids),
        None => {
            let all = directories(&tree, settings, found)?;
            let ids = heads.live.map(|live| recorded_apps(repo, live)).transpose()?.unwrap_or_default();
            rest.begin(heads, settings, &all, ids.iter().cloned());
            (all, ids)
        }
    };
    let mut recorded: BTreeMap<AppId, Result<State, Trouble>> = BTreeMap::new();
    let mut known: HashMap<String, Vec<AppId>> = HashMap::new();
    for id in ids {
        let state = match heads.live {
            Some(live) if layout::is_recorded(repo, live, &id)? => layout::read_state(repo, live, &id),
            _ => Ok(None),
        };
        if let Ok(Some(state)) = &state {
            if rest.rests(&state.source.path) {
                // Another process has seen a newer source there than we.
                rest.forget();
                return apps(repo, heads, settings, options, memory);
            }
            known.entry(state.source.path.clone()).or_default().push(id.clone());
        }
        match state.transpose() {
            Some(state) => drop(recorded.insert(id, state)),
            None => rest.drop(&id),
        }
    }
    let mut claims: Option<Claims> = None;
    let mut apps: Vec<App> = Vec::new();
    for directory in &directories {
        let here = known.get(directory).map(Vec::as_slice).unwrap_or_default();
        let recorded_here = || here.iter().filter_map(|id| recorded.get(id)?.as_ref().ok());
        if !here.is_empty() && recorded_here().all(|state| state.files.is_empty() && is_unchanged(&tree, state)) {
            renders.remove(directory);
            for id in here {
                if let Some(Ok(state)) = recorded.remove(id) {
                    apps.push(App::new(id.clone(), Some(state), Origin::Unchanged, directory));
                }
            }
            continue;
        }
        let reading = reading(&tree, directory, options, renders);
        let path = settings.live_path(directory);
        let shared = reading.as_ref().is_ok_and(|reading| {
            let known = here.iter().filter(|id| id.path == path).count();
            matches!(reading.rollouts, Rollouts::Several(_)) || known > 1
        });
        let shared = shared || {
            // One Rollout is left, or it has another name now.
            let name = |id: &&AppId| reading.as_ref().is_ok_and(|reading| !reading.is_of(&id.name));
            here.iter().filter(|id| id.path == path).any(|id| name(&id))
        };
        let shared = shared || heads.live.map_or(Ok(false), |live| layout::has_rest(repo, live, &path))?;
        match reading {
            Ok(reading) if shared => {
                let claims = claims.get_or_insert_with(|| Claims::of(rest, &known, &directories));
                if claims.asleep.iter().any(|id| id.path == path) {
                    // An app has moved here from a directory that is gone, and would be missed in its sleep.
                    rest.forget();
                    return self::apps(repo, heads, settings, options, memory);
                }
                let granted = claims.claim(&path, directory);
                // With the live path come the apps that it has from a directory that is there no more.
                let is_homeless = |state: &Result<State, Trouble>| {
                    granted && state.as_ref().map_or(true, |state| !directories.contains(&state.source.path))
                };
                let comes = |(id, state): &(&AppId, &Result<State, Trouble>)| {
                    id.path == path && (here.contains(id) || is_homeless(state))
                };
                let ids: Vec<AppId> = recorded.iter().filter(comes).map(|(id, _)| id.clone()).collect();
                let taken = ids.into_iter().filter_map(|id| Some((id.name.clone(), recorded.remove(&id)?))).collect();
                let place = shared::Place { repo, heads, path: &path, directory };
                let mut found = shared::apps(&place, &reading, taken)?;
                let refused = match granted {
                    false => Some(rival(directory, &path)),
                    true => found.first().and_then(|app| collision(repo, heads, settings, directory, &app.id)),
                };
                if let Some(text) = refused {
                    for app in &mut found {
                        app.origin = Origin::Broken(Trouble::Invalid(text.clone()));
                        app.parts = None;
                    }
                }
                apps.extend(found);
            }
            Err(trouble) => {
                if here.is_empty() {
                    let path = settings.live_path(directory);
                    let name = directory.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("source").to_owned();
                    apps.push(App::new(AppId { path, name }, None, Origin::Broken(trouble.clone()), directory));
                }
                for id in here {
                    if let Some(Ok(state)) = recorded.remove(id) {
                        apps.push(App::new(id.clone(), Some(state), Origin::Broken(trouble.clone()), directory));
                    }
                }
            }
            Ok(reading) => {
                let Some(fresh) = reading.one(directory) else { continue };
                let id = AppId { path, name: fresh.rollout.name.clone() };
                let claims = claims.get_or_insert_with(|| Claims::of(rest, &known, &directories));
                if claims.asleep.contains(&id) {
                    // The app has moved here from a directory that is gone, and would be missed in its sleep.
                    rest.forget();
                    return self::apps(repo, heads, settings, options, memory);
                }
                if !claims.claim(&id.path, directory) {
                    let origin = Origin::Broken(Trouble::Invalid(rival(directory, &id.path)));
                    apps.push(App::new(id, None, origin, directory));
                    continue;
                }
                let origin = match collision(repo, heads, settings, directory, &id) {
                    Some(text) => Origin::Broken(Trouble::Invalid(text)),
                    None => Origin::Fresh(fresh),
                };
                apps.push(match recorded.remove(&id) {
                    Some(Err(trouble)) => App::new(id, None, Origin::Broken(trouble), directory),
                    Some(Ok(state)) => App::new(id, Some(state), origin, directory),
                    None => App::new(id, None, origin, directory),
                });
            }
        }
    }
    for (id, state) in recorded {
        apps.push(match state {
            Ok(state) => {
                let directory = Some(state.source.path.clone());
                App { id, directory, state: Some(state), origin: Origin::Gone, parts: None }
            }
            Err(trouble) => App { id, state: None, origin: Origin::Broken(trouble), directory: None, parts: None },
        });
    }
    apps.sort_by(|a, b| (&a.id, a.state.is_none()).cmp(&(&b.id, b.state.is_none())));
    Ok(apps)
}

impl App {
    pub(super) fn new(id: AppId, state: Option<State>, origin: Origin, directory: &str) -> Self {
        Self { id, state, origin, directory: Some(directory.to_owned()), parts: None }
    }

    /// Whether it has a part of its live path only: other Rollouts share it. While an app that was alone has not given away what is
    /// others', all of it is its own.
    pub(super) fn shares(&self) -> bool {
        match &self.state {
            Some(state) => !state.files.is_empty(),
            None => self.parts.is_some(),
        }
    }
}

impl Reading {
    /// The directory's only Rollout, with all objects.
    pub(super) fn one(&self, directory: &str) -> Option<Rc<Fresh>> {
        match &self.rollouts {
            Rollouts::One(rollout) => Some(Rc::new(self.of(directory, rollout, self.objects.clone()))),
            Rollouts::Several(_) => None,
        }
    }

    /// What one of its Rollouts has of it.
    pub(super) fn of(&self, directory: &str, rollout: &Rollout, objects: ObjectSet) -> Fresh {
        Fresh {
            directory: directory.to_owned(),
            rollout: rollout.clone(),
            objects,
            inputs: self.inputs.clone(),
            command: self.command.clone(),
        }
    }

    fn is_of(&self, name: &str) -> bool {
        match &self.rollouts {
            Rollouts::One(rollout) => rollout.name == name,
            Rollouts::Several(several) => several.found.iter().any(|found| found.name == name),
        }
    }
}

fn rival(directory: &str, path: &str) -> String {
    format!(
        "{directory}: another Rollout has the live path `{path}` already; map one of them elsewhere with `paths` in .windlass.yaml"
    )
}

/// Which directory has which live path. One that the live branch remembers goes before one that is new.
struct Claims {
    holders: HashMap<String, String>,
    /// Apps at rest whose directory is gone.
    asleep: HashSet<AppId>,
}

impl Claims {
    /// `known`: apps that the live branch remembers and that do not rest, by the directory that they came from.
    fn of(rest: &Rest, known: &HashMap<String, Vec<AppId>>, directories: &[String]) -> Self {
        let mut claims = Self { holders: HashMap::new(), asleep: HashSet::new() };
        for (directory, app) in rest.apps() {
            if app.gone {
                claims.asleep.insert(app.id.clone());
            } else {
                claims.hold(&app.id.path, directory);
            }
        }
        for directory in directories {
            for id in known.get(directory).into_iter().flatten() {
                claims.hold(&id.path, directory);
            }
        }
        claims
    }

    /// Of several that have one path already, the first by name keeps it.
    fn hold(&mut self, path: &str, directory: &str) {
        let holder = self.holders.entry(path.to_owned()).or_insert_with(|| directory.to_owned());
        if directory < holder.as_str() {
            directory.clone_into(holder);
        }
    }

    /// Whether `directory` may have the live path.
    fn claim(&mut self, path: &str, directory: &str) -> bool {
        self.holders.entry(path.to_owned()).or_insert_with(|| directory.to_owned()) == directory
    }
}

/// The live path must not lie in the source path of the same branch: each commit would be a new source.
fn collision(repo: &dyn Repo, heads: &Heads, settings: &Repository, directory: &str, id: &AppId) -> Option<String> {
    let same_branch =
        !repo.is_apart() && (settings.source_branch.as_deref() == Some(&settings.live_branch) || repo.same_branch());
    let inside = directory.is_empty() || id.path == directory || id.path.starts_with(&format!("{directory}/"));
    (same_branch && inside && heads.live.is_some()).then(|| {
        format!("the live path `{}` lies in the source path `{directory}` of the same branch; choose another `liveBranch` or map the path", id.path)
    })
}

/// Whether nothing that the recorded render depended on has changed, and the recorded slots say all there is to say.
fn is_unchanged(tree: &GitTree<'_>, state: &State) -> bool {
    let said = state.phase.is_busy() || state.stable.source == state.source.commit;
    said && scripts::same(tree, &state.source.inputs)
}

fn directories(tree: &GitTree<'_>, settings: &Repository, found: &mut Known) -> Result<Vec<String>, Trouble> {
    if let Some(sources) = &settings.sources {
        return Ok(sources.iter().map(|path| path.trim_matches('/').to_owned()).collect());
    }
    Ok(source::find_rollouts(tree, "", Some(found))?)
}

/// Renders a directory, or takes what was rendered of the same inputs before.
pub(super) fn reading(
    tree: &GitTree<'_>,
    directory: &str,
    options: &Options,
    renders: &mut Renders,
) -> Result<Rc<Reading>, Trouble> {
    use crate::source::Tree as _;
    if let Some((ground, reading)) = renders.get(directory) {
        match reading {
            Ok(reading) if scripts::same(tree, &reading.inputs) => return Ok(reading.clone()),
            Err(trouble) if ground.holds(tree, trouble) => return Err(trouble.clone()),
            _ => {}
        }
    }
    let result = read(tree, directory, options).map(Rc::new);
    // What a program renders can be wrong in files anywhere in the repository.
    let is_alone = || matches!(source::renderer(tree, directory, options), Ok(None)) && !names_a_chart(tree, directory, options);
    let path = if result.is_err() && !is_alone() { "" } else { directory };
    #[allow(clippy::disallowed_methods, reason = "says when a program that failed is asked again; decides nothing")]
    let seen = Instant::now();
    let ground = Ground { path: path.to_owned(), identity: tree.identity(path)?, scripts: tree.identity(SCRIPTS)?, seen };
    // What the mirror could not give is no property of the source: it is read again.
    if !result.as_ref().is_err_and(Trouble::is_local) {
        renders.insert(directory.to_owned(), (ground, result.clone()));
    }
    result
}

/// Whether a Rollout of the directory wants a chart, or cannot be asked.
fn names_a_chart(tree: &GitTree<'_>, directory: &str, options: &Options) -> bool {
    !matches!(super::spec::chart(tree, directory, options), Ok(None))
}

fn read(tree: &GitTree<'_>, directory: &str, options: &Options) -> Result<Reading, Trouble> {
    let chart = super::spec::chart(tree, directory, options)?;
    let options = &Options { chart, ..options.clone() };
    let open = Options { allow_secrets: true, ..options.clone() };
    let mut rendered = source::render(tree, directory, &open)?;
    let mut objects: ObjectSet = rendered.objects.into_iter().collect();
    let chart = &options.chart;
    let inputs = &mut rendered.inputs;
    let mut rollouts = match super::spec::several(&rendered.rollouts, &objects, tree, inputs)? {
        Some(several) => Rollouts::Several(several),
        None => Rollouts::One(Box::new(super::spec::the_rollout(directory, &rendered.rollouts, &objects, tree, inputs)?)),
    };
    let open = match &mut rollouts {
        Rollouts::One(rollout) => {
            if let Some(trouble) = fault(directory, rollout, &objects, chart.as_ref()) {
                return Err(trouble);
            }
            rollout.allow_secrets
        }
        Rollouts::Several(Several { found, .. }) => {
            for found in found.iter_mut() {
                let trouble = found.rollout.as_ref().ok().and_then(|rollout| fault(directory, rollout, &objects, chart.as_ref()));
                if let Some(trouble) = trouble {
                    found.rollout = Err(trouble);
                }
            }
            // A Secret may be anybody's: all must have said so.
            found.iter().all(|found| found.rollout.as_ref().is_ok_and(|rollout| rollout.allow_secrets))
        }
    };
    if !open && objects.values().any(|object| object.kind() == "Secret") {
        // Only the Rollout says whether a renderer's Secrets may stand in Git.
        source::render(tree, directory, &Options { allow_secrets: false, ..options.clone() })?;
    }
    match &rollouts {
        Rollouts::One(rollout) => track(&mut objects, rollout, false),
        Rollouts::Several(Several { found, .. }) => {
            for rollout in found.iter().flat_map(|found| &found.rollout) {
                track(&mut objects, rollout, true);
            }
        }
    }
    Ok(Reading { rollouts, objects, inputs: rendered.inputs, command: rendered.command })
}

/// What is wrong with a Rollout that was read, beyond its own text.
fn fault(directory: &str, rollout: &Rollout, objects: &ObjectSet, chart: Option<&source::Chart>) -> Option<Trouble> {
    if rollout.helm.is_some() && super::spec::chart_of(rollout).as_ref() != chart {
        return Some(Trouble::Invalid(format!(
            "{directory}: `source.helm` stands in a template, which cannot say how it is rendered: move the Rollout beside Chart.yaml"
        )));
    }
    scripts::fault(rollout, objects)
}

fn track(objects: &mut ObjectSet, rollout: &Rollout, among_several: bool) {
    if rollout.track_config {
        crate::render::track(objects, &rollout.workload, among_several);
    }
}
