//! Reads the live workload by the Kubernetes API. Needs `get` on the workload and `list` on its ReplicaSets, of kinds other than
//! Deployment on pods; nothing else.

mod access;
mod advanced_daemon_set;
mod advanced_stateful_set;
mod clone_set;
mod deployment;
mod failure;
mod others;
mod revisions;
mod stateful_set;

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::api::ListParams;
use kube::core::Selector;
use kube::{Api, Client};
use tokio::runtime::Runtime;

use super::{ObserveError, Observer, Sighting, Target};

/// Where the cluster is, and with which rights. All `None`: the kubeconfig that `KUBECONFIG` or the home folder names, else the
/// service account of the pod that this runs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesOptions {
    pub kubeconfig: Option<PathBuf>,
    /// A context of the kubeconfig; `None`: its current one.
    pub context: Option<String>,
    /// The pod's service account, whatever kubeconfig there is.
    pub in_cluster: bool,
    /// Where a target names no namespace. The kubeconfig's own namespace is never taken: it is where a person works, not where Argo CD or
    /// Flux applies to.
    pub namespace: Option<String>,
    /// For one look.
    pub timeout: Duration,
}

impl Default for KubernetesOptions {
    fn default() -> Self {
        Self { kubeconfig: None, context: None, in_cluster: false, namespace: None, timeout: Duration::from_secs(10) }
    }
}

/// Reads Deployments and their ReplicaSets, and the workloads that have revisions with their pods.
pub struct KubernetesObserver {
    client: Client,
    namespace: Option<String>,
    timeout: Duration,
    threads: Threads,
}

/// A runtime that can be dropped inside another one.
struct Threads {
    /// Taken only when dropped.
    runtime: Option<Runtime>,
}

impl std::fmt::Debug for KubernetesObserver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubernetesObserver")
            .field("namespace", &self.namespace)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background(); // dropping would wait, which a runtime forbids on its threads
        }
    }
}

impl KubernetesObserver {
    /// Reads the credentials; the cluster is not called yet.
    ///
    /// # Errors
    /// `Refused` where there is no kubeconfig, it cannot be read, or it names things that are not there.
    pub fn connect(options: &KubernetesOptions) -> Result<Self, ObserveError> {
        // Another part of the process may have set it already; then it is the same one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("kubernetes")
            .enable_all()
            .build()
            .map_err(|error| ObserveError::Refused {
                cause: format!("cannot start a thread for the cluster: {error}"),
                hint: None,
            })?;
        let client = {
            let _inside = runtime.enter();
            access::client(options)
        };
        let threads = Threads { runtime: Some(runtime) };
        Ok(Self { client: client?, namespace: options.namespace.clone(), timeout: options.timeout, threads })
    }

    /// Runs on the own threads, so that a caller inside a runtime neither panics nor is polled here.
    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ObserveError>> + Send + 'static,
    ) -> Result<T, ObserveError> {
        let late = || ObserveError::Unreachable(format!("no answer within {} s", self.timeout.as_secs_f64()));
        let Some(runtime) = &self.threads.runtime else {
            return Err(late());
        };
        let (send, receive) = mpsc::sync_channel(1);
        let timeout = self.timeout;
        runtime.spawn(async move {
            let _ = send.send(tokio::time::timeout(timeout, work).await);
        });
        match receive.recv_timeout(timeout.saturating_add(Duration::from_secs(2))) {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(late()),
        }
    }

    fn namespace_of(&self, target: &Target) -> Result<String, ObserveError> {
        let named = Some(&target.namespace).filter(|name| !name.is_empty()).or(self.namespace.as_ref()).cloned();
        named.ok_or_else(|| ObserveError::Refused {
            cause: format!("no namespace is known for {} {}", target.kind, target.name),
            hint: Some("set metadata.namespace of the workload in the source, or the observer's namespace".to_owned()),
        })
    }
}

impl Observer for KubernetesObserver {
    fn observe(&self, target: &Target) -> Result<Sighting, ObserveError> {
        let other = others::known(target);
        if other.is_none() && (target.api_version.as_str(), target.kind.as_str()) != ("apps/v1", "Deployment") {
            return Err(ObserveError::Refused {
                cause: format!(
                    "the kubernetes observer cannot read {} of {}, only Deployment and StatefulSet of apps/v1, and CloneSet, StatefulSet \
                     and DaemonSet of apps.kruise.io",
                    target.kind, target.api_version
                ),
                hint: Some("observe this app with `timed`".to_owned()),
            });
        }
        let namespace = self.namespace_of(target)?;
        for name in [&namespace, &target.name] {
            if !is_dns_name(name) {
                return Err(ObserveError::Refused {
                    cause: format!("{name:?} is not a name that Kubernetes allows"),
                    hint: None,
                });
            }
        }
        let (client, name, mark) = (self.client.clone(), target.name.clone(), target.mark.clone());
        if let Some(other) = other {
            return self.wait(async move { other.look(client, &namespace, &name, &mark).await });
        }
        self.wait(async move {
            let deployments: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
            let deployment = match deployments.get(&name).await {
                Ok(deployment) => deployment,
                Err(error) if failure::is_absent(&error, &name) => {
                    let missing = format!("Deployment {namespace}/{name} does not exist: not applied yet, or applied elsewhere");
                    return Ok(Sighting { applied: false, workload: None, missing: Some(missing) });
                }
                Err(error) => return Err(failure::explain(&error, &namespace)),
            };
            let labels = deployment.spec.as_ref().map(|spec| spec.selector.clone()).unwrap_or_default();
            let selector: Selector = labels.try_into().map_err(|_| ObserveError::Refused {
                cause: format!("the selector of Deployment {namespace}/{name} cannot be read"),
                hint: None,
            })?;
            let sets: Api<ReplicaSet> = Api::namespaced(client, &namespace);
            let sets = sets
                .list(&ListParams::default().labels_from(&selector))
                .await
                .map_err(|error| failure::explain(&error, &namespace))?;
            Ok(deployment::sighting(&deployment, sets.items, &mark))
        })
    }
}

/// RFC 1123 subdomain; anything else has no business in a request's path.
fn is_dns_name(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= 253
        && name
            .split('.')
            .all(|label| !label.is_empty() && label.chars().all(inner) && !label.starts_with('-') && !label.ends_with('-'))
}
