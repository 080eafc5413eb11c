//! Which apps there are, and what is new in their sources.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::layout::{AppId, recorded_apps};
use super::rest::Rest;
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
}

/// What earlier looks rendered, by directory.
pub(super) type Renders = HashMap<String, (Ground, Result<Rc<Fresh>, Trouble>)>;

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
        if !here.is_empty() && recorded_here().all(|state| is_unchanged(&tree, state)) {
            renders.remove(directory);
            for id in here {
                if let Some(Ok(state)) = recorded.remove(id) {
                    apps.push(App::new(id.clone(), Some(state), Origin::Unchanged, directory));
                }
            }
            continue;
        }
        match fresh(&tree, directory, options, renders) {
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
            Ok(fresh) => {
                let id = AppId { path: settings.live_path(directory), name: fresh.rollout.name.clone() };
                let claims = claims.get_or_insert_with(|| Claims::of(rest, &known, &directories));
                if claims.asleep.contains(&id) {
                    // The app has moved here from a directory that is gone, and would be missed in its sleep.
                    rest.forget();
                    return self::apps(repo, heads, settings, options, memory);
                }
                if !claims.claim(&id.path, directory) {
                    let origin = Origin::Broken(Trouble::Invalid(format!(
                        "{directory}: another Rollout has the live path `{}` already; map one of them elsewhere with `paths` in .windlass.yaml",
                        id.path
                    )));
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
            Ok(state) => App { id, directory: Some(state.source.path.clone()), state: Some(state), origin: Origin::Gone },
            Err(trouble) => App { id, state: None, origin: Origin::Broken(trouble), directory: None },
        });
    }
    apps.sort_by(|a, b| (&a.id, a.state.is_none()).cmp(&(&b.id, b.state.is_none())));
    Ok(apps)
}

impl App {
    fn new(id: AppId, state: Option<State>, origin: Origin, directory: &str) -> Self {
        Self { id, state, origin, directory: Some(directory.to_owned()) }
    }
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
    let same_branch = settings.source_branch.as_deref() == Some(&settings.live_branch) || repo.same_branch();
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
pub(super) fn fresh(tree: &GitTree<'_>, directory: &str, options: &Options, renders: &mut Renders) -> Result<Rc<Fresh>, Trouble> {
    use crate::source::Tree as _;
    if let Some((ground, fresh)) = renders.get(directory) {
        match fresh {
            Ok(fresh) if scripts::same(tree, &fresh.inputs) => return Ok(fresh.clone()),
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

fn read(tree: &GitTree<'_>, directory: &str, options: &Options) -> Result<Fresh, Trouble> {
    let chart = super::spec::chart(tree, directory, options)?;
    let options = &Options { chart, ..options.clone() };
    let open = Options { allow_secrets: true, ..options.clone() };
    let mut rendered = source::render(tree, directory, &open)?;
    let objects: ObjectSet = rendered.objects.into_iter().collect();
    let rollout = super::spec::the_rollout(directory, &rendered.rollouts, &objects, tree, &mut rendered.inputs)?;
    if rollout.helm.is_some() && super::spec::chart_of(&rollout) != options.chart {
        return Err(Trouble::Invalid(format!(
            "{directory}: `source.helm` stands in a template, which cannot say how it is rendered: move the Rollout beside Chart.yaml"
        )));
    }
    if let Some(trouble) = scripts::fault(&rollout, &objects) {
        return Err(trouble);
    }
    if !rollout.allow_secrets && objects.values().any(|object| object.kind() == "Secret") {
        // Only the Rollout says whether a renderer's Secrets may stand in Git.
        source::render(tree, directory, &Options { allow_secrets: false, ..options.clone() })?;
    }
    Ok(Fresh { directory: directory.to_owned(), rollout, objects, inputs: rendered.inputs, command: rendered.command })
}
