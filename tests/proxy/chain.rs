//! A chain of calls through real proxies: requests of testers get a header where they enter, by a routing that the Rollouts of the
//! chain share, and each service's own route goes by it.

use std::fmt::Write as _;

use windlass::sim::cluster::{Cluster, Request};

use super::nginx::{self, Nginx};
use super::{HOST, conf, each_commit, objects};
use crate::cli::desk::Desk;

const APPS: [&str; 2] = ["cart", "stock"];
const REQUESTS: u32 = 60;

const ENTRY: &str = "apiVersion: v1
kind: Service
metadata: {name: entry, namespace: shop}
spec: {selector: {app: entry}, ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: entry, namespace: shop}
spec:
  hostnames: [shop.example.com]
  rules: [{backendRefs: [{name: entry, port: 80}]}]
---
apiVersion: windlass.dev/v1alpha1
kind: TrafficRouting
metadata: {name: testers, namespace: shop}
spec:
  objectRef: [{service: entry, gracePeriodSeconds: 0, gateway: {httpRouteName: entry}}]
  strategy:
    matches: [{headers: [{name: x-tester, value: 'yes'}]}]
    requestHeaderModifier: {set: [{name: x-env, value: gray}]}
";

fn app(name: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: shop}}
spec:
  replicas: 4
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}, version: '1'}}}}
    spec: {{containers: [{{name: {name}, image: '{name}:1'}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: shop}}
spec:
  parentRefs: [{{group: '', kind: Service, name: {name}, port: 80}}]
  rules: [{{backendRefs: [{{name: {name}, port: 80}}]}}]
---
apiVersion: windlass.dev/v1alpha1
kind: Rollout
metadata: {{name: {name}, namespace: shop}}
spec:
  workloadRef: {{apiVersion: apps/v1, kind: Deployment, name: {name}}}
  strategy:
    canary:
      trafficRoutingRef: testers
      trafficRoutings: [{{service: {name}, gracePeriodSeconds: 0, gateway: {{httpRouteName: {name}}}}}]
      steps:
      - {{replicas: 1, matches: [{{headers: [{{name: x-env, value: gray}}]}}], pause: {{duration: 0}}}}
      - {{replicas: 100%}}
"
    )
}

#[test]
fn marked_requests_meet_the_new_versions() {
    if !nginx::is_there() {
        return;
    }
    let desk = Desk::new();
    desk.write(".windlass.yaml", &crate::cli::desk::settings(0));
    desk.write("shop/entry.yaml", ENTRY);
    for name in APPS {
        desk.write(&format!("shop/{name}.yaml"), &app(name));
    }
    desk.commit("version 1");
    desk.windlass(&["run"]).exits(0);
    let mut cluster = Cluster::new("shop");
    cluster.apply(&objects(&desk, "deploy")).unwrap();
    cluster.advance(60_000);
    let before = desk.live();
    for name in APPS {
        let file = format!("shop/{name}.yaml");
        desk.edit(&file, "version: '1'", "version: '2'").edit(&file, &format!("{name}:1"), &format!("{name}:2"));
    }
    desk.commit("version 2");
    desk.windlass(&["run", "--until-done", "--timeout", "60s"]).exits(0);
    let mut told = Vec::new();
    each_commit(&desk, &before, &mut cluster, |subject, live, cluster| {
        let proxy = Nginx::start(&conf::chain(live, cluster, HOST, &APPS));
        let mut text = subject.to_owned();
        for (who, value) in [("testers", "yes"), ("others", "no")] {
            write!(text, "; {who}:").unwrap();
            for app in APPS {
                let mut request = Request::to(HOST).header("x-tester", value);
                request.path = format!("/{app}");
                let answers = proxy.ask(&request, REQUESTS);
                assert_eq!(answers.get("nobody"), None, "{subject}, {app}");
                let share = answers.get("2").copied().unwrap_or(0) * 100 / REQUESTS;
                write!(text, " {app} {share} %").unwrap();
            }
        }
        told.push(text);
    });
    let wanted = [
        "stock: step 1/2, grow to 1 of 4 pods; testers: cart 0 % stock 0 %; others: cart 0 % stock 0 %",
        "cart: step 1/2, shift requests with header `x-env: gray` to 1 of 4 pods; shared routing `testers`; testers: cart 100 % stock 0 %; \
         others: cart 0 % stock 0 %",
        "stock: step 1/2, shift requests with header `x-env: gray` to 1 of 4 pods; shared routing `testers`; testers: cart 100 % stock 100 %; \
         others: cart 0 % stock 0 %",
        "stock: release 1 complete; testers: cart 100 % stock 100 %; others: cart 100 % stock 100 %",
    ];
    for line in wanted {
        assert!(told.iter().any(|told| told == line), "{line}\n{told:#?}");
    }
}
