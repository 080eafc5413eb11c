//! Routings that several Rollouts share: what a TrafficRouting must say, and how a Rollout names one.

use super::{SHARED, kruise, ours};
use crate::api::diagnostic::Finding;
use crate::api::document::Metadata;
use crate::api::document::kruise::Strategy;
use crate::api::document::shared::TrafficRouting;
use crate::api::path::Path;

/// The rules for a TrafficRouting.
pub(crate) fn shared_routing(document: &TrafficRouting) -> Vec<Finding> {
    let mut found = ours::metadata(&document.metadata, &Path::of(&["metadata"]));
    let at = Path::of(&["spec", "objectRef"]);
    if document.spec.object_ref.is_empty() {
        found.push(Finding::error("kruise", &at, "TrafficRoutings are not set").hint("name a Service and its route"));
    }
    kruise::routings(&document.spec.object_ref, false, &at, &mut found);
    let (at, strategy) = (Path::of(&["spec", "strategy"]), &document.spec.strategy);
    match strategy.weight {
        Some(weight) if !(1..=100).contains(&weight) => {
            let message = "`weight` must be a percentage from 1 to 100";
            found.push(Finding::error("out-of-range", &at.key("weight"), message));
        }
        None if strategy.matches.is_empty() => {
            let message = "neither `weight` nor `matches` says which requests change";
            found.push(Finding::error("no-routing", &at, message));
        }
        _ => {}
    }
    found
}

/// The TrafficRouting that a Rollout names: by `trafficRoutingRef`, or by Kruise's annotation.
pub(crate) fn named<'a, S>(metadata: &'a Metadata, strategy: &'a Strategy<S>) -> Option<&'a str> {
    by_field(strategy).map(|(_, name)| name).or_else(|| by_annotation(metadata))
}

fn by_field<S>(strategy: &Strategy<S>) -> Option<(&'static str, &str)> {
    let canary = strategy.canary.iter().map(|canary| ("canary", &canary.traffic_routing_ref));
    let blue_green = strategy.blue_green.iter().map(|blue_green| ("blueGreen", &blue_green.traffic_routing_ref));
    canary.chain(blue_green).find_map(|(form, name)| Some((form, name.as_deref().filter(|name| !name.is_empty())?)))
}

fn by_annotation(metadata: &Metadata) -> Option<&str> {
    metadata.annotations.get(SHARED).map(String::as_str).filter(|name| !name.is_empty())
}

/// A Rollout that names two.
pub(super) fn reference<S>(metadata: &Metadata, strategy: &Strategy<S>) -> Option<Finding> {
    let ((form, field), annotation) = (by_field(strategy)?, by_annotation(metadata)?);
    let at = Path::of(&["spec", "strategy", form, "trafficRoutingRef"]);
    (field != annotation).then(|| {
        let message = format!("it names the TrafficRouting `{field}`, and the annotation `{SHARED}` names `{annotation}`");
        Finding::error("two-routings", &at, message).hint("a Rollout shares one; remove the other")
    })
}
