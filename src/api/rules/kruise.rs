//! Kruise's rules for v1beta1 (`pkg/webhook/rollout/validating/rollout_create_update_handler.go`), in its words, for the
//! shape that the v1beta1 and the Windlass document share. Kruise stops at the first; here every step is looked at.

use super::{PARTITION_LIMIT, WORKLOADS, described, group, ours};
use crate::api::diagnostic::Finding;
use crate::api::document::kruise::{Step as KruiseStep, Strategy, TrafficRouting, WorkloadRef};
use crate::api::document::windlass::{Pause, Step};
use crate::api::document::{Duration, IntOrString, kruise};
use crate::api::model::Style;
use crate::api::near;
use crate::api::path::Path;

pub(super) const REPLICAS: &str = r#"replicas must be positive number, or a percentage with "0%" < canaryReplicas <= "100%""#;
pub(super) const NOT_GROWING: &str = "Steps.CanaryReplicas must be a non decreasing sequence";
pub(super) const NO_STEPS: &str = "The number of Canary.Steps cannot be empty";

/// The rules for a `rollouts.kruise.io/v1beta1` Rollout.
pub(crate) fn kruise_rollout(document: &kruise::Rollout) -> Vec<Finding> {
    let spec = &document.spec;
    let mut found = ours::metadata(&document.metadata, &Path::of(&["metadata"]));
    let widened = spec.strategy.clone().widen();
    strategy(&spec.workload_ref, &widened, true, &mut found);
    found.extend(super::shared::reference(&document.metadata, &widened));
    found.extend(negative_pauses(&spec.strategy));
    found
}

fn negative_pauses(strategy: &Strategy<KruiseStep>) -> Vec<Finding> {
    let canary = strategy.canary.iter().map(|canary| ("canary", &canary.steps));
    let blue_green = strategy.blue_green.iter().map(|blue_green| ("blueGreen", &blue_green.steps));
    let mut found = Vec::new();
    for (form, steps) in canary.chain(blue_green) {
        for (index, step) in steps.iter().enumerate() {
            let path = Path::of(&["spec", "strategy", form, "steps"]).index(index);
            found.extend(step.pause.as_ref().and_then(|pause| pause_duration(pause, &path)));
        }
    }
    found
}

/// A pause must be a duration that we can keep.
pub(super) fn pause_duration(pause: &kruise::Pause, step: &Path) -> Option<Finding> {
    let message = Duration::from_seconds(i64::from(pause.duration?)).err()?;
    Some(Finding::error("bad-duration", &step.key("pause").key("duration"), format!("`duration`: {message}")))
}

impl Strategy<KruiseStep> {
    /// The same in the Windlass document's form. Durations that are refused count as none here.
    pub(crate) fn widen(self) -> Strategy<Step> {
        let steps = |steps: Vec<KruiseStep>| steps.into_iter().map(Step::from).collect();
        Strategy {
            paused: self.paused,
            canary: self.canary.map(|canary| kruise::Canary {
                steps: steps(canary.steps),
                traffic_routings: canary.traffic_routings,
                failure_threshold: canary.failure_threshold,
                patch_pod_template_metadata: canary.patch_pod_template_metadata,
                enable_extra_workload_for_canary: canary.enable_extra_workload_for_canary,
                traffic_routing_ref: canary.traffic_routing_ref,
                disable_generate_canary_service: canary.disable_generate_canary_service,
            }),
            blue_green: self.blue_green.map(|blue_green| kruise::BlueGreen {
                steps: steps(blue_green.steps),
                traffic_routings: blue_green.traffic_routings,
                failure_threshold: blue_green.failure_threshold,
                traffic_routing_ref: blue_green.traffic_routing_ref,
                disable_generate_canary_service: blue_green.disable_generate_canary_service,
            }),
        }
    }
}

impl From<KruiseStep> for Step {
    fn from(step: KruiseStep) -> Self {
        let seconds = |seconds: i32| Duration::from_seconds(i64::from(seconds)).ok();
        Self {
            name: None,
            replicas: step.replicas,
            traffic: step.traffic,
            matches: step.matches,
            request_header_modifier: step.request_header_modifier,
            mirror: None,
            pause: step.pause.map(|pause| Pause { duration: pause.duration.and_then(seconds) }),
            timeout: None,
            gates: Vec::new(),
        }
    }
}

/// The style that a strategy asks for (`GetRollingStyle`, `IsRealPartition`).
pub(crate) fn style(workload: &WorkloadRef, strategy: &Strategy<Step>) -> Style {
    let extra = strategy.canary.as_ref().is_some_and(|canary| canary.enable_extra_workload_for_canary);
    if strategy.blue_green.is_some() {
        Style::BlueGreen
    } else if extra && group(&workload.api_version) == "apps" && workload.kind == "Deployment" {
        Style::Canary
    } else {
        Style::Partition
    }
}

