//! Istio beyond the goldens: versions as subsets of one Service, and what cannot be done.

use windlass::render::traffic::{add_canary_service, check, narrow, route};

use super::samples::{DESTINATION_RULE, VIRTUAL_SERVICE, by_subsets};
use super::*;

const BY_SUBSET: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo, namespace: shop}
spec:
  hosts: [echo.example.com]
  http:
  - route: [{destination: {host: echo, subset: base}}]
";

fn found(objects: &ObjectSet, routing: &TrafficRouting) -> Vec<String> {
    check(objects, &rollout(vec![routing.clone()], vec![step(Some(20), &[])]))
        .into_iter()
        .map(|(_, error)| error.to_string())
        .collect()
}

#[test]
fn versions_as_subsets_of_one_service() {
    let written = set(&[SERVICE, BY_SUBSET, DESTINATION_RULE]);
    assert_eq!(found(&written, &by_subsets()), Vec::<String>::new());
    let mut objects = written.clone();
    route(&mut objects, &by_subsets(), &weight(20)).unwrap();
    add_canary_service(&mut objects, &by_subsets(), &selector("new")).unwrap();
    narrow(&mut objects, &by_subsets(), &selector("old")).unwrap();
    same(
        &got(&objects, "VirtualService", "echo")["spec"]["http"],
        "
- route:
  - {destination: {host: echo, subset: base}, weight: 80}
  - {destination: {host: echo, subset: canary}, weight: 20}
",
    );
    same(
        &got(&objects, "DestinationRule", "echo")["spec"],
        "
host: echo.shop.svc.cluster.local
trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: user, ttl: 0s}}}}
subsets:
- {name: base, labels: {app: echo, windlass.dev/revision: old}}
- {name: canary, labels: {windlass.dev/revision: new}}
",
    );
    assert_eq!(objects.len(), written.len(), "no second Service, no second rule");
    same(&got(&objects, "Service", "echo"), SERVICE);
}

#[test]
fn subsets_that_are_not_there_are_found() {
    let plain = BY_SUBSET.replace(", subset: base", "");
    let without = "VirtualService `echo`: a destination of it is Service `echo` without a subset for the stable version; with \
                   `disableGenerateCanaryService`, name a subset of its DestinationRule there, not `canary`";
    assert_eq!(found(&set(&[SERVICE, &plain, DESTINATION_RULE]), &by_subsets())[0], without);
    let other = BY_SUBSET.replace("subset: base", "subset: v1");
    assert_eq!(
        found(&set(&[SERVICE, &other, DESTINATION_RULE]), &by_subsets())[0],
        "VirtualService `echo`: no DestinationRule in `customNetworkRefs` has the subset `v1` that it names"
    );
    let taken = DESTINATION_RULE.replace("name: base", "name: canary");
    let said = found(&set(&[SERVICE, BY_SUBSET, &taken]), &by_subsets());
    assert!(said.iter().any(|text| text.contains("it has a subset `canary`, which Windlass needs")), "{said:?}");
    let alone = TrafficRouting { custom: by_subsets().custom[..1].to_vec(), ..by_subsets() };
    let said = found(&set(&[SERVICE, BY_SUBSET, DESTINATION_RULE]), &alone);
    assert!(said[0].starts_with("Service `echo`: `disableGenerateCanaryService` leaves no second Service"), "{said:?}");
}

#[test]
fn a_destination_rule_alone_divides_nothing() {
    let routing =
        TrafficRouting { custom: by_subsets().custom[1..].to_vec(), disable_generate_canary_service: false, ..by_subsets() };
    assert_eq!(
        found(&set(&[SERVICE, DESTINATION_RULE]), &routing)[0],
        "DestinationRule `echo`: it divides no requests by itself; name the VirtualService, too"
    );
}

#[test]
fn what_only_http_rules_know_is_refused_without_them() {
    let tcp = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo, namespace: shop}
spec:
  hosts: [mail.example.com]
  tcp: [{route: [{destination: {host: echo}}]}]
";
    let routing = TrafficRouting { custom: by_subsets().custom[..1].to_vec(), ..routing() };
    let mut objects = set(&[SERVICE, tcp]);
    let error = route(&mut objects.clone(), &routing, &matching(&[headers(&[exact("x", "1")])])).unwrap_err().to_string();
    assert!(error.starts_with("VirtualService (Istio) cannot express `matches`, `mirror` and"), "{error}");
    route(&mut objects, &routing, &weight(30)).unwrap();
    same(
        &got(&objects, "VirtualService", "echo")["spec"]["tcp"][0]["route"],
        "[{destination: {host: echo}, weight: 70}, {destination: {host: echo-canary}, weight: 30}]",
    );
}

#[test]
fn a_share_too_small_for_whole_percents_is_refused() {
    let routing = TrafficRouting { custom: by_subsets().custom[..1].to_vec(), ..routing() };
    let small = VIRTUAL_SERVICE.replace("weight: 75", "weight: 25").replace("weight: 25}\n  - route", "weight: 75}\n  - route");
    let error = route(&mut set(&[SERVICE, &small]), &routing, &weight(1)).unwrap_err().to_string();
    assert!(
        error.starts_with("VirtualService `echo`: 1% of the stable Service's share there is less than one percent"),
        "{error}"
    );
}

#[test]
fn a_path_below_is_not_any_path_that_begins_so() {
    let routing = TrafficRouting { custom: by_subsets().custom[..1].to_vec(), ..routing() };
    let mut objects = set(&[SERVICE, &BY_SUBSET.replace(", subset: base", "")]);
    route(&mut objects, &routing, &matching(&[path(MatchKind::PathPrefix, "/new")])).unwrap();
    same(
        &got(&objects, "VirtualService", "echo")["spec"]["http"][0],
        "{match: [{uri: {exact: /new}}, {uri: {prefix: /new/}}], route: [{destination: {host: echo-canary}}]}",
    );
}

#[test]
fn two_routings_that_are_in_each_others_way_are_found() {
    let both = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo, namespace: shop}
spec:
  hosts: [echo.example.com]
  http:
  - route: [{destination: {host: echo}, weight: 50}, {destination: {host: other}, weight: 50}]
";
    let other = SERVICE.replace("name: echo,", "name: other,");
    let objects = set(&[SERVICE, &other, both]);
    let one = TrafficRouting { custom: by_subsets().custom[..1].to_vec(), ..routing() };
    let two = TrafficRouting { service: "other".to_owned(), ..one.clone() };
    let mut mirrored = step(None, &[]);
    mirrored.mirror = Some(10);
    let rollout = rollout(vec![one, two], vec![step(Some(20), &[]), mirrored]);
    let said: Vec<_> = check(&objects, &rollout).into_iter().map(|(step, error)| (step, error.to_string())).collect();
    let wanted = "VirtualService `echo`: a rule of it has a `mirror` of its own, beside which no other can stand";
    assert_eq!(said, [(Some(1), wanted.to_owned())]);
}
