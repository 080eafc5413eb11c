//! The stable Service, narrowed, and its canary copy (Kruise, `pkg/trafficrouting/manager.go`).

use serde_json::{Map, Value};

use super::{only, taken, unusable};
use crate::api::TrafficRouting;
use crate::manifest::{Object, ObjectSet};
use crate::render::{RenderError, Selector};

/// Fields of a Service's `spec` that belong to one Service alone: addresses that somebody was given.
const OWN: [&str; 7] =
    ["clusterIP", "clusterIPs", "externalIPs", "ipFamilies", "ipFamilyPolicy", "loadBalancerIP", "healthCheckNodePort"];

/// A Service's name is a DNS label (RFC 1035).
const LONGEST_NAME: usize = 63;

/// The name of the canary Service of `routing`: `<service>-canary`, or the stable one where no canary Service is made.
pub fn canary_service(routing: &TrafficRouting) -> String {
    if routing.disable_generate_canary_service { routing.service.clone() } else { canary_name(&routing.service) }
}

pub(super) fn canary_name(service: &str) -> String {
    format!("{service}-canary")
}

/// The stable Service, which must have a selector: without one, nothing tells its pods apart.
pub(super) fn stable<'a>(objects: &'a ObjectSet, name: &str) -> Result<&'a Object, RenderError> {
    let service = only(objects, "", "Service", name)?;
    match service.get("/spec/selector") {
        Some(Value::Object(selector)) if !selector.is_empty() => Ok(service),
        _ => Err(unusable(service, "it has no `spec.selector`, so the pods of two versions cannot be told apart")),
    }
}

/// `single`: no canary Service will be made.
pub(super) fn check(objects: &ObjectSet, name: &str, single: bool) -> Vec<RenderError> {
    let service = match stable(objects, name) {
        Ok(service) => service,
        Err(error) => return vec![error],
    };
    if single {
        return Vec::new();
    }
    let canary = renamed(service);
    let mut found = Vec::new();
    if objects.get(&canary.key()).is_some() {
        found.push(taken(&canary));
    }
    if let Err(error) = fits(service) {
        found.push(error);
    }
    found
}

pub(super) fn narrow(objects: &mut ObjectSet, name: &str, selector: &Selector) -> Result<(), RenderError> {
    let key = stable(objects, name)?.key();
    if let Some(service) = objects.get_mut(&key) {
        select(service, selector);
    }
    Ok(())
}

/// A copy of the stable Service for the pods with `selector`: its spec, labels and annotations without what the cluster
/// gave that one Service.
pub(super) fn canary(objects: &ObjectSet, name: &str, selector: &Selector) -> Result<Object, RenderError> {
    let service = stable(objects, name)?;
    fits(service)?;
    let mut canary = renamed(service);
    if let Some(spec) = service.get("/spec") {
        canary.set(&["spec"], spec.clone());
    }
    for field in OWN {
        canary.remove(&["spec", field]);
    }
    if let Some(Value::Array(ports)) = canary.get_mut("/spec/ports") {
        for port in ports.iter_mut().filter_map(Value::as_object_mut) {
            port.remove("nodePort");
        }
    }
    select(&mut canary, selector);
    Ok(canary)
}

fn select(service: &mut Object, selector: &Selector) {
    service.set(&["spec", "selector", &selector.key], Value::String(selector.value.clone()));
}

fn fits(service: &Object) -> Result<(), RenderError> {
    let name = canary_name(service.name());
    if name.len() <= LONGEST_NAME {
        return Ok(());
    }
    Err(unusable(service, format!("`{name}` would be longer than {LONGEST_NAME} characters; shorten the Service's name")))
}

fn renamed(object: &Object) -> Object {
    copy_as(object, &canary_name(object.name()))
}

/// A new object with the type, namespace, labels and annotations of `object`; nothing else of it.
pub(super) fn copy_as(object: &Object, name: &str) -> Object {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), Value::String(name.to_owned()));
    for field in ["namespace", "labels", "annotations"] {
        if let Some(value) = object.get(&format!("/metadata/{field}")) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    let mut copy = object.clone();
    for field in object.as_map().keys().filter(|field| !["apiVersion", "kind"].contains(&field.as_str())) {
        copy.remove(&[field]);
    }
    copy.set(&["metadata"], Value::Object(metadata));
    // kubectl's own memory of the object it was copied from.
    copy.remove(&["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"]);
    copy
}
