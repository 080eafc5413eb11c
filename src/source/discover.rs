//! Finds the directories that hold Rollouts.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::own::holds_rollout;
use super::{Item, ItemKind, SourceError, Tree, is_chart, paths};

/// What the last looks found: a directory's path → its identity then, and the directories with Rollouts in and below it,
/// relative to it (`""`: itself). Equal identities, equal content, so an entry is never wrong; callers may store it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Known(pub BTreeMap<String, (String, Rc<Vec<String>>)>);

/// A cache that has grown beyond this is of a repository's past more than of its present, and starts anew.
const MOST_KNOWN: usize = 200_000;
/// Directories in one another.
const DEEPEST: usize = 64;

/// The directories at or below `root` with a Rollout directly in them, sorted.
///
/// Looks at `*.yaml` and `*.yml` files. Hidden directories, links, submodules and files that cannot be read are passed
/// over: what is wrong in one place must not hide the other apps. A file that is no valid YAML counts when it says
/// `kind: Rollout`, so that its app shows the error. With `known`, directories of known identity are not looked at again.
pub fn find_rollouts(tree: &dyn Tree, root: &str, mut known: Option<&mut Known>) -> Result<Vec<String>, SourceError> {
    paths::check(root)?;
    if let Some(known) = known.as_deref_mut().filter(|known| known.0.len() > MOST_KNOWN) {
        known.0.clear();
    }
    let below = below(tree, root, 0, &mut known)?;
    let mut found = match root {
        "" => Rc::unwrap_or_clone(below),
        _ => below.iter().map(|inner| if inner.is_empty() { root.to_owned() } else { format!("{root}/{inner}") }).collect(),
    };
    found.sort();
    Ok(found)
}

fn below(tree: &dyn Tree, directory: &str, depth: usize, known: &mut Option<&mut Known>) -> Result<Rc<Vec<String>>, SourceError> {
    // Identities can cost as much as reading: they are asked for only with a cache.
    let identity = if known.is_some() { tree.identity(directory)? } else { None };
    if let (Some(known), Some(identity)) = (known.as_deref(), &identity)
        && let Some((_, found)) = known.0.get(directory).filter(|(then, _)| then == identity)
    {
        return Ok(found.clone());
    }
    let mut found = Vec::new();
    let Some(items) = tolerate(tree.list(directory))?.flatten() else { return Ok(Rc::default()) };
    let is_chart = items.iter().any(|item| item.kind == ItemKind::File && is_chart(&item.name));
    if holds(tree, directory, &items)? || is_chart && template_holds(tree, directory)? {
        found.push(String::new());
    }
    for item in items.iter().filter(|item| item.kind == ItemKind::Directory && !item.name.starts_with('.')) {
        let Ok(path) = paths::entry(directory, &item.name) else { continue };
        // Parts of the chart, no sources.
        if is_chart && matches!(item.name.as_str(), "templates" | "charts" | "crds") {
            continue;
        }
        if depth < DEEPEST {
            for inner in below(tree, &path, depth + 1, known)?.iter() {
                found.push(if inner.is_empty() { item.name.clone() } else { format!("{}/{inner}", item.name) });
            }
        }
    }
    let found = Rc::new(found);
    if let (Some(known), Some(identity)) = (known.as_deref_mut(), identity) {
        known.0.insert(directory.to_owned(), (identity, found.clone()));
    }
    Ok(found)
}

/// Whether a chart has a template of a Rollout. What helm makes of it is seen when the chart is rendered.
fn template_holds(tree: &dyn Tree, directory: &str) -> Result<bool, SourceError> {
    let templates = paths::entry(directory, "templates")?;
    let Some(items) = tolerate(tree.list(&templates))?.flatten() else { return Ok(false) };
    holds(tree, &templates, &items)
}

fn holds(tree: &dyn Tree, directory: &str, items: &[Item]) -> Result<bool, SourceError> {
    let is_yaml = |name: &str| !name.starts_with('.') && (name.ends_with(".yaml") || name.ends_with(".yml"));
    for item in items.iter().filter(|item| item.kind == ItemKind::File && is_yaml(&item.name)) {
        let Ok(path) = paths::entry(directory, &item.name) else { continue };
        if tolerate(tree.read(&path))?.is_some_and(|content| holds_rollout(&content)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What is refused for its content is passed over; a repository that cannot be read is an error.
fn tolerate<T>(result: Result<T, SourceError>) -> Result<Option<T>, SourceError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error @ SourceError::Repository(_)) => Err(error),
        Err(_) => Ok(None),
    }
}
