//! The routings that Rollouts of a live path share, at one commit.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::git::{Oid, Repo};
use crate::reconcile::Trouble;
use crate::reconcile::layout::{self, AppId};

/// What an app's commit may know of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared {
    /// Those in force after the commit.
    pub on: BTreeSet<String>,
    /// Those that the apps' shapes name.
    pub needed: BTreeSet<String>,
    /// The rest's files, before and after.
    pub files: BTreeSet<String>,
    /// Whether a person's change stands in the rest.
    pub foreign: bool,
}

/// `None`: the live path has none.
pub(super) fn read(repo: &dyn Repo, commit: Oid, before: Oid, path: &str) -> Result<Option<Shared>, Trouble> {
    let home = layout::rest_home(path);
    let json = |at: Oid, file: &str| -> Result<Option<Value>, Trouble> {
        let content = layout::read_file(repo, at, &layout::join(&home, file))?;
        Ok(content.and_then(|content| serde_json::from_slice(&content).ok()))
    };
    let Some(routings) = json(commit, "routings")? else { return Ok(None) };
    let texts = |value: &Value| -> BTreeSet<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let names: BTreeSet<String> = routings["routings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|routing| routing["name"].as_str().map(str::to_owned))
        .collect();
    let mut shared = Shared { on: texts(&routings["on"]), ..Shared::default() };
    for app in layout::recorded_apps(repo, commit)?.into_iter().filter(|app| app.path == path) {
        let state = layout::read_state(repo, commit, &app)?;
        shared.needed.extend(state.and_then(|state| state.shape.shared).filter(|name| names.contains(name)));
    }
    for at in [before, commit] {
        let files = json(at, "record")?.map(|record| record["files"].clone()).unwrap_or_default();
        for (name, id) in files.as_object().into_iter().flatten() {
            let there = repo.entry(at, &layout::join(path, name))?.map(|entry| entry.id.to_string());
            shared.foreign |= there.as_deref() != id.as_str();
            shared.files.insert(name.clone());
        }
    }
    Ok(Some(shared))
}

/// The live path that a commit's own app has.
pub(super) fn path<'a>(changes: impl IntoIterator<Item = &'a AppId>) -> Option<&'a str> {
    changes.into_iter().next().map(|app| app.path.as_str())
}
