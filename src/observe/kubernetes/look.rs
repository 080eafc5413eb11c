//! Reading one object or one list, out of what is kept in view where that is known to be whole, else by a request.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::{GroupVersionKind, Selector};
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::failure::{self, Rights};
use super::watch::{Shelf, Watching, Which};
use crate::observe::ObserveError;
use crate::observe::argocd::Application;
use crate::observe::flux::Kustomization;
use crate::observe::wake::Wake;

/// Where everything is read from.
#[derive(Clone)]
pub(super) struct Reader {
    client: Client,
    kept: Option<Arc<Kept>>,
}

/// What is kept in view.
pub(super) struct Kept {
    watching: Watching,
    wake: Arc<Wake>,
    deployments: Arc<Shelf<Deployment>>,
    sets: Arc<Shelf<ReplicaSet>>,
    applications: Arc<Shelf<Value>>,
    kustomizations: Arc<Shelf<Value>>,
}

impl Kept {
    pub(super) fn new(watching: Watching, wake: Arc<Wake>) -> Self {
        Self {
            watching,
            wake,
            deployments: Arc::default(),
            sets: Arc::default(),
            applications: Arc::default(),
            kustomizations: Arc::default(),
        }
    }
}

impl Reader {
    pub(super) fn new(client: Client) -> Self {
        Self { client, kept: None }
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(super) fn keep(&mut self, kept: Kept) {
        self.kept = Some(Arc::new(kept));
    }

    pub(super) async fn deployment(&self, namespace: &str, name: &str) -> Result<Option<Arc<Deployment>>, ObserveError> {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), namespace);
        let shelf = |kept: &Kept| Arc::clone(&kept.deployments);
        self.one(&api, namespace, name, shelf, |deployment| Some(slim(deployment)), &Rights::WORKLOAD).await
    }

    pub(super) async fn sets(&self, namespace: &str, selector: &Selector) -> Result<Vec<Arc<ReplicaSet>>, ObserveError> {
        let api: Api<ReplicaSet> = Api::namespaced(self.client.clone(), namespace);
        let params = ListParams::default().labels_from(selector);
        if let Some(kept) = &self.kept {
            let which = Which::Labelled(params.label_selector.clone().unwrap_or_default());
            let found = kept.sets.look(namespace, which, &api, |set| Some(slim(set)), (kept.watching, &kept.wake));
            if let Some(found) = found {
                return Ok(found);
            }
        }
        let sets = api.list(&params).await.map_err(|error| failure::explain(&error, namespace, &Rights::WORKLOAD))?;
        Ok(sets.items.into_iter().map(Arc::new).collect())
    }

    pub(super) async fn application(&self, namespace: &str, name: &str) -> Result<Option<Application>, ObserveError> {
        let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Application");
        let shelf = |kept: &Kept| Arc::clone(&kept.applications);
        let resource = ApiResource::from_gvk_with_plural(&kind, "applications");
        let found = self.dynamic(&resource, namespace, name, shelf, &Rights::ARGOCD).await?;
        found.map(|value| read(&value, "Application", namespace, name)).transpose()
    }

    pub(super) async fn kustomization(&self, namespace: &str, name: &str) -> Result<Option<Kustomization>, ObserveError> {
        let kind = GroupVersionKind::gvk("kustomize.toolkit.fluxcd.io", "v1", "Kustomization");
        let shelf = |kept: &Kept| Arc::clone(&kept.kustomizations);
        let resource = ApiResource::from_gvk_with_plural(&kind, "kustomizations");
        let found = self.dynamic(&resource, namespace, name, shelf, &Rights::FLUX).await?;
        found.map(|value| read(&value, "Kustomization", namespace, name)).transpose()
    }

    async fn dynamic(
        &self,
        resource: &ApiResource,
        namespace: &str,
        name: &str,
        shelf: impl Fn(&Kept) -> Arc<Shelf<Value>>,
        rights: &Rights,
    ) -> Result<Option<Arc<Value>>, ObserveError> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, resource);
        self.one(&api, namespace, name, shelf, |object| Some(essence(object)), rights).await
    }

    async fn one<K, T>(
        &self,
        api: &Api<K>,
        namespace: &str,
        name: &str,
        shelf: impl Fn(&Kept) -> Arc<Shelf<T>>,
        take: fn(K) -> Option<T>,
        rights: &Rights,
    ) -> Result<Option<Arc<T>>, ObserveError>
    where
        K: ResourceExt + Clone + DeserializeOwned + Debug + Send + 'static,
        T: PartialEq + Send + Sync + 'static,
    {
        if let Some(kept) = &self.kept {
            let which = Which::Named(name.to_owned());
            let found = shelf(kept).look(namespace, which, api, take, (kept.watching, &kept.wake));
            if let Some(found) = found {
                return Ok(found.into_iter().next());
            }
        }
        match api.get(name).await {
            Ok(object) => Ok(take(object).map(Arc::new)),
            Err(error) if failure::is_absent(&error, name) => Ok(None),
            Err(error) => Err(failure::explain(&error, namespace, rights)),
        }
    }
}

/// Without what only its writers need, so that less is kept and nothing seems to change that does not.
fn slim<K: ResourceExt>(mut object: K) -> K {
    object.managed_fields_mut().clear();
    object.meta_mut().resource_version = None;
    object
}

/// Of an object with a long status only what is judged.
fn essence(object: DynamicObject) -> Value {
    let object = slim(object);
    let mut value = serde_json::to_value(&object).unwrap_or_default();
    if let Some(status) = value.get_mut("status").and_then(Value::as_object_mut) {
        for long in ["resources", "history", "summary", "inventory", "snapshot"] {
            status.remove(long);
        }
        if let Some(result) = value.pointer_mut("/status/operationState/syncResult").and_then(Value::as_object_mut) {
            result.remove("resources");
        }
    }
    value
}

fn read<T: DeserializeOwned>(value: &Value, kind: &str, namespace: &str, name: &str) -> Result<T, ObserveError> {
    T::deserialize(value).map_err(|error| ObserveError::Refused {
        cause: format!("{kind} {namespace}/{name} cannot be read: {}", crate::observe::words::plain(&error.to_string())),
        hint: None,
    })
}
