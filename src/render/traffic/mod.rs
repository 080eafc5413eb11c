//! Routes and Services of a step: pure functions from the objects as the user wrote them.
//!
//! Nothing here reads the output of an earlier step. Fields that a provider does not own come through untouched; the
//! API server's defaults are read into the objects, and written only where a field beside them changes.
//! The model is Kruise Rollouts (`pkg/trafficrouting`); each file says where it differs and why.

mod custom;
mod describe;
mod gateway;
mod ingress;
mod lua;
mod provider;
mod services;
mod share;
mod shared;

use crate::api::{HeaderModifier, HttpMatch, Rollout, Step, TrafficRouting};
use crate::manifest::{Object, ObjectSet};
use crate::render::{RenderError, Routes, Selector};
use provider::{Change, Place, places};

pub use describe::{describe, describe_parts, describe_shared};
pub use lua::Run;
pub use services::canary_service;
pub use shared::{adds, check_shared, known_to, share};

/// What the providers that can be named are called.
pub fn known() -> Vec<&'static str> {
    provider::all().into_iter().map(|provider| provider.label()).collect()
}

/// Narrows the stable Service of `routing` to the pods with `selector`; where the routing keeps to that Service alone
/// (`disableGenerateCanaryService`), the user's subsets of it.
///
/// Call it after [`add_canary_service`], which copies the Service as the user wrote it.
pub fn narrow(objects: &mut ObjectSet, routing: &TrafficRouting, selector: &Selector) -> Result<(), RenderError> {
    if routing.disable_generate_canary_service {
        return custom::narrow_subsets(objects, routing, selector);
    }
    services::narrow(objects, &routing.service, selector)
}

/// Adds the canary Service of `routing`, a copy of the stable one that selects the pods with `selector`; where the routing
/// keeps to the stable Service alone, a subset of it.
///
/// Two routings of one Service share its canary Service: adding the same object again changes nothing.
pub fn add_canary_service(objects: &mut ObjectSet, routing: &TrafficRouting, selector: &Selector) -> Result<(), RenderError> {
    if routing.disable_generate_canary_service {
        return custom::add_subset(objects, routing, selector);
    }
    let canary = services::canary(objects, &routing.service, selector)?;
    add(objects, canary)
}

/// Changes or adds the route objects of `routing` so that they say `routes`. `objects` are as the user wrote them, and stay
/// so where the answer is an error.
pub fn route(objects: &mut ObjectSet, routing: &TrafficRouting, routes: &Routes) -> Result<(), RenderError> {
    let Some(split) = Split::of(routes, routing)? else { return Ok(()) };
    let mut changed = Vec::new();
    for place in places(routing).map_err(first)? {
        changed.extend(place.split(objects, &split).map_err(first)?);
    }
    if let Some(taken) = changed.iter().find_map(|change| change.collides(objects)) {
        return Err(taken);
    }
    for change in changed {
        let (Change::Add(object) | Change::Replace(object)) = change;
        objects.insert(object);
    }
    Ok(())
}

/// Everything about the traffic of `rollout` that cannot work with these objects: a Service or route that is not there, a
/// step that asks for what its provider cannot express. One entry each, with the step's index (0-based) where it is about a step.
pub fn check(objects: &ObjectSet, rollout: &Rollout) -> Vec<(Option<usize>, RenderError)> {
    let mut found = Vec::new();
    let mut named: Vec<(Place, &str)> = Vec::new();
    for routing in &rollout.routings {
        let whole = check_routing(objects, routing);
        let sound = whole.is_empty();
        found.extend(whole.into_iter().map(|error| (None, error)));
        for place in places(routing).unwrap_or_default() {
            found.extend(place.again(&routing.service, &named).map(|error| (None, error)));
            named.push((place, &routing.service));
        }
        if sound {
            found.extend(check_steps(objects, routing, &rollout.steps));
        }
    }
    if found.is_empty() && rollout.routings.len() > 1 {
        found = check_together(objects, rollout);
    }
    // Two routings of one Service find the same fault of that Service.
    let mut once: Vec<(Option<usize>, RenderError)> = Vec::new();
    for entry in found {
        if !once.contains(&entry) {
            once.push(entry);
        }
    }
    once
}

/// Routings that are sound one by one may still be in each other's way, where they change one object.
fn check_together(objects: &ObjectSet, rollout: &Rollout) -> Vec<(Option<usize>, RenderError)> {
    let step = |(index, step): (usize, &Step)| {
        let mut objects = objects.clone();
        let routes = routes_of(step);
        let mut made = rollout.routings.iter().map(|routing| route(&mut objects, routing, &routes));
        made.find_map(Result::err).map(|error| (Some(index), error))
    };
    rollout.steps.iter().enumerate().filter_map(step).collect()
}

fn routes_of(step: &Step) -> Routes {
    Routes::Split {
        weight: step.traffic,
        matches: step.matches.clone(),
        request_header_modifier: step.request_header_modifier.clone(),
        mirror: step.mirror,
    }
}

fn check_routing(objects: &ObjectSet, routing: &TrafficRouting) -> Vec<RenderError> {
    let single = routing.disable_generate_canary_service;
    let mut found = services::check(objects, &routing.service, single);
    match places(routing) {
        Err(errors) => found.extend(errors),
        Ok(places) => {
            if single && !(places.iter().all(|place| place.subsets()) && places.iter().any(|place| place.has_subsets())) {
                found.push(without_canary(&routing.service));
            }
            found.extend(places.into_iter().filter_map(|place| place.find(objects, routing).err()));
        }
    }
    found
}

