//! Requests through a real proxy, by the objects that each commit of a release puts on the live branch. nginx stands in for the
//! ingress controller and the gateway, and for the pods; `conf` says in its words what annotations and routes mean. The pods behind a
//! Service are those of the simulated cluster, which is given the same objects. Skipped, and says so, where there is no nginx.

mod chain;
mod conf;
mod nginx;

use std::fmt::Write as _;

use windlass::manifest::{self, ObjectSet};
use windlass::sim::cluster::{Cluster, Request};

use self::nginx::Nginx;
use crate::cli::desk::Desk;

const HOST: &str = "shop.example.com";
/// Requests of each kind after each commit.
const REQUESTS: u32 = 500;
/// Percentage points. nginx throws dice by a hash of the request: five hundred are off by 2.2 in most cases, and always by the same.
const NEAR: f64 = 6.0;

/// An app of version 1 in five pods, with this strategy and these routes.
fn desk(strategy: &str, routes: &str) -> Desk {
    let desk = Desk::new();
    desk.write(".windlass.yaml", &crate::cli::desk::settings(0));
    desk.write(
        "shop/app.yaml",
        &format!(
            "apiVersion: apps/v1
kind: Deployment
metadata: {{name: shop, namespace: shop}}
spec:
  replicas: 5
  selector: {{matchLabels: {{app: shop}}}}
  template:
    metadata: {{labels: {{app: shop, version: '1'}}}}
    spec: {{containers: [{{name: shop, image: 'shop:1'}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: shop, namespace: shop}}
spec: {{selector: {{app: shop}}, ports: [{{port: 80}}]}}
---
{routes}"
        ),
    );
    desk.write(
        "shop/rollout.yaml",
        &format!(
            "apiVersion: windlass.dev/v1alpha1
kind: Rollout
metadata: {{name: shop, namespace: shop}}
spec:
  workloadRef: {{apiVersion: apps/v1, kind: Deployment, name: shop}}
  strategy: {{{strategy}}}
"
        ),
    );
    desk.commit("version 1");
    desk.windlass(&["run"]).exits(0);
    desk
}

/// The objects of a commit's live path.
fn objects(desk: &Desk, commit: &str) -> ObjectSet {
    let files = desk.git(&["ls-tree", "--name-only", commit, "shop/"]);
    let manifests = files.lines().filter(|path| path.ends_with(".yaml"));
    let read = |path: &str| manifest::read(path, &desk.git(&["show", &format!("{commit}:{path}")])).unwrap();
    manifests.flat_map(|path| read(path).into_iter().map(|document| document.object)).collect()
}

/// Looks at each commit that has come since: its subject, its objects, and the cluster that has been given them.
fn each_commit(desk: &Desk, before: &str, cluster: &mut Cluster, mut look: impl FnMut(&str, &ObjectSet, &Cluster)) {
    for line in desk.git(&["log", "--reverse", "--format=%H %s", &format!("{before}..deploy")]).lines() {
        let (commit, subject) = line.split_once(' ').unwrap();
        let live = objects(desk, commit);
        cluster.apply(&live).unwrap();
        cluster.advance(60_000);
        look(subject, &live, cluster);
    }
}

/// Releases version 2, and says for each commit what part of the requests it answers: of plain ones, and of testers'. Where the simulated
/// world sees it otherwise than the proxy, or it is not as `wanted`, that fails.
fn release(strategy: &str, routes: &str, wanted: &[&str]) {
    if !nginx::is_there() {
        return;
    }
    let desk = desk(strategy, routes);
    let mut cluster = Cluster::new("shop");
    cluster.apply(&objects(&desk, "deploy")).unwrap();
    cluster.advance(60_000);
    let before = desk.live();
    desk.edit("shop/app.yaml", "version: '1'", "version: '2'").edit("shop/app.yaml", "shop:1", "shop:2").commit("version 2");
    desk.windlass(&["run", "--until-done", "--timeout", "30s"]).exits(0);
    let mut told = Vec::new();
    each_commit(&desk, &before, &mut cluster, |subject, live, cluster| {
        let proxy = Nginx::start(&conf::of(live, cluster, HOST));
        let mut text = subject.strip_prefix("shop: ").unwrap().to_owned();
        for (name, request) in [("all", Request::to(HOST)), ("testers", Request::to(HOST).header("x-canary", "always"))] {
            let answers = proxy.ask(&request, REQUESTS);
            let share = f64::from(answers.get("2").copied().unwrap_or(0)) * 100.0 / f64::from(REQUESTS);
            let simulated = cluster.traffic(&request, "version").unwrap().of("2") * 100.0;
            assert!(
                (share - simulated).abs() < NEAR,
                "{subject}, {name}: {share} % of requests, simulated {simulated} %: {answers:?}"
            );
            assert_eq!(answers.get("nobody"), None, "{subject}, {name}");
            write!(text, "; {name} {simulated:.0} %").unwrap();
        }
        told.push(text);
    });
    assert_eq!(told, wanted);
}

fn steps(routing: &str) -> String {
    format!(
        "canary: {{trafficRoutings: [{{service: shop, gracePeriodSeconds: 0, {routing}}}], steps: [{{replicas: 1, matches: [{{headers: \
         [{{name: x-canary, value: always}}]}}], pause: {{duration: 0}}}}, {{replicas: 20%, traffic: 20%, pause: {{duration: 0}}}}, \
         {{replicas: 60%, traffic: 50%, pause: {{duration: 0}}}}, {{replicas: 100%}}]}}"
    )
}

const PARTITION: [&str; 12] = [
    "step 0/4, label the running pods; all 0 %; testers 0 %",
    "step 1/4, grow to 1 of 5 pods; all 0 %; testers 0 %",
    "step 1/4, shift requests with header `x-canary: always` to 1 of 5 pods; all 0 %; testers 100 %",
    "step 2/4, shift 20% of requests to 1 of 5 pods; all 20 %; testers 20 %",
    "step 3/4, grow to 3 of 5 pods; all 20 %; testers 20 %",
    "step 3/4, shift 50% of requests to 3 of 5 pods; all 50 %; testers 50 %",
    // In Kruise's order the Service comes first: half of the requests go to new pods, and of the others three in five.
    "step 4/4, the Service selects all pods again; all 80 %; testers 80 %",
    "step 4/4, routes as you wrote them; all 60 %; testers 60 %",
    "step 4/4, grow to 5 of 5 pods; all 71 %; testers 71 %",
    "step 4/4, shift to 5 of 5 pods; all 100 %; testers 100 %",
    "finalise, the workload's own strategy takes over; all 100 %; testers 100 %",
    "release 1 complete; all 100 %; testers 100 %",
];

#[test]
fn an_ingress_of_nginx() {
    release(
        &steps("ingress: {classType: nginx, name: shop}"),
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: shop}
spec:
  ingressClassName: nginx
  rules:
  - host: shop.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}
",
        &PARTITION,
    );
}