/// Rules for `spec.workloadRef` and `spec.strategy`. `strict`: a Kruise document, so Kruise's partition limit is an error.
pub(super) fn strategy(workload: &WorkloadRef, strategy: &Strategy<Step>, strict: bool, found: &mut Vec<Finding>) {
    let at = Path::of(&["spec", "workloadRef"]);
    workload_kind(workload, &at, found);
    let at_strategy = Path::of(&["spec", "strategy"]);
    let style = style(workload, strategy);
    let (form, steps, routings, threshold) = match (&strategy.canary, &strategy.blue_green) {
        (None, None) => {
            found.push(Finding::error("kruise", &at_strategy, "Canary and BlueGreen cannot both be empty"));
            return;
        }
        (Some(_), Some(_)) => {
            found.push(Finding::error("kruise", &at_strategy, "Canary and BlueGreen cannot both be set"));
            return;
        }
        (Some(canary), None) => ("canary", &canary.steps, &canary.traffic_routings, &canary.failure_threshold),
        (None, Some(blue_green)) => {
            let fits = [("apps", "Deployment"), ("apps.kruise.io", "CloneSet")];
            if is_known(&workload.api_version, &workload.kind)
                && !fits.contains(&(group(&workload.api_version), workload.kind.as_str()))
            {
                let message = "WorkloadRef kind is not supported for bluegreen style";
                found.push(Finding::error("kruise", &at, message).hint("only Deployment and CloneSet are"));
            }
            ("blueGreen", &blue_green.steps, &blue_green.traffic_routings, &blue_green.failure_threshold)
        }
    };
    let at = at_strategy.key(form);
    if steps.is_empty() {
        found.push(Finding::error("kruise", &at.key("steps"), NO_STEPS));
    }
    for (index, step) in steps.iter().enumerate() {
        self::step(step, style, strict, &at.key("steps").index(index), found);
    }
    for (index, pair) in steps.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        if let (Some(before), Some(after)) = (&before.replicas, &after.replicas)
            && comparable(before).zip(comparable(after)).is_some_and(|(before, after)| before.0 == after.0 && after.1 < before.1)
        {
            found.push(Finding::error("kruise", &at.key("steps").index(index + 1).key("replicas"), NOT_GROWING));
        }
    }
    self::routings(routings, strict, &at.key("trafficRoutings"), found);
    failure_threshold(threshold.as_ref(), &at.key("failureThreshold"), found);
    ours::capabilities(workload, &Path::of(&["spec", "workloadRef"]), strategy, style, &at, found);
    if routings.is_empty() {
        for (index, step) in steps.iter().enumerate() {
            let at = at.key("steps").index(index);
            let asked =
                [("traffic", step.traffic.is_some()), ("matches", !step.matches.is_empty()), ("mirror", step.mirror.is_some())];
            if let Some((field, _)) = asked.iter().find(|(_, asked)| *asked) {
                let at = at.key(field);
                let message = "this step routes requests, but there are no `trafficRoutings`";
                found
                    .push(Finding::error("no-routing", &at, message).hint(format!(
                        "name the Service and its Ingress or HTTPRoute in `spec.strategy.{form}.trafficRoutings`"
                    )));
            }
        }
    }
}

/// What to do with a kind that is like none of ours.
const DESCRIBE: &str = "a kind with a partition can be described by `workloads` in .windlass.yaml";

/// Whether Kruise's workload filter knows such a kind.
pub(crate) fn is_known(api_version: &str, kind: &str) -> bool {
    WORKLOADS.contains(&(group(api_version), kind))
}

pub(super) fn workload_kind(workload: &WorkloadRef, at: &Path, found: &mut Vec<Finding>) {
    if !is_known(&workload.api_version, &workload.kind) {
        let near = near::nearest(&workload.kind, WORKLOADS.iter().map(|(_, kind)| *kind));
        let mut finding = Finding::error("kruise", &at.key("kind"), described::UNKNOWN_KIND);
        finding.hint = match WORKLOADS.iter().find(|(_, kind)| *kind == workload.kind) {
            Some((group, _)) => Some(format!("`apiVersion: {group}/…` goes with `kind: {}`", workload.kind)),
            None => Some(near.map_or_else(|| DESCRIBE.to_owned(), |near| format!("did you mean `{near}`?"))),
        };
        found.push(finding);
    }
    if workload.name.is_empty() {
        found.push(Finding::error("empty", &at.key("name"), "the workload's name is empty"));
    }
}

/// A number that Kruise compares with its neighbour if that is of the same type.
pub(super) fn comparable(amount: &IntOrString) -> Option<(bool, i64)> {
    match amount {
        IntOrString::Int(pods) => Some((false, i64::from(*pods))),
        IntOrString::Text(_) => amount.percent().map(|percent| (true, percent)),
    }
}

/// Whether `replicas` is what Kruise takes.
pub(super) fn is_amount(amount: &IntOrString) -> bool {
    match amount {
        IntOrString::Int(pods) => *pods > 0,
        IntOrString::Text(_) => amount.percent().is_some_and(|percent| percent > 0 && percent <= 100),
    }
}

