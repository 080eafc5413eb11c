//! One object of each provider, as a person would write it, and what a step can ask of it.

use super::*;

pub(crate) struct Sample {
    /// The name of its golden file.
    pub(crate) name: &'static str,
    /// As the table of providers calls it.
    pub(super) label: &'static str,
    /// How a Rollout names it.
    pub(super) entry: &'static str,
    pub(crate) routing: TrafficRouting,
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
  - filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-own, value: kept}]}}]
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
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: echo, namespace: shop}
spec:
  parentRefs: [{name: front, sectionName: mail}]
  rules:
  - backendRefs: [{name: echo, port: 25}]
";

pub(super) const VIRTUAL_SERVICE: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo, namespace: shop, labels: {team: blue}}
spec:
  hosts: [echo.example.com]
  gateways: [front]
  http:
  - name: list
    match: [{uri: {prefix: /list}}]
    route: [{destination: {host: list}}]
  - name: api
    match: [{uri: {prefix: /api}, headers: {x-team: {exact: blue}}}, {uri: {exact: /v1}}]
    rewrite: {uri: /}
    route:
    - {destination: {host: echo.shop.svc.cluster.local, port: {number: 80}}, weight: 75}
    - {destination: {host: list}, weight: 25}
  - route: [{destination: {host: echo}, headers: {request: {set: {x-own: kept}, remove: [x-old]}}}]
    retries: {attempts: 3}
  tcp:
  - match: [{port: 25}]
    route: [{destination: {host: echo, port: {number: 25}}}]
  tls:
  - match: [{port: 443, sniHosts: [echo.example.com]}]
    route: [{destination: {host: echo.shop}}]
";

pub(crate) const DESTINATION_RULE: &str = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: echo, namespace: shop}
spec:
  host: echo.shop.svc.cluster.local
  trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: user, ttl: 0s}}}}
  subsets:
  - {name: base, labels: {app: echo}}
";

