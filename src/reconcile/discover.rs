//! Which apps there are, and what is new in their sources.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::layout::{AppId, recorded_apps};
use super::tree::GitTree;
use super::{Memory, Trouble, layout};
use crate::api::{Repository, Rollout};
use crate::engine::State;
use crate::git::{Heads, Repo};
use crate::manifest::ObjectSet;
use crate::source::{self, Options};

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
}

/// Finds all apps: those of the source branch and those that the live branch remembers.
pub(super) fn apps(
    repo: &dyn Repo,
    heads: &Heads,
    settings: &Repository,
    options: &Options,
    memory: &mut Memory,
) -> Result<Vec<App>, Trouble> {
    let tree = GitTree::new(repo, heads.source);
    let directories = directories(&tree, settings, memory)?;
    let mut recorded: BTreeMap<AppId, Result<State, Trouble>> = BTreeMap::new();
    if let Some(live) = heads.live {
        for id in recorded_apps(repo, live)? {
            let state = layout::read_state(repo, live, &id);
            let gone = || Trouble::Content { path: id.home(), cause: "the state vanished".to_owned() };
            recorded.insert(id.clone(), state.and_then(|state| state.ok_or_else(gone)));
        }
    }
    let mut apps: Vec<App> = Vec::new();
    let mut met: BTreeSet<AppId> = BTreeSet::new();
    for directory in &directories {
        let known: Vec<(AppId, State)> = recorded
            .iter()
            .filter_map(|(id, state)| {
                state.as_ref().ok().filter(|state| state.source.path == *directory).map(|state| (id.clone(), state.clone()))
            })
            .collect();
        if !known.is_empty() && known.iter().all(|(_, state)| is_unchanged(&tree, state)) {
            for (id, state) in known {
                met.insert(id.clone());
                apps.push(App { id, state: Some(state), origin: Origin::Unchanged });
            }
            continue;
        }
        match fresh(&tree, directory, options, memory) {
            Err(trouble) => {
                let broken = |id: AppId, state| App { id, state, origin: Origin::Broken(trouble.clone()) };
                if known.is_empty() {
                    let path = settings.live_path(directory);
                    let name = directory.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("source").to_owned();
                    apps.push(broken(AppId { path, name }, None));
                }
                for (id, state) in known {
                    met.insert(id.clone());
                    apps.push(broken(id, Some(state)));
                }
            }
            Ok(fresh) => {
                let id = AppId { path: settings.live_path(directory), name: fresh.rollout.name.clone() };
                let origin = match (met.contains(&id), taken(&apps, &id), collision(repo, heads, settings, directory, &id)) {
                    (true, _, _) | (_, true, _) => Origin::Broken(Trouble::Invalid(format!(
                        "{directory}: another Rollout has the live path `{}` already; map one of them elsewhere with `paths` in .windlass.yaml",
                        id.path
                    ))),
                    (_, _, Some(text)) => Origin::Broken(Trouble::Invalid(text)),
                    _ => Origin::Fresh(fresh),
                };
                met.insert(id.clone());
                let (state, origin) = match recorded.get(&id) {
                    Some(Err(trouble)) => (None, Origin::Broken(trouble.clone())),
                    Some(Ok(state)) => (Some(state.clone()), origin),
                    None => (None, origin),
                };
                apps.push(App { id, state, origin });
            }
        }
    }
    for (id, state) in recorded {
        if met.contains(&id) {
            continue;
        }
        match state {
            Ok(state) => apps.push(App { id, state: Some(state), origin: Origin::Gone }),
            Err(trouble) => apps.push(App { id, state: None, origin: Origin::Broken(trouble) }),
        }
    }
    apps.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(apps)
}

fn taken(apps: &[App], id: &AppId) -> bool {
    apps.iter().any(|app| app.id.path == id.path && !matches!(app.origin, Origin::Gone | Origin::Broken(_)))
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
    use crate::source::Tree as _;
    let said = state.phase.is_busy() || state.stable.source == state.source.commit;
    said && state.source.inputs.iter().all(|(path, identity)| tree.identity(path).ok().flatten().as_ref() == Some(identity))
}

fn directories(tree: &GitTree<'_>, settings: &Repository, memory: &mut Memory) -> Result<Vec<String>, Trouble> {
    if let Some(sources) = &settings.sources {
        return Ok(sources.iter().map(|path| path.trim_matches('/').to_owned()).collect());
    }
    Ok(source::find_rollouts(tree, "", Some(&mut memory.found))?)
}

/// Renders a directory, or takes what was rendered of the same inputs before.
pub(super) fn fresh(tree: &GitTree<'_>, directory: &str, options: &Options, memory: &mut Memory) -> Result<Rc<Fresh>, Trouble> {
    use crate::source::Tree as _;
    let identity = tree.identity(directory)?.unwrap_or_default();
    if let Some((known, fresh)) = memory.renders.get(directory) {
        let same = |fresh: &Fresh| fresh.inputs.iter().all(|(path, id)| tree.identity(path).ok().flatten().as_ref() == Some(id));
        match fresh {
            Ok(fresh) if same(fresh) => return Ok(fresh.clone()),
            Err(trouble) if *known == identity && !identity.is_empty() => return Err(trouble.clone()),
            _ => {}
        }
    }
    let result = read(tree, directory, options).map(Rc::new);
    // What the mirror could not give is no property of the source: it is read again.
    if !result.as_ref().is_err_and(Trouble::is_local) {
        memory.renders.insert(directory.to_owned(), (identity, result.clone()));
    }
    result
}

fn read(tree: &GitTree<'_>, directory: &str, options: &Options) -> Result<Fresh, Trouble> {
    let open = Options { allow_secrets: true, ..options.clone() };
    let rendered = source::render(tree, directory, &open)?;
    let objects: ObjectSet = rendered.objects.into_iter().collect();
    let rollout = super::spec::the_rollout(directory, &rendered.rollouts, &objects)?;
    if !rollout.allow_secrets && objects.values().any(|object| object.kind() == "Secret") {
        // Only the Rollout says whether a renderer's Secrets may stand in Git.
        source::render(tree, directory, &Options { allow_secrets: false, ..options.clone() })?;
    }
    Ok(Fresh { directory: directory.to_owned(), rollout, objects, inputs: rendered.inputs, command: rendered.command })
}
