//! Who answers a request: from the route objects through Services to Ready pods.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::manifest::{Object, ObjectKey};
use crate::sim::cluster::{Cluster, Pod};

const ISTIO: &str = "networking.istio.io";

/// One kind of request. Header names are compared without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    pub host: String,
    /// `/` where it is empty.
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub cookies: BTreeMap<String, String>,
    pub query: BTreeMap<String, String>,
}

impl Request {
    /// A plain request to `host`.
    pub fn to(host: &str) -> Self {
        Self { host: host.to_owned(), path: "/".to_owned(), ..Self::default() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_lowercase(), value.to_owned());
        self
    }

    pub fn cookie(mut self, name: &str, value: &str) -> Self {
        self.cookies.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// Which part of the requests goes where; all parts add up to 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shares {
    /// By the value of the pods' label that was asked for; pods without it stand under the empty text.
    pub by_label: BTreeMap<String, f64>,
    /// Requests to a Service without Ready pods, or to a Service that does not exist.
    pub nobody: f64,
}

impl Shares {
    pub(super) fn add(&mut self, other: &Self, part: f64) {
        for (label, share) in &other.by_label {
            *self.by_label.entry(label.clone()).or_default() += share * part;
        }
        self.nobody += other.nobody * part;
    }

    /// The share of one label value.
    pub fn of(&self, label: &str) -> f64 {
        self.by_label.get(label).copied().unwrap_or(0.0)
    }
}

/// Why it cannot be said who answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrafficError {
    #[error("no Ingress, HTTPRoute or VirtualService takes requests to {host}{path}")]
    NoRoute { host: String, path: String },
    /// Something in a route that the model does not know; it does not guess.
    #[error("{key}: the simulated world does not know {what}")]
    Unknown { key: ObjectKey, what: String },
}

impl Cluster {
    /// The Ready pods behind a Service.
    pub fn endpoints(&self, namespace: &str, service: &str) -> Vec<&Pod> {
        self.endpoints_of(namespace, service, &BTreeMap::new())
    }

    /// Those of them that have these labels, too.
    fn endpoints_of(&self, namespace: &str, service: &str, subset: &BTreeMap<String, String>) -> Vec<&Pod> {
        let key = ObjectKey {
            group: String::new(),
            kind: "Service".to_owned(),
            namespace: Some(namespace.to_owned()),
            name: service.to_owned(),
        };
        let selector = self.objects.get(&key).and_then(|service| service.get("/spec/selector")).and_then(Value::as_object);
        let Some(selector) = selector.filter(|selector| !selector.is_empty()) else { return Vec::new() };
        let selected = |pod: &&Pod| {
            let here = self.sets.get(&pod.owner).is_some_and(|set| set.owner.namespace.as_deref() == Some(namespace));
            let fits = |(key, value): (&String, &Value)| pod.labels.get(key).map(String::as_str) == value.as_str();
            let in_subset = subset.iter().all(|(key, value)| pod.labels.get(key) == Some(value));
            here && pod.serves() && selector.iter().all(fits) && in_subset
        };
        self.pods.values().filter(selected).collect()
    }

    /// How requests to a Service spread over its pods, by the pods' label `label` (`pod-template-hash` tells revisions
    /// apart).
    pub fn service_traffic(&self, namespace: &str, service: &str, label: &str) -> Shares {
        Self::spread(self.endpoints(namespace, service), label)
    }

    fn spread(pods: Vec<&Pod>, label: &str) -> Shares {
        let mut shares = Shares::default();
        if pods.is_empty() {
            shares.nobody = 1.0;
        }
        let each = 1.0 / pods.len().max(1) as f64;
        for pod in pods {
            *shares.by_label.entry(pod.labels.get(label).cloned().unwrap_or_default()).or_default() += each;
        }
        shares
    }

    /// How requests like this one spread, by the pods' label `label`, over everything that Ingresses (with nginx' canary
    /// annotations), HTTPRoutes and Istio's VirtualServices do to them. A Service that is named and has no Ready pod takes its share to nobody,
    /// which is a little harder than nginx, whose canary then falls back.
    pub fn traffic(&self, request: &Request, label: &str) -> Result<Shares, TrafficError> {
        let mut shares = Shares::default();
        for (namespace, service, part) in self.backends(request)? {
            let (service, subset) = service.split_once('/').unwrap_or((&service, ""));
            let pods = self.endpoints_of(&namespace, service, &self.subset(&namespace, service, subset)?);
            shares.add(&Self::spread(pods, label), part);
        }
        Ok(shares)
    }

    /// The labels of a subset, of which there are none without a name.
    fn subset(&self, namespace: &str, service: &str, subset: &str) -> Result<BTreeMap<String, String>, TrafficError> {
        let rules: Vec<(&ObjectKey, &Object)> =
            self.objects.iter().filter(|(key, _)| key.group == ISTIO && key.kind == "DestinationRule").collect();
        super::routing::subset(&rules, namespace, service, subset)
    }

    fn backends(&self, request: &Request) -> Result<Vec<(String, String, f64)>, TrafficError> {
        let of = |group: &'static str, kind: &'static str| {
            self.objects.iter().filter(move |(key, _)| key.group == group && key.kind == kind)
        };
        let ingresses: Vec<(&ObjectKey, &Object)> = of("networking.k8s.io", "Ingress").collect();
        if let Some(backends) = super::routing::ingress(&ingresses, request)? {
            return Ok(backends);
        }
        let routes: Vec<(&ObjectKey, &Object)> = of("gateway.networking.k8s.io", "HTTPRoute").collect();
        if let Some(backends) = super::routing::http_route(&routes, request)? {
            return Ok(backends);
        }
        let services: Vec<(&ObjectKey, &Object)> = of(ISTIO, "VirtualService").collect();
        if let Some(backends) = super::routing::virtual_service(&services, request)? {
            return Ok(backends);
        }
        Err(TrafficError::NoRoute { host: request.host.clone(), path: request.path.clone() })
    }
}
