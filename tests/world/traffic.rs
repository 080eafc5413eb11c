//! Who answers, what the observer sees, how an applier brings a commit, and what is measured of it all.

use serde_json::{Value, json};
use windlass::manifest::{Object, ObjectKey, ObjectSet};
use windlass::metrics::{MetricsError, Source};
use windlass::observe::{ObserveError, Observer, Target};
use windlass::sim::cluster::{Applier, Cluster, Outcome, Request};
use windlass::sim::metrics::{Behaviour, Model, Silence};

use super::kit::{NAMESPACE, Step, key, play};

fn object(value: Value) -> Object {
    Object::new(value).unwrap()
}

fn service(name: &str, selector: Value) -> Object {
    object(
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": selector, "ports": [{"port": 80}]}}),
    )
}

fn ingress(name: &str, service: &str, annotations: Value) -> Object {
    let backend = json!({"service": {"name": service, "port": {"number": 80}}});
    object(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": name, "annotations": annotations},
        "spec": {"rules": [{"host": "shop.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]},
    }))
}

fn route(backends: Value, more: Vec<Value>) -> Object {
    let mut rules = more;
    rules.push(json!({"backendRefs": backends}));
    object(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "shop"},
        "spec": {"hostnames": ["shop.example"], "rules": rules},
    }))
}

/// Two Deployments that stand for two versions, behind a Service each.
fn two_versions(more: Vec<Object>) -> Cluster {
    let mut cluster = Cluster::new(NAMESPACE);
    let mut set: ObjectSet = ["blue", "green"].iter().map(|name| Step::plain(2, "v1:1").deployment(name)).collect();
    for name in ["blue", "green"] {
        set.insert(service(name, json!({"app": name})));
    }
    set.insert(service("nobody", json!({"app": "nobody"})));
    more.into_iter().for_each(|object| drop(set.insert(object)));
    cluster.apply(&set).unwrap();
    cluster.advance(1000);
    cluster
}

fn part(cluster: &Cluster, request: &Request, app: &str) -> f64 {
    cluster.traffic(request, "app").unwrap().of(app)
}

#[test]
fn a_service_spreads_over_its_ready_pods() {
    let mut cluster = Cluster::new(NAMESPACE);
    let apply = |cluster: &mut Cluster, step: Step| {
        let mut set = step.set("shop");
        set.insert(service("shop", json!({"app": "shop"})));
        cluster.apply(&set).unwrap();
    };
    apply(&mut cluster, Step::plain(4, "v1:1"));
    assert_eq!(cluster.service_traffic(NAMESPACE, "shop", "pod-template-hash").nobody, 1.0, "nothing is Ready yet");
    cluster.advance(1000);
    let old = cluster.newest(&key("shop")).unwrap().hash.clone();
    apply(&mut cluster, Step::shift(4, "v2:1", 1));
    cluster.advance(299);
    assert_eq!(cluster.service_traffic(NAMESPACE, "shop", "pod-template-hash").of(&old), 1.0);
    cluster.advance(1000);
    let new = cluster.newest(&key("shop")).unwrap().hash.clone();
    let shares = cluster.service_traffic(NAMESPACE, "shop", "pod-template-hash");
    assert_eq!((shares.of(&old), shares.of(&new), shares.nobody), (0.75, 0.25, 0.0));
    assert_eq!(cluster.service_traffic("elsewhere", "shop", "app").nobody, 1.0);
}

