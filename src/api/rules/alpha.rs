//! Kruise's rules for v1alpha1 (`validate_v1alphal_rollout.go`), in its words, and the way to the v1beta1 shape.

use super::kruise::{NO_STEPS, NOT_GROWING, REPLICAS, failure_threshold, is_amount, pause_duration, routings, workload_kind};
use super::{PARTITION_LIMIT, ours};
use crate::api::diagnostic::Finding;
use crate::api::document::alpha::{Canary, Rollout, Step};
use crate::api::document::kruise::{self, HttpMatch, Strategy, WorkloadRef};
use crate::api::document::{IntOrString, windlass};
use crate::api::model::Style;
use crate::api::path::Path;

/// The annotation that names a v1alpha1 Rollout's style.
const STYLE: &str = "rollouts.kruise.io/rolling-style";

/// The rules for a `rollouts.kruise.io/v1alpha1` Rollout.
pub(crate) fn alpha_rollout(document: &Rollout) -> Vec<Finding> {
    let mut found = ours::metadata(&document.metadata, &Path::of(&["metadata"]));
    let written = document.metadata.annotations.get(STYLE).map(|style| style.to_lowercase());
    if !matches!(written.as_deref(), None | Some("" | "canary" | "partition")) {
        let at = Path::of(&["metadata", "annotations", STYLE]);
        found.push(Finding::error("kruise", &at, "Rolling style must be 'Canary', 'Partition' or empty"));
    }
    if document.spec.rollout_id.is_some() {
        let at = Path::of(&["spec", "rolloutID"]);
        found.push(
            Finding::warning("no-effect", &at, "`rolloutID` has no effect: a release is told by the pod template").at_key(),
        );
    }
    let at = Path::of(&["spec", "objectRef", "workloadRef"]);
    let workload = document.spec.object_ref.workload_ref.as_ref();
    match workload {
        None => found.push(Finding::error("kruise", &at, "WorkloadRef is required")),
        Some(workload) => workload_kind(workload, &at, &mut found),
    }
    let at = Path::of(&["spec", "strategy", "canary"]);
    let Some(canary) = &document.spec.strategy.canary else {
        found.push(Finding::error("kruise", &at, "Canary cannot be empty"));
        return found;
    };
    let style = workload.map_or(Style::Partition, |workload| style(workload, written.as_deref().unwrap_or_default()));
    steps(canary, style, &at.key("steps"), &mut found);
    routings(&canary.traffic_routings, true, &at.key("trafficRoutings"), &mut found);
    failure_threshold(canary.failure_threshold.as_ref(), &at.key("failureThreshold"), &mut found);
    if let Some(workload) = workload {
        let at_workload = Path::of(&["spec", "objectRef", "workloadRef"]);
        ours::capabilities(workload, &at_workload, &widen(canary, style, false), style, &at, &mut found);
    }
    if canary.traffic_routings.is_empty() {
        for (index, _) in canary.steps.iter().enumerate().filter(|(_, step)| !step.matches.is_empty()) {
            let message = "this step routes requests, but there are no `trafficRoutings`";
            found.push(Finding::error("no-routing", &at.key("steps").index(index).key("matches"), message));
        }
    }
    found
}

fn style(workload: &WorkloadRef, written: &str) -> Style {
    let deployment = workload.api_version == "apps/v1" && workload.kind == "Deployment";
    if deployment && matches!(written, "" | "canary") { Style::Canary } else { Style::Partition }
}

