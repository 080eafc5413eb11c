//! One object of each provider, as a person would write it, and what a step can ask of it.

use super::*;

pub(super) struct Sample {
    /// The name of its golden file.
    pub(super) name: &'static str,
    /// As the table of providers calls it.
    pub(super) label: &'static str,
    /// How a Rollout names it.
    pub(super) entry: &'static str,
    pub(super) routing: TrafficRouting,
    /// The route; the Service is `SERVICE`.
    pub(super) objects: Vec<&'static str>,
}

fn class(class: &str) -> TrafficRouting {
    TrafficRouting { ingress: Some(IngressRouting { class_type: class.to_owned(), name: "echo".to_owned() }), ..routing() }
}

pub(super) const MSE: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: echo
  namespace: shop
  annotations:
    mse.ingress.kubernetes.io/service-subset: ''
    mse.ingress.kubernetes.io/request-header-control-update: x-own kept
spec:
  ingressClassName: mse
  rules:
  - host: echo.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: echo, port: {number: 80}}}}
      - {path: /list, pathType: Prefix, backend: {service: {name: list, port: {number: 80}}}}
";

pub(super) const HIGRESS: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: echo, namespace: shop, annotations: {higress.io/timeout: '5'}}
spec:
  ingressClassName: higress
  rules:
  - host: echo.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: echo, port: {number: 80}}}}
";

pub(super) const ALIYUN: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: echo
  namespace: shop
  annotations:
    alb.ingress.kubernetes.io/order: '7'
    alb.ingress.kubernetes.io/conditions.echo: '[{"type":"SourceIp","sourceIpConfig":{"values":["10.0.0.0/8"]}}]'
spec:
  ingressClassName: alb
  rules:
  - http:
      paths:
      - {path: /api, pathType: Prefix, backend: {service: {name: echo, port: {number: 80}}}}
"#;

pub(super) const AWS: &str = r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: echo
  namespace: shop
  annotations:
    alb.ingress.kubernetes.io/scheme: internet-facing
    alb.ingress.kubernetes.io/actions.shop: >
      {"Type":"forward","ForwardConfig":{"TargetGroups":[{"ServiceName":"echo","ServicePort":"80","Weight":3},
      {"ServiceName":"list","ServicePort":"80","Weight":1}],"TargetGroupStickinessConfig":{"Enabled":true}}}
spec:
  ingressClassName: alb
  rules:
  - host: echo.example.com
    http:
      paths:
      - {path: /list, pathType: Prefix, backend: {service: {name: list, port: {number: 80}}}}
      - {path: /shop, pathType: Prefix, backend: {service: {name: shop, port: {name: use-annotation}}}}
      - {path: /, pathType: Prefix, backend: {service: {name: echo, port: {number: 80}}}}
"#;

const GRPC: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: echo, namespace: shop}
spec:
  parentRefs: [{name: front}]
  rules:
  - matches: [{method: {service: shop.Cart}}]
    backendRefs: [{name: cart, port: 80}]
  - sessionPersistence: {sessionName: grpc}
    backendRefs: [{name: echo, port: 80}]
";

const TLS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: echo, namespace: shop}
spec:
  hostnames: [echo.example.com]
  rules:
  - backendRefs: [{name: echo, port: 443, weight: 3}, {name: list, port: 443, weight: 1}]
";

const TCP: &str = "
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {name: echo, namespace: shop}
spec:
  parentRefs: [{name: front, sectionName: mail}]
  rules:
  - backendRefs: [{name: echo, port: 25}]
";

fn sample(name: &'static str, label: &'static str, entry: &'static str, routing: TrafficRouting, object: &'static str) -> Sample {
    Sample { name, label, entry, routing, objects: vec![object] }
}

fn route(named: fn(Option<String>) -> GatewayRouting) -> TrafficRouting {
    TrafficRouting { gateway: Some(named(Some("echo".to_owned()))), ..routing() }
}