#[test]
fn nginx_asks_header_then_cookie_then_weight() {
    let canary = |more: Value| {
        let mut annotations = json!({"nginx.ingress.kubernetes.io/canary": "true"});
        for (name, value) in more.as_object().unwrap() {
            annotations[format!("nginx.ingress.kubernetes.io/{name}")] = value.clone();
        }
        two_versions(vec![ingress("shop", "blue", json!({})), ingress("shop-canary", "green", annotations)])
    };
    let plain = Request::to("shop.example");
    let cluster = canary(json!({"canary-weight": "20"}));
    assert_eq!((part(&cluster, &plain, "green"), part(&cluster, &plain, "blue")), (0.2, 0.8));
    let cluster = canary(json!({"canary-by-header": "X-Canary", "canary-by-cookie": "canary", "canary-weight": "5"}));
    assert_eq!(part(&cluster, &plain.clone().header("x-canary", "always"), "green"), 1.0);
    assert_eq!(part(&cluster, &plain.clone().header("x-canary", "never").cookie("canary", "always"), "green"), 0.0);
    assert_eq!(part(&cluster, &plain.clone().header("x-canary", "else").cookie("canary", "always"), "green"), 1.0);
    assert_eq!(part(&cluster, &plain, "green"), 0.05);
    let cluster = canary(json!({"canary-by-header": "X-User", "canary-by-header-value": "alice"}));
    assert_eq!(part(&cluster, &plain.clone().header("x-user", "alice"), "green"), 1.0);
    assert_eq!(part(&cluster, &plain.clone().header("x-user", "always"), "green"), 0.0);
    let cluster = canary(json!({"canary-by-header": "X-User", "canary-by-header-pattern": "^a.*e$"}));
    assert_eq!(part(&cluster, &plain.clone().header("x-user", "alice"), "green"), 1.0);
    assert!(canary(json!({"canary-weight": "some"})).traffic(&plain, "app").is_err());
    assert!(cluster.traffic(&Request::to("other.example"), "app").is_err());
}

#[test]
fn an_httproute_weighs_its_backends_and_the_closest_match_wins() {
    let canary = json!({
        "matches": [{"headers": [{"name": "X-Canary", "value": "1"}]}], "backendRefs": [{"name": "green"}],
    });
    let weights = json!([{"name": "blue", "weight": 3}, {"name": "green", "weight": 1}]);
    let cluster = two_versions(vec![route(weights, vec![canary])]);
    let plain = Request::to("shop.example");
    assert_eq!((part(&cluster, &plain, "blue"), part(&cluster, &plain, "green")), (0.75, 0.25));
    assert_eq!(part(&cluster, &plain.clone().header("x-canary", "1"), "green"), 1.0);
    let cluster = two_versions(vec![route(json!([{"name": "blue", "weight": 9}, {"name": "nobody"}]), vec![])]);
    assert_eq!(cluster.traffic(&plain, "app").unwrap().nobody, 0.1);
    let cluster = two_versions(vec![route(json!([{"name": "blue", "weight": 0}]), vec![])]);
    assert_eq!(cluster.traffic(&plain, "app").unwrap().nobody, 1.0);
}

// --- the API server ---

#[test]
fn apply_takes_back_what_it_set_and_leaves_what_others_set() {
    let mut cluster = Cluster::new(NAMESPACE);
    let no_size = |step: Step| Step { replicas: None, ..step };
    play(&mut cluster, "shop", &Step::shift(10, "v1:1", 4));
    let live = cluster.live(&key("shop")).unwrap();
    assert_eq!(live.get("/spec/strategy/rollingUpdate/maxUnavailable"), Some(&json!(4)));
    // The fields of the hold go, and the API's defaults are back; a size that nobody names is an autoscaler's.
    play(&mut cluster, "shop", &no_size(Step::plain(1, "v1:1")));
    let live = cluster.live(&key("shop")).unwrap();
    assert_eq!(live.get("/spec/strategy/rollingUpdate"), Some(&json!({"maxSurge": "25%", "maxUnavailable": "25%"})));
    assert_eq!(live.get("/spec/minReadySeconds"), Some(&json!(0)));
    assert_eq!(live.get("/spec/replicas"), Some(&json!(1)));
    assert!(cluster.scale(&key("shop"), 6).unwrap());
    play(&mut cluster, "shop", &no_size(Step::plain(1, "v2:1")));
    assert_eq!(super::kit::of(&cluster, "shop", "v2:1"), (6, 6));
    cluster.apply(&ObjectSet::default()).unwrap();
    cluster.advance(1000);
    assert_eq!(cluster.pods_of(&key("shop")).count(), 0);
    assert!(cluster.live(&key("shop")).is_none());
}

