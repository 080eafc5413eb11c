//! The words of commits.

use super::gates::duration;
use super::input::GateFact;
use super::judge::number;
use super::moves::NextSlots;
use super::state::{Leg, Phase, State};
use crate::api::Rollout;
use crate::manifest::{Object, ObjectSet};
use crate::render::{Pods, PodsPhase, Shape, find_workload, traffic};

/// The subject of a commit, without the app's name.
pub(super) fn title(rollout: &Rollout, state: &State, leg: Leg, before: Option<&Shape>) -> String {
    let steps = rollout.steps.len();
    let at = format!("step {}/{steps}", state.step);
    match leg {
        Leg::Adopt => "adopt the source as it is".to_owned(),
        Leg::Sync if state.step == 0 => "sync with the source".to_owned(),
        Leg::Sync if state.rollback.is_some() => format!("roll back, {at}, sync with the source"),
        Leg::Sync => match state.shape.pods {
            Pods::Held { size, to, .. } if before.is_some_and(|before| before.pods != state.shape.pods) => {
                format!("{at}, sync with the source, {to} of {size} pods")
            }
            _ => match state.shape.extra.filter(|extra| before.is_some_and(|before| before.extra != Some(*extra))) {
                Some(pods) => format!("{at}, sync with the source, {}", canary_pods(pods)),
                None => format!("{at}, sync with the source"),
            },
        },
        Leg::Label => format!("step 0/{steps}, label the running pods"),
        Leg::Grow => match state.shape.pods {
            Pods::Held { size, to, phase: PodsPhase::Shift, .. } => format!("{at}, replace up to {to} of {size} pods"),
            Pods::Held { size, to, .. } => format!("{at}, grow to {to} of {size} pods"),
            Pods::Stable | Pods::Returning { .. } | Pods::Back { .. } | Pods::Candidate => match state.shape.extra {
                Some(pods) => format!("{at}, grow to {}", canary_pods(pods)),
                None if state.shape.pods == Pods::Candidate => {
                    format!("{at}, the workload's own strategy takes over{}", canary_nodes(&state.shape))
                }
                None => at,
            },
        },
        Leg::Shift if state.phase == Phase::Finalising => "finalise, all requests to the new version".to_owned(),
        Leg::Shift => shift(&at, state, before) + &sharing(state, before),
        Leg::Widen if state.phase == Phase::Finalising => "finalise, the Service selects all pods again".to_owned(),
        Leg::Widen => format!("{at}, the Service selects all pods again"),
        Leg::Unroute if shared(state) != before.and_then(|before| before.shared.as_deref()) => {
            let name = before.and_then(|before| before.shared.as_deref()).unwrap_or_default();
            format!("finalise, the shared routing `{name}` is not needed any more")
        }
        Leg::Unroute if state.phase == Phase::Finalising => "finalise, routes as you wrote them".to_owned(),
        Leg::Unroute => format!("{at}, routes as you wrote them"),
        Leg::Resume => format!("finalise, the workload's own strategy takes over{}", canary_nodes(&state.shape)),
        Leg::Complete => format!("release {} complete", state.release),
        Leg::RestoreRoutes => format!("{at}, the cluster lost the stable pods: all requests to the stable version"),
        Leg::RestorePods => format!("{at}, the cluster lost the stable pods: they come back"),
        Leg::RollbackRoutes => "roll back, all requests to the stable version".to_owned(),
        Leg::RollbackPods => match (state.shape.pods, state.shape.extra) {
            (Pods::Back { from, left, phase: PodsPhase::Grow, .. }, _) if from == left => {
                format!("roll back, {at}, hold the pods where they are")
            }
            (Pods::Back { size, left, phase, .. }, _) => {
                let how = if phase == PodsPhase::Grow { "grow" } else { "shift" };
                format!("roll back, {at}, {how} to {} of {size} stable pods", size.saturating_sub(left))
            }
            (Pods::Stable, Some(pods)) => format!("roll back, {at}, {}", canary_pods(pods)),
            _ => format!("roll back, stable pods{}", canary_nodes(&state.shape)),
        },
        Leg::RollbackEnd => format!("release {} rolled back", state.release),
        Leg::Note => note(&at, state),
    }
}