/// All of them, in the table's order.
pub(super) fn samples() -> Vec<Sample> {
    vec![
        sample("nginx", "Ingress class nginx", "`ingress`, `classType: nginx`", class("nginx"), nginx::INGRESS),
        sample("aliyun-alb", "Ingress class aliyun-alb", "`ingress`, `classType: aliyun-alb`", class("aliyun-alb"), ALIYUN),
        sample("higress", "Ingress class higress", "`ingress`, `classType: higress`", class("higress"), HIGRESS),
        sample("mse", "Ingress class mse", "`ingress`, `classType: mse`", class("mse"), MSE),
        sample("alb", "Ingress class alb", "`ingress`, `classType: alb` (AWS)", class("alb"), AWS),
        sample("httproute", "HTTPRoute", "`gateway`, `httpRouteName`", by_gateway(), gateway::SHOP),
        sample(
            "grpcroute",
            "GRPCRoute",
            "`gateway`, `grpcRouteName`",
            route(|name| GatewayRouting { grpc_route_name: name, ..GatewayRouting::default() }),
            GRPC,
        ),
        sample(
            "tlsroute",
            "TLSRoute",
            "`gateway`, `tlsRouteName`",
            route(|name| GatewayRouting { tls_route_name: name, ..GatewayRouting::default() }),
            TLS,
        ),
        sample(
            "tcproute",
            "TCPRoute",
            "`gateway`, `tcpRouteName`",
            route(|name| GatewayRouting { tcp_route_name: name, ..GatewayRouting::default() }),
            TCP,
        ),
    ]
}

/// What a step can ask for: the column of the table, the words of this very question, and the question.
pub(super) fn questions() -> Vec<(&'static str, &'static str, Routes)> {
    let changed = |weight, matches: &[HttpMatch], change: HeaderModifier| Routes::Split {
        weight,
        matches: matches.to_vec(),
        request_header_modifier: Some(change),
        mirror: None,
    };
    let mirrored =
        |weight, percent| Routes::Split { weight, matches: Vec::new(), request_header_modifier: None, mirror: Some(percent) };
    let one = || headers(&[exact("x-canary", "1")]);
    let set = || HeaderModifier { set: vec![("x-version".to_owned(), "new".to_owned())], ..HeaderModifier::default() };
    let add = || HeaderModifier { add: vec![("x-via".to_owned(), "canary".to_owned())], ..HeaderModifier::default() };
    let remove = || HeaderModifier { remove: vec!["x-old".to_owned()], ..HeaderModifier::default() };
    vec![
        ("share", "`traffic`", weight(20)),
        ("one header", "exact", matching(&[one()])),
        ("one header", "pattern", matching(&[headers(&[regex("user-id", "^(1|2).*$")])])),
        ("several headers", "", matching(&[headers(&[exact("x-canary", "1"), exact("x-team", "blue")])])),
        ("choice of matches", "", matching(&[one(), headers(&[exact("x-team", "blue")])])),
        ("cookie", "", matching(&[headers(&[exact("canary-by-cookie", "beta")])])),
        ("query", "exact", matching(&[query(&[exact("v", "2")])])),
        ("query", "pattern", matching(&[query(&[regex("v", "[2-9]")])])),
        ("path", "exact", matching(&[path(MatchKind::Exact, "/one")])),
        ("path", "prefix", matching(&[path(MatchKind::PathPrefix, "/new")])),
        ("path", "pattern", matching(&[path(MatchKind::RegularExpression, "/v[2-9]/.*")])),
        ("header changes, with a share", "set", changed(Some(20), &[], set())),
        ("header changes, with a share", "add", changed(Some(20), &[], add())),
        ("header changes, with a share", "remove", changed(Some(20), &[], remove())),
        ("header changes, with matches", "set", changed(None, &[one()], set())),
        ("header changes, with matches", "add", changed(None, &[one()], add())),
        ("header changes, with matches", "remove", changed(None, &[one()], remove())),
        ("mirror", "a part", mirrored(None, 10)),
        ("mirror", "all", mirrored(None, 100)),
        ("mirror", "with `traffic`", mirrored(Some(20), 10)),
    ]
}

impl Sample {
    pub(super) fn set(&self) -> ObjectSet {
        let mut texts = vec![SERVICE];
        texts.extend(&self.objects);
        set(&texts)
    }
}
