//! The scope of one Rollout: from its workload in both directions, until nothing more is found.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Member, pods};
use crate::manifest::{Object, ObjectKey, ObjectSet};
use crate::render::selector;
use crate::render::workload::plainly;

/// Groups whose objects send requests to Services or to each other.
const ROUTES: [&str; 10] = [
    "networking.k8s.io",
    "gateway.networking.k8s.io",
    "networking.istio.io",
    "traefik.io",
    "traefik.containo.us",
    "apisix.apache.org",
    "projectcontour.io",
    "configuration.konghq.com",
    "split.smi-spec.io",
    "policy.linkerd.io",
];

const ISTIO: &str = "networking.istio.io";

/// Fields of routes that hold the name of what requests go to.
const BACKENDS: [&str; 9] =
    ["backend", "backendRef", "backendRefs", "backends", "defaultBackend", "service", "services", "mirrors", "mirroring"];

pub(super) fn reached(objects: &ObjectSet, member: &Member) -> BTreeSet<ObjectKey> {
    let mut reach = Reach { objects, namespace: None, found: BTreeSet::new() };
    let group = member.workload.api_version.split_once('/').map_or("", |(group, _)| group);
    let Some(key) = named(objects, member, group, &member.workload.kind, &member.workload.name) else { return reach.found };
    let Some(workload) = objects.get(&key) else { return reach.found };
    let plain = plainly(workload, &member.workload);
    reach.namespace = workload.namespace().or(member.namespace.as_deref());
    reach.found.insert(key);
    for (group, kind, name) in pods::names(&plain) {
        reach.name(group, kind, &name);
    }
    for (group, kind, name) in &member.routed {
        reach.name(group, kind, name);
    }
    let none = Map::new();
    let labels = plain.get("/spec/template/metadata/labels").and_then(Value::as_object).unwrap_or(&none);
    for (key, object) in objects.iter() {
        if !reach.is_near(object) {
            continue;
        }
        let picks = match (object.group(), object.kind()) {
            ("", "Service") => selector::plain(object.get("/spec/selector"), labels),
            ("policy", "PodDisruptionBudget") => selector::full(object.get("/spec/selector"), labels),
            ("networking.k8s.io", "NetworkPolicy") => selector::full(object.get("/spec/podSelector"), labels),
            _ => false,
        };
        if picks {
            reach.found.insert(key.clone());
        }
    }
    while reach.once() {}
    reach.found
}

/// What the objects of `slot` name, directly or through others of `objects`: without it, pods of that version cannot start.
pub(super) fn needed(objects: &ObjectSet, slot: &ObjectSet, member: &Member) -> BTreeSet<ObjectKey> {
    let found = slot.iter().map(|(key, _)| key.clone()).collect();
    let mut reach = Reach { objects, namespace: member.namespace.as_deref(), found };
    let group = member.workload.api_version.split_once('/').map_or("", |(group, _)| group);
    let workload = named(slot, member, group, &member.workload.kind, &member.workload.name).and_then(|key| slot.get(&key));
    reach.namespace = workload.and_then(Object::namespace).or(reach.namespace);
    let named = |workload| pods::names(&plainly(workload, &member.workload));
    for (group, kind, name) in workload.map(named).unwrap_or_default() {
        reach.name(group, kind, &name);
    }
    while reach.below() {}
    reach.found
}

/// The object that a Rollout means by a name.
pub(super) fn named(objects: &ObjectSet, member: &Member, group: &str, kind: &str, name: &str) -> Option<ObjectKey> {
    let fits = |key: &&ObjectKey| key.group == group && key.kind == kind && key.name == name;
    let near =
        |key: &&ObjectKey| key.namespace.as_deref().zip(member.namespace.as_deref()).is_none_or(|(one, other)| one == other);
    objects.iter().map(|(key, _)| key).filter(fits).find(near).cloned()
}

struct Reach<'a> {
    objects: &'a ObjectSet,
    /// The pods' namespace, where it is known.
    namespace: Option<&'a str>,
    found: BTreeSet<ObjectKey>,
}

