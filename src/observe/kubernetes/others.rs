//! Reading workloads other than Deployments: the object itself, and the pods that its selector finds.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::{GroupVersionKind, Selector};
use kube::{Api, Client};
use serde_json::Value;

use super::{advanced_daemon_set, advanced_stateful_set, clone_set, daemon_set, failure, stateful_set};
use crate::observe::{ObserveError, Sighting, Target};

/// From what was read to a sighting.
#[derive(Debug, Clone, Copy)]
enum Read {
    /// The workload, its pods, the mark.
    Alone(fn(&Value, &[Value], &str) -> Sighting),
    /// The workload, its canary, the pods of both, the mark.
    Beside(fn(&Value, Option<&Value>, &[Value], &str) -> Sighting),
}

/// A kind that this observer reads.
#[derive(Debug, Clone)]
pub(super) struct Known {
    resource: ApiResource,
    read: Read,
}

/// `None`: it cannot read this kind.
pub(super) fn known(target: &Target) -> Option<Known> {
    let (group, version) = target.api_version.split_once('/')?;
    let (plural, read): (&str, Read) = match (group, target.kind.as_str()) {
        ("apps", "StatefulSet") => ("statefulsets", Read::Alone(stateful_set::sighting)),
        ("apps", "DaemonSet") => ("daemonsets", Read::Beside(daemon_set::sighting)),
        ("apps.kruise.io", "CloneSet") => ("clonesets", Read::Alone(clone_set::sighting)),
        ("apps.kruise.io", "StatefulSet") => ("statefulsets", Read::Alone(advanced_stateful_set::sighting)),
        ("apps.kruise.io", "DaemonSet") => ("daemonsets", Read::Alone(advanced_daemon_set::sighting)),
        _ => return None,
    };
    let kind = GroupVersionKind::gvk(group, version, &target.kind);
    Some(Known { resource: ApiResource::from_gvk_with_plural(&kind, plural), read })
}

impl Known {
    /// Looks at the workload `name`. `mark` is what its commit-tree must be.
    pub(super) async fn look(self, client: Client, namespace: &str, name: &str, mark: &str) -> Result<Sighting, ObserveError> {
        let kind = &self.resource.kind;
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &self.resource);
        let Some(workload) = self.get(&api, namespace, name).await? else {
            let missing = format!("{kind} {namespace}/{name} does not exist: not applied yet, or applied elsewhere");
            return Ok(Sighting { applied: false, workload: None, missing: Some(missing) });
        };
        // Before the pods: a canary that is made between the two is not there yet, and its pods are nobody's.
        let second = match self.read {
            Read::Alone(_) => None,
            Read::Beside(_) => self.get(&api, namespace, &daemon_set::second(name)).await?,
        };
        let unreadable = |what: &str| ObserveError::Refused {
            cause: format!("the {what} of {kind} {namespace}/{name} cannot be read"),
            hint: None,
        };
        let value = |object: DynamicObject| serde_json::to_value(&object).map_err(|_| unreadable("object"));
        let (workload, second) = (value(workload)?, second.map(value).transpose()?);
        let labels = workload.pointer("/spec/selector").cloned().unwrap_or_default();
        let labels: LabelSelector = serde_json::from_value(labels).map_err(|_| unreadable("selector"))?;
        let selector: Selector = labels.try_into().map_err(|_| unreadable("selector"))?;
        let pods: Api<Pod> = Api::namespaced(client, namespace);
        let found = pods.list(&ListParams::default().labels_from(&selector)).await;
        let found = found.map_err(|error| self.explain(&error, namespace))?;
        let pods: Result<Vec<Value>, _> = found.items.iter().map(serde_json::to_value).collect();
        let pods = pods.map_err(|_| unreadable("pods"))?;
        Ok(match self.read {
            Read::Alone(read) => read(&workload, &pods, mark),
            Read::Beside(read) => read(&workload, second.as_ref(), &pods, mark),
        })
    }

    async fn get(&self, api: &Api<DynamicObject>, namespace: &str, name: &str) -> Result<Option<DynamicObject>, ObserveError> {
        match api.get(name).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if failure::is_absent(&error, name) => Ok(None),
            Err(error) => Err(self.explain(&error, namespace)),
        }
    }

    fn explain(&self, error: &kube::Error, namespace: &str) -> ObserveError {
        let ApiResource { group, version, kind, plural, .. } = &self.resource;
        let explained = failure::explain(error, namespace, &failure::Rights::ANY);
        let kube::Error::Api(status) = error else { return explained };
        match (status.code, explained) {
            (403, ObserveError::Refused { cause, .. }) => {
                let hint =
                    format!("grant in namespace {namespace}: verb get on {plural} of API group {group}, and verb list on pods");
                ObserveError::Refused { cause, hint: Some(hint) }
            }
            (404, _) => ObserveError::Refused {
                cause: format!("the cluster serves no {kind} of {group}/{version} (404)"),
                hint: Some("install what defines it, or check the server's address in the kubeconfig".to_owned()),
            },
            (_, explained) => explained,
        }
    }
}
