//! Releases whose requests come in by several ways.

use super::desk::{Desk, deployment, rollout, settings};

const ROUTES: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: internal}
spec: {selector: {app: web}, ports: [{port: 90}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
  - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: internal}
spec:
  hosts: [internal]
  http:
  - route: [{destination: {host: internal}}]
";

#[test]
fn several_routings_go_together() {
    let desk = Desk::new();
    desk.write(".windlass.yaml", &settings(0));
    desk.write("apps/web/app.yaml", &deployment("web", "1", 4)).write("apps/web/routes.yaml", ROUTES);
    let routings = "      trafficRoutings:
      - service: web
        gracePeriodSeconds: 0
        ingress: {name: web}
      - service: internal
        gracePeriodSeconds: 0
        customNetworkRefs: [{apiVersion: networking.istio.io/v1, kind: VirtualService, name: internal}]
      steps:
";
    let steps = "      - {replicas: 1, traffic: 20%, pause: {}}\n      - {replicas: 100%}\n";
    desk.write("apps/web/rollout.yaml", &rollout("web", steps).replace("      steps:\n", routings)).commit("two ways in");
    desk.windlass(&["validate"]).exits(0);
    desk.windlass(&["run"]).exits(0);
    let written = desk.git(&["ls-tree", "-r", "--name-only", "deploy", "apps/web"]);
    let before = desk.live_file("apps/web/virtualservice-internal.yaml");
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    desk.windlass(&["run", "--until-done", "--timeout", "2s"]).exits(4).tells(&["approval"]);
    let ingress = desk.live_file("apps/web/ingress-web-canary.yaml");
    assert!(ingress.contains("canary-weight: \"20\"") && ingress.contains("name: web-canary"), "{ingress}");
    let service = desk.live_file("apps/web/virtualservice-internal.yaml");
    assert!(service.contains("host: internal-canary\n      weight: 20"), "{service}");
    for name in ["web", "internal"] {
        let canary = desk.live_file(&format!("apps/web/service-{name}-canary.yaml"));
        assert!(canary.contains("windlass.dev/revision"), "{canary}");
    }
    desk.windlass(&["approve"]).exits(0);
    desk.windlass(&["run", "--until-done", "--timeout", "20s"]).exits(0);
    assert_eq!(desk.live_file("apps/web/virtualservice-internal.yaml"), before, "byte for byte");
    assert_eq!(desk.git(&["ls-tree", "-r", "--name-only", "deploy", "apps/web"]), written, "nothing of the canary is left");
}
