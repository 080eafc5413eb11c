//! Routings that several Rollouts share: requests keep their Service, and what they carry changes.

use windlass::api::SharedRouting;
use windlass::render::traffic::{check_shared, describe_shared, known_to, share};

use super::samples::{Sample, by_subsets, samples};
use super::*;

/// What a shared routing can ask: a part of the requests, and some of them by a header.
pub(crate) fn questions(routing: &TrafficRouting) -> Vec<SharedRouting> {
    let set = HeaderModifier { set: vec![("x-env".to_owned(), "gray".to_owned())], ..HeaderModifier::default() };
    let one = |traffic, matches: Vec<HttpMatch>| SharedRouting {
        name: "gray".to_owned(),
        routings: vec![routing.clone()],
        traffic,
        matches,
        request_header_modifier: Some(set.clone()),
    };
    vec![one(Some(20), Vec::new()), one(None, vec![headers(&[exact("x-tester", "yes")])])]
}

pub(super) fn can(sample: &Sample) -> bool {
    questions(&sample.routing).iter().all(|shared| check_shared(&sample.set(), shared).is_empty())
}

fn marked(routing: TrafficRouting) -> SharedRouting {
    questions(&routing).remove(0)
}

fn testers(routing: TrafficRouting) -> SharedRouting {
    questions(&routing).remove(1)
}

#[test]
fn a_part_of_the_requests_is_marked_and_stays_with_its_service() {
    let shared = marked(by_gateway());
    let plain = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: echo, namespace: shop}
spec: {rules: [{backendRefs: [{name: echo, port: 80}]}]}
";
    let objects = set(&[SERVICE, plain]);
    let changed = share(&objects, [&shared]).unwrap();
    assert_eq!(changed.iter().map(|(key, _)| key.kind.as_str()).collect::<Vec<_>>(), ["HTTPRoute"], "no second Service");
    let route = got(&changed, "HTTPRoute", "echo");
    same(
        route.pointer("/spec/rules").unwrap(),
        "
- backendRefs:
  - {name: echo, port: 80, weight: 80}
  - name: echo
    port: 80
    weight: 20
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-env, value: gray}]}}]
",
    );
    assert_eq!(describe_shared(&shared), "20% of requests; sets header `x-env: gray`");
}

#[test]
fn a_virtual_service_keeps_its_subsets() {
    let text = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo, namespace: shop}
spec:
  hosts: [echo.example.com]
  http:
  - route:
    - destination: {host: echo, subset: base}
";
    let reference = WorkloadRef::new("networking.istio.io/v1", "VirtualService", "echo");
    let routing = TrafficRouting { custom: vec![reference], ..routing() };
    let changed = share(&set(&[SERVICE, text]), [&testers(routing)]).unwrap();
    same(
        got(&changed, "VirtualService", "echo").pointer("/spec/http").unwrap(),
        "
- match: [{headers: {x-tester: {exact: 'yes'}}}]
  route:
  - destination: {host: echo, subset: base}
    headers: {request: {set: {x-env: gray}}}
- route:
  - destination: {host: echo, subset: base}
",
    );
}

#[test]
fn an_ingress_gets_one_beside_it_for_the_same_service() {
    let sample = samples().into_iter().find(|sample| sample.name == "mse").unwrap();
    let changed = share(&sample.set(), [&testers(sample.routing.clone())]).unwrap();
    let text = got(&changed, "Ingress", "echo-canary").to_string();
    assert!(text.contains("\"name\":\"echo\"") && !text.contains("\"name\":\"echo-canary\",\"port\""), "{text}");
    assert!(text.contains("request-header-control") && text.contains("gray"), "{text}");
}

#[test]
fn two_can_be_in_force_together_and_each_ends_by_itself() {
    let mut other = testers(by_gateway());
    other.name = "blue".to_owned();
    other.routings[0].service = "other".to_owned();
    let service = SERVICE.replace("name: echo,", "name: other,");
    let route = gateway::SHOP.replace("name: echo, port", "name: other, port");
    let second = route.replace("metadata: {name: echo", "metadata: {name: second");
    other.routings[0].gateway.as_mut().unwrap().http_route_name = Some("second".to_owned());
    let objects = set(&[SERVICE, &service, gateway::SHOP, &second]);
    let gray = marked(by_gateway());
    let both = share(&objects, [&gray, &other]);
    let names = |changed: &ObjectSet| changed.iter().map(|(key, _)| key.name.clone()).collect::<Vec<_>>();
    if let Ok(both) = &both {
        assert_eq!(names(both), ["echo", "second"]);
        assert_eq!(names(&share(&objects, [&gray]).unwrap()), ["echo"]);
        assert_eq!(names(&known_to(&objects, [&other])), ["other", "second"]);
    } else {
        panic!("{both:?}");
    }
    assert_eq!(share(&objects, []).unwrap(), ObjectSet::default());
}

#[test]
fn who_cannot_mark_requests_says_so_and_names_the_nearest_way() {
    let mut who: Vec<&str> = samples().iter().filter(|sample| can(sample)).map(|sample| sample.label).collect();
    who.sort_unstable();
    who.dedup();
    assert_eq!(
        who,
        [
            "GRPCRoute",
            "HTTPRoute",
            "Ingress class higress",
            "Ingress class mse",
            "Ingress of any class, by a Lua script",
            "VirtualService (Istio)",
            "any object, by a Lua script",
        ]
    );
    for sample in samples().iter().filter(|sample| !can(sample)) {
        let found: Vec<String> =
            check_shared(&sample.set(), &marked(sample.routing.clone())).iter().map(ToString::to_string).collect();
        assert!(!found.is_empty() && found.iter().all(|error| error.contains("share")), "{}: {found:?}", sample.name);
    }
}

#[test]
fn what_would_change_nothing_is_refused() {
    let objects = set(&[SERVICE, gateway::SHOP]);
    let plain = SharedRouting { request_header_modifier: None, ..marked(by_gateway()) };
    let said = check_shared(&objects, &plain)[0].to_string();
    assert!(said.contains("requestHeaderModifier") && said.contains("which header"), "{said}");
    let twice = SharedRouting { routings: vec![by_gateway(), by_gateway()], ..marked(by_gateway()) };
    assert!(check_shared(&objects, &twice)[0].to_string().contains("for the same Service"));
    let missing = check_shared(&set(&[SERVICE]), &marked(by_gateway()));
    assert!(missing.iter().all(|error| error.to_string().contains("does not exist")), "{missing:?}");
    let mut subsets = by_subsets();
    subsets.disable_generate_canary_service = false;
    let objects = set(&[SERVICE, samples::DESTINATION_RULE]);
    let said: Vec<String> = check_shared(&objects, &marked(subsets)).iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|error| error.contains("DestinationRule") && error.contains("Lua script")), "{said:?}");
}
