use windlass::render::traffic::{check, describe};

use super::nginx::INGRESS;
use super::*;

const ROUTE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: echo, namespace: shop}
spec:
  rules:
  - backendRefs: [{name: echo, port: 80}]
";

fn found(objects: &ObjectSet, rollout: &Rollout) -> Vec<(Option<usize>, String)> {
    check(objects, rollout).into_iter().map(|(step, error)| (step, error.to_string())).collect()
}

fn list(wanted: &[(Option<usize>, &str)]) -> Vec<(Option<usize>, String)> {
    wanted.iter().map(|(step, text)| (*step, (*text).to_owned())).collect()
}

#[test]
fn a_sound_rollout_has_no_findings() {
    let steps = vec![step(Some(5), &[]), step(None, &[headers(&[exact("x", "1")])]), step(None, &[]), step(Some(100), &[])];
    for routings in [vec![by_ingress()], vec![by_gateway()], vec![by_ingress(), by_gateway()], vec![]] {
        assert_eq!(found(&set(&[SERVICE, INGRESS, ROUTE]), &rollout(routings, steps.clone())), []);
    }
    let both = TrafficRouting { gateway: by_gateway().gateway, ..by_ingress() };
    assert_eq!(found(&set(&[SERVICE, INGRESS, ROUTE]), &rollout(vec![both], steps)), []);
}

#[test]
fn everything_that_is_missing_is_found_at_once() {
    let both = TrafficRouting { gateway: by_gateway().gateway, ..by_ingress() };
    assert_eq!(
        found(&set(&[SERVICE]), &rollout(vec![both], vec![step(Some(5), &[])])),
        list(&[(None, "Ingress `echo` does not exist in the source"), (None, "HTTPRoute `echo` does not exist in the source")])
    );
    assert_eq!(
        found(&set(&[INGRESS]), &rollout(vec![by_ingress(), by_ingress()], Vec::new())),
        list(&[
            (None, "Service `echo` does not exist in the source"),
            (
                None,
                "Ingress `echo`: two `trafficRoutings` name it, and it can have only one canary Ingress; give each Service an \
                 Ingress of its own"
            )
        ])
    );
}

#[test]
fn one_route_for_two_services_is_fine_and_twice_for_one_is_not() {
    let other = SERVICE.replace("name: echo,", "name: other,");
    let route = ROUTE.replace("[{name: echo, port: 80}]", "[{name: echo, port: 80}, {name: other, port: 80}]");
    let objects = set(&[SERVICE, &other, &route]);
    let for_other = TrafficRouting { service: "other".to_owned(), ..by_gateway() };
    assert_eq!(found(&objects, &rollout(vec![by_gateway(), for_other.clone()], vec![step(Some(20), &[])])), []);
    let mut routed = objects.clone();
    for routing in [by_gateway(), for_other] {
        windlass::render::traffic::route(&mut routed, &routing, &weight(20)).unwrap();
    }
    same(
        &got(&routed, "HTTPRoute", "echo")["spec"]["rules"][0]["backendRefs"],
        "
- {name: echo, port: 80, weight: 40}
- {name: other, port: 80, weight: 40}
- {name: echo-canary, port: 80, weight: 10}
- {name: other-canary, port: 80, weight: 10}
",
    );
    assert_eq!(
        found(&objects, &rollout(vec![by_gateway(), by_gateway()], Vec::new())),
        list(&[(None, "HTTPRoute `echo`: two `trafficRoutings` name it for the same Service; remove one")])
    );
}

#[test]
fn a_route_to_somewhere_else_is_found() {
    let ingress = INGRESS.replace("name: echo, port", "name: other, port");
    let route = ROUTE.replace("name: echo, port", "name: other, port");
    assert_eq!(
        found(&set(&[SERVICE, &ingress, &route]), &rollout(vec![by_ingress(), by_gateway()], Vec::new())),
        list(&[
            (None, "Ingress `echo`: no rule of it sends requests to Service `echo`"),
            (None, "HTTPRoute `echo`: no rule of it sends requests to Service `echo`")
        ])
    );
    let only_default = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: echo}
spec: {defaultBackend: {service: {name: echo, port: {number: 80}}}}
";
    assert_eq!(
        found(&set(&[SERVICE, only_default]), &rollout(vec![by_ingress()], Vec::new())),
        list(&[(
            None,
            "Ingress `echo`: only its `defaultBackend` is Service `echo`, which a canary Ingress cannot divide; write a rule for \
             path `/`"
        )])
    );
    let elsewhere = INGRESS.replace("namespace: shop", "namespace: till");
    assert_eq!(
        found(&set(&[SERVICE, &elsewhere]), &rollout(vec![by_ingress()], Vec::new())),
        list(&[(None, "Ingress `echo`: it is not in the namespace of Service `echo`")])
    );
    let old = INGRESS.replace("networking.k8s.io/v1", "networking.k8s.io/v1beta1");
    assert_eq!(
        found(&set(&[SERVICE, &old]), &rollout(vec![by_ingress()], Vec::new())),
        list(&[(None, "Ingress `echo`: `networking.k8s.io/v1beta1` is no longer served; write it as networking.k8s.io/v1")])
    );
}

