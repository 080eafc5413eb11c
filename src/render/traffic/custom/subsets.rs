//! Versions as subsets of one Service (Istio): with `disableGenerateCanaryService` no second Service is made. The
//! DestinationRule gets a subset `canary` for the new pods, and the user's own subsets keep to the stable ones; the
//! VirtualService sends requests to either.
//!
//! Kruise's script tells the new pods by a fixed label that the pods of its second Deployment carry; here it is the label by
//! which Services tell versions apart, which every pod has.

use serde_json::{Value, json};

use super::istio::DESTINATION_RULE;
use super::rules::list;
use crate::api::TrafficRouting;
use crate::manifest::{Object, ObjectSet};
use crate::render::traffic::provider::Provider;
use crate::render::traffic::{At, only, unusable};
use crate::render::{RenderError, Selector};

/// The subset of the new pods.
pub(super) const CANARY: &str = "canary";

/// The DestinationRules that a routing names.
fn rules<'a>(objects: &'a ObjectSet, routing: &'a TrafficRouting) -> impl Iterator<Item = Result<&'a Object, RenderError>> {
    let of_group = |api_version: &str| api_version.split_once('/').is_some_and(|(group, _)| group == DESTINATION_RULE.group());
    let named =
        routing.custom.iter().filter(move |custom| custom.kind == DESTINATION_RULE.kind() && of_group(&custom.api_version));
    named.map(|custom| only(objects, DESTINATION_RULE.group(), DESTINATION_RULE.kind(), &custom.name))
}

/// Whether a destination names a subset that stays with the stable pods.
pub(super) fn named(route: &Object, at: &At, subset: Option<&str>) -> Result<(), RenderError> {
    let Some(subset) = subset.filter(|subset| *subset != CANARY) else {
        let cause = format!(
            "a destination of it is Service `{}` without a subset for the stable version; with `disableGenerateCanaryService`, \
             name a subset of its DestinationRule there, not `{CANARY}`",
            at.service.name()
        );
        return Err(unusable(route, cause));
    };
    let mut seen = false;
    for rule in rules(at.objects, at.routing) {
        seen |= list(rule?, "/spec/subsets").iter().any(|one| one.get("name").and_then(Value::as_str) == Some(subset));
    }
    if seen {
        return Ok(());
    }
    let cause = format!("no DestinationRule in `customNetworkRefs` has the subset `{subset}` that it names");
    Err(unusable(route, cause))
}

/// Whether the rule has subsets, and room for ours.
pub(super) fn usable(rule: &Object) -> Result<(), RenderError> {
    let subsets = list(rule, "/spec/subsets");
    if subsets.is_empty() {
        let cause = "it has no subset for the stable version, which `disableGenerateCanaryService` needs; add one, its labels \
                     may be those of the Service's selector";
        return Err(unusable(rule, cause));
    }
    if subsets.iter().any(|one| one.get("name").and_then(Value::as_str) == Some(CANARY)) {
        return Err(unusable(rule, format!("it has a subset `{CANARY}`, which Windlass needs for the canary; rename it")));
    }
    Ok(())
}

/// Adds the subset of the pods with `selector`.
pub(in crate::render::traffic) fn add(
    objects: &mut ObjectSet,
    routing: &TrafficRouting,
    selector: &Selector,
) -> Result<(), RenderError> {
    change(objects, routing, |subsets| {
        subsets.retain(|one| one.get("name").and_then(Value::as_str) != Some(CANARY));
        subsets.push(json!({"name": CANARY, "labels": {selector.key.clone(): selector.value}}));
    })
}

/// Keeps the user's subsets to the pods with `selector`.
pub(in crate::render::traffic) fn narrow(
    objects: &mut ObjectSet,
    routing: &TrafficRouting,
    selector: &Selector,
) -> Result<(), RenderError> {
    change(objects, routing, |subsets| {
        let own = subsets.iter_mut().filter(|one| one.get("name").and_then(Value::as_str) != Some(CANARY));
        for fields in own.filter_map(Value::as_object_mut) {
            if let Some(labels) = fields.entry("labels").or_insert_with(|| json!({})).as_object_mut() {
                labels.insert(selector.key.clone(), json!(selector.value));
            }
        }
    })
}

fn change(objects: &mut ObjectSet, routing: &TrafficRouting, work: impl Fn(&mut Vec<Value>)) -> Result<(), RenderError> {
    let keys: Vec<_> = rules(objects, routing).map(|rule| rule.map(Object::key)).collect::<Result<_, _>>()?;
    for key in keys {
        if let Some(rule) = objects.get_mut(&key) {
            let mut subsets = list(rule, "/spec/subsets").to_vec();
            work(&mut subsets);
            rule.set(&["spec", "subsets"], Value::Array(subsets));
        }
    }
    Ok(())
}
