//! Reads objects of any kind as plain values, and asks what we may: for `doctor`, which looks at the applier's settings. The only
//! request that is not a `get` or `list` is a SelfSubjectAccessReview, which stores nothing.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::{ApiResource, DynamicObject, ListParams, PostParams};
use kube::{Api, Error};
use serde_json::{Value, json};

use super::failure::{self, Rights};
use super::{KubernetesObserver, KubernetesOptions, is_dns_name};
use crate::observe::ObserveError;

/// A kind of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind<'a> {
    /// Empty for the core group.
    pub group: &'a str,
    pub version: &'a str,
    pub kind: &'a str,
    pub plural: &'a str,
}

impl Kind<'_> {
    fn resource(self) -> ApiResource {
        let api_version = self.api_version();
        ApiResource {
            group: self.group.to_owned(),
            version: self.version.to_owned(),
            api_version,
            kind: self.kind.to_owned(),
            plural: self.plural.to_owned(),
        }
    }

    fn api_version(self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// One action, as Kubernetes' authorisation knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action<'a> {
    pub verb: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
    pub namespace: String,
}

/// What a cluster's API shows to us.
#[derive(Debug)]
pub struct ClusterReader {
    observer: KubernetesObserver,
}

impl ClusterReader {
    /// Reads the credentials; the cluster is not called yet.
    ///
    /// # Errors
    /// As [`KubernetesObserver::connect`].
    pub fn connect(options: &KubernetesOptions) -> Result<Self, ObserveError> {
        Ok(Self { observer: KubernetesObserver::connect(options)? })
    }

    /// All objects of a kind, in one namespace or in all; `None` where the cluster does not serve the kind.
    pub fn list(&self, kind: Kind, namespace: Option<&str>) -> Result<Option<Vec<Value>>, ObserveError> {
        let (api, kind) = (self.api(kind, namespace)?, kind.resource());
        self.observer.wait(async move {
            match api.list(&ListParams::default()).await {
                Ok(list) => list.items.into_iter().map(|item| value(item, &kind)).collect::<Result<Vec<_>, _>>().map(Some),
                // A kind without a server is a bare 404; an object that is not there names itself.
                Err(Error::Api(status)) if status.code == 404 => Ok(None),
                Err(error) => Err(explain(&error, &kind)),
            }
        })
    }

    /// One object; `None` where it does not exist, or its kind is not served.
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Result<Option<Value>, ObserveError> {
        if !is_dns_name(name) {
            return Ok(None);
        }
        let (api, kind, name) = (self.api(kind, Some(namespace))?, kind.resource(), name.to_owned());
        self.observer.wait(async move {
            match api.get(&name).await {
                Ok(item) => value(item, &kind).map(Some),
                Err(Error::Api(status)) if status.code == 404 => Ok(None),
                Err(error) => Err(explain(&error, &kind)),
            }
        })
    }

    /// Whether the cluster would let us.
    pub fn may(&self, action: &Action) -> Result<bool, ObserveError> {
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    group: Some(action.group.to_owned()),
                    resource: Some(action.resource.to_owned()),
                    verb: Some(action.verb.to_owned()),
                    namespace: Some(action.namespace.clone()),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.observer.reader.client());
        self.observer.wait(async move {
            match reviews.create(&PostParams::default(), &review).await {
                Ok(answer) => Ok(answer.status.is_some_and(|status| status.allowed)),
                Err(error) => Err(failure::explain(&error, "", &Rights::ANY)),
            }
        })
    }

    fn api(&self, kind: Kind, namespace: Option<&str>) -> Result<Api<DynamicObject>, ObserveError> {
        let client = self.observer.reader.client();
        match namespace {
            None => Ok(Api::all_with(client, &kind.resource())),
            Some(namespace) if is_dns_name(namespace) => Ok(Api::namespaced_with(client, namespace, &kind.resource())),
            Some(namespace) => {
                Err(ObserveError::Refused { cause: format!("{namespace:?} is not a name that Kubernetes allows"), hint: None })
            }
        }
    }
}

/// The entries of a list need not say what they are.
fn value(item: DynamicObject, kind: &ApiResource) -> Result<Value, ObserveError> {
    let mut value = serde_json::to_value(item)
        .map_err(|_| ObserveError::Refused { cause: format!("a {} that cannot be read", kind.kind), hint: None })?;
    value["apiVersion"] = json!(kind.api_version);
    value["kind"] = json!(kind.kind);
    Ok(value)
}

/// Without the hint about Deployments, which is about another question.
fn explain(error: &Error, kind: &ApiResource) -> ObserveError {
    match failure::explain(error, "", &Rights::ANY) {
        ObserveError::Refused { cause, .. } if matches!(error, Error::Api(status) if status.code == 403) => {
            let group = if kind.group.is_empty() { "the core API group".to_owned() } else { format!("API group {}", kind.group) };
            ObserveError::Refused { cause, hint: Some(format!("grant verbs get and list on {} of {group}", kind.plural)) }
        }
        other => other,
    }
}
