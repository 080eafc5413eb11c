//! The kubernetes observer, against an API server that answers from JSON.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use windlass::observe::{COMMIT_TREE, KubernetesObserver, KubernetesOptions, ObserveError, Observer, Sighting, Target, Workload};

use crate::metrics::server::{Server, respond};

const CANARY: &str = "canary-t0ken-c0ffee";
pub(super) const MARK: &str = "9876fedc00000000000000000000000000000000";

/// What the API server holds.
pub(super) struct World {
    pub(super) deployment: Value,
    pub(super) sets: Vec<Value>,
}

impl World {
    /// Ten pods, two of them of the new template, all Ready, held.
    pub(super) fn held() -> Self {
        Self {
            deployment: json!({
                "metadata": {
                    "name": "checkout", "namespace": "shop", "uid": "u-1", "generation": 7,
                    "annotations": {COMMIT_TREE: MARK, "deployment.kubernetes.io/revision": "4"},
                },
                "spec": {"replicas": 10, "selector": {"matchLabels": {"app": "checkout"}}, "template": template("v2", None)},
                "status": {"observedGeneration": 7, "replicas": 12, "updatedReplicas": 2, "readyReplicas": 12},
            }),
            sets: vec![
                set("u-1", "3", "v1", "old5", [10, 10, 10]),
                set("u-1", "4", "v2", "new9", [2, 2, 0]),
                set("u-2", "4", "v2", "alien", [5, 5, 5]),
            ],
        }
    }

    fn serve(self) -> Server {
        Server::start(move |request, stream| {
            let path = request.path();
            if path.starts_with("/apis/apps/v1/namespaces/shop/deployments/checkout") {
                respond(stream, "200 OK", &[], self.deployment.to_string().as_bytes());
            } else if path.starts_with("/apis/apps/v1/namespaces/shop/replicasets?") {
                assert!(path.contains("labelSelector=app%3Dcheckout"), "{path}");
                respond(stream, "200 OK", &[], json!({"metadata": {}, "items": self.sets}).to_string().as_bytes());
            } else {
                respond(stream, "404 Not Found", &[], not_found(path).to_string().as_bytes());
            }
        })
    }

    fn look(self) -> Sighting {
        observe(&self.serve()).unwrap()
    }
}

pub(super) fn not_found(path: &str) -> Value {
    let name = path.rsplit('/').next().unwrap();
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": format!("deployments.apps \"{name}\" not found"),
           "reason": "NotFound", "details": {"name": name, "group": "apps", "kind": "deployments"}, "code": 404})
}

fn template(image: &str, hash: Option<&str>) -> Value {
    let mut labels = json!({"app": "checkout"});
    if let Some(hash) = hash {
        labels["pod-template-hash"] = json!(hash);
    }
    json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}]}})
}

fn set(owner: &str, revision: &str, image: &str, hash: &str, [replicas, ready, available]: [u32; 3]) -> Value {
    json!({
        "metadata": {
            "name": format!("checkout-{hash}"), "namespace": "shop", "labels": {"app": "checkout", "pod-template-hash": hash},
            "annotations": {"deployment.kubernetes.io/revision": revision},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout", "uid": owner, "controller": true}],
        },
        "spec": {"selector": {}, "template": template(image, Some(hash))},
        "status": {"replicas": replicas, "readyReplicas": ready, "availableReplicas": available},
    })
}

pub(super) fn target() -> Target {
    Target {
        namespace: "shop".to_owned(),
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        name: "checkout".to_owned(),
        described: None,
        mark: MARK.to_owned(),
        committed_at: 0,
        now: 0,
    }
}

pub(super) fn kubeconfig(server: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "one",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": CANARY}}],
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "elsewhere"}},
                     {"name": "two", "context": {"cluster": "missing", "user": "u"}}],
    });
    std::fs::write(file.path(), text.to_string()).unwrap();
    file
}

fn options(kubeconfig: PathBuf) -> KubernetesOptions {
    KubernetesOptions { kubeconfig: Some(kubeconfig), timeout: Duration::from_secs(2), ..KubernetesOptions::default() }
}

fn observe(server: &Server) -> Result<Sighting, ObserveError> {
    observe_target(server, &target())
}

pub(super) fn observe_target(server: &Server, target: &Target) -> Result<Sighting, ObserveError> {
    let file = kubeconfig(&server.url());
    let observer = KubernetesObserver::connect(&options(file.path().to_owned())).unwrap();
    let answer = observer.observe(target);
    let shown = format!("{answer:?} {observer:?}");
    assert!(!shown.contains(CANARY), "{shown}");
    answer
}

