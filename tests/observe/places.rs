//! What the loop tells an observer of revisions: the real answer, from a repository with people in it.

use std::cell::RefCell;

use jiff::Timestamp;
use windlass::api::Observe;
use windlass::engine::Command;
use windlass::git::Oid;
use windlass::metrics::{MetricsError, Sample};
use windlass::observe::{Live, ObserveError, Place, Sighting, Target};
use windlass::reconcile::{Overrides, Reconciler, Surroundings};
use windlass::sim::git::{MemoryGit, Remote};
use windlass::sim::world::{EPOCH, World};

/// The simulated world, in which each look asks for places.
struct Spy {
    world: World,
    asked: RefCell<Vec<String>>,
    told: RefCell<Vec<Place>>,
    about: RefCell<(String, String, String)>,
}

impl Surroundings for Spy {
    fn now(&self) -> Timestamp {
        self.world.now()
    }

    fn observe(&self, how: &Observe, target: &Target, live: &Live<'_>) -> Result<Sighting, ObserveError> {
        *self.told.borrow_mut() = self.asked.borrow().iter().map(|revision| live.lineage.place(revision)).collect();
        *self.about.borrow_mut() = (live.app.to_owned(), live.path.to_owned(), live.branch.to_owned());
        self.world.observe(how, target, live)
    }

    fn query(&self, source: &str, query: &str, now: Timestamp) -> Result<Vec<Sample>, MetricsError> {
        self.world.query(source, query, now)
    }

    fn default_namespace(&self) -> String {
        "shop".to_owned()
    }

    fn back_off(&self, _attempt: u32) {}

    fn render_options(&self) -> windlass::source::Options {
        windlass::source::Options::default()
    }
}

fn files(image: &str) -> [(&'static str, String); 2] {
    let deployment = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: shop, namespace: shop}}\nspec:\n  replicas: 4\n  selector: {{matchLabels: {{app: shop}}}}\n  \
         template:\n    metadata: {{labels: {{app: shop}}}}\n    spec: {{containers: [{{name: app, image: \"shop:{image}\"}}]}}\n"
    );
    let rollout = "apiVersion: windlass.dev/v1alpha1\nkind: Rollout\nmetadata: {name: shop, namespace: shop}\nspec:\n  \
         workloadRef: {apiVersion: apps/v1, kind: Deployment, name: shop}\n  observe: {flux: {}}\n  strategy:\n    canary:\n      steps: [{replicas: 1, pause: {}}, {replicas: 100%}]\n";
    [("apps/shop/app.yaml", deployment), ("apps/shop/rollout.yaml", rollout.to_owned())]
}

struct Desk {
    remote: Remote,
    spy: Spy,
}

impl Desk {
    fn source(&self, image: &str) {
        let files = files(image);
        let files: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (*path, Some(text.as_str()))).collect();
        self.remote.commit_source(&files, image, EPOCH).unwrap();
    }

    fn reconciler(&self) -> Reconciler<'_> {
        Reconciler::new(Box::new(MemoryGit::open(&self.remote)), &self.spy, Overrides::default())
    }

    fn head(&self) -> Oid {
        self.remote.head("deploy").unwrap()
    }

    /// One pass; gives where these revisions stand.
    fn places(&self, reconciler: &mut Reconciler<'_>, revisions: &[&str]) -> Vec<Place> {
        *self.spy.asked.borrow_mut() = revisions.iter().map(|revision| (*revision).to_owned()).collect();
        self.spy.told.borrow_mut().clear();
        reconciler.pass().unwrap();
        let told = self.spy.told.borrow().clone();
        assert_eq!(told.len(), revisions.len(), "nobody looked");
        told
    }
}

#[test]
fn a_revision_is_told_by_ancestry_and_by_the_live_path() {
    use Place::{Elsewhere, Older, Ours, Superseded, Unknown};
    let spy = Spy {
        world: World::new("shop", "shop.example", 1_000, 7),
        asked: RefCell::default(),
        told: RefCell::default(),
        about: RefCell::default(),
    };
    let desk = Desk { remote: Remote::new("shop", "main", "deploy"), spy };
    desk.source("1");
    let mut reconciler = desk.reconciler();
    reconciler.pass().unwrap();
    let adopted = desk.head().to_string();
    desk.spy.world.publish(&*reconciler.repo, Some(desk.head())).unwrap();
    desk.spy.world.advance(60_000);
    desk.source("2");
    reconciler.pass().unwrap();
    let moved = desk.head().to_string();
    assert_ne!(adopted, moved);
    let source = desk.remote.head("main").unwrap().to_string();
    let none = "0123456789012345678901234567890123456789";
    let all = [moved.as_str(), &adopted, &source, none, "deploy", ""];
    assert_eq!(desk.places(&mut reconciler, &all), [Ours, Older, Elsewhere, Unknown, Unknown, Unknown]);
    assert_eq!(*desk.spy.about.borrow(), ("shop".to_owned(), "apps/shop".to_owned(), "deploy".to_owned()));

    // Somebody else's commit, elsewhere on the branch; a person's word, which changes only what is remembered.
    let other = desk.remote.commit_live(&[("apps/cart/x.yaml", Some("a: b\n"))], "cart", EPOCH).unwrap().to_string();
    assert_eq!(desk.places(&mut reconciler, &[&other, &moved, &adopted]), [Ours, Ours, Older]);
    reconciler.say(Some("shop"), &Command::Pause { why: None }, "alice").unwrap();
    let said = desk.head().to_string();
    assert_eq!(desk.places(&mut reconciler, &[&said, &other, &moved]), [Ours, Ours, Ours]);

    // In our path: superseded, until it is taken back.
    let live = desk.remote.commit_live(&[("apps/shop/extra.yaml", Some("a: b\n"))], "by hand", EPOCH).unwrap();
    let foreign = live.to_string();
    assert_eq!(desk.places(&mut reconciler, &[&foreign, &moved, &adopted]), [Superseded, Ours, Older]);
    let back = desk.remote.revert("deploy", live, EPOCH).unwrap().to_string();
    assert_eq!(desk.places(&mut reconciler, &[&back, &foreign, &adopted]), [Ours, Superseded, Older]);
    // Who has seen nothing of it says: before the newest commit that brought these files.
    let mut fresh = desk.reconciler();
    assert_eq!(desk.places(&mut fresh, &[&back, &foreign, &moved, &adopted]), [Ours, Older, Older, Older]);

    // A rewritten branch: what is gone from it is of another history.
    desk.remote.force_push("deploy", Oid::from_str(&moved).unwrap()).unwrap();
    assert_eq!(desk.places(&mut reconciler, &[&moved, &adopted, &foreign]), [Ours, Older, Elsewhere]);
}
