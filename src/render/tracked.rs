//! `trackConfig: true`: ConfigMaps and Secrets of a plain source get names with a digest of their content, as kustomize's
//! generators give them, so that each version of the pods keeps the configuration it was released with.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::api::WorkloadRef;
use crate::manifest::{self, Object, ObjectKey, ObjectSet};

/// Kind and name.
type Name = (&'static str, String);

/// Hex digits of the digest in a name: as many as kustomize has.
const DIGITS: usize = 10;

/// Names every ConfigMap and Secret that the workload's pods read by its content, and the references to it in all pod templates.
/// What is not in `objects`, or is named by anything but a pod (an Ingress' or Gateway's certificate, an account), keeps its name.
/// Where several Rollouts share the objects (`among_several`), so does what the pods of any other object read: a name that changes
/// would be a release of theirs.
pub fn track(objects: &mut ObjectSet, workload: &WorkloadRef, among_several: bool) {
    let Ok(workload) = super::find_workload(objects, workload) else { return };
    let namespace = workload.namespace().map(str::to_owned);
    let mut read = BTreeSet::new();
    let mut workload = workload.clone();
    each_reference(&mut workload, &mut |kind, name| {
        read.insert((kind, name.clone()));
    });
    let mut fixed = named_elsewhere(objects);
    if among_several {
        let own = workload.key();
        for (_, object) in objects.iter().filter(|(key, _)| **key != own) {
            each_reference(&mut object.clone(), &mut |kind, name| {
                fixed.insert((kind, name.clone()));
            });
        }
    }
    let mut renamed: BTreeMap<Name, String> = BTreeMap::new();
    for (kind, name) in read.difference(&fixed) {
        let key = ObjectKey { group: String::new(), kind: (*kind).to_owned(), namespace: namespace.clone(), name: name.clone() };
        let Some(mut object) = objects.remove(&key) else { continue };
        let content: BTreeMap<&str, &Value> = ["data", "binaryData", "stringData", "type"]
            .into_iter()
            .filter_map(|field| Some((field, object.as_map().get(field)?)))
            .collect();
        let digest = manifest::digest(&json!(content));
        let new = format!("{name}-{}", digest.chars().take(DIGITS).collect::<String>());
        object.set(&["metadata", "name"], json!(new));
        objects.insert(object);
        renamed.insert((kind, name.clone()), new);
    }
    if renamed.is_empty() {
        return;
    }
    let keys: Vec<ObjectKey> = objects.iter().filter(|(key, _)| key.namespace == namespace).map(|(key, _)| key.clone()).collect();
    for key in keys {
        if let Some(object) = objects.get_mut(&key) {
            each_reference(object, &mut |kind, name| {
                if let Some(new) = renamed.get(&(kind, name.clone())) {
                    name.clone_from(new);
                }
            });
        }
    }
}

/// Where pods stand in objects: templates of workloads and jobs, the templates of scheduled jobs, and pods themselves.
const PODS: [&str; 3] = ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec", "/spec"];

/// Those that an object may have. Kinds that nobody knows have pods elsewhere: where containers are listed.
fn places(object: &Object) -> Vec<String> {
    let is_pod = object.kind() == "Pod" && object.group().is_empty();
    let mut found: Vec<String> = PODS.iter().filter(|at| **at != "/spec" || is_pod).map(|at| (*at).to_owned()).collect();
    for (key, value) in object.as_map() {
        with_containers(value, &format!("/{}", escaped(key)), &mut found);
    }
    found
}

fn with_containers(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if fields.get("containers").is_some_and(Value::is_array) && !found.iter().any(|known| known == at) {
                found.push(at.to_owned());
            }
            fields.iter().for_each(|(key, value)| with_containers(value, &format!("{at}/{}", escaped(key)), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| with_containers(item, &format!("{at}/{index}"), found));
        }
        _ => {}
    }
}

/// A key as a JSON pointer has it.
fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Every name of a ConfigMap or Secret by which the pods of an object read its content.
fn each_reference(object: &mut Object, found: &mut dyn FnMut(&'static str, &mut String)) {
    for at in places(object) {
        let Some(spec) = object.get_mut(&at) else { continue };
        for group in ["containers", "initContainers"] {
            for container in list(spec, group) {
                for entry in list(container, "envFrom") {
                    name(entry, "/configMapRef/name", "ConfigMap", found);
                    name(entry, "/secretRef/name", "Secret", found);
                }
                for entry in list(container, "env") {
                    name(entry, "/valueFrom/configMapKeyRef/name", "ConfigMap", found);
                    name(entry, "/valueFrom/secretKeyRef/name", "Secret", found);
                }
            }
        }
        for volume in list(spec, "volumes") {
            name(volume, "/configMap/name", "ConfigMap", found);
            name(volume, "/secret/secretName", "Secret", found);
            for source in volume.pointer_mut("/projected").into_iter().flat_map(|projected| list(projected, "sources")) {
                name(source, "/configMap/name", "ConfigMap", found);
                name(source, "/secret/name", "Secret", found);
            }
        }
    }
}

fn list<'a>(value: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

fn name(value: &mut Value, at: &str, kind: &'static str, found: &mut dyn FnMut(&'static str, &mut String)) {
    if let Some(Value::String(name)) = value.pointer_mut(at) {
        found(kind, name);
    }
}

/// Secrets that others than pods name: nobody would tell them of another name.
fn named_elsewhere(objects: &ObjectSet) -> BTreeSet<Name> {
    let mut found = BTreeSet::new();
    let mut take = |value: Option<&Value>| {
        if let Some(Value::String(name)) = value {
            found.insert(("Secret", name.clone()));
        }
    };
    let each = |object: &Object, at: &str| object.get(at).and_then(Value::as_array).cloned().unwrap_or_default();
    for object in objects.values() {
        match (object.group(), object.kind()) {
            ("networking.k8s.io", "Ingress") => each(object, "/spec/tls").iter().for_each(|tls| take(tls.get("secretName"))),
            ("gateway.networking.k8s.io", "Gateway") => {
                for listener in each(object, "/spec/listeners") {
                    let certificates = listener.pointer("/tls/certificateRefs").and_then(Value::as_array);
                    certificates.into_iter().flatten().for_each(|certificate| take(certificate.get("name")));
                }
            }
            ("", "ServiceAccount") => {
                ["/secrets", "/imagePullSecrets"]
                    .iter()
                    .flat_map(|at| each(object, at))
                    .for_each(|secret| take(secret.get("name")));
            }
            _ => {}
        }
        for at in places(object) {
            each(object, &format!("{at}/imagePullSecrets")).iter().for_each(|secret| take(secret.get("name")));
        }
    }
    found
}
