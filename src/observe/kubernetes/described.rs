//! A kind of workload that the repository describes: what its own status says, since nobody knows how its pods are labelled.

use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::Value;

use super::failure::{self, Rights};
use super::revisions::{self, number};
use crate::observe::{Described, ObserveError, Sighting, Target, Workload};

/// Looks at the workload that `target` names, in `namespace`.
pub(super) async fn look(
    client: Client,
    namespace: &str,
    described: &Described,
    target: &Target,
) -> Result<Sighting, ObserveError> {
    let (group, version) = target.api_version.split_once('/').unwrap_or(("", &target.api_version));
    let kind = GroupVersionKind::gvk(group, version, &target.kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, &described.plural);
    let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, &resource);
    let (kind, name) = (&target.kind, &target.name);
    match api.get(name).await {
        Ok(object) => {
            let object = serde_json::to_value(&object)
                .map_err(|_| ObserveError::Refused { cause: format!("{kind} {namespace}/{name} cannot be read"), hint: None })?;
            sighting(&object, described, &target.mark)
        }
        Err(error) if failure::is_absent(&error, name) => {
            let missing = format!("{kind} {namespace}/{name} does not exist: not applied yet, or applied elsewhere");
            Ok(Sighting { applied: false, workload: None, missing: Some(missing) })
        }
        Err(error) => Err(explain(&error, namespace, &resource)),
    }
}

/// From the workload to a sighting; `mark` is what its commit-tree must be.
///
/// # Errors
/// It does not say what has to be known.
fn sighting(workload: &Value, described: &Described, mark: &str) -> Result<Sighting, ObserveError> {
    let text = |pointer: &str| workload.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let name = format!("{} {}/{}", text("/kind"), text("/metadata/namespace"), text("/metadata/name"));
    let at = |path: &str| number(workload, &pointer(path));
    let fields = &described.status;
    let Some(size) = at(&described.replicas) else {
        return Err(refused(
            format!("{name} has no number of pods at `{}`", described.replicas),
            "`workloads` in .windlass.yaml names the path of its replicas",
        ));
    };
    let written = workload.pointer("/status").and_then(Value::as_object).is_some_and(|status| !status.is_empty());
    if !written {
        let missing = revisions::behind(workload, mark)
            .unwrap_or_else(|| format!("{name} has no status yet: its controller has not seen it"));
        let workload = Workload { size, ..Workload::default() };
        return Ok(Sighting { applied: false, workload: Some(workload), missing: Some(missing) });
    }
    let Some(observed) = workload.pointer(&pointer(&fields.observed_generation)).and_then(Value::as_i64) else {
        return Err(refused(
            format!(
                "`{}` of {name} is missing: nobody can tell whether its controller has seen a commit",
                fields.observed_generation
            ),
            "name the path where its status says it (`workloads` in .windlass.yaml, `status`), or observe the app with `timed`",
        ));
    };
    let lost = || lost(&name, described, at(&described.partition));
    let missing = revisions::behind(workload, mark).or_else(lost).or_else(|| revisions::unseen(workload, observed));
    // Controllers leave out a count that is zero, so that a missing one must not keep a rollback waiting. It may explain why it waits.
    let absent = [&fields.updated_replicas, &fields.ready_replicas].into_iter().find(|field| size > 0 && at(field).is_none());
    let unsaid = absent.map(|field| {
        format!(
            "`{field}` of {name} is missing: it is zero, or counted elsewhere (`workloads` in .windlass.yaml, `status`), or not at all \
             (then observe the app with `timed`)"
        )
    });
    let count = |field: &str| at(field).unwrap_or(0);
    let (updated, ready) = (count(&fields.updated_replicas), count(&fields.ready_replicas));
    let replicas = at(&fields.replicas).unwrap_or_else(|| updated.max(ready).max(size));
    // Where the status does not say which pods are Ready, each that is not may be an updated one. On the way back the others are
    // the bad ones, and the stable ones must not wait until these are Ready.
    let guess = if described.returning { updated.min(ready) } else { updated.saturating_sub(replicas.saturating_sub(ready)) };
    let seen = Workload {
        size,
        replicas,
        updated,
        updated_ready: at(&fields.updated_ready_replicas).unwrap_or(guess),
        ready,
        available: count("status.availableReplicas"),
        revision_label: None,
        nodes: Vec::new(),
    };
    Ok(Sighting { applied: missing.is_none(), workload: Some(seen), missing: missing.or(unsaid) })
}

/// Whether the cluster does not keep the partition that the commit says. A field that is not in the kind's schema is dropped without
/// a word, and then all pods are updated at once.
fn lost(name: &str, described: &Described, live: Option<u32>) -> Option<String> {
    let (path, kept) = (&described.partition, described.kept?);
    if live.unwrap_or(0) == kept {
        return None;
    }
    let is = live.map_or_else(|| "is missing".to_owned(), |live| format!("is {live}"));
    Some(format!(
        "`{path}` of {name} {is} in the cluster, where the commit says {kept}: the kind's CustomResourceDefinition does not have that field, \
         or somebody has changed it"
    ))
}

/// No key of a path has a character that a pointer would escape.
fn pointer(path: &str) -> String {
    path.split('.').flat_map(|key| ["/", key]).collect()
}

fn refused(cause: String, hint: &str) -> ObserveError {
    ObserveError::Refused { cause, hint: Some(hint.to_owned()) }
}

fn explain(error: &kube::Error, namespace: &str, resource: &ApiResource) -> ObserveError {
    let ApiResource { group, version, kind, plural, .. } = resource;
    let explained = failure::explain(error, namespace, &Rights::ANY);
    let kube::Error::Api(status) = error else { return explained };
    match (status.code, explained) {
        (403, ObserveError::Refused { cause, .. }) => {
            refused(cause, &format!("grant in namespace {namespace}: verb get on {plural} of API group {group}"))
        }
        (404, _) => refused(
            format!("the cluster serves no {plural} ({kind}) of {group}/{version} (404)"),
            "install what defines it, or name its `plural` under `workloads` in .windlass.yaml (`kubectl api-resources` shows it)",
        ),
        (_, explained) => explained,
    }
}
