//! What is kept in view: listed, watched, taken up again, given up.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use windlass::observe::{COMMIT_TREE, KubernetesObserver, KubernetesOptions, Observer, Sighting, Target, Wake, Watching};

use super::kubernetes::{MARK, World, kubeconfig, not_found, target};
use super::lineage::{OLDER, OURS, live};
use crate::metrics::server::{Request, Server, respond};

const LONG: Duration = Duration::from_secs(20);

/// An API server with versions, watches and troubles.
#[derive(Clone)]
struct Api {
    state: Arc<Mutex<State>>,
}

struct State {
    version: u64,
    /// Resource (`deployments`, …) → objects.
    objects: BTreeMap<&'static str, Vec<Value>>,
    /// Resource, event.
    events: Vec<(&'static str, u64, Value)>,
    /// Watches end as soon as this rises.
    cuts: u32,
    /// Versions below this are gone.
    compacted: u64,
    /// `watch` and `list` of single objects are forbidden.
    forbids: bool,
    /// Every request is answered with 503.
    down: bool,
}

impl Api {
    fn start(deployment: Value, sets: Vec<Value>) -> (Self, Server) {
        let objects = BTreeMap::from([("deployments", vec![deployment]), ("replicasets", sets), ("kustomizations", Vec::new())]);
        let state = State { version: 100, objects, events: Vec::new(), cuts: 0, compacted: 0, forbids: false, down: false };
        let api = Self { state: Arc::new(Mutex::new(state)) };
        let same = api.clone();
        let server = Server::start(move |request, stream| same.answer(request, stream));
        (api, server)
    }

    fn answer(&self, request: &Request, stream: &mut TcpStream) {
        let (path, query) = request.path().split_once('?').unwrap_or((request.path(), ""));
        let parts: Vec<&str> = path.trim_start_matches("/apis/").split('/').collect();
        let resource = ["deployments", "replicasets", "kustomizations"].into_iter().find(|name| parts.contains(name));
        let Some(resource) = resource else {
            return respond(stream, "404 Not Found", &[], not_found(path).to_string().as_bytes());
        };
        let state = self.state.lock().unwrap();
        let named = parts.last().filter(|last| **last != resource);
        if state.down {
            return respond(stream, "503 Service Unavailable", &[], b"");
        }
        if state.forbids && named.is_none() && (resource != "replicasets" || query.contains("watch=true")) {
            let text = json!({"kind": "Status", "status": "Failure", "message": "no", "reason": "Forbidden", "code": 403});
            return respond(stream, "403 Forbidden", &[], text.to_string().as_bytes());
        }
        let objects = state.objects.get(resource).cloned().unwrap_or_default();
        match named {
            Some(name) => match objects.iter().find(|object| object["metadata"]["name"] == **name) {
                Some(object) => respond(stream, "200 OK", &[], object.to_string().as_bytes()),
                None => respond(stream, "404 Not Found", &[], not_found(path).to_string().as_bytes()),
            },
            None if query.contains("watch=true") => {
                drop(state);
                let from = query.split('&').find_map(|pair| pair.strip_prefix("resourceVersion=")).unwrap();
                self.watch(resource, from.parse().unwrap(), stream);
            }
            None => {
                let list = json!({"metadata": {"resourceVersion": state.version.to_string()}, "items": objects});
                respond(stream, "200 OK", &[], list.to_string().as_bytes());
            }
        }
    }