const ROUTE: &str = "apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: shop}
spec:
  parentRefs: [{name: public}]
  hostnames: [shop.example.com]
  rules: [{backendRefs: [{name: shop, port: 80}]}]
";

#[test]
fn a_route_of_the_gateway_api() {
    release(&steps("gateway: {httpRouteName: shop}"), ROUTE, &PARTITION);
}

#[test]
fn a_virtual_service_of_istio() {
    release(
        &steps("customNetworkRefs: [{apiVersion: networking.istio.io/v1, kind: VirtualService, name: shop}]"),
        "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop, namespace: shop}
spec: {hosts: [shop.example.com], http: [{route: [{destination: {host: shop}}]}]}
",
        &PARTITION,
    );
}

/// All pods twice: not one request before the step that sends all.
#[test]
fn blue_and_green() {
    let strategy = "blueGreen: {trafficRoutings: [{service: shop, gracePeriodSeconds: 0, gateway: {httpRouteName: shop}}], steps: [\
                    {replicas: 100%, traffic: 0%, pause: {duration: 0}}, {replicas: 100%, traffic: 100%, pause: {duration: 0}}]}";
    release(
        strategy,
        ROUTE,
        &[
            "step 0/2, label the running pods; all 0 %; testers 0 %",
            "step 1/2, grow to 5 of 5 pods; all 0 %; testers 0 %",
            "step 1/2, shift 0% of requests to 5 of 5 pods; all 0 %; testers 0 %",
            "step 2/2, shift 100% of requests to 5 of 5 pods; all 100 %; testers 100 %",
            "finalise, the Service selects all pods again; all 100 %; testers 100 %",
            "finalise, the workload's own strategy takes over; all 100 %; testers 100 %",
            "finalise, routes as you wrote them; all 100 %; testers 100 %",
            "release 1 complete; all 100 %; testers 100 %",
        ],
    );
}