fn check_steps(objects: &ObjectSet, routing: &TrafficRouting, steps: &[Step]) -> Vec<(Option<usize>, RenderError)> {
    let mut found = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let routes = routes_of(step);
        let errors = match Split::of(&routes, routing) {
            Err(error) => vec![error],
            Ok(None) => Vec::new(),
            Ok(Some(split)) => places(routing)
                .unwrap_or_default()
                .into_iter()
                .filter_map(|place| place.split(objects, &split).err())
                .flatten()
                .collect(),
        };
        found.extend(errors.into_iter().map(|error| (Some(index), error)));
    }
    found
}

/// What a step asks of a provider.
#[derive(Clone)]
struct Split<'a> {
    routing: &'a TrafficRouting,
    stable: &'a str,
    canary: String,
    /// Percent of the requests that no match takes, 0 to 100.
    weight: Option<u32>,
    matches: &'a [HttpMatch],
    modifier: Option<&'a HeaderModifier>,
    /// Percent of the requests to the stable Service that the canary gets a copy of, 1 to 100.
    mirror: Option<u32>,
}

/// Where a provider works: the objects as the user wrote them, and the stable Service among them.
struct At<'a> {
    objects: &'a ObjectSet,
    service: &'a Object,
    routing: &'a TrafficRouting,
}

impl<'a> Split<'a> {
    /// `None`: the routes stay as the user wrote them.
    fn of(routes: &'a Routes, routing: &'a TrafficRouting) -> Result<Option<Self>, RenderError> {
        let Routes::Split { weight, matches, request_header_modifier, mirror } = routes else { return Ok(None) };
        if weight.is_none() && matches.is_empty() && request_header_modifier.is_some() {
            let hint = "give it `traffic` or `matches` too, which say whose headers change";
            return Err(refused("a step", "`requestHeaderModifier` alone", hint));
        }
        if weight.is_none() && matches.is_empty() && mirror.is_none() {
            return Ok(None);
        }
        if let Some(weight) = weight.filter(|weight| *weight > 100) {
            return Err(refused("a step", &format!("{weight}% of requests"), "`traffic` is at most 100%"));
        }
        if let Some(mirror) = mirror.filter(|mirror| *mirror == 0 || *mirror > 100) {
            return Err(refused("a step", &format!("a copy of {mirror}% of requests"), "`mirror` is from 1% to 100%"));
        }
        if routing.disable_generate_canary_service && !places(routing).map_err(first)?.iter().all(|place| place.subsets()) {
            return Err(without_canary(&routing.service));
        }
        Ok(Some(Self {
            routing,
            stable: &routing.service,
            canary: canary_service(routing),
            weight: *weight,
            matches,
            modifier: request_header_modifier.as_ref(),
            mirror: *mirror,
        }))
    }
}

/// The only object of this group, kind and name.
fn only<'a>(objects: &'a ObjectSet, group: &str, kind: &str, name: &str) -> Result<&'a Object, RenderError> {
    let mut all = objects.values().filter(|object| object.group() == group && object.kind() == kind && object.name() == name);
    let Some(first) = all.next() else {
        return Err(RenderError::Missing { what: kind.to_owned(), name: name.to_owned() });
    };
    match all.next() {
        None => Ok(first),
        Some(second) => Err(unusable(
            first,
            format!(
                "the source has two, in the namespaces `{}` and `{}`; keep each namespace in a source directory of its own",
                first.namespace().unwrap_or("(none)"),
                second.namespace().unwrap_or("(none)"),
            ),
        )),
    }
}

/// Adds an object that the user must not have; the same object again is no harm.
fn add(objects: &mut ObjectSet, object: Object) -> Result<(), RenderError> {
    let key = object.key();
    if objects.get(&key).is_some_and(|there| *there != object) {
        return Err(taken(&object));
    }
    objects.insert(object);
    Ok(())
}

fn taken(object: &Object) -> RenderError {
    unusable(object, "the source has an object of this name, which Windlass needs for the canary; rename it")
}

fn refused(provider: &str, what: &str, hint: &str) -> RenderError {
    RenderError::Unsupported { provider: provider.to_owned(), what: what.to_owned(), hint: hint.to_owned() }
}

fn unusable(object: &Object, cause: impl Into<String>) -> RenderError {
    RenderError::Unusable { what: object.kind().to_owned(), name: object.name().to_owned(), cause: cause.into() }
}

fn without_canary(service: &str) -> RenderError {
    RenderError::Unusable {
        what: "Service".to_owned(),
        name: service.to_owned(),
        cause:
            "`disableGenerateCanaryService` leaves no second Service to send requests to; remove it, or name a VirtualService \
                and the DestinationRule of its subsets in `customNetworkRefs`, and nothing else"
                .to_owned(),
    }
}

/// Whether two objects can refer to each other without naming a namespace.
fn same_namespace(one: &Object, other: &Object) -> bool {
    match (one.namespace(), other.namespace()) {
        (Some(one), Some(other)) => one == other,
        // One of them takes the namespace that the applier gives it.
        _ => true,
    }
}

fn first(errors: Vec<RenderError>) -> RenderError {
    errors.into_iter().next().unwrap_or_else(|| RenderError::Missing { what: "route".to_owned(), name: String::new() })
}
