//! One whole step of a rollout: look for news, decide, render, write, publish; in repositories of growing size. The app's
//! own tree is the same in all of them. Over http most of the time is Git's own server; to a folder all of it is ours.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench prints, and ends where it fails"
)]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

#[allow(dead_code, reason = "the tests use more of the server than the bench")]
#[path = "../tests/git/server.rs"]
mod server;

use std::cell::Cell;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use server::{Server, import, make};
use windlass::api::Observe;
use windlass::git::{Options, Store};
use windlass::metrics::{MetricsError, Sample};
use windlass::observe::{Live, ObserveError, Observer as _, Sighting, Target, Timed};
use windlass::reconcile::{Overrides, Reconciler, Surroundings};

const SIZES: [usize; 3] = [1_000, 10_000, 50_000];
/// Steps of one release.
const STEPS: u32 = 30;

/// A world in which every wait is over at the next look.
struct Quick(Cell<i64>);

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

fn app(version: u32) -> String {
    let steps: String = (1..=STEPS).map(|step| format!("      - {{replicas: {step}, pause: {{duration: 0}}}}\n")).collect();
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: checkout, namespace: shop}}\nspec:\n  replicas: {STEPS}\n  \
         selector: {{matchLabels: {{app: checkout}}}}\n  template:\n    metadata: {{labels: {{app: checkout}}}}\n    spec:\n      \
         containers: [{{name: app, image: 'registry.example/checkout:{version}'}}]\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: checkout, namespace: shop}}\nspec: {{selector: {{app: checkout}}, ports: [{{port: 80}}]}}\n---\n\
         apiVersion: windlass.dev/v1alpha1\nkind: Rollout\nmetadata: {{name: checkout}}\nspec:\n  \
         workloadRef: {{apiVersion: apps/v1, kind: Deployment, name: checkout}}\n  strategy:\n    canary:\n      steps:\n{steps}"
    )
}

fn main() {
    println!("   files   first pass      http p50    http p95  ratio    folder p50  folder p95  ratio");
    let mut smallest = None;
    for files in SIZES {
        let folder = folder();
        let path = make(folder.path(), "repo.git", files, 1);
        release(&path, 1);
        let server = Server::start(folder.path());
        let (first, mut http) = steps(&server.address("repo.git"), "live", &path);
        release(&path, 1);
        let (_, mut local) = steps(path.to_str().unwrap(), "local", &path);
        let now = [&mut http, &mut local].map(|times| (percentile(times, 50), percentile(times, 95)));
        let base = *smallest.get_or_insert(now);
        let ratio = |way: usize| now[way].0.as_secs_f64() / base[way].0.as_secs_f64();
        println!(
            "{files:>8}  {:>8.0} ms  {:>9.1} ms  {:>7.1} ms  {:>5.2}  {:>9.1} ms  {:>7.1} ms  {:>5.2}",
            milliseconds(first),
            milliseconds(now[0].0),
            milliseconds(now[0].1),
            ratio(0),
            milliseconds(now[1].0),
            milliseconds(now[1].1),
            ratio(1),
        );
    }
}

/// Puts a version of the app into the source branch.
fn release(path: &std::path::Path, version: u32) {
    let text = app(version);
    import(path, "refs/heads/main", 1, |_| format!("M 644 inline prod/checkout/app.yaml\ndata {}\n{text}\n", text.len()));
}

/// The first pass (everything is new), and the passes of a release that made a commit each.
fn steps(address: &str, branch: &str, path: &std::path::Path) -> (Duration, Vec<Duration>) {
    let world = Quick(Cell::new(1_800_000_000));
    let mut options = Options::new(address, branch);
    options.cache = Some(path.with_file_name("mirrors"));
    let store = Store::open(options).unwrap();
    let overrides = Overrides { live_branch: Some(branch.to_owned()), ..Overrides::default() };
    let mut reconciler = Reconciler::new(Box::new(store), &world, overrides);
    let start = Instant::now();
    assert_eq!(reconciler.pass().unwrap().commits.len(), 1);
    let first = start.elapsed();
    release(path, 2);
    let mut times = Vec::new();
    loop {
        world.0.set(world.0.get() + 10);
        let start = Instant::now();
        let pass = reconciler.pass().unwrap();
        let took = start.elapsed();
        assert!(pass.apps.iter().all(|app| app.error.is_none()), "{:?}", pass.apps);
        if !pass.commits.is_empty() {
            times.push(took);
        } else if pass.apps.iter().all(|app| app.phase == "Healthy") {
            break;
        }
    }
    assert!(times.len() > usize::try_from(STEPS).unwrap(), "only {} commits", times.len());
    // The first move renders the source and reads the mirror for the first time.
    (first, times.split_off(2))
}

/// A throw-away folder in memory where there is such: a disk's own housekeeping grows with what was written to it before, and
/// would be measured instead.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
