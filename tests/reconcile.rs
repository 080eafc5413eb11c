//! The loop over one repository: what it remembers between passes must never be seen.

mod counted;
mod renders;
mod shared;

use std::cell::Cell;

use jiff::Timestamp;
use proptest::prelude::*;
use windlass::api::Observe;
use windlass::metrics::{MetricsError, Sample};
use windlass::observe::{Live, ObserveError, Observer as _, Sighting, Target, Timed};
use windlass::reconcile::{Overrides, Pass, Reconciler, Surroundings};
use windlass::sim::git::{MemoryGit, Remote};

use counted::Counted;

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

fn manifests(name: &str, version: usize) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  replicas: 2\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      \
         containers: [{{name: app, image: 'registry.example/{name}:{version}'}}]\n"
    )
}

fn rollout(name: &str, more: &str) -> String {
    format!(
        "apiVersion: windlass.dev/v1alpha1\nkind: Rollout\nmetadata: {{name: {name}}}\nspec:\n{more}  \
         workloadRef: {{apiVersion: apps/v1, kind: Deployment, name: {name}}}\n  strategy:\n    canary:\n      \
         steps: [{{replicas: 1, pause: {{duration: 0}}}}]\n"
    )
}

/// A repository of so many apps, `g0/a0`, `g0/a1`, …, four to a directory.
fn repository(apps: usize) -> Remote {
    let remote = Remote::new("shop", "main", "deploy");
    for number in 0..apps {
        let (directory, name) = (directory(number), format!("a{number}"));
        put(&remote, "main", &format!("{directory}/app.yaml"), Some(&manifests(&name, 1)));
        put(&remote, "main", &format!("{directory}/rollout.yaml"), Some(&rollout(&name, "")));
    }
    remote
}

fn directory(number: usize) -> String {
    format!("g{}/a{number}", number / 4)
}

fn put(remote: &Remote, branch: &str, path: &str, content: Option<&str>) {
    let time = 1_700_000_000 + i64::try_from(remote.updates()).unwrap();
    match branch {
        "main" => remote.commit_source(&[(path, content)], "by hand", time).unwrap(),
        _ => remote.commit_live(&[(path, content)], "by hand", time).unwrap(),
    };
}

/// Passes until nothing is written any more.
fn settle(process: &mut Reconciler<'_>, world: &Quick) -> Pass {
    for _ in 0..60 {
        world.0.set(world.0.get() + 10);
        let pass = process.pass().unwrap();
        if pass.commits.is_empty() {
            return pass;
        }
    }
    panic!("it does not come to rest")
}

fn shown(pass: &Pass) -> Vec<String> {
    pass.apps.iter().map(|app| serde_json::to_string(app).unwrap()).collect()
}

/// What a process says that has never looked before.
fn fresh(remote: &Remote, world: &Quick) -> Vec<String> {
    let mut process = Reconciler::new(Box::new(MemoryGit::open(remote)), world, Overrides::default());
    shown(&process.status().unwrap())
}

#[test]
fn at_rest_a_pass_reads_nothing_of_the_apps() {
    let reads = |apps: usize| {
        let (remote, world) = (repository(apps), Quick(Cell::new(1_800_000_000)));
        let counted = Counted::new(MemoryGit::open(&remote));
        let mut process = Reconciler::new(Box::new(counted.clone()), &world, Overrides::default());
        assert_eq!(settle(&mut process, &world).apps.len(), apps);
        process.brief = true;
        assert_eq!(process.pass().unwrap().apps.len(), 0, "nothing new is told of them");
        let quiet = counted.reads(|| drop(process.pass().unwrap()));
        put(&remote, "main", "notes.txt", Some("1"));
        let source = counted.reads(|| drop(process.pass().unwrap()));
        put(&remote, "deploy", "notes.txt", Some("1"));
        let live = counted.reads(|| drop(process.pass().unwrap()));
        put(&remote, "main", "g0/a1/app.yaml", Some(&manifests("a1", 2)));
        let pass = process.pass().unwrap();
        assert_eq!(pass.apps.iter().map(|app| app.app.as_str()).collect::<Vec<_>>(), ["g0/a1"]);
        assert_eq!(pass.commits.len(), 1);
        process.brief = false;
        assert_eq!(settle(&mut process, &world).apps.len(), apps, "who asks for all is told of all");
        (quiet, source, live)
    };
    let (few, many) = (reads(8), reads(40));
    assert_eq!(few, many);
    assert!(few.0 <= 1, "{few:?}: the settings at most");
}

#[derive(Debug, Clone)]
enum Deed {
    /// Another version of an app.
    Release(usize, usize),
    /// A comment, which changes the source and nothing that it says.
    Comment(usize, usize),
    /// A Rollout that cannot be read, or a good one.
    Break(usize, bool),
    /// The Rollout goes, or comes back.
    Gone(usize, bool),
    Disable(usize, bool),
    /// The Rollout gets another name in the same directory.
    Rename(usize, bool),
    /// Another directory wants an app's live path.
    Rival(usize, bool),
    /// Somebody changes a live path, or something beside all of them.
    Foreign(usize),
    Beside(bool),
    /// Somebody reverts the newest commit of the live branch.
    Revert,
    /// Somebody takes an app's home away.
    Lost(usize),
    /// Other settings.
    Mapped(bool),
    /// Another process does what is due.
    Other,
}

