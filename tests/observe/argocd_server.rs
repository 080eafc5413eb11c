//! Argo CD's own API, over HTTP.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use windlass::observe::{ArgoCdOptions, ArgoCdServer, ObserveError, Sighting, Target};

use super::argocd::synced;
use super::kubernetes::{World, target};
use super::lineage::{OLDER, live};
use crate::metrics::server::{Server, respond};

const CANARY: &str = "argo-t0ken-c0ffee";

/// What Argo CD knows.
#[derive(Clone)]
struct Argo {
    application: Value,
    nodes: Value,
    manifests: Vec<(String, Value)>,
}

impl Argo {
    fn held() -> Self {
        let World { deployment, sets } = World::held();
        let mut nodes = vec![json!({
            "group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop", "name": "checkout", "uid": "u-1",
        })];
        let mut manifests = vec![("Deployment/checkout".to_owned(), deployment)];
        for set in sets {
            let (name, owner) = (set["metadata"]["name"].clone(), set["metadata"]["ownerReferences"][0]["uid"].clone());
            nodes.push(json!({
                "group": "apps", "version": "v1", "kind": "ReplicaSet", "namespace": "shop", "name": name,
                "parentRefs": [{"group": "apps", "kind": "Deployment", "uid": owner}],
            }));
            manifests.push((format!("ReplicaSet/{}", name.as_str().unwrap()), set));
        }
        nodes.push(json!({"kind": "Service", "namespace": "shop", "name": "checkout", "uid": "u-9"}));
        Self { application: synced(), nodes: json!({"nodes": nodes}), manifests }
    }

    fn serve(self) -> Server {
        Server::start(move |request, stream| {
            let (path, query) = request.path().split_once('?').unwrap();
            assert!(query.starts_with("appNamespace=argocd"), "{query}");
            let field = |name: &str| {
                query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).unwrap_or_default().to_owned()
            };
            let body = match path.strip_prefix("/argo/api/v1/applications/shop") {
                Some("") => self.application.to_string(),
                Some("/resource-tree") => self.nodes.to_string(),
                Some("/resource") => {
                    let wanted = format!("{}/{}", field("kind"), field("resourceName"));
                    assert_eq!(
                        (field("namespace"), field("group"), field("version")),
                        ("shop".into(), "apps".into(), "v1".into())
                    );
                    match self.manifests.iter().find(|(name, _)| *name == wanted) {
                        Some((_, manifest)) => json!({"manifest": manifest.to_string()}).to_string(),
                        None => return respond(stream, "404 Not Found", &[], absent().as_bytes()),
                    }
                }
                _ => return respond(stream, "404 Not Found", &[], absent().as_bytes()),
            };
            respond(stream, "200 OK", &[], body.as_bytes());
        })
    }
}

fn absent() -> String {
    json!({"error": "applications.argoproj.io \"shop\" not found", "code": 5, "message": "applications.argoproj.io \"shop\" not found"}).to_string()
}

fn look_as(server: &Server, application: &str, target: &Target) -> Result<Sighting, ObserveError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{CANARY}\n")).unwrap();
    let options = ArgoCdOptions {
        token_file: Some(file.path().to_owned()),
        timeout: Duration::from_millis(1500),
        ..ArgoCdOptions::new(format!("{}/argo/", server.url()))
    };
    let observer = ArgoCdServer::connect(&options).unwrap();
    let answer = observer.observe("argocd", application, &live("apps/shop"), target);
    let shown = format!("{answer:?} {observer:?}");
    assert!(!shown.contains(CANARY), "{shown}");
    answer
}

fn look(server: &Server) -> Result<Sighting, ObserveError> {
    look_as(server, "shop", &target())
}