impl Reach<'_> {
    fn is_near(&self, object: &Object) -> bool {
        object.namespace().zip(self.namespace).is_none_or(|(one, other)| one == other)
    }

    /// Takes what is called so in the pods' namespace. Says whether that is new.
    fn name(&mut self, group: &str, kind: &str, name: &str) -> bool {
        let fits = |object: &&Object| object.group() == group && object.kind() == kind && object.name() == name;
        let near = |object: &&Object| self.is_near(object);
        let key = self.objects.values().filter(fits).find(near).map(Object::key);
        key.is_some_and(|key| self.found.insert(key))
    }

    /// Whether something of this kind and name was found. `group`: `None` where it was not said.
    fn has(&self, group: Option<&str>, kind: &str, name: &str) -> bool {
        self.found.iter().any(|key| key.kind == kind && key.name == name && group.is_none_or(|group| group == key.group))
    }

    /// Looks at every object once. Says whether one came to it.
    fn once(&mut self) -> bool {
        let mut grew = false;
        for (key, object) in self.objects.iter() {
            if !self.found.contains(key) && self.is_drawn(object) {
                grew |= self.found.insert(key.clone());
            }
        }
        grew | self.below()
    }

    /// Looks at what was found once. Says whether it needs more.
    fn below(&mut self) -> bool {
        let found: Vec<&Object> = self.found.iter().filter_map(|key| self.objects.get(key)).collect();
        let names: Vec<_> = found.into_iter().flat_map(below).collect();
        names.into_iter().fold(false, |grew, (group, kind, name)| grew | self.name(group, &kind, &name))
    }

    /// Whether this object is about one that was found.
    fn is_drawn(&self, object: &Object) -> bool {
        if matches!(object.kind(), "RoleBinding" | "ClusterRoleBinding") {
            return self.binds(object);
        }
        if !self.is_near(object) {
            return false;
        }
        let spec = object.get("/spec");
        let field = |name: &str| spec.and_then(|spec| spec.get(name));
        let targets = [field("scaleTargetRef"), field("targetRef")].into_iter().flatten();
        let targets = targets.chain(field("targetRefs").and_then(Value::as_array).into_iter().flatten());
        if targets.into_iter().any(|target| self.is_target(target)) {
            return true;
        }
        ROUTES.contains(&object.group()) && spec.is_some_and(|spec| self.routes(spec, false, object.group() == ISTIO))
    }

    /// `{apiVersion or group, kind, name}`; KEDA leaves out the kind of a Deployment.
    fn is_target(&self, target: &Value) -> bool {
        let text = |field: &str| target.get(field).and_then(Value::as_str);
        let version = text("apiVersion").map(|version| version.split_once('/').map_or("", |(group, _)| group));
        text("name").is_some_and(|name| self.has(version.or(text("group")), text("kind").unwrap_or("Deployment"), name))
    }

    fn binds(&self, binding: &Object) -> bool {
        let subjects = binding.get("/subjects").and_then(Value::as_array).into_iter().flatten();
        let own = binding.namespace();
        subjects.into_iter().any(|subject| {
            let text = |field: &str| subject.get(field).and_then(Value::as_str);
            let near = text("namespace").or(own).zip(self.namespace).is_none_or(|(one, other)| one == other);
            near && text("kind") == Some("ServiceAccount")
                && text("name").is_some_and(|name| self.has(Some(""), "ServiceAccount", name))
        })
    }

    /// Whether a part of a route names a Service, or another route, that was found. `backend`: this is what requests go to.
    /// `hosts`: a `host` in it is a Service's.
    fn routes(&self, value: &Value, backend: bool, hosts: bool) -> bool {
        match value {
            Value::Array(list) => list.iter().any(|value| self.routes(value, backend, hosts)),
            Value::Object(map) => {
                let text = |field: &str| map.get(field).and_then(Value::as_str);
                let kind = text("kind").unwrap_or("Service");
                let names = [text("name"), text("serviceName")].into_iter().flatten();
                if backend && names.into_iter().any(|name| self.has(None, kind, name)) {
                    return true;
                }
                if hosts && text("host").is_some_and(|host| self.is_host(host)) {
                    return true;
                }
                // A route of a mesh hangs on a Service instead of a gateway.
                let parents = map.get("parentRefs").and_then(Value::as_array).into_iter().flatten();
                let is_parent = |parent: &Value| {
                    let text = |field: &str| parent.get(field).and_then(Value::as_str);
                    text("kind") == Some("Service") && text("name").is_some_and(|name| self.has(Some(""), "Service", name))
                };
                if parents.into_iter().any(is_parent) {
                    return true;
                }
                map.iter().any(|(field, value)| self.routes(value, BACKENDS.contains(&field.as_str()), hosts))
            }
            Value::String(name) => backend && self.has(Some(""), "Service", name),
            _ => false,
        }
    }

    /// `web`, `web.shop`, `web.shop.svc.cluster.local`.
    fn is_host(&self, host: &str) -> bool {
        let (name, rest) = host.split_once('.').unwrap_or((host, ""));
        let namespace = rest.split('.').next().filter(|namespace| !namespace.is_empty());
        namespace.zip(self.namespace).is_none_or(|(one, other)| one == other) && self.has(Some(""), "Service", name)
    }
}

/// What an object of a scope needs itself.
fn below(object: &Object) -> Vec<(&'static str, String, String)> {
    let owned = |(group, kind, name): pods::Name| (group, kind.to_owned(), name);
    let list = |pointer: &str| object.get(pointer).and_then(Value::as_array).into_iter().flatten();
    match (object.group(), object.kind()) {
        ("", "ServiceAccount") => pods::of_account(object).into_iter().map(owned).collect(),
        ("networking.k8s.io", "Ingress") => list("/spec/tls")
            .filter_map(|tls| Some(("", "Secret".to_owned(), tls.get("secretName")?.as_str()?.to_owned())))
            .collect(),
        ("keda.sh", "ScaledObject") => list("/spec/triggers")
            .filter_map(|trigger| {
                let reference = trigger.get("authenticationRef")?;
                let kind = reference.get("kind").and_then(Value::as_str).unwrap_or("TriggerAuthentication");
                Some(("keda.sh", kind.to_owned(), reference.get("name")?.as_str()?.to_owned()))
            })
            .collect(),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            let kind = object.text("/roleRef/kind").unwrap_or_default().to_owned();
            let name = object.text("/roleRef/name").unwrap_or_default().to_owned();
            vec![("rbac.authorization.k8s.io", kind, name)]
        }
        _ => Vec::new(),
    }
}