fn shift(at: &str, state: &State, before: Option<&Shape>) -> String {
    let routed = before.is_some_and(|before| before.routes != state.shape.routes);
    let pods = match state.shape.pods {
        Pods::Held { size, to, .. } => format!("{to} of {size} pods"),
        Pods::Stable | Pods::Returning { .. } | Pods::Back { .. } | Pods::Candidate => match state.shape.extra {
            Some(pods) => canary_pods(pods),
            None => "all pods".to_owned(),
        },
    };
    if routed {
        let (requests, changes) = traffic::describe_parts(&state.shape.routes);
        let changes = changes.map(|changes| format!("; {changes}")).unwrap_or_default();
        format!("{at}, shift {requests} to {pods}{changes}")
    } else if before.is_some_and(|before| before.pods == state.shape.pods && before.shared == state.shape.shared) {
        format!("{at}, as before")
    } else {
        format!("{at}, shift to {pods}")
    }
}

fn shared(state: &State) -> Option<&str> {
    state.shape.shared.as_deref()
}

/// That a routing which is shared with other Rollouts is needed from now on, or is not any more.
fn sharing(state: &State, before: Option<&Shape>) -> String {
    let then = before.and_then(|before| before.shared.as_deref());
    match (shared(state), then) {
        (now, then) if now == then => String::new(),
        (Some(name), _) => format!("; shared routing `{name}`"),
        (None, then) => format!("; without the shared routing `{}`", then.unwrap_or_default()),
    }
}

/// What the shared routing does that the app needs from now on.
pub(super) fn shares(rollout: &Rollout, state: &State, before: Option<&Shape>) -> Option<String> {
    let routing = rollout.shared.as_ref()?.routing.as_ref()?;
    let is_new = shared(state) == Some(routing.name.as_str()) && shared(state) != before.and_then(|one| one.shared.as_deref());
    is_new.then(|| format!("The shared routing `{}`: {}.", routing.name, traffic::describe_shared(routing)))
}

/// Pods of the second Deployment.
fn canary_pods(pods: u32) -> String {
    if pods == 1 { "1 canary pod".to_owned() } else { format!("{pods} canary pods") }
}

/// Nodes that the second DaemonSet still has.
fn canary_nodes(shape: &Shape) -> String {
    match shape.nodes.len() {
        0 => String::new(),
        1 => ", canary left on 1 node".to_owned(),
        nodes => format!(", canary left on {nodes} nodes"),
    }
}

fn note(at: &str, state: &State) -> String {
    match state.phase {
        Phase::Healthy => "rolled back by a revert".to_owned(),
        Phase::Paused => format!("{at}, paused"),
        _ => format!("{at}, go on from here"),
    }
}

/// Which gates let the step pass, in a sentence.
pub(super) fn passed(step: u32, facts: &[GateFact]) -> String {
    if facts.is_empty() {
        return format!("Step {step} is done: pods ready, no further gates.");
    }
    let shown: Vec<String> = facts
        .iter()
        .map(|fact| {
            let detail = fact.detail.as_deref().unwrap_or(fact.verdict);
            match fact.looks {
                Some(looks) => format!("{} {detail} ({looks} looks)", fact.name),
                None => format!("{} {detail}", fact.name),
            }
        })
        .collect();
    format!("Gates of step {step} passed: {}.", shown.join(", "))
}

/// What the release changes, as people call it: the images.
pub(super) fn images(rollout: &Rollout, slots: &NextSlots) -> String {
    let read = |objects: Option<&ObjectSet>| {
        let workload = objects.and_then(|objects| find_workload(objects, &rollout.workload).ok());
        workload.map(|workload| containers(rollout, workload)).unwrap_or_default()
    };
    let (before, after) = (read(Some(&slots.stable)), read(slots.candidate.as_ref()));
    let changes: Vec<String> = after
        .iter()
        .filter_map(|(name, image)| match before.iter().find(|(other, _)| other == name) {
            Some((_, old)) if old == image => None,
            Some((_, old)) => Some(format!("{name}: {old} → {image}")),
            None => Some(format!("{name}: {image} (new)")),
        })
        .collect();
    if changes.is_empty() {
        "The pod template changes; images stay.".to_owned()
    } else {
        format!("Release of {}.", changes.join(", "))
    }
}

fn containers(rollout: &Rollout, workload: &Object) -> Vec<(String, String)> {
    let template = rollout.workload.template_pointer();
    let list = |field| {
        workload.get(&format!("{template}/spec/{field}")).and_then(serde_json::Value::as_array).cloned().unwrap_or_default()
    };
    let text =
        |value: &serde_json::Value, key: &str| value.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    ["initContainers", "containers"]
        .into_iter()
        .flat_map(list)
        .map(|container| (text(&container, "name"), text(&container, "image")))
        .collect()
}

/// A length of time for people.
pub fn length(seconds: i64) -> String {
    duration(seconds)
}

/// A number for people.
pub fn figure(value: f64) -> String {
    number(value)
}
