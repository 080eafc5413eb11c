//! From a Deployment and its ReplicaSets to a sighting.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::observe::{COMMIT_TREE, Sighting, Workload};

/// Which generation of templates the controller made a ReplicaSet for; on the Deployment, the newest.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// The Deployment controller's label; its value is a hash of the template.
const HASH: &str = "pod-template-hash";

/// `mark` is what the annotation `windlass.dev/commit-tree` must hold. All counts are taken from the ReplicaSets, which were read at
/// one moment: the Deployment's own sums may be older or newer than they are.
pub(in crate::observe) fn sighting<S: AsRef<ReplicaSet>>(deployment: &Deployment, sets: &[S], mark: &str) -> Sighting {
    let uid = deployment.metadata.uid.as_deref().unwrap_or_default();
    let owned: Vec<&ReplicaSet> = sets.iter().map(AsRef::as_ref).filter(|set| is_owned(&set.metadata, uid)).collect();
    let newest = newest(deployment, &owned);
    let missing = missing(deployment, newest, mark);
    let sum = |count: fn(&ReplicaSet) -> u32| owned.iter().copied().map(count).fold(0, u32::saturating_add);
    let workload = Workload {
        size: deployment.spec.as_ref().and_then(|spec| spec.replicas).map_or(1, pods),
        replicas: sum(replicas),
        updated: newest.map_or(0, replicas),
        updated_ready: newest.map_or(0, ready),
        ready: sum(ready),
        available: sum(available),
        revision_label: newest
            .and_then(|set| set.metadata.labels.as_ref()?.get(HASH))
            .map(|hash| (HASH.to_owned(), hash.clone())),
        nodes: Vec::new(),
    };
    Sighting { applied: missing.is_none(), workload: Some(workload), missing }
}

/// What has not happened yet, in the order in which it happens.
fn missing(deployment: &Deployment, newest: Option<&ReplicaSet>, mark: &str) -> Option<String> {
    let meta = &deployment.metadata;
    if meta.deletion_timestamp.is_some() {
        return Some("the live Deployment is being deleted".to_owned());
    }
    if mark.is_empty() {
        return Some("the commit carries no commit-tree to look for".to_owned());
    }
    match annotation(meta, COMMIT_TREE) {
        Some(live) if live == mark => {}
        Some(live) => {
            return Some(format!(
                "the live Deployment carries commit-tree {}, not {}: not applied yet",
                short(live),
                short(mark)
            ));
        }
        None => return Some(format!("the live Deployment carries no commit-tree: {} is not applied yet", short(mark))),
    }
    let generation = meta.generation.unwrap_or(0);
    let observed = deployment.status.as_ref().and_then(|status| status.observed_generation).unwrap_or(0);
    if observed < generation {
        return Some(format!("the controller has not seen generation {generation} yet"));
    }
    if newest.is_none() {
        let paused = deployment.spec.as_ref().and_then(|spec| spec.paused).unwrap_or(false);
        let why = if paused { "the live Deployment is paused" } else { "the controller has not made it yet" };
        return Some(format!("there is no ReplicaSet of the new template: {why}"));
    }
    None
}

/// The ReplicaSet of the Deployment's present template: the one of its revision, if the templates are the same. They differ where the
/// Deployment is paused, or was changed after its controller last looked.
fn newest<'a>(deployment: &Deployment, owned: &[&'a ReplicaSet]) -> Option<&'a ReplicaSet> {
    let revision = annotation(&deployment.metadata, REVISION)?;
    let template = without_hash(deployment.spec.as_ref().map(|spec| &spec.template)?);
    owned.iter().copied().filter(|set| annotation(&set.metadata, REVISION) == Some(revision)).find(|set| {
        let of_set = set.spec.as_ref().and_then(|spec| spec.template.as_ref());
        of_set.is_some_and(|of_set| without_hash(of_set) == template)
    })
}

/// Templates are equal when they differ in the controller's label only (`EqualIgnoreHash` of Kubernetes' deployment utilities).
fn without_hash(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    if let Some(meta) = &mut template.metadata {
        if let Some(labels) = &mut meta.labels {
            labels.remove(HASH);
        }
        meta.labels = meta.labels.take().filter(|labels| !labels.is_empty());
    }
    template
}

fn is_owned(meta: &ObjectMeta, uid: &str) -> bool {
    !uid.is_empty()
        && meta
            .owner_references
            .iter()
            .flatten()
            .any(|owner| owner.controller == Some(true) && owner.kind == "Deployment" && owner.uid == uid)
}

fn annotation<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(key).map(String::as_str)
}

/// The first characters of an id; what is no id came from somebody else and is not repeated.
fn short(id: &str) -> &str {
    match id.get(..8) {
        Some(start) if id.chars().all(|c| c.is_ascii_alphanumeric()) => start,
        _ if !id.is_empty() && id.len() < 8 && id.chars().all(|c| c.is_ascii_alphanumeric()) => id,
        _ => "of another form",
    }
}

fn pods(count: i32) -> u32 {
    u32::try_from(count).unwrap_or(0)
}

fn replicas(set: &ReplicaSet) -> u32 {
    set.status.as_ref().map_or(0, |status| pods(status.replicas))
}

fn ready(set: &ReplicaSet) -> u32 {
    set.status.as_ref().and_then(|status| status.ready_replicas).map_or(0, pods)
}

fn available(set: &ReplicaSet) -> u32 {
    set.status.as_ref().and_then(|status| status.available_replicas).map_or(0, pods)
}