/// The cause and the hint.
pub(super) fn refused(answer: Result<Sighting, ObserveError>) -> (String, String) {
    match answer {
        Err(ObserveError::Refused { cause, hint }) => (cause, hint.unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

fn unreachable(answer: Result<Sighting, ObserveError>) -> String {
    match answer {
        Err(ObserveError::Unreachable(cause)) => cause,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_held_deployment_is_counted_by_its_replica_sets() {
    let server = World::held().serve();
    let workload = Workload {
        size: 10,
        replicas: 12,
        updated: 2,
        updated_ready: 2,
        ready: 12,
        available: 10,
        revision_label: Some(("pod-template-hash".to_owned(), "new9".to_owned())),
        nodes: Vec::new(),
    };
    assert_eq!(observe(&server).unwrap(), Sighting { applied: true, workload: Some(workload), missing: None });
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|request| request.line.starts_with("GET ")), "an observer only reads");
    assert_eq!(seen[0].header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
}

#[test]
fn another_commit_is_not_applied_but_counted() {
    let mut world = World::held();
    world.deployment["metadata"]["annotations"][COMMIT_TREE] = json!("1234abcd00");
    let sighting = world.look();
    assert!(!sighting.applied);
    assert_eq!(sighting.missing.unwrap(), "the live Deployment carries commit-tree 1234abcd, not 9876fedc: not applied yet");
    assert_eq!(sighting.workload.unwrap().updated, 2);

    let mut world = World::held();
    world.deployment["metadata"]["annotations"][COMMIT_TREE] = json!("<script>alert(1)</script>");
    assert_eq!(
        world.look().missing.unwrap(),
        "the live Deployment carries commit-tree of another form, not 9876fedc: not applied yet"
    );

    let mut world = World::held();
    world.deployment["metadata"]["annotations"].as_object_mut().unwrap().remove(COMMIT_TREE);
    assert_eq!(world.look().missing.unwrap(), "the live Deployment carries no commit-tree: 9876fedc is not applied yet");
}

#[test]
fn an_empty_mark_is_never_applied() {
    let mut world = World::held();
    world.deployment["metadata"]["annotations"][COMMIT_TREE] = json!("");
    let sighting = observe_target(&world.serve(), &Target { mark: String::new(), ..target() }).unwrap();
    assert!(!sighting.applied);
}

#[test]
fn the_controllers_must_have_seen_it() {
    let mut world = World::held();
    world.deployment["status"]["observedGeneration"] = json!(6);
    assert_eq!(world.look().missing.unwrap(), "the controller has not seen generation 7 yet");

    let mut world = World::held();
    world.deployment.as_object_mut().unwrap().remove("status");
    assert!(!world.look().applied);

    let mut world = World::held();
    world.deployment["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(world.look().missing.unwrap(), "the live Deployment is being deleted");
}

/// A paused Deployment's controller reports the new generation and makes no ReplicaSet: the one of the newest revision is the old one.
#[test]
fn the_replica_set_must_be_of_the_live_template() {
    let mut world = World::held();
    world.deployment["spec"]["paused"] = json!(true);
    world.deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("3");
    world.sets.remove(1);
    let sighting = world.look();
    assert_eq!(sighting.missing.unwrap(), "there is no ReplicaSet of the new template: the live Deployment is paused");
    let workload = sighting.workload.unwrap();
    assert_eq!((workload.updated, workload.updated_ready, workload.replicas, workload.revision_label), (0, 0, 10, None));

    let mut world = World::held();
    world.sets.remove(1);
    assert_eq!(world.look().missing.unwrap(), "there is no ReplicaSet of the new template: the controller has not made it yet");
}

#[test]
fn defaults_and_nonsense_numbers() {
    let mut world = World::held();
    world.deployment["spec"].as_object_mut().unwrap().remove("replicas");
    world.sets[1]["status"] = json!({"replicas": -4});
    let workload = world.look().workload.unwrap();
    assert_eq!((workload.size, workload.updated, workload.updated_ready, workload.replicas), (1, 0, 0, 10));
}

#[test]
fn a_deployment_that_is_not_there() {
    let server =
        Server::start(|request, stream| respond(stream, "404 Not Found", &[], not_found(request.path()).to_string().as_bytes()));
    let sighting = observe(&server).unwrap();
    assert!(!sighting.applied && sighting.workload.is_none());
    assert_eq!(sighting.missing.unwrap(), "Deployment shop/checkout does not exist: not applied yet, or applied elsewhere");
    // an address that is no API server, or one of another kind
    let (cause, _) = refused(observe(&Server::fixed("404 Not Found", "404 page not found")));
    assert!(cause.contains("serves no Deployments"), "{cause}");
}

#[test]
fn rights_are_refusals_with_a_hint() {
    let status = |code: u16, reason: &str, message: &str| {
        json!({"kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": code}).to_string()
    };
    let forbidden = status(
        403,
        "Forbidden",
        "deployments.apps \"checkout\" is forbidden: User \"alice@example.com\" (of https://u:p@host) cannot get resource",
    );
    let (cause, hint) = refused(observe(&Server::fixed("403 Forbidden", forbidden)));
    assert!(
        cause.contains("(403)") && cause.ends_with("User \"alice@example.com\" (of <address> cannot get resource"),
        "{cause}"
    );
    assert_eq!(hint, "grant in namespace shop: verb get on deployments and verb list on replicasets of API group apps");
    let (cause, hint) = refused(observe(&Server::fixed("401 Unauthorized", status(401, "Unauthorized", "Unauthorized"))));
    assert!(cause.contains("(401)") && hint.contains("renew"), "{cause}");
    let (cause, _) = refused(observe(&Server::fixed("302 Found", "")));
    assert!(!cause.is_empty());
    let (cause, _) = refused(observe(&Server::fixed("200 OK", "<html>log in</html>")));
    assert!(cause.contains("not one of the Kubernetes API"), "{cause}");
}

#[test]
fn trouble_of_the_moment_is_unreachable() {
    for status in ["500 Internal Server Error", "503 Service Unavailable", "429 Too Many Requests"] {
        let server = Server::fixed(status, "no");
        let cause = unreachable(observe(&server));
        assert!(cause.contains(&status[..3]), "{cause}");
        assert_eq!(server.seen().len(), 1, "no retries inside one look");
    }
    let closed = { Server::fixed("200 OK", "").url() };
    let file = kubeconfig(&closed);
    let cause = unreachable(KubernetesObserver::connect(&options(file.path().to_owned())).unwrap().observe(&target()));
    assert!(cause.to_lowercase().contains("refused"), "{cause}");
}

#[test]
fn a_silent_server_is_given_up() {
    let server = Server::start(|_, _| std::thread::sleep(Duration::from_secs(5)));
    let file = kubeconfig(&server.url());
    let given = KubernetesOptions { timeout: Duration::from_millis(300), ..options(file.path().to_owned()) };
    let start = Instant::now();
    assert_eq!(unreachable(KubernetesObserver::connect(&given).unwrap().observe(&target())), "no answer within 0.3 s");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn what_cannot_be_observed_is_refused_before_any_call() {
    let server = World::held().serve();
    let of = |change: &dyn Fn(&mut Target)| {
        let mut asked = target();
        change(&mut asked);
        refused(observe_target(&server, &asked))
    };
    let (cause, hint) = of(&|target| target.kind = "ReplicaSet".to_owned());
    assert!(cause.contains("ReplicaSet of apps/v1") && hint.contains("timed"));
    let (cause, _) = of(&|target| target.api_version = "extensions/v1beta1".to_owned());
    assert!(cause.contains("extensions/v1beta1"));
    let (cause, hint) = of(&|target| target.namespace = String::new());
    assert!(cause.contains("no namespace") && hint.contains("metadata.namespace"), "not the kubeconfig's namespace");
    for name in ["../secrets/x", "a/b", "", "A", "a..b", "-a", "a?b"] {
        let (cause, _) = of(&|target| target.name = name.to_owned());
        assert!(cause.contains("not a name"), "{cause}");
    }
    assert!(server.seen().is_empty());
}

#[test]
fn the_default_namespace_is_taken_where_the_target_has_none() {
    let server = World::held().serve();
    let file = kubeconfig(&server.url());
    let given = KubernetesOptions { namespace: Some("shop".to_owned()), ..options(file.path().to_owned()) };
    let observer = KubernetesObserver::connect(&given).unwrap();
    assert!(observer.observe(&Target { namespace: String::new(), ..target() }).unwrap().applied);
    let other = observer.observe(&Target { namespace: "other".to_owned(), ..target() }).unwrap();
    assert!(!other.applied, "the target's own namespace wins");
}

/// One observer and one source may serve all apps.
#[test]
fn they_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<KubernetesObserver>();
    shared::<windlass::metrics::Prometheus>();
}

/// The service calls observers from a runtime's threads.
#[test]
fn it_works_inside_another_runtime() {
    let server = World::held().serve();
    let file = kubeconfig(&server.url());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let observer = KubernetesObserver::connect(&options(file.path().to_owned())).unwrap();
        assert!(observer.observe(&target()).unwrap().applied);
        drop(observer);
        let _ = KubernetesObserver::connect(&options(PathBuf::from("/nonexistent"))).unwrap_err();
    });
}

#[test]
fn a_kubeconfig_that_cannot_be_used() {
    let connect = |options: KubernetesOptions| match KubernetesObserver::connect(&options) {
        Err(ObserveError::Refused { cause, hint }) => {
            assert!(!cause.contains(CANARY) && !format!("{hint:?}").contains(CANARY), "{cause}");
            cause
        }
        other => panic!("{other:?}"),
    };
    assert!(connect(options(PathBuf::from("/nonexistent/kubeconfig"))).contains("/nonexistent/kubeconfig"));
    let file = kubeconfig("http://127.0.0.1:1");
    let with = |context: &str| KubernetesOptions { context: Some(context.to_owned()), ..options(file.path().to_owned()) };
    assert!(connect(with("three")).contains("three"));
    assert!(connect(with("two")).contains("missing"));
    std::fs::write(file.path(), format!("users: [{{name: u, user: {{token: {CANARY}}}}}\nclusters: 5: 6")).unwrap();
    let cause = connect(options(file.path().to_owned()));
    assert!(cause.contains("not a YAML document"), "{cause}");
    let file = kubeconfig(&format!("http://user:{CANARY}@exa mple"));
    assert!(connect(options(file.path().to_owned())).contains("not an address"));
    let in_cluster = KubernetesOptions { in_cluster: true, ..KubernetesOptions::default() };
    assert!(connect(in_cluster).contains("service account"));
}