fn deed() -> impl Strategy<Value = Deed> {
    let app = 0..5usize;
    prop_oneof![
        4 => (app.clone(), 1..4usize).prop_map(|(app, version)| Deed::Release(app, version)),
        2 => (app.clone(), 0..3usize).prop_map(|(app, version)| Deed::Comment(app, version)),
        1 => (app.clone(), any::<bool>()).prop_map(|(app, on)| Deed::Break(app, on)),
        2 => (app.clone(), any::<bool>()).prop_map(|(app, on)| Deed::Gone(app, on)),
        1 => (app.clone(), any::<bool>()).prop_map(|(app, on)| Deed::Disable(app, on)),
        1 => (app.clone(), any::<bool>()).prop_map(|(app, on)| Deed::Rename(app, on)),
        1 => (app.clone(), any::<bool>()).prop_map(|(app, on)| Deed::Rival(app, on)),
        2 => app.clone().prop_map(Deed::Foreign),
        1 => any::<bool>().prop_map(Deed::Beside),
        2 => Just(Deed::Revert),
        1 => app.prop_map(Deed::Lost),
        1 => any::<bool>().prop_map(Deed::Mapped),
        1 => Just(Deed::Other),
    ]
}

fn carry_out(deed: &Deed, remote: &Remote, world: &Quick) {
    let source = |path: String, content: Option<&str>| put(remote, "main", &path, content);
    let file = |app: usize| format!("{}/rollout.yaml", directory(app));
    let name = |app: usize| format!("a{app}");
    match *deed {
        Deed::Release(app, version) => source(format!("{}/app.yaml", directory(app)), Some(&manifests(&name(app), version))),
        Deed::Comment(app, text) => source(format!("{}/note.txt", directory(app)), Some(&format!("{text}\n"))),
        Deed::Break(app, true) => source(file(app), Some("kind: Rollout\nspec: [\n")),
        Deed::Gone(app, true) => source(file(app), None),
        Deed::Disable(app, true) => source(file(app), Some(&rollout(&name(app), "  disabled: true\n"))),
        Deed::Rename(app, true) => {
            let text = rollout("other", "").replace("Deployment, name: other", &format!("Deployment, name: {}", name(app)));
            source(file(app), Some(&text));
        }
        Deed::Break(app, false) | Deed::Gone(app, false) | Deed::Disable(app, false) | Deed::Rename(app, false) => {
            source(file(app), Some(&rollout(&name(app), "")));
        }
        Deed::Rival(app, on) => {
            // By the settings `rival/…` has the same live paths.
            let (text, more) = (manifests(&name(app), 7), rollout(&name(app), ""));
            source(format!("rival/a{app}/app.yaml"), on.then_some(text.as_str()));
            source(format!("rival/a{app}/rollout.yaml"), on.then_some(more.as_str()));
        }
        Deed::Foreign(app) => {
            let path = format!("{}/deployment-a{app}.yaml", directory(app));
            put(remote, "deploy", &path, Some(&format!("# {}\n{}", remote.updates(), manifests(&name(app), 9))));
        }
        Deed::Beside(live) => {
            put(remote, if live { "deploy" } else { "main" }, "beside.txt", Some(&remote.updates().to_string()));
        }
        Deed::Revert => {
            let newest = remote.log("deploy").unwrap().remove(0);
            let _ = remote.revert("deploy", newest.id, 1_750_000_000);
        }
        Deed::Lost(app) => {
            let head = remote.head("deploy").unwrap();
            let home = format!(".windlass/{}", directory(app));
            for path in remote.files(head, &home).unwrap().keys() {
                put(remote, "deploy", &format!("{home}/{path}"), None);
            }
        }
        Deed::Mapped(on) => {
            let text = "apiVersion: windlass.dev/v1alpha1\nkind: Repository\npaths: {rival: g0}\n";
            source(".windlass.yaml".to_owned(), on.then_some(text));
        }
        Deed::Other => {
            let mut other = Reconciler::new(Box::new(MemoryGit::open(remote)), world, Overrides::default());
            let _ = other.pass();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// One process looks on and on, and has put to sleep what rests. After whatever people do it must say, app by app, what
    /// a process says that reads everything for the first time.
    #[test]
    fn who_remembers_sees_what_a_newcomer_sees(deeds in proptest::collection::vec((deed(), any::<bool>()), 1..14)) {
        let (remote, world) = (repository(5), Quick(Cell::new(1_800_000_000)));
        let mut process = Reconciler::new(Box::new(MemoryGit::open(&remote)), &world, Overrides::default());
        settle(&mut process, &world);
        for (deed, look) in &deeds {
            carry_out(deed, &remote, &world);
            if *look {
                let told = settle(&mut process, &world);
                prop_assert_eq!(shown(&told), fresh(&remote, &world), "after {:?} of {:?}", deed, deeds);
            }
        }
        let told = settle(&mut process, &world);
        prop_assert_eq!(shown(&told), fresh(&remote, &world), "after {:?}", deeds);
        let before = remote.updates();
        let mut other = Reconciler::new(Box::new(MemoryGit::open(&remote)), &world, Overrides::default());
        other.pass().unwrap();
        prop_assert_eq!(remote.updates(), before, "a newcomer has something to do after {:?}", deeds);
    }
}

/// The settings choose live paths, so everything is looked at when they change.
#[test]
fn other_settings_wake_everything() {
    let (remote, world) = (repository(3), Quick(Cell::new(1_800_000_000)));
    let mut process = Reconciler::new(Box::new(MemoryGit::open(&remote)), &world, Overrides::default());
    settle(&mut process, &world);
    process.brief = true;
    process.pass().unwrap();
    let text = "apiVersion: windlass.dev/v1alpha1\nkind: Repository\nauthor: {name: Wind, email: w@example.com}\n";
    put(&remote, "main", ".windlass.yaml", Some(text));
    assert_eq!(process.pass().unwrap().apps.len(), 3);
}