fn steps(canary: &Canary, style: Style, at: &Path, found: &mut Vec<Finding>) {
    if canary.steps.is_empty() {
        found.push(Finding::error("kruise", at, NO_STEPS));
    }
    let partition = style == Style::Partition;
    for (index, step) in canary.steps.iter().enumerate() {
        let at = at.index(index);
        match (&step.replicas, step.weight) {
            (None, None) => {
                let message = "weight and replicas cannot be empty at the same time";
                found.push(Finding::error("kruise", &at.key("replicas"), message));
            }
            (Some(replicas), weight) => {
                if !is_amount(replicas) {
                    found.push(Finding::error("kruise", &at.key("replicas"), REPLICAS));
                } else if partition
                    && replicas.percent().is_some_and(|percent| percent > PARTITION_LIMIT)
                    && (weight.is_some() || !step.matches.is_empty())
                {
                    let message = "For patition style rollout: step[x].replicas must not greater than replicasLimitWithTraffic if traffic or matches specified";
                    found.push(Finding::error("kruise", &at.key("replicas"), message).hint("the limit is 50 %"));
                }
                // Without `replicas` Kruise checks the same in its own words, below.
                if weight.is_some_and(|weight| !(0..=100).contains(&weight)) {
                    found.push(Finding::error("out-of-range", &at.key("weight"), "`weight` must be a percentage from 0 to 100"));
                }
                if weight.is_some() && !step.matches.is_empty() {
                    let message = "`matches` and `weight` in one step";
                    found.push(Finding::error("matches-and-traffic", &at.key("matches"), message).at_key());
                }
            }
            (None, Some(weight)) => {
                if !(1..=100).contains(&weight) {
                    let message =
                        "weight must be positive number, and less than or equal to replicasLimitWithTraffic (defaults to 30)";
                    found.push(Finding::error("kruise", &at.key("weight"), message).hint("a percentage from 1 to 100"));
                } else if partition && i64::from(weight) > PARTITION_LIMIT {
                    let message = "For patition style rollout: step[x].weight must not greater than replicasLimitWithTraffic if replicas is not specified";
                    found.push(
                        Finding::error("kruise", &at.key("weight"), message).hint("the limit is 50 %; give `replicas` instead"),
                    );
                }
            }
        }
        found.extend(step.pause.as_ref().and_then(|pause| pause_duration(pause, &at)));
    }
    for (index, pair) in canary.steps.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        let at = at.index(index + 1);
        if !canary.traffic_routings.is_empty() && before.weight.zip(after.weight).is_some_and(|(before, after)| after < before) {
            found.push(Finding::error("kruise", &at.key("weight"), "Steps.Weight must be a non decreasing sequence"));
        }
        // A missing `replicas` counts as the percentage `weight`.
        let number = |step: &Step| match &step.replicas {
            Some(replicas) => super::kruise::comparable(replicas),
            None => step.weight.map(|weight| (true, i64::from(weight))),
        };
        if number(before).zip(number(after)).is_some_and(|(before, after)| before.0 == after.0 && after.1 < before.1) {
            found.push(Finding::error("kruise", &at.key("replicas"), NOT_GROWING));
        }
    }
}

/// The workload, strategy and style of a v1alpha1 Rollout in the shape of the newer documents; `None` where a rule says
/// what is missing.
pub(crate) fn newer(document: &Rollout) -> Option<(WorkloadRef, Strategy<windlass::Step>, Style)> {
    let workload = document.spec.object_ref.workload_ref.clone()?;
    let written = document.metadata.annotations.get(STYLE).map(|style| style.to_lowercase()).unwrap_or_default();
    let style = style(&workload, &written);
    let strategy = widen(document.spec.strategy.canary.as_ref()?, style, document.spec.strategy.paused);
    Some((workload, strategy, style))
}

fn widen(canary: &Canary, style: Style, paused: bool) -> Strategy<windlass::Step> {
    let routed = !canary.traffic_routings.is_empty();
    let step = |step: &Step| {
        // `weight` is the share of pods too, where `replicas` is missing; it only routes where there are routings, and not
        // beside `matches`. A weight of 0 is no routing.
        let traffic = step.weight.filter(|weight| routed && step.matches.is_empty() && *weight > 0);
        windlass::Step::from(kruise::Step {
            replicas: step.replicas.clone().or(step.weight.map(|weight| IntOrString::Text(format!("{weight}%")))),
            traffic: traffic.map(|weight| format!("{weight}%")),
            matches: step
                .matches
                .iter()
                .map(|one| HttpMatch { path: None, headers: one.headers.clone(), query_params: Vec::new() })
                .collect(),
            request_header_modifier: step.request_header_modifier.clone(),
            pause: step.pause.clone(),
        })
    };
    Strategy {
        paused,
        canary: Some(kruise::Canary {
            steps: canary.steps.iter().map(step).collect(),
            traffic_routings: canary.traffic_routings.clone(),
            failure_threshold: canary.failure_threshold.clone(),
            patch_pod_template_metadata: canary.patch_pod_template_metadata.clone(),
            enable_extra_workload_for_canary: style == Style::Canary,
            traffic_routing_ref: None,
            disable_generate_canary_service: canary.disable_generate_canary_service,
        }),
        blue_green: None,
    }
}
