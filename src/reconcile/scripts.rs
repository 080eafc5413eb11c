//! Lua scripts of the source, `.windlass/lua/…`: found for a Rollout, and noticed when they change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::Trouble;
use super::layout::join;
use crate::api::{Rollout, SCRIPTS};
use crate::lua::LONGEST_SCRIPT;
use crate::manifest::ObjectSet;
use crate::render::{RenderError, traffic};
use crate::source::{SourceError, Tree};

/// The scripts that the source has for routes, of those that are `wanted`: paths below `.windlass/lua` → text. `inputs` gets the
/// identity of every place that was looked at: `""` where nothing is, since a script that appears counts, too.
///
/// # Errors
/// A script that is no plain file, is too long, or is not UTF-8.
pub fn find(
    tree: &dyn Tree,
    wanted: &BTreeSet<String>,
    inputs: &mut BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, SourceError> {
    let mut found = BTreeMap::new();
    for wanted in wanted {
        let path = join(SCRIPTS, wanted);
        let identity = tree.identity(&path)?;
        if identity.is_some() {
            let refused = |cause: String| SourceError::Refused { path: path.clone(), cause };
            let content = tree.read(&path)?;
            if content.len() > LONGEST_SCRIPT {
                return Err(refused(format!("the script has {} bytes, and may have {LONGEST_SCRIPT}", content.len())));
            }
            let text = String::from_utf8(content).map_err(|_| refused("the script is not UTF-8".to_owned()))?;
            found.insert(wanted.clone(), text);
        }
        inputs.insert(path, identity.unwrap_or_default());
    }
    Ok(found)
}

/// The first fault of a script at any step. A source whose scripts do not work is one that cannot be read: what a person says
/// is then followed with the scripts that are recorded, and a script that does not end is not run at every look.
pub(super) fn fault(rollout: &Rollout, objects: &ObjectSet) -> Option<Trouble> {
    if rollout.routings.iter().all(|routing| routing.scripts.is_empty()) {
        return None;
    }
    #[allow(clippy::disallowed_methods, reason = "many slow scripts must not keep other apps waiting; see ALL_STEPS")]
    let start = Instant::now();
    let count = rollout.steps.len();
    let mut one = Rollout { steps: Vec::new(), ..rollout.clone() };
    for (index, step) in rollout.steps.iter().enumerate() {
        one.steps = vec![step.clone()];
        let found = traffic::check(objects, &one).into_iter().find(|(_, error)| matches!(error, RenderError::Script { .. }));
        let fault = match found {
            Some((_, error)) => format!("step {}: {error}", index + 1),
            None if start.elapsed() > ALL_STEPS => {
                format!("its Lua scripts were stopped after {} of {count} steps, {} seconds", index + 1, ALL_STEPS.as_secs())
            }
            None => continue,
        };
        return Some(Trouble::Invalid(format!("{fault}\n    = help: {MEND}")));
    }
    None
}

/// What to do about a script that does not work.
pub(super) const MEND: &str = "mend the script; `windlass lua test` tries it on test data (docs/tasks/lua.md). Until then no step begins; \
                    a rollback needs no script";
/// The scripts of all steps of one Rollout have this long. Each run has a limit of its own (`lua::run`), so that what
/// comes near this one has many steps with scripts that are slow beyond any use.
const ALL_STEPS: Duration = Duration::from_secs(30);

/// Whether all of these are as they were.
pub(super) fn same(tree: &dyn Tree, inputs: &BTreeMap<String, String>) -> bool {
    inputs.iter().all(|(path, identity)| tree.identity(path).is_ok_and(|now| now.unwrap_or_default() == *identity))
}
