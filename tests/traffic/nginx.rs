use windlass::render::traffic::route;

use super::*;

pub(super) const INGRESS: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: echo
  namespace: shop
  labels: {app: echo}
  annotations:
    nginx.ingress.kubernetes.io/proxy-body-size: 8m
    kubectl.kubernetes.io/last-applied-configuration: '{}'
spec:
  ingressClassName: nginx-internal
  defaultBackend: {service: {name: echo, port: {number: 80}}}
  tls: [{hosts: [echo.example.com], secretName: echo-tls}]
  rules:
  - host: echo.example.com
    http:
      paths:
      - {path: /api, pathType: Prefix, backend: {service: {name: echo, port: {name: http}}}}
      - {path: /static, pathType: Prefix, backend: {resource: {apiGroup: k8s.example.com, kind: Bucket, name: files}}}
      - {path: /list, pathType: Exact, backend: {service: {name: list, port: {number: 80}}}}
  - host: list.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: list, port: {number: 80}}}}
  - host: bare.example.com
  - http:
      paths:
      - {pathType: ImplementationSpecific, backend: {service: {name: echo, port: {number: 80}}}}
";

fn canary(annotations: &str) -> String {
    format!(
        "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: echo-canary
  namespace: shop
  labels: {{app: echo}}
  annotations:
    nginx.ingress.kubernetes.io/proxy-body-size: 8m
    nginx.ingress.kubernetes.io/canary: 'true'
{annotations}
spec:
  ingressClassName: nginx-internal
  tls: [{{hosts: [echo.example.com], secretName: echo-tls}}]
  rules:
  - host: echo.example.com
    http:
      paths:
      - {{path: /api, pathType: Prefix, backend: {{service: {{name: echo-canary, port: {{name: http}}}}}}}}
  - http:
      paths:
      - {{pathType: ImplementationSpecific, backend: {{service: {{name: echo-canary, port: {{number: 80}}}}}}}}
"
    )
}

#[track_caller]
fn golden(routes: &Routes, annotations: &str) {
    let mut objects = set(&[SERVICE, INGRESS]);
    let before = objects.clone();
    route(&mut objects, &by_ingress(), routes).unwrap();
    same(&got(&objects, "Ingress", "echo-canary"), &canary(annotations));
    let key = object(&canary("")).key();
    objects.remove(&key);
    assert_eq!(objects, before, "nothing else changes");
}

#[test]
fn a_weight_step() {
    golden(&weight(20), "    nginx.ingress.kubernetes.io/canary-weight: '20'");
    golden(&weight(100), "    nginx.ingress.kubernetes.io/canary-weight: '100'");
}

#[test]
fn a_header_step_has_no_weight() {
    golden(
        &matching(&[headers(&[exact("User-Agent", "android app 3")])]),
        "
    nginx.ingress.kubernetes.io/canary-by-header: User-Agent
    nginx.ingress.kubernetes.io/canary-by-header-value: android app 3",
    );
}

#[test]
fn a_header_pattern_step() {
    golden(
        &matching(&[headers(&[regex("user-id", "^(1|2).*$")])]),
        "
    nginx.ingress.kubernetes.io/canary-by-header: user-id
    nginx.ingress.kubernetes.io/canary-by-header-pattern: ^(1|2).*$",
    );
}

#[test]
fn a_cookie_is_written_as_kruise_does_and_goes_with_a_header() {
    golden(&matching(&[headers(&[exact("canary-by-cookie", "beta")])]), "    nginx.ingress.kubernetes.io/canary-by-cookie: beta");
    golden(
        &matching(&[headers(&[exact("canary-by-cookie", "beta")]), headers(&[exact("x-canary", "1")])]),
        "
    nginx.ingress.kubernetes.io/canary-by-cookie: beta
    nginx.ingress.kubernetes.io/canary-by-header: x-canary
    nginx.ingress.kubernetes.io/canary-by-header-value: '1'",
    );
}

#[test]
fn a_header_and_a_weight_go_together() {
    golden(
        &Routes::Split {
            weight: Some(5),
            matches: vec![headers(&[exact("x-canary", "1")])],
            request_header_modifier: None,
            mirror: None,
        },
        "
    nginx.ingress.kubernetes.io/canary-weight: '5'
    nginx.ingress.kubernetes.io/canary-by-header: x-canary
    nginx.ingress.kubernetes.io/canary-by-header-value: '1'",
    );
}