    fn watch(&self, resource: &str, mut from: u64, stream: &mut TcpStream) {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
        let cuts = self.state.lock().unwrap().cuts;
        if stream.write_all(head.as_bytes()).is_err() {
            return;
        }
        let start = Instant::now();
        while start.elapsed() < LONG {
            let state = self.state.lock().unwrap();
            if state.cuts != cuts || state.down {
                return;
            }
            if from < state.compacted {
                let gone = json!({"type": "ERROR", "object": {"kind": "Status", "status": "Failure", "message": "too old", "reason": "Expired", "code": 410}});
                let _ = stream.write_all(format!("{gone}\n").as_bytes());
                return;
            }
            let fresh: Vec<_> =
                state.events.iter().filter(|(of, version, _)| *of == resource && *version > from).cloned().collect();
            drop(state);
            for (_, version, event) in fresh {
                if stream.write_all(format!("{event}\n").as_bytes()).is_err() {
                    return;
                }
                from = version;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap())
    }

    /// Changes the first object of a resource, and tells the watches.
    fn change(&self, resource: &'static str, change: impl FnOnce(&mut Value)) {
        self.with(|state| {
            state.version += 1;
            let object = &mut state.objects.get_mut(resource).unwrap()[0];
            change(object);
            object["metadata"]["resourceVersion"] = json!(state.version.to_string());
            let event = json!({"type": "MODIFIED", "object": object});
            state.events.push((resource, state.version, event));
        });
    }

    fn put(&self, resource: &'static str, mut object: Value) {
        self.with(|state| {
            state.version += 1;
            object["metadata"]["resourceVersion"] = json!(state.version.to_string());
            state.events.push((resource, state.version, json!({"type": "ADDED", "object": object})));
            state.objects.get_mut(resource).unwrap().push(object);
        });
    }

    fn remove(&self, resource: &'static str) {
        self.with(|state| {
            state.version += 1;
            let object = state.objects.get_mut(resource).unwrap().remove(0);
            state.events.push((resource, state.version, json!({"type": "DELETED", "object": object})));
        });
    }
}

struct Desk {
    api: Api,
    server: Server,
    observer: KubernetesObserver,
    wake: Arc<Wake>,
    _file: tempfile::NamedTempFile,
}

fn quick() -> Watching {
    Watching {
        lasts: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        settles: Duration::from_millis(50),
        pause: Duration::from_millis(200),
    }
}

fn desk(watching: Watching) -> Desk {
    let World { deployment, sets } = World::held();
    let (api, server) = Api::start(deployment, sets);
    let file = kubeconfig(&server.url());
    let options = KubernetesOptions {
        kubeconfig: Some(file.path().to_owned()),
        watching,
        timeout: Duration::from_secs(5),
        ..KubernetesOptions::default()
    };
    let mut observer = KubernetesObserver::connect(&options).unwrap();
    let wake = Arc::<Wake>::default();
    observer.follow(Arc::clone(&wake));
    Desk { api, server, observer, wake, _file: file }
}

impl Desk {
    fn look(&self) -> Sighting {
        self.observer.observe(&target()).unwrap()
    }

    /// Requests so far: (get and list, watch).
    fn requests(&self) -> (usize, usize) {
        let seen = self.server.seen();
        let watches = seen.iter().filter(|request| request.path().contains("watch=true")).count();
        (seen.len() - watches, watches)
    }

