//! Traffic: what each provider writes for each kind of step, and what it refuses.

mod checks;
mod gateway;
mod goldens;
mod istio;
mod laws;
mod lua;
mod nginx;
mod providers;
pub(crate) mod samples;
mod services;
pub(crate) mod shared;

use std::collections::BTreeMap;

use serde_json::Value;
use windlass::api::{
    Amount, GatewayRouting, HeaderModifier, HttpMatch, IngressRouting, MatchKind, NamedMatch, OnFailure, Pause, Rollout, Step,
    StringMatch, Style, TrafficRouting, WorkloadRef,
};
use windlass::manifest::{Object, ObjectSet};
use windlass::render::{Routes, Selector};

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn object(text: &str) -> Object {
    Object::new(yaml(text)).unwrap()
}

pub(crate) fn set(texts: &[&str]) -> ObjectSet {
    texts.iter().map(|text| object(text)).collect()
}

fn got(objects: &ObjectSet, kind: &str, name: &str) -> Value {
    objects.values().find(|object| object.kind() == kind && object.name() == name).expect("is there").to_value()
}

/// Compares with YAML text; both sides are printed as JSON where they differ.
#[track_caller]
fn same(got: &Value, wanted: &str) {
    let wanted = yaml(wanted);
    if *got != wanted {
        panic!(
            "got:\n{}\nwanted:\n{}",
            serde_json::to_string_pretty(got).unwrap(),
            serde_json::to_string_pretty(&wanted).unwrap()
        );
    }
}

pub(crate) const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: shop, labels: {app: echo}, annotations: {team: blue}}
spec:
  selector: {app: echo}
  ports: [{name: http, port: 80, targetPort: 8080}]
";

fn routing() -> TrafficRouting {
    TrafficRouting {
        service: "echo".to_owned(),
        grace_period_seconds: 3,
        ingress: None,
        gateway: None,
        custom: Vec::new(),
        disable_generate_canary_service: false,
        scripts: BTreeMap::new(),
    }
}

fn by_ingress() -> TrafficRouting {
    TrafficRouting { ingress: Some(IngressRouting { class_type: "nginx".to_owned(), name: "echo".to_owned() }), ..routing() }
}

fn by_gateway() -> TrafficRouting {
    TrafficRouting {
        gateway: Some(GatewayRouting { http_route_name: Some("echo".to_owned()), ..GatewayRouting::default() }),
        ..routing()
    }
}

pub(crate) fn selector(value: &str) -> Selector {
    Selector { key: "windlass.dev/revision".to_owned(), value: value.to_owned() }
}

fn weight(weight: u32) -> Routes {
    Routes::Split { weight: Some(weight), matches: Vec::new(), request_header_modifier: None, mirror: None }
}

fn matching(matches: &[HttpMatch]) -> Routes {
    Routes::Split { weight: None, matches: matches.to_vec(), request_header_modifier: None, mirror: None }
}

fn named(kind: MatchKind, name: &str, value: &str) -> NamedMatch {
    NamedMatch { kind, name: name.to_owned(), value: value.to_owned() }
}

fn exact(name: &str, value: &str) -> NamedMatch {
    named(MatchKind::Exact, name, value)
}

fn regex(name: &str, value: &str) -> NamedMatch {
    named(MatchKind::RegularExpression, name, value)
}

fn headers(headers: &[NamedMatch]) -> HttpMatch {
    HttpMatch { headers: headers.to_vec(), ..HttpMatch::default() }
}

fn query(query_params: &[NamedMatch]) -> HttpMatch {
    HttpMatch { query_params: query_params.to_vec(), ..HttpMatch::default() }
}

fn path(kind: MatchKind, value: &str) -> HttpMatch {
    HttpMatch { path: Some(StringMatch { kind, value: value.to_owned() }), ..HttpMatch::default() }
}

fn modifier() -> HeaderModifier {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    HeaderModifier { set: vec![pair("x-version", "new")], add: vec![pair("x-via", "canary")], remove: vec!["x-old".to_owned()] }
}

fn step(traffic: Option<u32>, matches: &[HttpMatch]) -> Step {
    Step {
        name: None,
        replicas: Amount::Percent(20),
        traffic,
        matches: matches.to_vec(),
        request_header_modifier: None,
        mirror: None,
        pause: Pause::Approval,
        timeout: 600,
        gates: Vec::new(),
    }
}

fn rollout(routings: Vec<TrafficRouting>, steps: Vec<Step>) -> Rollout {
    Rollout {
        name: "echo".to_owned(),
        namespace: None,
        workload: WorkloadRef::new("apps/v1", "Deployment", "echo"),
        disabled: false,
        paused: false,
        style: Style::Partition,
        steps,
        routings,
        shared: None,
        failure_threshold: None,
        extra_metadata: None,
        observe: None,
        metrics: Vec::new(),
        on_failure: OnFailure::Rollback,
        rollback: windlass::api::Rollback::AtOnce,
        allow_secrets: false,
        track_config: false,
        helm: None,
    }
}