#[test]
fn what_the_api_server_refuses_is_refused_whole() {
    let mut cluster = Cluster::new(NAMESPACE);
    play(&mut cluster, "shop", &Step::plain(2, "v1:1"));
    for step in [
        Step::held(2, "v2:1", json!(0), json!(0)),
        Step::held(2, "v2:1", json!(0), json!("101%")),
        Step::held(2, "v2:1", json!(-1), json!(1)),
        Step::plain(2, "v2:1").with("minReadySeconds", json!(600)),
        Step::plain(2, "v2:1").with("strategy", json!({"type": "Recreate"})),
    ] {
        let mut set = step.set("shop");
        set.insert(service("another", json!({"app": "shop"})));
        assert!(cluster.apply(&set).is_err(), "{step:?}");
        assert_eq!(cluster.objects().count(), 1);
    }
    cluster.advance(1000);
    assert_eq!(super::kit::of(&cluster, "shop", "v1:1"), (2, 2));
}

#[test]
fn the_observer_tells_applied_from_taken_up() {
    let mut cluster = Cluster::new(NAMESPACE);
    let marked = |mark: &str, image| {
        let mut object = Step::plain(2, image).deployment("shop");
        object.set(&["metadata", "annotations", "windlass.dev/commit-tree"], json!(mark));
        [object].into_iter().collect::<ObjectSet>()
    };
    let target = Target {
        namespace: NAMESPACE.to_owned(),
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        name: "shop".to_owned(),
        described: None,
        mark: "t2".to_owned(),
        committed_at: 0,
        now: 0,
    };
    assert_eq!(cluster.observe(&target).unwrap().workload, None);
    cluster.apply(&marked("t1", "v1:1")).unwrap();
    cluster.advance(1000);
    assert!(!cluster.observe(&target).unwrap().applied);
    cluster.set_controller_lag(500);
    cluster.apply(&marked("t2", "v2:1")).unwrap();
    let seen = cluster.observe(&target).unwrap();
    assert!(!seen.applied && seen.missing.is_some(), "the mark is there, and the controller has not looked");
    cluster.advance(2000);
    let seen = cluster.observe(&target).unwrap();
    assert!(seen.applied);
    let workload = seen.workload.unwrap();
    assert_eq!((workload.size, workload.replicas, workload.updated, workload.updated_ready, workload.available), (2, 2, 2, 2, 2));
    assert_eq!(workload.revision_label.unwrap().1, cluster.newest(&key("shop")).unwrap().hash);
    let other = Target { kind: "ReplicaSet".to_owned(), ..target };
    assert!(matches!(cluster.observe(&other), Err(ObserveError::Refused { .. })));
}

// --- the applier ---

#[test]
fn the_applier_comes_late_skips_and_heals() {
    let mut cluster = Cluster::new(NAMESPACE);
    let mut applier = Applier::new(1000);
    let set = |image| Step::plain(2, image).set("shop");
    applier.submit(0, "c1", set("v1:1"));
    applier.submit(400, "c2", set("v2:1"));
    assert_eq!(applier.next_due(), Some(1000));
    let done = applier.advance_to(&mut cluster, 5000);
    assert_eq!(done.len(), 1, "c1 was never applied");
    assert_eq!((done[0].at, applier.applied()), (1000, Some("c2")));
    applier.suspended = true;
    applier.submit(5000, "c3", set("v3:1"));
    assert!(applier.advance_to(&mut cluster, 9000).is_empty());
    applier.suspended = false;
    applier.break_after = Some(0);
    let outcomes: Vec<Outcome> = applier.advance_to(&mut cluster, 20_000).into_iter().map(|done| done.outcome).collect();
    assert_eq!(outcomes, [Outcome::Partial(0), Outcome::Applied]);
    assert_eq!(super::kit::of(&cluster, "shop", "v3:1"), (2, 2));
    cluster.scale(&key("shop"), 5).unwrap();
    applier.heal_every_ms = Some(3000);
    assert!(applier.advance_to(&mut cluster, 30_000).iter().all(|done| done.outcome == Outcome::Healed));
    assert_eq!(super::kit::of(&cluster, "shop", "v3:1"), (2, 2));
    applier.submit(30_000, "c4", Step::held(2, "v4:1", json!(0), json!(0)).set("shop"));
    let refused = applier.advance_to(&mut cluster, 31_500);
    assert!(refused.iter().any(|done| matches!(&done.outcome, Outcome::Refused(_)) && done.commit == "c4"));
    assert_eq!(applier.applied(), Some("c3"));
}

