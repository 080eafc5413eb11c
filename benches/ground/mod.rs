//! What the benches share: Git's own server, a world in which every wait is over at once, repositories full of apps, figures.
#![allow(dead_code, reason = "each bench uses a part")]

#[path = "../../tests/git/server.rs"]
pub(crate) mod server;

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use windlass::api::Observe;
use windlass::git::{Options, Store};
use windlass::metrics::{MetricsError, Sample};
use windlass::observe::{Live, ObserveError, Observer as _, Sighting, Target, Timed};
use windlass::reconcile::{Overrides, Reconciler, Surroundings};

/// A world in which every wait is over at the next look. The clock goes by hand.
pub(crate) struct Quick(pub(crate) Cell<i64>);

impl Quick {
    pub(crate) fn new() -> Self {
        Self(Cell::new(1_800_000_000))
    }

    pub(crate) fn later(&self) {
        self.0.set(self.0.get() + 10);
    }
}

impl Surroundings for Quick {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.get()).unwrap()
    }
    fn observe(&self, _how: &Observe, target: &Target, _live: &Live<'_>) -> Result<Sighting, ObserveError> {
        Timed { settle: 0 }.observe(target)
    }
    fn query(&self, _source: &str, _query: &str, _now: Timestamp) -> Result<Vec<Sample>, MetricsError> {
        Ok(vec![Sample { value: 0.0 }])
    }
    fn default_namespace(&self) -> String {
        "default".to_owned()
    }
    fn back_off(&self, _attempt: u32) {}
    fn render_options(&self) -> windlass::source::Options {
        windlass::source::Options::default()
    }
}

/// A Deployment, a Service and a Rollout of so many steps without pauses.
pub(crate) fn app(name: &str, version: u32, steps: u32) -> String {
    let plan: String = (1..=steps).map(|step| format!("      - {{replicas: {step}, pause: {{duration: 0}}}}\n")).collect();
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  replicas: {steps}\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      \
         containers: [{{name: app, image: 'registry.example/{name}:{version}'}}]\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}\n---\n\
         apiVersion: windlass.dev/v1alpha1\nkind: Rollout\nmetadata: {{name: {name}}}\nspec:\n  \
         workloadRef: {{apiVersion: apps/v1, kind: Deployment, name: {name}}}\n  strategy:\n    canary:\n      steps:\n{plan}"
    )
}

/// Puts a version of the app `checkout` into the source branch.
pub(crate) fn release(path: &Path, version: u32, steps: u32) {
    let text = app("checkout", version, steps);
    let changes = format!("M 644 inline prod/checkout/app.yaml\ndata {}\n{text}\n", text.len());
    server::import(path, "refs/heads/main", 1, |_| changes.clone());
}

/// Puts a version of many apps into the source branch, a hundred to a directory.
pub(crate) fn release_all(path: &Path, apps: usize, version: u32, steps: u32) {
    let mut changes = String::new();
    for number in 0..apps {
        let text = app(&format!("a{number}"), version, steps);
        changes += &format!("M 644 inline apps/g{}/a{number}/app.yaml\ndata {}\n{text}\n", number / 100, text.len());
    }
    let settings = "apiVersion: windlass.dev/v1alpha1\nkind: Repository\nobserve: {timed: {settle: 0s}}\n";
    changes += &format!("M 644 inline .windlass.yaml\ndata {}\n{settings}\n", settings.len());
    server::import(path, "refs/heads/main", 1, |_| changes.clone());
}

/// A process over `address` with a fresh memory and the mirrors of `path`.
pub(crate) fn reconciler<'a>(address: &str, branch: &str, mirrors: &Path, world: &'a Quick) -> Reconciler<'a> {
    let mut options = Options::new(address, branch);
    options.cache = Some(mirrors.to_path_buf());
    let overrides = Overrides { live_branch: Some(branch.to_owned()), ..Overrides::default() };
    Reconciler::new(Box::new(Store::open(options).unwrap()), world, overrides)
}

/// A throw-away folder in memory where there is such: a disk's own housekeeping grows with what was written to it before, and
/// would be measured instead.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

/// The processor time that this thread has used.
pub(crate) fn thread_time() -> Duration {
    on_processor("/proc/thread-self/schedstat")
}

/// The processor time in one of the kernel's `schedstat` files.
pub(crate) fn on_processor(file: &str) -> Duration {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0))
}
