//! Kinds of workloads that the repository's settings describe: asked for where a Rollout names one that Windlass does not know.

use std::collections::BTreeMap;

use super::{Trouble, spec};
use crate::api::{self, DescribedKind, ReadResult};
use crate::engine::{Phase, State};
use crate::observe::{Described, StatusFields};
use crate::render;
use crate::source::Tree;

/// The repository's own settings, on the source branch.
pub(super) const SETTINGS: &str = ".windlass.yaml";

/// Reads a file with Rollouts, and the kinds that the settings of `tree` describe, where it names one that nobody knows. The settings are
/// then noted in `inputs`, since another description is another Rollout.
///
/// # Errors
/// The settings cannot be read.
pub(super) fn read(
    tree: &dyn Tree,
    path: &str,
    text: &str,
    inputs: &mut BTreeMap<String, String>,
) -> Result<(ReadResult, Vec<DescribedKind>), Trouble> {
    let plain = api::read(path, text);
    if !plain.names_unknown_kind {
        return Ok((plain, Vec::new()));
    }
    let identity = tree.identity(SETTINGS)?;
    let kinds = match identity {
        Some(_) => spec::repository(SETTINGS, &tree.read(SETTINGS)?)?.workloads,
        None => Vec::new(),
    };
    inputs.insert(SETTINGS.to_owned(), identity.unwrap_or_default());
    Ok((api::read_with(path, text, &kinds), kinds))
}

/// What an observer is told of a kind, for the newest commit. On the way back nothing waits for a partition: a cluster that does not keep
/// it must not keep the stable pods from coming.
pub(super) fn observed(kind: &DescribedKind, state: &State) -> Described {
    let status = &kind.status;
    Described {
        plural: kind.plural.clone(),
        replicas: kind.replicas.to_string(),
        partition: kind.partition.to_string(),
        kept: Some(state.shape.pods).filter(|_| state.phase == Phase::Releasing).and_then(render::workload::kept),
        returning: state.phase == Phase::RollingBack || state.rollback.is_some(),
        status: StatusFields {
            observed_generation: status.observed_generation.to_string(),
            replicas: status.replicas.to_string(),
            updated_replicas: status.updated_replicas.to_string(),
            ready_replicas: status.ready_replicas.to_string(),
            updated_ready_replicas: status.updated_ready_replicas.to_string(),
        },
    }
}
