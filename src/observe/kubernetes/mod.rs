//! Reads the live workload, and what Argo CD and Flux say, by the Kubernetes API. Needs `get` on the workload and `list` on its
//! ReplicaSets, of kinds other than Deployment on pods, nothing else; with `list` and `watch` on Deployments, ReplicaSets and what
//! Argo CD and Flux have, what is looked at often is kept in view.

mod access;
mod advanced_daemon_set;
mod advanced_stateful_set;
mod clone_set;
pub mod daemon_set;
pub(super) mod deployment;
mod described;
mod failure;
mod look;
mod others;
mod revisions;
pub mod settings;
mod stateful_set;
mod watch;

pub use watch::Watching;

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use kube::core::Selector;
use tokio::runtime::Runtime;

use self::look::{Kept, Reader};
use super::wake::Wake;
use super::words::is_dns_name;
use super::{Live, ObserveError, Observer, Sighting, Target, argocd, flux};

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
    /// How what is kept in view is watched.
    pub watching: Watching,
}

impl Default for KubernetesOptions {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            context: None,
            in_cluster: false,
            namespace: None,
            timeout: Duration::from_secs(10),
            watching: Watching::default(),
        }
    }
}

/// Reads Deployments and their ReplicaSets, the workloads that have revisions with their pods, Applications, Kustomizations.
pub struct KubernetesObserver {
    reader: Reader,
    watching: Watching,
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
        let reader = Reader::new(client?);
        let (watching, namespace, timeout) = (options.watching, options.namespace.clone(), options.timeout);
        Ok(Self { reader, watching, namespace, timeout, threads })
    }

    /// From now on, what is looked at is kept in view by watches, and `wake` rings when it changes.
    pub fn follow(&mut self, wake: Arc<Wake>) {
        self.reader.keep(Kept::new(self.watching, wake));
    }

    /// Looks whether Argo CD has applied the commit, and at the workload. `application` and `namespace` name the Application.
    ///
    /// # Errors
    /// As [`Observer::observe`].
    pub fn argocd(&self, namespace: &str, application: &str, live: &Live<'_>, target: &Target) -> Result<Sighting, ObserveError> {
        let (reader, place, name) = (self.reader.clone(), named(namespace)?, named(application)?);
        let found = self.wait(async move { reader.application(&place, &name).await })?;
        let missing = match &found {
            Some(found) => argocd::missing(found, live),
            None => Some(format!("Application {namespace}/{application} does not exist")),
        };
        Ok(self.observe(target)?.behind(missing))
    }

    /// Looks whether Flux has applied the commit, and at the workload. `kustomization` and `namespace` name the Kustomization.
    ///
    /// # Errors
    /// As [`Observer::observe`].
    pub fn flux(&self, namespace: &str, kustomization: &str, live: &Live<'_>, target: &Target) -> Result<Sighting, ObserveError> {
        let (reader, place, name) = (self.reader.clone(), named(namespace)?, named(kustomization)?);
        let found = self.wait(async move { reader.kustomization(&place, &name).await })?;
        let missing = match &found {
            Some(found) => flux::missing(found, live),
            None => Some(format!("Kustomization {namespace}/{kustomization} does not exist")),
        };
        Ok(self.observe(target)?.behind(missing))
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
        if let Some(described) = target.described.clone() {
            let (namespace, target) = (named(&self.namespace_of(target)?)?, target.clone());
            named(&target.name)?;
            let client = self.reader.client();
            return self.wait(async move { described::look(client, &namespace, &described, &target).await });
        }
        let other = others::known(target);
        if other.is_none() && (target.api_version.as_str(), target.kind.as_str()) != ("apps/v1", "Deployment") {
            return Err(ObserveError::Refused {
                cause: format!(
                    "the kubernetes observer cannot read {} of {}, only Deployment, StatefulSet and DaemonSet of apps/v1, and CloneSet, \
                     StatefulSet and DaemonSet of apps.kruise.io",
                    target.kind, target.api_version
                ),
                hint: Some("observe this app with `timed`".to_owned()),
            });
        }
        let (namespace, name) = (named(&self.namespace_of(target)?)?, named(&target.name)?);
        let (reader, mark) = (self.reader.clone(), target.mark.clone());
        if let Some(other) = other {
            return self.wait(async move { other.look(reader.client(), &namespace, &name, &mark).await });
        }
        self.wait(async move {
            let Some(deployment) = reader.deployment(&namespace, &name).await? else {
                let missing = format!("Deployment {namespace}/{name} does not exist: not applied yet, or applied elsewhere");
                return Ok(Sighting { applied: false, workload: None, missing: Some(missing) });
            };
            let labels = deployment.spec.as_ref().map(|spec| spec.selector.clone()).unwrap_or_default();
            let selector: Selector = labels.try_into().map_err(|_| ObserveError::Refused {
                cause: format!("the selector of Deployment {namespace}/{name} cannot be read"),
                hint: None,
            })?;
            let sets = reader.sets(&namespace, &selector).await?;
            Ok(deployment::sighting(&deployment, &sets, &mark))
        })
    }
}

fn named(name: &str) -> Result<String, ObserveError> {
    if is_dns_name(name) {
        Ok(name.to_owned())
    } else {
        Err(ObserveError::Refused { cause: format!("{name:?} is not a name that Kubernetes allows"), hint: None })
    }
}
