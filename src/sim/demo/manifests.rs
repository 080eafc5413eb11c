//! The demo's app, as its developers would have it in their repository.

use crate::manifest::{self, ObjectSet};
use crate::reconcile::Trouble;
use crate::render;

pub const NAMESPACE: &str = "shop";
pub const NAME: &str = "checkout";
pub const HOST: &str = "shop.example";
const FOLDER: &str = "prod/checkout";

pub fn image(version: u32) -> String {
    format!("registry.example/checkout:v{version}")
}

fn app(version: u32) -> String {
    format!(
        r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {NAME}
  namespace: {NAMESPACE}
spec:
  replicas: 10
  selector:
    matchLabels:
      app: {NAME}
  template:
    metadata:
      labels:
        app: {NAME}
    spec:
      containers:
      - name: app
        image: {image}
        ports:
        - containerPort: 8080
---
apiVersion: v1
kind: Service
metadata:
  name: {NAME}
  namespace: {NAMESPACE}
spec:
  selector:
    app: {NAME}
  ports:
  - port: 80
    targetPort: 8080
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {NAME}
  namespace: {NAMESPACE}
spec:
  ingressClassName: nginx
  rules:
  - host: {HOST}
    http:
      paths:
      - path: /
        pathType: Prefix
        backend:
          service:
            name: {NAME}
            port:
              number: 80
"#,
        image = image(version)
    )
}

const ROLLOUT: &str = r#"apiVersion: windlass.dev/v1alpha1
kind: Rollout
metadata:
  name: checkout
spec:
  workloadRef:
    apiVersion: apps/v1
    kind: Deployment
    name: checkout
  strategy:
    canary:
      steps:
      - {replicas: 10%, traffic: 10%, pause: {duration: 15}}
      - {replicas: 30%, traffic: 30%, pause: {duration: 15}}
      - {replicas: 50%, traffic: 50%, pause: {duration: 15}}
      - {replicas: 100%}
      trafficRoutings:
      - service: checkout
        gracePeriodSeconds: 1
        ingress: {classType: nginx, name: checkout}
  analysis:
    metrics:
    - name: error-rate
      source: prometheus
      query: |
        sum(rate(http_requests_total{revision="{{ candidate.revision }}",code=~"5.."}[{{ window }}]))
        / sum(rate(http_requests_total{revision="{{ candidate.revision }}"}[{{ window }}]))
      max: 0.05
      interval: 5
      count: 3
      initialDelay: 3
      window: 10
"#;

/// The files of a version: path and text.
pub fn files(version: u32) -> Vec<(String, String)> {
    vec![(format!("{FOLDER}/app.yaml"), app(version)), (format!("{FOLDER}/rollout.yaml"), ROLLOUT.to_owned())]
}

/// The revision label of a version's pods.
pub fn revision(version: u32) -> Result<String, Trouble> {
    let broken = |error: String| Trouble::Defect(format!("the demo's manifests: {error}"));
    let documents = manifest::read("app.yaml", &app(version)).map_err(|error| broken(error.to_string()))?;
    let objects: ObjectSet = documents.into_iter().map(|document| document.object).collect();
    let workload = crate::api::WorkloadRef::new("apps/v1", "Deployment", NAME);
    Ok(render::revision(&objects, &workload)?)
}
