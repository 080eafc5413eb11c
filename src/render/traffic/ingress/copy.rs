//! The second Ingress: the stable one's rules and paths that go to the stable Service, and nothing else of them.

use serde_json::Value;

use crate::manifest::Object;
use crate::render::RenderError;
use crate::render::traffic::services::{canary_name, copy_as};
use crate::render::traffic::{At, same_namespace, taken, unusable};

/// Whether the Ingress sends requests to the stable Service by a rule, and is one that the API server still takes.
pub(in crate::render::traffic) fn usable(ingress: &Object, at: &At) -> Result<(), RenderError> {
    let service = at.service;
    if ingress.api_version() != "networking.k8s.io/v1" {
        return Err(unusable(
            ingress,
            format!("`{}` is no longer served; write it as networking.k8s.io/v1", ingress.api_version()),
        ));
    }
    if !same_namespace(ingress, service) {
        return Err(unusable(ingress, format!("it is not in the namespace of Service `{}`", service.name())));
    }
    if rules_for(ingress, service.name(), service.name()).is_empty() {
        let cause = if ingress.text("/spec/defaultBackend/service/name") == Some(service.name()) {
            format!(
                "only its `defaultBackend` is Service `{}`, which a canary Ingress cannot divide; write a rule for path `/`",
                service.name()
            )
        } else {
            format!("no rule of it sends requests to Service `{}`", service.name())
        };
        return Err(unusable(ingress, cause));
    }
    Ok(())
}

/// Whether the name of the second Ingress is free.
pub(in crate::render::traffic) fn name_is_free(ingress: &Object, at: &At) -> Result<(), RenderError> {
    let canary = canary_of(ingress, |_| true);
    if at.objects.get(&canary.key()).is_some() { Err(taken(&canary)) } else { Ok(()) }
}

/// The second Ingress without its spec, with the annotations of the stable one whose keys are to be `kept`.
pub(in crate::render::traffic) fn canary_of(ingress: &Object, kept: impl Fn(&str) -> bool) -> Object {
    let mut canary = copy_as(ingress, &canary_name(ingress.name()));
    if let Some(Value::Object(annotations)) = canary.get_mut("/metadata/annotations") {
        annotations.retain(|key, _| kept(key));
    }
    canary
}

/// Gives the second Ingress the stable one's spec, with `backend` in the place of `service`.
pub(in crate::render::traffic) fn fill(canary: &mut Object, ingress: &Object, service: &str, backend: &str) {
    if let Some(spec) = ingress.get("/spec") {
        canary.set(&["spec"], spec.clone());
    }
    canary.remove(&["spec", "defaultBackend"]);
    canary.set(&["spec", "rules"], Value::Array(rules_for(ingress, service, backend)));
}

/// The rules and paths whose backend is `service`, with `backend` in its place. Backends that are no Services are left out.
fn rules_for(ingress: &Object, service: &str, backend: &str) -> Vec<Value> {
    let Some(Value::Array(rules)) = ingress.get("/spec/rules") else { return Vec::new() };
    let mut found = Vec::new();
    for rule in rules {
        let Some(Value::Array(paths)) = rule.pointer("/http/paths") else { continue };
        let mut ours: Vec<Value> = paths
            .iter()
            .filter(|path| path.pointer("/backend/service/name").and_then(Value::as_str) == Some(service))
            .cloned()
            .collect();
        if ours.is_empty() {
            continue;
        }
        for name in ours.iter_mut().filter_map(|path| path.pointer_mut("/backend/service/name")) {
            *name = Value::String(backend.to_owned());
        }
        let mut rule = rule.clone();
        if let Some(paths) = rule.pointer_mut("/http/paths") {
            *paths = Value::Array(ours);
        }
        found.push(rule);
    }
    found
}
