//! What the developers of an app have in its folder.

use std::fmt::Write as _;

use windlass::manifest::{self, ObjectSet};

/// The files of one version of an app: a Deployment, its Service, a second Service that no release touches (its EndpointSlices show
/// all pods), on request an Ingress, and the Rollout.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    pub(crate) replicas: u32,
    /// Whether an Ingress of class nginx divides requests.
    pub(crate) routed: bool,
    /// YAML, one step a line, indented by six.
    pub(crate) steps: &'static str,
    /// Whether Prometheus is asked.
    pub(crate) judged: bool,
}

impl Files {
    pub(crate) fn image(&self) -> String {
        format!("shop/{}:{}", self.name, self.version)
    }

    pub(crate) fn manifests(&self) -> String {
        let Self { name, replicas, .. } = self;
        let mut text = format!(
            "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: shop}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: app, image: \"{image}\"}}]}}
",
            image = self.image()
        );
        for service in [(*name).to_owned(), format!("{name}-all")] {
            let _ = write!(
                text,
                "---
apiVersion: v1
kind: Service
metadata: {{name: {service}, namespace: shop}}
spec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}
"
            );
        }
        if self.routed {
            let _ = write!(
                text,
                "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, namespace: shop}}
spec:
  ingressClassName: nginx
  rules:
  - host: {name}.example
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: {name}, port: {{number: 80}}}}}}}}]}}
"
            );
        }
        text
    }

    pub(crate) fn rollout(&self) -> String {
        let Self { name, steps, .. } = self;
        let mut text = format!(
            "apiVersion: windlass.dev/v1alpha1
kind: Rollout
metadata: {{name: {name}, namespace: shop}}
spec:
  workloadRef: {{apiVersion: apps/v1, kind: Deployment, name: {name}}}
  strategy:
    canary:
      steps:
{steps}
"
        );
        if self.routed {
            let _ = writeln!(
                text,
                "      trafficRoutings:\n      - {{service: {name}, gracePeriodSeconds: 1, ingress: {{classType: nginx, name: {name}}}}}"
            );
        }
        if self.judged {
            text.push_str(
                "  analysis:
    metrics:
    - name: error-ratio
      source: main
      query: |
        sum(rate(errors_total{revision=\"{{ candidate.revision }}\"}[{{ window }}]))
        / sum(rate(requests_total{revision=\"{{ candidate.revision }}\"}[{{ window }}]))
      max: 0.05
      interval: 1
      count: 2
      window: 5
",
            );
        }
        text
    }

    /// The revision of the pod template, as metrics carry it.
    pub(crate) fn revision(&self) -> String {
        let documents = manifest::read("app.yaml", &self.manifests()).unwrap();
        let objects: ObjectSet = documents.into_iter().map(|document| document.object).collect();
        let workload = windlass::api::WorkloadRef::new("apps/v1", "Deployment", self.name);
        windlass::render::revision(&objects, &workload).unwrap()
    }
}