#[test]
fn no_percent_and_back_to_stable_leave_everything_as_written() {
    let nothing = Routes::Split { weight: None, matches: Vec::new(), request_header_modifier: None, mirror: None };
    for routes in [Routes::Stable, weight(0), nothing] {
        let mut objects = set(&[SERVICE, INGRESS]);
        route(&mut objects, &by_ingress(), &routes).unwrap();
        assert_eq!(objects, set(&[SERVICE, INGRESS]), "{routes:?}");
    }
}

#[test]
fn the_class_may_stand_in_an_annotation_or_nowhere() {
    for (annotations, class) in [("{kubernetes.io/ingress.class: nginx}", true), ("{}", false)] {
        let ingress = format!(
            "{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {{name: echo, annotations: {annotations}}}, spec: {{rules: \
             [{{http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: echo, port: {{number: 80}}}}}}}}]}}}}]}}}}"
        );
        let mut objects = set(&[SERVICE, &ingress]);
        route(&mut objects, &by_ingress(), &weight(20)).unwrap();
        let canary = got(&objects, "Ingress", "echo-canary");
        assert_eq!(canary["metadata"]["annotations"].get("kubernetes.io/ingress.class").is_some(), class);
        assert_eq!(canary["spec"].get("ingressClassName"), None);
    }
}

#[test]
fn canary_annotations_of_the_stable_ingress_do_not_leak_into_ours() {
    let ingress = INGRESS.replace(
        "    nginx.ingress.kubernetes.io/proxy-body-size: 8m",
        "    nginx.ingress.kubernetes.io/proxy-body-size: 8m
    nginx.ingress.kubernetes.io/canary-by-header: left-over
    nginx.ingress.kubernetes.io/canary-weight-total: '1000'",
    );
    let mut objects = set(&[SERVICE, &ingress]);
    route(&mut objects, &by_ingress(), &weight(20)).unwrap();
    same(&got(&objects, "Ingress", "echo-canary"), &canary("    nginx.ingress.kubernetes.io/canary-weight: '20'"));
}

#[track_caller]
fn refused(routes: &Routes, wanted: &str) {
    let mut objects = set(&[SERVICE, INGRESS]);
    let error = route(&mut objects, &by_ingress(), routes).unwrap_err();
    assert_eq!(error.to_string(), wanted);
    assert_eq!(objects, set(&[SERVICE, INGRESS]), "an error changes nothing");
}

#[test]
fn what_the_annotations_cannot_say_is_an_error_with_the_nearest_way() {
    refused(
        &matching(&[headers(&[exact("a", "1"), exact("b", "2")])]),
        "Ingress class nginx cannot express several headers of which all must fit: keep one header in the match, or use a \
         `gateway` routing (HTTPRoute)",
    );
    refused(
        &matching(&[headers(&[exact("a", "1")]), headers(&[exact("a", "2")])]),
        "Ingress class nginx cannot express a choice of header matches: it knows one header and one cookie; one \
         `RegularExpression` can hold several values of a header, as `^(a|b)$`, or use a `gateway` routing (HTTPRoute)",
    );
    refused(
        &matching(&[query(&[exact("a", "1")])]),
        "Ingress class nginx cannot express a match by query parameter: match a header or cookie instead, or use a `gateway` \
         routing (HTTPRoute)",
    );
    refused(
        &matching(&[path(MatchKind::PathPrefix, "/v2")]),
        "Ingress class nginx cannot express a match by path: match a header instead, or use a `gateway` routing (HTTPRoute)",
    );
    refused(
        &matching(&[HttpMatch::default()]),
        "Ingress class nginx cannot express a match without conditions: use `traffic: 100%`",
    );
    refused(
        &matching(&[headers(&[exact("a", "")])]),
        "Ingress class nginx cannot express a header match without a name and a value: write both",
    );
    refused(
        &matching(&[headers(&[regex("canary-by-cookie", "b.*")])]),
        "Ingress class nginx cannot express a pattern for a cookie: write the cookie's name as an `Exact` value; requests \
         carry it with the value `always`",
    );
    refused(
        &Routes::Split { weight: Some(20), matches: Vec::new(), request_header_modifier: Some(modifier()), mirror: None },
        "Ingress class nginx cannot express `requestHeaderModifier`: use a `gateway` routing (HTTPRoute) for this Service",
    );
    refused(&weight(101), "a step cannot express 101% of requests: `traffic` is at most 100%");
}
