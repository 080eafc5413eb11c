//! Routings that several Rollouts share (Kruise's TrafficRouting, "only traffic routing": no second Service, no other selector).
//! Requests stay with their Service; what changes is what they carry, so that the routes behind can tell them apart.
//!
//! Different from Kruise, on purpose: all routes that are named count and not the first one alone, and a DestinationRule is
//! refused without a script. Its subset for new pods is empty while another Rollout releases, and Istio answers requests to an
//! empty subset with an error.

use super::provider::{Change, Place, places};
use super::{Split, first, refused, services};
use crate::api::{SharedRouting, TrafficRouting};
use crate::manifest::{ObjectKey, ObjectSet};
use crate::render::RenderError;

/// The objects that `routings` change or add, of `objects` as the user wrote them.
///
/// # Errors
/// The first of what [`check_shared`] finds.
pub fn share<'a>(objects: &ObjectSet, routings: impl IntoIterator<Item = &'a SharedRouting>) -> Result<ObjectSet, RenderError> {
    let mut now = objects.clone();
    for (shared, routing) in routings.into_iter().flat_map(|shared| shared.routings.iter().map(move |routing| (shared, routing)))
    {
        let split = split(shared, routing);
        let mut changed = Vec::new();
        for place in places(routing).map_err(first)? {
            changed.extend(place.split(&now, &split).map_err(first)?);
        }
        if let Some(taken) = changed.iter().find_map(|change| change.collides(&now)) {
            return Err(taken);
        }
        for change in changed {
            let (Change::Add(object) | Change::Replace(object)) = change;
            now.insert(object);
        }
    }
    Ok(now.iter().filter(|(key, object)| objects.get(key) != Some(object)).map(|(_, object)| object.clone()).collect())
}

/// Everything about a shared routing that cannot work with these objects.
pub fn check_shared(objects: &ObjectSet, shared: &SharedRouting) -> Vec<RenderError> {
    let mut found = Vec::new();
    let mut named: Vec<(Place, &str)> = Vec::new();
    for routing in &shared.routings {
        found.extend(services::check(objects, &routing.service, true));
        match places(routing) {
            Err(errors) => found.extend(errors),
            Ok(places) => {
                for place in places {
                    found.extend(place.find(objects, routing).err());
                    found.extend(place.again(&routing.service, &named));
                    found.extend(cannot_tag(place, shared));
                    named.push((place, &routing.service));
                }
            }
        }
    }
    if found.is_empty() {
        found.extend(share(objects, [shared]).err());
    }
    found
}

fn cannot_tag(place: Place, shared: &SharedRouting) -> Option<RenderError> {
    if place.is_script() {
        return None;
    }
    if !place.tags() {
        let hint = "name an HTTPRoute, a GRPCRoute, a VirtualService, or an Ingress of class `mse` or `higress`, which change \
                    headers by which each Rollout's own route can go; or write a Lua script";
        return Some(refused(place.label(), "a routing that Rollouts share", hint));
    }
    shared.request_header_modifier.is_none().then(|| {
        let hint = "its requests go to one Service, whatever they carry: say by which header the routes behind tell them apart";
        refused(place.label(), "a shared routing without `requestHeaderModifier`", hint)
    })
}

fn split<'a>(shared: &'a SharedRouting, routing: &'a TrafficRouting) -> Split<'a> {
    Split {
        routing,
        stable: &routing.service,
        canary: routing.service.clone(),
        weight: shared.traffic,
        matches: &shared.matches,
        modifier: shared.request_header_modifier.as_ref(),
        mirror: None,
    }
}

/// The objects that shared routings need to know, as the user wrote them: their Services and routes.
pub fn known_to<'a>(objects: &ObjectSet, routings: impl IntoIterator<Item = &'a SharedRouting>) -> ObjectSet {
    let mut found = ObjectSet::default();
    for routing in routings.into_iter().flat_map(|shared| &shared.routings) {
        let named = routing.named();
        let is_named = |key: &ObjectKey| {
            named.iter().any(|(group, kind, name)| key.group == *group && key.kind == *kind && key.name == *name)
        };
        objects.iter().filter(|(key, _)| is_named(key)).for_each(|(_, object)| drop(found.insert(object.clone())));
    }
    found
}

/// Whether a shared routing that is in force adds an object of this name beside the user's own: an Ingress gets a second one.
pub fn adds(shared: &SharedRouting, key: &ObjectKey) -> bool {
    let ingresses = shared.routings.iter().filter_map(|routing| routing.ingress.as_ref());
    let mut names = ingresses.map(|ingress| services::canary_name(&ingress.name));
    key.group == "networking.k8s.io" && key.kind == "Ingress" && names.any(|name| name == key.name)
}
