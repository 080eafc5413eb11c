//! Git, an applier, a cluster and its requests as one world with one clock, behind [`Surroundings`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::cluster::{Applied, Applier, Cluster, Request, Shares};
use super::metrics::Model;
use crate::api::Observe;
use crate::git::{Oid, Repo};
use crate::manifest::ObjectSet;
use crate::metrics::{MetricsError, Sample, Source};
use crate::observe::{Live, ObserveError, Observer as _, Sighting, Target, Timed, argocd, flux};
use crate::reconcile::{Surroundings, Trouble, layout};
use crate::render::REVISION_LABEL;

/// Unix time of the simulated clock's zero: 2026-01-05T09:00:00Z, a Monday.
pub const EPOCH: i64 = 1_767_603_600;

/// Everything but Git.
#[derive(Debug, Clone)]
pub struct State {
    pub cluster: Cluster,
    pub applier: Applier,
    pub model: Model,
    /// The host whose requests are measured.
    pub host: String,
    /// While set, the cluster's API does not answer.
    pub cluster_down: bool,
    /// What the applier was given last.
    submitted: Option<Oid>,
    /// What was applied so far.
    pub applied: Vec<Applied>,
    /// Milliseconds in which a part of the requests was answered by nobody, after all of them were answered for the first time.
    pub unanswered_ms: u64,
    served: bool,
}

/// A handle to the world; clones share it.
#[derive(Debug, Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
}

impl World {
    /// An empty cluster with namespace `namespace`, an applier with `lag_ms`, and requests to `host`.
    pub fn new(namespace: &str, host: &str, lag_ms: u64, seed: u64) -> Self {
        let mut model = Model::new("prometheus", EPOCH, seed);
        model.set_volume(0, 100.0);
        let state = State {
            cluster: Cluster::new(namespace),
            applier: Applier::new(lag_ms),
            model,
            host: host.to_owned(),
            cluster_down: false,
            submitted: None,
            applied: Vec::new(),
            unanswered_ms: 0,
            served: false,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since the start.
    pub fn elapsed(&self) -> u64 {
        self.lock().cluster.now()
    }

    /// Lets the applier see the live branch at `head`.
    ///
    /// # Errors
    /// The live branch cannot be read.
    pub fn publish(&self, repo: &dyn Repo, head: Option<Oid>) -> Result<(), Trouble> {
        let Some(head) = head else { return Ok(()) };
        let mut state = self.lock();
        if state.submitted == Some(head) {
            return Ok(());
        }
        let mut all = ObjectSet::default();
        let paths: std::collections::BTreeSet<String> =
            layout::recorded_apps(repo, head)?.into_iter().map(|app| app.path).collect();
        for path in paths {
            for object in layout::read_live(repo, head, &path)?.unwrap_or_default().values() {
                all.insert(object.clone());
            }
        }
        let now = state.cluster.now();
        state.submitted = Some(head);
        state.applier.submit(now, &head.to_string(), all);
        Ok(())
    }

    /// Moves the time on by `ms` milliseconds.
    pub fn advance(&self, ms: u64) {
        let mut state = self.lock();
        let state = &mut *state;
        let end = state.cluster.now() + ms;
        while state.cluster.now() < end {
            let now = state.cluster.now();
            let shares = state.shares();
            let due = [state.applier.next_due(), state.cluster.next_event()].into_iter().flatten().min();
            // Nothing that answers requests changes in between.
            let next = due.map_or(end, |due| due.clamp(now + 1, end));
            state.served |= shares.nobody <= 0.0;
            if state.served && shares.nobody > 0.0 {
                state.unanswered_ms += next - now;
            }
            state.model.record(now, shares);
            let applied = state.applier.advance_to(&mut state.cluster, next);
            state.applied.extend(applied);
        }
        let shares = state.shares();
        state.model.record(end, shares);
    }
}

impl State {
    /// An empty cluster takes the place of the present one, with an applier that has applied nothing yet. The time goes on.
    /// Requests count as unanswered only once it has answered all of them.
    pub fn new_cluster(&mut self, namespace: &str) {
        let now = self.cluster.now();
        self.cluster = Cluster::new(namespace);
        self.cluster.advance_to(now);
        self.applier = Applier::new(self.applier.lag_ms);
        self.submitted = None;
        self.served = false;
    }

    /// Who answers plain requests now, by revision label; without routes, by the first Service with pods.
    pub fn shares(&self) -> Shares {
        let plain = self.cluster.traffic(&Request::to(&self.host), REVISION_LABEL);
        plain.unwrap_or_else(|_| {
            let services = self.cluster.objects().filter(|(key, _)| key.kind == "Service").map(|(key, _)| key.clone());
            let all: Vec<Shares> = services
                .map(|key| self.cluster.service_traffic(key.namespace.as_deref().unwrap_or_default(), &key.name, REVISION_LABEL))
                .collect();
            all.into_iter()
                .find(|shares| shares.nobody < 1.0)
                .unwrap_or_else(|| Shares { by_label: BTreeMap::new(), nobody: 1.0 })
        })
    }
}

impl Surroundings for World {
    fn now(&self) -> Timestamp {
        let ms = i64::try_from(self.elapsed()).unwrap_or(i64::MAX);
        Timestamp::from_millisecond(EPOCH.saturating_mul(1000).saturating_add(ms)).unwrap_or(Timestamp::MAX)
    }

    fn observe(&self, how: &Observe, target: &Target, live: &Live<'_>) -> Result<Sighting, ObserveError> {
        if let Observe::Timed { settle } = how {
            return Timed { settle: *settle }.observe(target);
        }
        let state = self.lock();
        if state.cluster_down {
            return Err(ObserveError::Unreachable("connection refused".to_owned()));
        }
        let applier = &state.applier;
        let missing = match how {
            Observe::Timed { .. } | Observe::Kubernetes => None,
            Observe::ArgoCd { application, namespace } => applier
                .application(namespace, application.as_deref().unwrap_or(live.app), live.repository)
                .and_then(|application| argocd::missing(&application, live)),
            Observe::Flux { kustomization, namespace } => applier
                .kustomization(namespace, kustomization.as_deref().unwrap_or(live.app))
                .and_then(|kustomization| flux::missing(&kustomization, live)),
        };
        Ok(state.cluster.observe(target)?.behind(missing))
    }

    fn query(&self, source: &str, query: &str, now: Timestamp) -> Result<Vec<Sample>, MetricsError> {
        let state = self.lock();
        if source != "prometheus" {
            return Err(MetricsError::Refused {
                source_name: source.to_owned(),
                cause: "no such source; there are: prometheus".to_owned(),
            });
        }
        state.model.query(query, now.as_second())
    }

    fn default_namespace(&self) -> String {
        "default".to_owned()
    }

    fn back_off(&self, _attempt: u32) {}

    fn render_options(&self) -> crate::source::Options {
        crate::source::Options::default()
    }
}
