//! Whether Flux has applied a commit, from the Kustomization alone.
//!
//! `lastAppliedRevision` is the newest commit of which everything was applied. With `wait` or `healthChecks` it moves only after the
//! health checks, which a Deployment that is held at a step never passes; then the setting to change is named. Ready is not asked: it
//! may be about a later commit of somebody else.

use super::kustomization::{Condition, Kustomization, commit};
use crate::observe::address::covers;
use crate::observe::words::{plain, short};
use crate::observe::{Live, Place};

/// What is missing for the commit to be applied, in words; `None` where nothing is.
pub fn missing(kustomization: &Kustomization, live: &Live<'_>) -> Option<String> {
    let (meta, spec, status) = (&kustomization.metadata, &kustomization.spec, &kustomization.status);
    let full = format!("Kustomization {}/{}", meta.namespace, meta.name);
    let tell = |text: String| Some(format!("{full} {text}"));
    if meta.deletion_timestamp.is_some() {
        return tell("is being deleted".to_owned());
    }
    if spec.suspend.unwrap_or(false) {
        return tell(format!("is suspended: `flux resume kustomization {} -n {}`", meta.name, meta.namespace));
    }
    let path = spec.path.as_deref().unwrap_or_default();
    if !covers(path, live.path) {
        let ours = if live.path.is_empty() { "the branch's root" } else { live.path };
        return tell(format!("does not cover {ours}: its path is `{}`", plain(path)));
    }
    let (generation, observed) = (meta.generation.unwrap_or(0), status.observed_generation.unwrap_or(0));
    if observed < generation {
        return tell(format!("was changed, and Flux has not taken up generation {generation} yet"));
    }
    if let Some(stalled) = kustomization.condition("Stalled").filter(|condition| condition.status == "True") {
        return tell(format!("is stalled: {}", told(stalled)));
    }
    let is_git = matches!(spec.source_ref.kind.as_str(), "GitRepository" | "");
    let applied = if is_git { &status.last_applied_revision } else { &status.last_applied_origin_revision };
    if !is_git && applied.is_none() && status.last_applied_revision.is_some() {
        return tell(format!(
            "reads {} {}, whose artifact does not name the commit it was made from (org.opencontainers.image.revision)",
            plain(&spec.source_ref.kind),
            plain(&spec.source_ref.name)
        ));
    }
    let at = |revision: &Option<String>| revision.as_deref().and_then(commit).map(|id| (id.to_owned(), live.lineage.place(id)));
    let attempted = if is_git { at(&status.last_attempted_revision) } else { None };
    let applied = at(applied);
    for (id, place) in [&attempted, &applied].into_iter().flatten() {
        if *place == Place::Superseded {
            return tell(format!("is at {}, in which somebody has changed the live path again: superseded", short(id)));
        }
    }
    let stands = match &applied {
        Some((_, Place::Ours)) => return None,
        Some((id, Place::Unknown)) => format!("is at {}, which is not known here yet", short(id)),
        Some((id, Place::Elsewhere)) => format!("is at {}, which is no commit of `{}`", short(id), live.branch),
        Some((id, _)) => format!("is at {}, which is before the commit", short(id)),
        None => "has applied nothing yet".to_owned(),
    };
    tell(format!("{stands}{}", why(kustomization, attempted.map(|(_, place)| place))))
}

/// What Flux says of it, and what to change.
fn why(kustomization: &Kustomization, attempted: Option<Place>) -> String {
    let spec = &kustomization.spec;
    let waits = spec.wait.unwrap_or(false) || spec.health_checks.as_ref().is_some_and(|checks| !checks.is_empty());
    if waits && unhealthy(kustomization) {
        let setting =
            if spec.wait.unwrap_or(false) { "set `spec.wait: false`" } else { "remove the workload from `spec.healthChecks`" };
        return format!(
            "; it waits for its health, which a Deployment that is held at a step never has: {setting}, or give `spec.healthCheckExprs` for it"
        );
    }
    match kustomization.condition("Ready").filter(|ready| ready.status != "True") {
        Some(ready) if attempted == Some(Place::Ours) && ready.status == "Unknown" => "; it is applying the commit".to_owned(),
        Some(ready) if ready.status == "False" => format!("; {}", told(ready)),
        _ if attempted == Some(Place::Ours) => "; it is applying the commit".to_owned(),
        _ => String::new(),
    }
}

/// Whether a health check runs, or the newest one failed. Ready says so only for the moment between a failure and the next attempt,
/// during which it is `Reconciliation in progress`; Healthy says so all the while (kustomize-controller 1.7).
fn unhealthy(kustomization: &Kustomization) -> bool {
    let is_of_health = |condition: &Condition| {
        condition.kind == "Healthy"
            || condition.reason.as_deref() == Some("HealthCheckFailed")
            || condition.message.as_deref().is_some_and(|text| text.to_lowercase().contains("health check"))
    };
    ["Healthy", "Ready"]
        .iter()
        .filter_map(|kind| kustomization.condition(kind))
        .any(|condition| condition.status != "True" && is_of_health(condition))
}

fn told(condition: &Condition) -> String {
    let reason = condition.reason.as_deref().map(plain).unwrap_or_default();
    let message = condition.message.as_deref().map(plain).unwrap_or_default();
    [reason, message].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ")
}