fn step(step: &Step, style: Style, strict: bool, at: &Path, found: &mut Vec<Finding>) {
    match &step.replicas {
        None => found.push(Finding::error("kruise", &at.key("replicas"), "replicas cannot be empty")),
        Some(replicas) if !is_amount(replicas) => {
            found.push(Finding::error("kruise", &at.key("replicas"), REPLICAS));
        }
        Some(replicas) => {
            let routes = step.traffic.is_some() || !step.matches.is_empty() || step.mirror.is_some();
            if routes && style == Style::Partition && replicas.percent().is_some_and(|percent| percent > PARTITION_LIMIT) {
                let at = at.key("replicas");
                found.push(if strict {
                    let message =
                        "For partition style rollout: step[x].replicas must not greater than partition-percent-limit if traffic specified";
                    Finding::error("kruise", &at, message).hint("the limit is 50 %: give this step fewer replicas, or no traffic")
                } else {
                    let message = "this step routes requests with more than half of the pods updated";
                    Finding::warning("few-stable-pods", &at, message)
                        .hint("a rollback sends all requests to the stable pods that are left; Kruise refuses this")
                });
            }
        }
    }
    if let Some(traffic) = &step.traffic {
        let weight = IntOrString::Text(traffic.clone()).percent();
        let (least, message) = match style {
            Style::BlueGreen => (0, r#"traffic must be percentage with "0%" <= traffic <= "100%" in blueGreen strategy"#),
            _ => (1, r#"traffic must be percentage with "0%" < traffic <= "100%" in canary strategy"#),
        };
        if weight.is_none_or(|weight| !(least..=100).contains(&weight)) {
            found.push(Finding::error("kruise", &at.key("traffic"), message));
        }
        if !step.matches.is_empty() {
            let message = "`matches` and `traffic` in one step";
            let hint = "routes by `matches` ignore the share in some providers; make two steps of it";
            found.push(Finding::error("matches-and-traffic", &at.key("matches"), message).at_key().hint(hint));
        }
    }
    if let Some(mirror) = &step.mirror {
        let share = IntOrString::Text(mirror.clone()).percent();
        if share.is_none_or(|share| !(1..=100).contains(&share)) {
            let message = "`mirror` must be a percentage from 1% to 100%";
            found.push(Finding::error("out-of-range", &at.key("mirror"), message).hint("as `10%`"));
        }
    }
}

/// `strict`: a Kruise document, so there is one at most.
pub(super) fn routings(routings: &[TrafficRouting], strict: bool, at: &Path, found: &mut Vec<Finding>) {
    if strict && routings.len() > 1 {
        let message = "Rollout currently only support single TrafficRouting.";
        found.push(Finding::error("kruise", &at.index(1), message));
    }
    for (index, routing) in routings.iter().enumerate() {
        let at = at.index(index);
        if routing.grace_period_seconds.is_some_and(|seconds| seconds < 0) {
            let message = "TrafficRouting.GracePeriodSeconds cannot be negative";
            found.push(Finding::error("kruise", &at.key("gracePeriodSeconds"), message));
        }
        if routing.service.is_empty() {
            found.push(Finding::error("kruise", &at.key("service"), "TrafficRouting.Service cannot be empty"));
        }
        if routing.ingress.is_none() && routing.gateway.is_none() && routing.custom_network_refs.is_none() {
            found.push(Finding::error("kruise", &at, "TrafficRoutings are not set").hint("add `ingress` or `gateway`"));
        }
        if let Some(ingress) = &routing.ingress
            && ingress.name.is_empty()
        {
            let message = "TrafficRouting.Ingress.Ingress cannot be empty";
            found.push(Finding::error("kruise", &at.key("ingress").key("name"), message).hint("`name` names the Ingress"));
        }
        if let Some(gateway) = &routing.gateway {
            let names = [
                ("httpRouteName", &gateway.http_route_name),
                ("grpcRouteName", &gateway.grpc_route_name),
                ("tlsRouteName", &gateway.tls_route_name),
                ("tcpRouteName", &gateway.tcp_route_name),
            ];
            let empty = names.iter().find(|(_, name)| name.as_deref() == Some(""));
            let none = names.iter().all(|(_, name)| name.is_none());
            if let Some((field, _)) = empty.or(none.then_some(&names[0])) {
                let message = "TrafficRouting.Gateway must set the name of HTTPRoute or HTTPsRoute";
                found.push(Finding::error("kruise", &at.key("gateway").key(field), message));
            }
        }
        ours::providers(routing, &at, found);
    }
}

pub(super) fn failure_threshold(threshold: Option<&IntOrString>, at: &Path, found: &mut Vec<Finding>) {
    let fits = match threshold {
        None => true,
        Some(IntOrString::Int(pods)) => *pods >= 0,
        Some(text) => text.percent().is_some_and(|percent| (0..=100).contains(&percent)),
    };
    if !fits {
        let message = "failureThreshold must be a number of pods, or a percentage from 0% to 100%";
        found.push(Finding::error("bad-amount", at, message));
    }
}
