//! Programs that render: their errors are looked at again, and what they make of the same files begins nothing new.

use std::cell::Cell;
use std::path::Path;

use windlass::api::Observe;
use windlass::engine::Command;
use windlass::metrics::{MetricsError, Sample};
use windlass::observe::{Live, ObserveError, Sighting, Target};
use windlass::reconcile::{Overrides, Reconciler, Surroundings};
use windlass::sim::git::{MemoryGit, Remote};
use windlass::source::Options;

use super::{Quick, manifests, put, rollout};
use crate::source::kustomize::program;

/// The quick world, where helm prints a file.
struct Printing {
    quick: Quick,
    options: Options,
}

impl Printing {
    fn new(folder: &Path) -> Self {
        let helm = program(folder, &format!("cat '{}'", folder.join("output").display()));
        Self { quick: Quick(Cell::new(1_800_000_000)), options: Options { helm, ..Options::default() } }
    }
}

impl Surroundings for Printing {
    fn now(&self) -> jiff::Timestamp {
        self.quick.now()
    }
    fn observe(&self, how: &Observe, target: &Target, live: &Live<'_>) -> Result<Sighting, ObserveError> {
        self.quick.observe(how, target, live)
    }
    fn query(&self, source: &str, query: &str, now: jiff::Timestamp) -> Result<Vec<Sample>, MetricsError> {
        self.quick.query(source, query, now)
    }
    fn default_namespace(&self) -> String {
        self.quick.default_namespace()
    }
    fn back_off(&self, attempt: u32) {
        self.quick.back_off(attempt);
    }
    fn render_options(&self) -> Options {
        self.options.clone()
    }
}

fn repository() -> Remote {
    let remote = Remote::new("shop", "main", "deploy");
    let helm = "  source: {helm: {chart: ../../charts/web, values: [../values.yaml]}}\n";
    put(&remote, "main", "apps/web/rollout.yaml", Some(&rollout("web", helm).replace("{duration: 0}", "{}")));
    put(&remote, "main", "apps/values.yaml", Some("a: 1\n"));
    remote
}

fn prints(folder: &Path, version: usize) {
    std::fs::write(folder.join("output"), manifests("web", version)).unwrap();
}

/// Passes until nothing is written any more; the number of commits, and what is said at the end.
fn settle(process: &mut Reconciler<'_>, world: &Printing) -> (usize, String) {
    let mut commits = 0;
    for _ in 0..60 {
        world.quick.0.set(world.quick.0.get() + 10);
        let pass = process.pass().unwrap();
        if pass.commits.is_empty() {
            return (commits, pass.apps.iter().map(|app| serde_json::to_string(app).unwrap()).collect());
        }
        commits += pass.commits.len();
    }
    panic!("it does not come to rest")
}

fn process<'a>(remote: &Remote, world: &'a Printing) -> Reconciler<'a> {
    Reconciler::new(Box::new(MemoryGit::open(remote)), world, Overrides::default())
}

#[cfg(unix)]
#[test]
fn an_error_in_a_chart_elsewhere_goes_when_the_chart_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let (remote, world) = (repository(), Printing::new(folder.path()));
    prints(folder.path(), 1);
    let mut looking = process(&remote, &world);
    let (commits, told) = settle(&mut looking, &world);
    assert!(commits == 0 && told.contains("there is no such directory"), "{told}");
    put(&remote, "main", "charts/web/Chart.yaml", Some("name: web\nversion: 1.0.0\ndependencies: [{name: redis}]\n"));
    let (commits, told) = settle(&mut looking, &world);
    assert!(commits == 0 && told.contains("depends on `redis`"), "{told}");
    put(&remote, "main", "charts/web/Chart.yaml", Some("name: web\nversion: 1.0.0\n"));
    assert!(settle(&mut looking, &world).0 > 0, "adopted");
    put(&remote, "main", "apps/values.yaml", None);
    let (commits, told) = settle(&mut looking, &world);
    assert!(commits == 0 && told.contains("apps/values.yaml"), "{told}");
}

#[cfg(unix)]
#[test]
fn the_same_files_begin_nothing_whatever_is_made_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let (remote, world) = (repository(), Printing::new(folder.path()));
    put(&remote, "main", "charts/web/Chart.yaml", Some("name: web\nversion: 1.0.0\n"));
    prints(folder.path(), 1);
    assert!(settle(&mut process(&remote, &world), &world).0 > 0, "adopted");

    // Another version of helm, or another day: nobody has changed the source.
    prints(folder.path(), 2);
    let mut newcomer = process(&remote, &world);
    assert_eq!(settle(&mut newcomer, &world).0, 0);
    assert!(newcomer.forecast(None, None).unwrap().planned.is_empty(), "the plan says what `run` does");

    // Now somebody has, and takes it back.
    put(&remote, "main", "apps/values.yaml", Some("a: 2\n"));
    assert!(settle(&mut newcomer, &world).0 > 1, "a release, up to its approval");
    newcomer.say(None, &Command::Rollback { now: true }, "alice").unwrap();
    let (_, told) = settle(&mut newcomer, &world);
    assert!(told.contains("rejected candidate: alice"), "{told}");
    prints(folder.path(), 3);
    let mut newcomer = process(&remote, &world);
    let (commits, told) = settle(&mut newcomer, &world);
    assert!(commits == 0 && told.contains("render otherwise now"), "{told}");
    assert!(newcomer.forecast(None, None).unwrap().planned.is_empty());
    newcomer.say(None, &Command::Retry, "alice").unwrap();
    assert!(settle(&mut newcomer, &world).0 > 1, "a person's word begins it");
}
