//! The real world: the clock, clusters, metrics sources.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Surroundings;
use crate::api::Observe;
use crate::failpoint::point;
use crate::metrics::{MetricsError, Sample, Source};
use crate::observe::{
    ArgoCdOptions, ArgoCdServer, KubernetesObserver, KubernetesOptions, Live, ObserveError, Observer, Sighting, Target, Timed,
    Wake,
};

/// What the operator has given: clusters and sources by name.
pub struct RealWorld {
    kubernetes: KubernetesOptions,
    /// Connected at the first look.
    observer: OnceCell<Result<KubernetesObserver, ObserveError>>,
    /// Argo CD's own API, where the operator names it.
    argocd: Option<ArgoCdOptions>,
    server: OnceCell<Result<ArgoCdServer, ObserveError>>,
    follows: Cell<bool>,
    wake: Arc<Wake>,
    sources: BTreeMap<String, Box<dyn Source>>,
    render: crate::source::Options,
}

impl RealWorld {
    pub fn new(
        kubernetes: KubernetesOptions,
        sources: BTreeMap<String, Box<dyn Source>>,
        render: crate::source::Options,
    ) -> Self {
        Self {
            kubernetes,
            observer: OnceCell::new(),
            argocd: None,
            server: OnceCell::new(),
            follows: Cell::new(false),
            wake: Arc::default(),
            sources,
            render,
        }
    }

    /// The observer `argocd` asks Argo CD's own API and no cluster.
    #[must_use]
    pub fn with_argocd(mut self, argocd: Option<ArgoCdOptions>) -> Self {
        self.argocd = argocd;
        self
    }

    fn cluster(&self) -> Result<&KubernetesObserver, ObserveError> {
        let connect = || {
            let mut observer = KubernetesObserver::connect(&self.kubernetes)?;
            if self.follows.get() {
                observer.follow(self.wake.clone());
            }
            Ok(observer)
        };
        self.observer.get_or_init(connect).as_ref().map_err(Clone::clone)
    }

    /// Where the cluster is.
    pub fn kubernetes(&self) -> &KubernetesOptions {
        &self.kubernetes
    }

    /// The metric sources that the operator has named.
    pub fn source_names(&self) -> Vec<String> {
        self.sources.keys().cloned().collect()
    }
}

impl Surroundings for RealWorld {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        // Whole milliseconds: what is recorded must read back as the same moment everywhere.
        let now = Timestamp::now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    fn observe(&self, how: &Observe, target: &Target, live: &Live<'_>) -> Result<Sighting, ObserveError> {
        point("observe");
        let seen = match how {
            Observe::Timed { settle } => Timed { settle: *settle }.observe(target),
            Observe::Kubernetes => self.cluster()?.observe(target),
            Observe::ArgoCd { application, namespace } => {
                let application = application.as_deref().unwrap_or(live.app);
                match &self.argocd {
                    Some(options) => match self.server.get_or_init(|| ArgoCdServer::connect(options)) {
                        Ok(server) => server.observe(namespace, application, live, target),
                        Err(error) => Err(error.clone()),
                    },
                    None => self.cluster()?.argocd(namespace, application, live, target),
                }
            }
            Observe::Flux { kustomization, namespace } => {
                self.cluster()?.flux(namespace, kustomization.as_deref().unwrap_or(live.app), live, target)
            }
        };
        point("observed");
        seen
    }

    fn follow(&self) {
        self.follows.set(true);
    }

    fn wait(&self, longest: Duration) -> bool {
        self.wake.wait(longest)
    }

    fn query(&self, source: &str, query: &str, now: Timestamp) -> Result<Vec<Sample>, MetricsError> {
        match self.sources.get(source) {
            Some(source) => {
                point("ask-metric");
                let answer = source.query(query, now.as_second());
                point("metric-answered");
                answer
            }
            None => {
                let known = self.sources.keys().cloned().collect::<Vec<_>>().join(", ");
                let known = if known.is_empty() {
                    "none is defined (windlass.yaml, `--config`)".to_owned()
                } else {
                    format!("there are: {known}")
                };
                Err(MetricsError::Refused { source_name: source.to_owned(), cause: format!("no such source; {known}") })
            }
        }
    }

    fn default_namespace(&self) -> String {
        self.kubernetes.namespace.clone().unwrap_or_else(|| "default".to_owned())
    }

    fn back_off(&self, attempt: u32) {
        // Who has lost often waits longer, so that the others get done; chance spreads rivals that lost the same race.
        let longest = 40u64 << attempt.min(5);
        let chance = RandomState::new().hash_one(attempt);
        std::thread::sleep(Duration::from_millis(10 + chance % longest));
    }

    fn render_options(&self) -> crate::source::Options {
        self.render.clone()
    }
}