#[test]
fn providers_that_are_not_there_yet_say_so() {
    let haproxy = TrafficRouting {
        ingress: Some(IngressRouting { class_type: "haproxy".to_owned(), name: "echo".to_owned() }),
        ..routing()
    };
    let custom =
        TrafficRouting { custom: vec![WorkloadRef::new("networking.example.com/v1", "VirtualService", "echo")], ..routing() };
    let found = found(&set(&[SERVICE, INGRESS]), &rollout(vec![haproxy, custom, routing()], vec![step(Some(5), &[])]));
    let starts = [
        "Ingress `echo`: classType `haproxy` is not supported; supported are `ingress` with classType `nginx`, `aliyun-alb`, ",
        "VirtualService `echo`: `customNetworkRefs` knows no kind `VirtualService` of `networking.example.com`; it knows \
         VirtualService (networking.istio.io), ",
        "Service `echo`: its `trafficRoutings` entry names no route; supported are `ingress` with classType ",
    ];
    assert_eq!(found.len(), 3);
    for ((step, text), start) in found.iter().zip(starts) {
        assert!(step.is_none() && text.starts_with(start), "{text}");
    }
    let scripts = [
        ", and others by a Lua script (.windlass/lua/trafficrouting_ingress/haproxy.lua)",
        ", and others by a Lua script (.windlass/lua/networking.example.com/VirtualService/trafficRouting.lua)",
    ];
    for (script, (_, text)) in scripts.iter().zip(&found) {
        assert!(text.ends_with(script), "{text}");
    }
}

#[test]
fn a_mesh_rule_must_say_where_it_goes() {
    let kuma = WorkloadRef::new("kuma.io/v1alpha1", "MeshHTTPRoute", "echo");
    let routing = TrafficRouting { custom: vec![kuma], ..routing() };
    let route = "
apiVersion: kuma.io/v1alpha1
kind: MeshHTTPRoute
metadata: {name: echo, namespace: shop}
spec:
  to:
  - targetRef: {kind: MeshService, name: echo}
    rules: [{default: {filters: []}}]
";
    assert_eq!(
        found(&set(&[SERVICE, route]), &rollout(vec![routing], Vec::new())),
        list(&[(None, "MeshHTTPRoute `echo`: a rule of it for Service `echo` has no `backendRefs`; write them")])
    );
}

#[test]
fn names_that_windlass_needs_are_found_to_be_taken() {
    let service = SERVICE.replace("name: echo,", "name: echo-canary,");
    let ingress = INGRESS.replace("  name: echo\n", "  name: echo-canary\n");
    let route = ROUTE.replace("[{name: echo, port: 80}]", "[{name: echo, port: 80}, {name: echo-canary, port: 80}]");
    assert_eq!(
        found(&set(&[SERVICE, &service, INGRESS, &ingress, &route]), &rollout(vec![by_ingress(), by_gateway()], Vec::new())),
        list(&[
            (
                None,
                "Service `echo-canary`: the source has an object of this name, which Windlass needs for the canary; rename it"
            ),
            (
                None,
                "Ingress `echo-canary`: the source has an object of this name, which Windlass needs for the canary; rename it"
            ),
            (None, "HTTPRoute `echo`: it already sends requests to `echo-canary`, which Windlass needs for the canary"),
        ])
    );
}

#[test]
fn without_a_canary_service_there_is_nothing_to_divide() {
    let routing = TrafficRouting { disable_generate_canary_service: true, ..by_ingress() };
    let found = found(&set(&[SERVICE, INGRESS]), &rollout(vec![routing], vec![step(Some(5), &[])]));
    assert_eq!(found.len(), 1);
    assert!(found[0].1.starts_with("Service `echo`: `disableGenerateCanaryService` leaves no second Service"), "{found:?}");
}

#[test]
fn a_step_that_asks_too_much_is_named_with_everything_it_asks() {
    let mut ambitious = step(None, &[query(&[exact("a", "1")]), path(MatchKind::Exact, "/x"), headers(&[exact("x", "1")])]);
    ambitious.request_header_modifier = Some(modifier());
    let mut lonely = step(None, &[]);
    lonely.request_header_modifier = Some(modifier());
    let rollout = rollout(vec![by_ingress()], vec![step(Some(5), &[]), ambitious, lonely]);
    let found = found(&set(&[SERVICE, INGRESS]), &rollout);
    let steps: Vec<_> = found.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [Some(1), Some(1), Some(1), Some(2)]);
    for (entry, text) in found.iter().zip(["`requestHeaderModifier`", "query parameter", "by path", "alone"]) {
        assert!(entry.1.contains(text), "{entry:?} {text}");
    }
}

#[test]
fn routes_in_words() {
    let words = |routes: &Routes| describe(routes);
    assert_eq!(words(&Routes::Stable), "as you wrote them");
    assert_eq!(words(&weight(20)), "20% of requests");
    assert_eq!(words(&matching(&[headers(&[exact("x-canary", "1")])])), "requests with header `x-canary: 1`");
    assert_eq!(
        words(&matching(&[
            headers(&[regex("user-id", "^1"), exact("canary-by-cookie", "beta")]),
            query(&[exact("v", "2")]),
            path(MatchKind::PathPrefix, "/new"),
            path(MatchKind::Exact, "/one"),
            path(MatchKind::RegularExpression, "/v[2-9]"),
            HttpMatch::default(),
        ])),
        "requests with header `user-id` matching `^1` and cookie `beta=always`, or with query parameter `v=2`, \
         or with path `/new` and below, or with path `/one`, or with a path matching `/v[2-9]`, or of any kind"
    );
    assert_eq!(
        words(&Routes::Split {
            weight: Some(5),
            matches: vec![headers(&[exact("x", "1")])],
            request_header_modifier: Some(modifier()),
            mirror: None,
        }),
        "requests with header `x: 1`, and 5% of the others; sets header `x-version: new`, adds header `x-via: canary`, \
         removes header `x-old`"
    );
}