    /// Looks until no look costs a request.
    fn until_kept(&self) {
        until(|| {
            self.look();
            let before = self.requests();
            self.look();
            self.look();
            self.requests() == before
        });
    }
}

fn until(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LONG, "this did not come about");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn mark(object: &mut Value, mark: &str) {
    object["metadata"]["annotations"][COMMIT_TREE] = json!(mark);
}

#[test]
fn a_look_costs_nothing_and_a_change_rings() {
    let desk = desk(quick());
    assert!(desk.look().applied, "the first look reads for itself");
    desk.until_kept();
    while desk.wake.wait(Duration::from_millis(200)) {}
    let (gets, _) = desk.requests();
    desk.api.change("deployments", |deployment| mark(deployment, "1234abcd00"));
    assert!(desk.wake.wait(LONG), "a change rings");
    let sighting = desk.look();
    assert!(!sighting.applied && sighting.missing.unwrap().contains("1234abcd"));
    desk.api.change("deployments", |deployment| mark(deployment, MARK));
    desk.api.change("replicasets", |set| set["status"]["readyReplicas"] = json!(7));
    until(|| desk.look().workload.unwrap().ready == 9);
    assert!(desk.look().applied);
    // a set that goes, and the Deployment itself
    desk.api.remove("replicasets");
    until(|| desk.look().workload.unwrap().replicas == 2);
    desk.api.remove("deployments");
    until(|| desk.look().workload.is_none());
    assert_eq!(desk.requests().0, gets, "all of that without a single request");
    // nothing that is judged: nobody is woken
    while desk.wake.wait(Duration::from_millis(200)) {}
    desk.api.with(|state| {
        state.objects.get_mut("replicasets").unwrap()[0]["metadata"]["managedFields"] = json!([{"manager": "x"}]);
    });
    desk.api.change("replicasets", |_| {});
    assert!(!desk.wake.wait(Duration::from_millis(300)), "a change of the version alone");
}

#[test]
fn a_lost_watch_goes_on_where_it_was() {
    let desk = desk(quick());
    desk.until_kept();
    let (gets, watches) = desk.requests();
    desk.api.with(|state| state.cuts += 1);
    until(|| desk.requests().1 > watches);
    desk.until_kept();
    let lists = desk
        .server
        .seen()
        .iter()
        .filter(|request| request.path().contains("deployments?") && !request.path().contains("watch"))
        .count();
    assert_eq!(lists, 1, "not listed again");
    assert!(desk.requests().0 > gets, "meanwhile looks read for themselves");
    desk.api.change("deployments", |deployment| mark(deployment, "1234abcd00"));
    until(|| !desk.look().applied);
}

#[test]
fn what_happened_while_the_server_was_away_is_known_afterwards() {
    let desk = desk(quick());
    desk.until_kept();
    desk.api.with(|state| state.down = true);
    until(|| desk.observer.observe(&target()).is_err());
    desk.api.change("deployments", |deployment| mark(deployment, "1234abcd00"));
    desk.api.with(|state| state.down = false);
    // Never an answer of before: no look may say that the old commit is applied.
    until(|| match desk.observer.observe(&target()) {
        Ok(sighting) => {
            assert!(!sighting.applied, "a look answered from what it had before");
            true
        }
        Err(_) => false,
    });
    desk.until_kept();
    assert!(!desk.look().applied);
}

#[test]
fn a_version_that_is_gone_is_listed_anew() {
    let desk = desk(quick());
    desk.until_kept();
    desk.api.with(|state| {
        state.version = 500;
        state.compacted = 400;
        state.cuts += 1;
        mark(&mut state.objects.get_mut("deployments").unwrap()[0], "1234abcd00");
    });
    until(|| !desk.look().applied);
    desk.until_kept();
    assert!(!desk.look().applied);
    let lists = desk
        .server
        .seen()
        .iter()
        .filter(|request| request.path().contains("deployments?") && !request.path().contains("watch"))
        .count();
    assert!(lists >= 2, "{lists}");
}

#[test]
fn who_may_not_watch_reads_at_each_look() {
    let desk = desk(quick());
    desk.api.with(|state| state.forbids = true);
    assert!(desk.look().applied);
    std::thread::sleep(Duration::from_millis(300));
    desk.api.change("deployments", |deployment| mark(deployment, "1234abcd00"));
    assert!(!desk.look().applied, "each look reads");
}

#[test]
fn a_server_that_ends_each_watch_at_once_is_not_besieged() {
    let desk = desk(quick());
    let stop = Instant::now() + Duration::from_secs(2);
    while Instant::now() < stop {
        desk.api.with(|state| state.cuts += 1);
        assert!(desk.look().applied);
        std::thread::sleep(Duration::from_millis(20));
    }
    let (_, watches) = desk.requests();
    assert!(watches < 40, "{watches} watches in two seconds");
}

#[test]
fn what_nobody_looks_at_is_watched_no_more() {
    let desk = desk(Watching { idle: Duration::from_millis(300), lasts: Duration::from_secs(1), ..quick() });
    desk.until_kept();
    // The server's end of a watch comes after a second here; then it is seen that nobody has looked.
    std::thread::sleep(Duration::from_millis(500));
    desk.api.with(|state| state.cuts += 1);
    std::thread::sleep(Duration::from_millis(500));
    let before = desk.requests();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(desk.requests(), before, "nothing is asked while nobody looks");
    desk.until_kept();
    assert!(desk.requests().1 > before.1, "a look begins it anew");
}

fn kustomization(revision: &str) -> Value {
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "shop", "namespace": "flux-system", "generation": 1, "managedFields": [{"manager": "flux"}]},
        "spec": {"path": "./", "sourceRef": {"kind": "GitRepository", "name": "live"}},
        "status": {"observedGeneration": 1, "lastAppliedRevision": format!("deploy@sha1:{revision}"), "inventory": {"entries": []}},
    })
}

#[test]
fn a_kustomization_is_kept_in_view_too() {
    let desk = desk(quick());
    let look = || desk.observer.flux("flux-system", "shop", &live("apps/shop"), &target()).unwrap();
    assert_eq!(look().missing.unwrap(), "Kustomization flux-system/shop does not exist");
    assert!(look().workload.is_some(), "the pods are counted all the same");
    desk.api.put("kustomizations", kustomization(OLDER));
    until(|| look().missing.is_some_and(|missing| missing.contains("before the commit")));
    desk.api.change("kustomizations", |object| *object = kustomization(OURS));
    until(|| look().applied);
    // both must say so; from now on looks take what is kept, which never goes back
    desk.until_kept();
    desk.api.change("deployments", |deployment| mark(deployment, "1234abcd00"));
    until(|| !look().applied);
    assert!(look().missing.unwrap().contains("the live Deployment carries commit-tree 1234abcd"));
}

/// The service looks at all apps with one observer.
#[test]
fn an_observer_that_watches_may_be_dropped_inside_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let desk = desk(quick());
        assert!(desk.look().applied);
        let other = Target { namespace: "other".to_owned(), ..target() };
        drop(desk.observer.observe(&other));
        drop(desk);
    });
}