const APISIX: &str = "
apiVersion: apisix.apache.org/v2
kind: ApisixRoute
metadata: {name: echo, namespace: shop}
spec:
  http:
  - name: main
    match: {hosts: [echo.example.com], paths: [/*], exprs: [{subject: {scope: Header, name: x-own}, op: Equal, value: kept}]}
    backends: [{serviceName: echo, servicePort: 80}]
    plugins: [{name: proxy-rewrite, enable: true, config: {headers: {set: {x-team: blue}}}}]
  - name: list
    match: {paths: [/list]}
    backends: [{serviceName: list, servicePort: 80}]
";

const TRAEFIK: &str = "
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {name: echo, namespace: shop}
spec:
  weighted:
    services:
    - {name: echo, port: 80, weight: 2}
    - {name: list, port: 80, weight: 1}
    sticky: {cookie: {name: lvl}}
";

const CONTOUR: &str = "
apiVersion: projectcontour.io/v1
kind: HTTPProxy
metadata: {name: echo, namespace: shop}
spec:
  virtualhost: {fqdn: echo.example.com}
  routes:
  - conditions: [{prefix: /}]
    loadBalancerPolicy: {strategy: Cookie}
    services: [{name: echo, port: 80, requestHeadersPolicy: {set: [{name: x-own, value: kept}]}}]
  - conditions: [{prefix: /list}]
    services: [{name: list, port: 80}]
";

const SMI: &str = "
apiVersion: split.smi-spec.io/v1alpha2
kind: TrafficSplit
metadata: {name: echo, namespace: shop}
spec:
  service: echo
  backends: [{service: echo, weight: 100}]
";

const LINKERD: &str = "
apiVersion: policy.linkerd.io/v1beta3
kind: HTTPRoute
metadata: {name: echo, namespace: shop}
spec:
  parentRefs: [{name: echo, kind: Service, group: core, port: 80}]
  rules:
  - timeouts: {request: 5s}
    backendRefs: [{name: echo, port: 80}]
";

const GLOO: &str = "
apiVersion: gateway.solo.io/v1
kind: RouteTable
metadata: {name: echo, namespace: shop}
spec:
  routes:
  - matchers: [{prefix: /, headers: [{name: x-own, value: kept}]}]
    options: {timeout: 5s}
    routeAction: {single: {kube: {ref: {name: echo, namespace: shop}, port: 80}}}
  - matchers: [{prefix: /many}]
    routeAction:
      multi:
        destinations:
        - {weight: 3, destination: {upstream: {name: shop-echo-80, namespace: gloo-system}}}
        - {weight: 1, destination: {upstream: {name: shop-list-80, namespace: gloo-system}}}
";

const MESH_HTTP: &str = "
apiVersion: kuma.io/v1alpha1
kind: MeshHTTPRoute
metadata: {name: echo, namespace: shop, labels: {kuma.io/mesh: default}}
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: MeshService, name: echo, namespace: shop, sectionName: http}
    rules:
    - matches: [{path: {type: PathPrefix, value: /}}]
      default:
        backendRefs: [{kind: MeshService, name: echo, namespace: shop, port: 80}]
  - targetRef: {kind: MeshService, name: list}
    rules: [{matches: [{path: {type: PathPrefix, value: /}}], default: {filters: []}}]
";

const MESH_TCP: &str = "
apiVersion: kuma.io/v1alpha1
kind: MeshTCPRoute
metadata: {name: echo, namespace: shop}
spec:
  to:
  - targetRef: {kind: MeshService, name: echo_shop_svc_80}
    rules: [{default: {backendRefs: [{kind: MeshService, name: echo_shop_svc_80}]}}]
";

const TRAFFIC_ROUTE: &str = "
apiVersion: kuma.io/v1alpha1
kind: TrafficRoute
mesh: default
metadata: {name: echo}
spec:
  sources: [{match: {kuma.io/service: '*'}}]
  destinations: [{match: {kuma.io/service: echo_shop_svc_80}}]
  conf:
    loadBalancer: {roundRobin: {}}
    split: [{weight: 100, destination: {kuma.io/service: echo_shop_svc_80}}]
";

const MAPPING: &str = "
apiVersion: getambassador.io/v3alpha1
kind: Mapping
metadata: {name: echo, namespace: shop}
spec:
  hostname: echo.example.com
  prefix: /api/
  service: http://echo.shop:80
  headers: {x-own: kept}
  load_balancer: {policy: ring_hash, cookie: {name: user}}
";

fn custom(kinds: &[(&str, &str)]) -> TrafficRouting {
    let reference = |(api_version, kind): &(&str, &str)| WorkloadRef::new(*api_version, *kind, "echo");
    TrafficRouting { custom: kinds.iter().map(reference).collect(), ..routing() }
}

/// Versions as subsets of one Service.
pub(crate) fn by_subsets() -> TrafficRouting {
    let kinds = [("networking.istio.io/v1", "VirtualService"), ("networking.istio.io/v1", "DestinationRule")];
    TrafficRouting { disable_generate_canary_service: true, ..custom(&kinds) }
}

fn sample(name: &'static str, label: &'static str, entry: &'static str, routing: TrafficRouting, object: &'static str) -> Sample {
    Sample { name, label, entry, routing, objects: vec![object] }
}

fn route(named: fn(Option<String>) -> GatewayRouting) -> TrafficRouting {
    TrafficRouting { gateway: Some(named(Some("echo".to_owned()))), ..routing() }
}

pub(super) const PROXY: &str = "
apiVersion: proxies.example.com/v1
kind: Proxy
metadata: {name: echo, namespace: shop, labels: {team: blue}}
spec:
  service: echo
  empty: {list: [], map: {}}
";

/// Writes down all that it is told.
const PROXY_SCRIPT: &str = "
local data = obj.data
data.spec.split = {
    service = obj.stableService,
    canary = obj.canaryService,
    stablePercent = obj.stableWeight,
    canaryPercent = obj.canaryWeight,
    matches = obj.matches,
    headers = obj.requestHeaderModifier,
}
data.annotations = {['proxies.example.com/canary'] = 'true'}
return data
";

pub(super) const OWN_CLASS: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: echo, namespace: shop, annotations: {own.example.com/timeout: '5'}}
spec:
  ingressClassName: own
  defaultBackend: {service: {name: list, port: {number: 80}}}
  rules:
  - host: echo.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: echo, port: {number: 80}}}}
";

const OWN_SCRIPT: &str = "
local annotations = obj.annotations
annotations['own.example.com/weight'] = obj.weight
annotations['own.example.com/service'] = obj.canaryService
if obj.matches then annotations['own.example.com/matches'] = json.encode(obj.matches) end
if obj.requestHeaderModifier then annotations['own.example.com/headers'] = json.encode(obj.requestHeaderModifier) end
return annotations
";

/// A routing whose routes this script makes.
pub(super) fn scripted(routing: TrafficRouting, script: &str) -> TrafficRouting {
    let paths = routing.wanted_scripts();
    TrafficRouting { scripts: paths.into_iter().map(|path| (path, script.to_owned())).collect(), ..routing }
}

pub(super) fn by_proxy(script: &str) -> TrafficRouting {
    scripted(custom(&[("proxies.example.com/v1", "Proxy")]), script)
}

pub(super) fn by_class(script: &str) -> TrafficRouting {
    scripted(class("own"), script)
}

/// All of them, in the table's order.
pub(crate) fn samples() -> Vec<Sample> {
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
        sample(
            "virtualservice",
            "VirtualService (Istio)",
            "`customNetworkRefs`, VirtualService",
            custom(&[("networking.istio.io/v1", "VirtualService")]),
            VIRTUAL_SERVICE,
        ),
        Sample {
            objects: vec![VIRTUAL_SERVICE, DESTINATION_RULE],
            ..sample(
                "destinationrule",
                "DestinationRule (Istio)",
                "`customNetworkRefs`, DestinationRule, beside its VirtualService",
                custom(&[("networking.istio.io/v1", "VirtualService"), ("networking.istio.io/v1", "DestinationRule")]),
                DESTINATION_RULE,
            )
        },
        sample(
            "apisixroute",
            "ApisixRoute",
            "`customNetworkRefs`, ApisixRoute",
            custom(&[("apisix.apache.org/v2", "ApisixRoute")]),
            APISIX,
        ),
        sample(
            "traefikservice",
            "TraefikService",
            "`customNetworkRefs`, TraefikService",
            custom(&[("traefik.io/v1alpha1", "TraefikService")]),
            TRAEFIK,
        ),
        sample(
            "httpproxy",
            "HTTPProxy (Contour)",
            "`customNetworkRefs`, HTTPProxy",
            custom(&[("projectcontour.io/v1", "HTTPProxy")]),
            CONTOUR,
        ),
        sample(
            "trafficsplit",
            "TrafficSplit (SMI)",
            "`customNetworkRefs`, TrafficSplit",
            custom(&[("split.smi-spec.io/v1alpha2", "TrafficSplit")]),
            SMI,
        ),
        sample(
            "linkerd-httproute",
            "HTTPRoute (Linkerd)",
            "`customNetworkRefs`, HTTPRoute",
            custom(&[("policy.linkerd.io/v1beta3", "HTTPRoute")]),
            LINKERD,
        ),
        sample(
            "routetable",
            "RouteTable (Gloo)",
            "`customNetworkRefs`, RouteTable",
            custom(&[("gateway.solo.io/v1", "RouteTable")]),
            GLOO,
        ),
        sample(
            "meshhttproute",
            "MeshHTTPRoute (Kuma)",
            "`customNetworkRefs`, MeshHTTPRoute",
            custom(&[("kuma.io/v1alpha1", "MeshHTTPRoute")]),
            MESH_HTTP,
        ),
        sample(
            "meshtcproute",
            "MeshTCPRoute (Kuma)",
            "`customNetworkRefs`, MeshTCPRoute",
            custom(&[("kuma.io/v1alpha1", "MeshTCPRoute")]),
            MESH_TCP,
        ),
        sample(
            "trafficroute",
            "TrafficRoute (Kuma)",
            "`customNetworkRefs`, TrafficRoute",
            custom(&[("kuma.io/v1alpha1", "TrafficRoute")]),
            TRAFFIC_ROUTE,
        ),
        sample(
            "mapping",
            "Mapping (Ambassador)",
            "`customNetworkRefs`, Mapping",
            custom(&[("getambassador.io/v3alpha1", "Mapping")]),
            MAPPING,
        ),
        sample(
            "lua-ingress",
            "Ingress of any class, by a Lua script",
            "`ingress`, another `classType`, by [a Lua script](../tasks/lua.md)",
            by_class(OWN_SCRIPT),
            OWN_CLASS,
        ),
        sample(
            "lua",
            "any object, by a Lua script",
            "`customNetworkRefs`, another kind, by [a Lua script](../tasks/lua.md)",
            by_proxy(PROXY_SCRIPT),
            PROXY,
        ),
    ]
}

/// What a step can ask for: the column of the table, the words of this very question, and the question.
pub(crate) fn questions() -> Vec<(&'static str, &'static str, Routes)> {
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
    pub(crate) fn set(&self) -> ObjectSet {
        let mut texts = vec![SERVICE];
        texts.extend(&self.objects);
        set(&texts)
    }
}