#[test]
fn without_skipping_every_commit_is_applied_in_turn() {
    let (mut cluster, mut applier) = (Cluster::new(NAMESPACE), Applier::new(1000));
    applier.skip_intermediate = false;
    applier.submit(0, "c1", Step::plain(2, "v1:1").set("shop"));
    applier.submit(400, "c2", Step::plain(2, "v2:1").set("shop"));
    let done = applier.advance_to(&mut cluster, 2000);
    assert_eq!(done.iter().map(|done| (done.at, done.commit.as_str())).collect::<Vec<_>>(), [(1000, "c1"), (1400, "c2")]);
}

#[test]
fn lost_pods_are_replaced_and_the_timeline_has_seen_it() {
    let mut cluster = Cluster::new(NAMESPACE);
    play(&mut cluster, "shop", &Step::plain(5, "v1:1"));
    let start = cluster.now();
    cluster.evict(&key("shop"), 2);
    cluster.advance(5000);
    assert_eq!(super::kit::of(&cluster, "shop", "v1:1"), (5, 5));
    assert_eq!(cluster.timeline().fewest_ready(&key("shop"), start, cluster.now()), Some(3));
    assert_eq!(cluster.timeline().fewest_ready(&key("shop"), start + 1000, cluster.now()), Some(5));
    cluster.sicken(&key("shop"), 1);
    cluster.advance(5000);
    assert_eq!(super::kit::of(&cluster, "shop", "v1:1"), (5, 4));
    assert_eq!(cluster.timeline().fewest_ready(&ObjectKey { name: "none".to_owned(), ..key("shop") }, 0, 1), None);
}

// --- metrics ---

#[test]
fn metrics_follow_who_answered() {
    let epoch = 1_700_000_000;
    let cluster = two_versions(vec![route(json!([{"name": "blue", "weight": 9}, {"name": "green"}]), vec![])]);
    let mut model = Model::new("prom", epoch, 7);
    let ask = |model: &Model, query: &str, at: i64| model.query(query, epoch + at).map(|found| found.first().map(|s| s.value));
    assert_eq!(ask(&model, "error-rate", 60), Ok(None), "no requests, no data");
    assert_eq!(ask(&model, "requests", 60), Ok(Some(0.0)));
    model.set_volume(0, 1000.0);
    model.record(0, cluster.traffic(&Request::to("shop.example"), "app").unwrap());
    model.set_behaviour("green", 0, Behaviour { error_rate: 0.2, latency_ms: 90.0 });
    assert_eq!(ask(&model, "requests revision=green window=60s", 60), Ok(Some(6000.0)));
    assert_eq!(ask(&model, "latency revision=green window=1m", 60), Ok(Some(90.0)));
    let bad = ask(&model, "error-rate revision=green window=60", 60).unwrap().unwrap();
    assert!((0.15..0.25).contains(&bad) && bad != 0.2, "{bad}");
    assert_eq!(ask(&model, "error-rate window=60 revision=green", 60), Ok(Some(bad)), "the same look, the same number");
    assert_eq!(ask(&model, "success-rate revision=blue", 60), Ok(Some(1.0)));
    assert_eq!(ask(&model, "error-rate revision=none", 60), Ok(None));
    model.set_behaviour("green", 60_000, Behaviour { error_rate: 0.0, latency_ms: 90.0 });
    assert_eq!(ask(&model, "errors revision=green window=60s", 120), Ok(Some(0.0)));
    model.silence(200_000, 210_000, Silence::Outage);
    model.silence(210_000, 220_000, Silence::NoData);
    model.silence(220_000, 230_000, Silence::NaN);
    assert!(matches!(ask(&model, "errors", 200), Err(MetricsError::Unreachable { .. })));
    assert_eq!(ask(&model, "errors", 215), Ok(None));
    assert!(ask(&model, "errors", 220).unwrap().unwrap().is_nan());
    assert!(matches!(ask(&model, "nonsense", 60), Err(MetricsError::Refused { .. })));
    assert!(matches!(ask(&model, "errors window=soon", 60), Err(MetricsError::Refused { .. })));
}