fn refused(answer: Result<Sighting, ObserveError>) -> (String, String) {
    match answer {
        Err(ObserveError::Refused { cause, hint }) => (cause, hint.unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_workload_is_read_from_argo_cd() {
    let server = Argo::held().serve();
    let sighting = look(&server).unwrap();
    assert!(sighting.applied, "{sighting:?}");
    let workload = sighting.workload.unwrap();
    assert_eq!((workload.size, workload.replicas, workload.updated, workload.updated_ready, workload.ready), (10, 12, 2, 2, 12));
    assert_eq!(workload.revision_label.unwrap().1, "new9");
    let seen = server.seen();
    assert_eq!(seen.len(), 5, "the application, its tree, a Deployment, two ReplicaSets");
    assert!(seen.iter().all(|request| request.line.starts_with("GET ")), "an observer only reads");
    assert!(seen.iter().all(|request| request.header("authorization") == Some(&format!("Bearer {CANARY}"))));
}

#[test]
fn both_must_say_that_it_is_applied() {
    let mut argo = Argo::held();
    argo.application["status"]["sync"]["revision"] = json!(OLDER);
    let sighting = look(&argo.serve()).unwrap();
    assert!(!sighting.applied);
    assert_eq!(sighting.missing.unwrap(), "Application argocd/shop was compared with b0b0b0b0b0, which is before the commit");
    assert_eq!(sighting.workload.unwrap().updated, 2, "the pods are counted all the same");
    let sighting = look_as(&Argo::held().serve(), "shop", &Target { mark: "1234".to_owned(), ..target() }).unwrap();
    assert!(!sighting.applied && sighting.missing.unwrap().contains("not 1234"));
}

#[test]
fn what_is_not_there() {
    let sighting = look_as(&Argo::held().serve(), "cart", &target()).unwrap();
    assert!(!sighting.applied && sighting.workload.is_none());
    assert_eq!(sighting.missing.unwrap(), "Application argocd/cart does not exist");
    let sighting = look_as(&Argo::held().serve(), "shop", &Target { name: "cart".to_owned(), ..target() }).unwrap();
    assert_eq!(sighting.missing.unwrap(), "Deployment shop/cart does not exist, or does not belong to Application argocd/shop");
    // one that goes between two requests
    let mut argo = Argo::held();
    argo.manifests.retain(|(name, _)| name != "ReplicaSet/checkout-old5");
    assert_eq!(look(&argo.serve()).unwrap().workload.unwrap().replicas, 2);
    let mut argo = Argo::held();
    argo.manifests.clear();
    assert_eq!(
        look(&argo.serve()).unwrap().missing.unwrap(),
        "Deployment shop/checkout does not exist any more in Application argocd/shop"
    );
}

#[test]
fn answers_that_are_none() {
    let error = |text: &str| json!({"error": text, "code": 7, "message": text}).to_string();
    let (cause, hint) = refused(look(&Server::fixed("403 Forbidden", error("permission denied"))));
    assert_eq!(cause, "Argo CD: it does not show Application argocd/shop (403): permission denied");
    assert!(hint.contains("applications, get"), "{hint}");
    let (cause, hint) = refused(look(&Server::fixed("401 Unauthorized", error("invalid session"))));
    assert!(cause.contains("(401): invalid session") && hint.contains("generate-token"), "{cause}");
    let (cause, _) = refused(look(&Server::fixed("404 Not Found", "404 page not found")));
    assert!(cause.contains("there is no Argo CD API at its address"), "{cause}");
    let (cause, _) = refused(look(&Server::fixed("200 OK", "<html>log in</html>")));
    assert!(cause.contains("not one of Argo CD's API"), "{cause}");
    for status in ["500 Internal Server Error", "503 Service Unavailable", "429 Too Many Requests"] {
        match look(&Server::fixed(status, error("no https://u:p@host"))) {
            Err(ObserveError::Unreachable(cause)) => assert!(cause.contains(&status[..3]) && !cause.contains("u:p"), "{cause}"),
            other => panic!("{other:?}"),
        }
    }
    let closed = ArgoCdOptions::new(Server::fixed("200 OK", "").url());
    let answer = ArgoCdServer::connect(&closed).unwrap().observe("argocd", "shop", &live("apps/shop"), &target());
    assert!(matches!(answer, Err(ObserveError::Unreachable(_))), "{answer:?}");
}

/// A token must not follow a redirect to somebody else.
#[test]
fn no_redirect_is_followed() {
    let other = Arc::new(Argo::held().serve());
    let to = format!("{}/argo/api/v1/applications/shop?appNamespace=argocd", other.url());
    let server = Server::start(move |_, stream| respond(stream, "302 Found", &[("location", &to)], b""));
    let (cause, _) = refused(look(&server));
    assert!(cause.contains("redirect (302)"), "{cause}");
    assert!(other.seen().is_empty());
}

#[test]
fn an_answer_has_limits_in_length_and_time() {
    let long = Server::fixed("200 OK", vec![b' '; (windlass::observe::argocd::MAX_ANSWER + 10) as usize]);
    let (cause, _) = refused(look(&long));
    assert!(cause.contains("longer than 16 MiB"), "{cause}");
    let silent = Server::start(|_, _| std::thread::sleep(Duration::from_secs(5)));
    let start = Instant::now();
    match look(&silent) {
        Err(ObserveError::Unreachable(cause)) => assert_eq!(cause, "Argo CD: no answer within 1.5 s"),
        other => panic!("{other:?}"),
    }
    assert!(start.elapsed() < Duration::from_secs(4));
}

#[test]
fn settings_that_cannot_be_used() {
    let connect = |options: ArgoCdOptions| match ArgoCdServer::connect(&options) {
        Err(ObserveError::Refused { cause, .. }) => cause,
        other => panic!("{other:?}"),
    };
    for server in ["argocd.example.com", "ftp://host", "https://", "not an address"] {
        assert!(connect(ArgoCdOptions::new(server)).contains("address"), "{server}");
    }
    let cause = connect(ArgoCdOptions::new(format!("https://user:{CANARY}@host")));
    assert!(cause.contains("credentials") && !cause.contains(CANARY), "{cause}");
    let token =
        |server: &str| ArgoCdOptions { token_file: Some(PathBuf::from("/nonexistent/token")), ..ArgoCdOptions::new(server) };
    assert!(connect(token("http://argocd.example.com")).contains("plain http"));
    let ca = |path: &str| ArgoCdOptions { ca_file: Some(PathBuf::from(path)), ..ArgoCdOptions::new("https://host") };
    assert!(connect(ca("/nonexistent/ca.pem")).contains("/nonexistent/ca.pem"));
    let empty = tempfile::NamedTempFile::new().unwrap();
    assert!(connect(ca(empty.path().to_str().unwrap())).contains("no certificate"));
    // a token file that is read only when it is used
    let observer = ArgoCdServer::connect(&token("https://127.0.0.1:1")).unwrap();
    let (cause, _) = refused(observer.observe("argocd", "shop", &live("apps/shop"), &target()));
    assert!(cause.contains("/nonexistent/token"), "{cause}");
    let (cause, _) = refused(observer.observe("argocd", "../../x", &live("apps/shop"), &target()));
    assert!(cause.contains("not a name"), "{cause}");
}

/// Argo CD's own API tells no pods of a DaemonSet with their nodes; what else can be done is said before any call.
#[test]
fn a_daemon_set_is_refused_with_the_way_out() {
    let server = Argo::held().serve();
    let answer = look_as(&server, "shop", &Target { kind: "DaemonSet".to_owned(), ..target() });
    let Err(ObserveError::Refused { cause, hint }) = answer else { panic!("{answer:?}") };
    let hint = hint.unwrap();
    assert!(
        cause.contains("DaemonSet of apps/v1") && hint.contains("`kubernetes`") && !hint.contains("timed"),
        "{cause}; {hint}"
    );
    assert!(server.seen().is_empty());
}
