//! What `doctor` says, whole.

use std::sync::Arc;

use serde_json::{Value, json};
use windlass::forge::{self, Access, Answer, Kind};

use super::desk::{Desk, adopted, deployment, rollout, write_app};
use crate::metrics::server::{Request, Server, respond};

const CANARY: &str = "canary-t0ken-c0ffee";

/// An API server that holds these lists and objects by path, and grants all but one right.
fn cluster(objects: Value, refused: &'static str) -> Server {
    let objects = Arc::new(objects);
    Server::start(move |request, stream| {
        let path = request.path().split('?').next().unwrap_or_default().to_owned();
        if path.ends_with("/selfsubjectaccessreviews") {
            let review: Value = serde_json::from_str(&request.body).unwrap();
            let asked = review["spec"]["resourceAttributes"]["resource"].as_str().unwrap().to_owned();
            let answer = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {},
                                "spec": review["spec"], "status": {"allowed": asked != refused}});
            return respond(stream, "201 Created", &[], answer.to_string().as_bytes());
        }
        assert!(request.line.starts_with("GET "), "doctor only reads: {}", request.line);
        match objects.get(&path) {
            Some(Value::Array(list)) => {
                respond(stream, "200 OK", &[], json!({"metadata": {}, "items": list}).to_string().as_bytes());
            }
            Some(Value::String(message)) => {
                let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": "Forbidden", "code": 403});
                respond(stream, "403 Forbidden", &[], status.to_string().as_bytes());
            }
            Some(object) => respond(stream, "200 OK", &[], object.to_string().as_bytes()),
            None => {
                let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "not found", "reason": "NotFound", "code": 404});
                respond(stream, "404 Not Found", &[], status.to_string().as_bytes());
            }
        }
    })
}

fn use_cluster(desk: &Desk, server: &Server) {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "one",
        "clusters": [{"name": "c", "cluster": {"server": server.url()}}],
        "users": [{"name": "u", "user": {"token": CANARY}}],
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}],
    });
    // Beside the repository, where KUBECONFIG points.
    std::fs::write(desk.repo().parent().unwrap().join("no-kubeconfig"), config.to_string()).unwrap();
}

const KUSTOMIZATIONS: &str = "/apis/kustomize.toolkit.fluxcd.io/v1/kustomizations";
const SOURCES: &str = "/apis/source.toolkit.fluxcd.io/v1/gitrepositories";

fn kustomization(wait: bool) -> Value {
    json!({"metadata": {"name": "web", "namespace": "flux-system"},
           "spec": {"interval": "1m", "path": "apps/web", "prune": true, "wait": wait, "sourceRef": {"kind": "GitRepository", "name": "live"}}})
}

fn source() -> Value {
    json!({"metadata": {"name": "live", "namespace": "flux-system"},
           "spec": {"interval": "1m", "url": "https://git.example.com/team/apps", "ref": {"branch": "deploy"}}})
}

fn observed() -> Desk {
    let desk = adopted(&["web"]);
    let settings = "apiVersion: windlass.dev/v1alpha1\nkind: Repository\nobserve: {kubernetes: {}}\n";
    desk.write(".windlass.yaml", settings).commit("look at the cluster");
    desk
}

/// Without what differs from run to run.
fn shown(desk: &Desk, text: &str) -> String {
    text.replace(&desk.repo().display().to_string(), "REPO").replace("REPO/", "REPO")
}

#[test]
fn all_is_well() {
    let desk = observed();
    let live = json!({"metadata": {"name": "web", "namespace": "prod", "managedFields": []}, "spec": {"replicas": 4}});
    let server = cluster(
        json!({KUSTOMIZATIONS: [kustomization(false)], SOURCES: [source()], "/apis/apps/v1/namespaces/prod/deployments/web": live}),
        "",
    );
    use_cluster(&desk, &server);
    let before = desk.git(&["for-each-ref"]);
    let said = desk.windlass(&["doctor"]).exits(0);
    assert_eq!(desk.git(&["for-each-ref"]), before, "nothing is changed");
    assert_eq!(
        shown(&desk, &said.out),
        "\
Repository
  ✓ REPO: read; the source branch is `main`
  ✓ REPO: the server lets us push
  ✓ branch deploy: it is there
  ✓ source branch: 1 app with a Rollout that can be used

Applier
  ✓ app apps/web: applied by Kustomization flux-system/web

Cluster
  ✓ rights in namespace prod: get deployments, list replicasets
  ✓ Deployment prod/web: found, and written by the applier alone

7 fine, 0 errors, 0 warnings, 0 not known
"
    );
    assert_eq!(said.err, "");
    desk.windlass(&["doctor", "--strict"]).exits(0);
}

#[test]
fn what_is_wrong_is_told_with_its_way_out() {
    let desk = observed();
    let objects = json!({
        KUSTOMIZATIONS: [kustomization(true)], SOURCES: [source()],
        "/apis/argoproj.io/v1alpha1/applications": format!("applications is forbidden to bearer {CANARY}://x"),
    });
    let server = cluster(objects, "replicasets");
    use_cluster(&desk, &server);
    let said = desk.windlass_with(&["doctor"], &[("WINDLASS_TOKEN", CANARY)]).exits(1);
    assert_eq!(
        shown(&desk, &said.out),
        "\
Repository
  ✓ REPO: read; the source branch is `main`
  ✓ REPO: the server lets us push
  ✓ branch deploy: it is there
  ✓ source branch: 1 app with a Rollout that can be used

Applier
  ✗ Kustomization flux-system/web: `spec.wait` is true [flux-wait]
      a Deployment that is held at a step never counts as current, so the next commit, a rollback too, is applied only when the health check has timed out (1m0s)
      to mend: do not wait for health: Windlass looks at the pods itself
        apiVersion: kustomize.toolkit.fluxcd.io/v1
        kind: Kustomization
        metadata:
          name: web
          namespace: flux-system
        spec:
          wait: false
  ? Applications: cannot be read: the cluster forbids it (403): applications is forbidden to bearer <address> [applier-settings]
      to mend: grant verbs get and list on applications of API group argoproj.io
  ✓ app apps/web: applied by Kustomization flux-system/web

Cluster
  ✗ rights in namespace prod: missing: list replicasets [rights]
      Windlass cannot see commits arrive: apps hold with `unreachable` until the deadline of the step
      to mend: bind this role to the user that Windlass reads as
        apiVersion: rbac.authorization.k8s.io/v1
        kind: Role
        metadata:
          name: windlass-reader
          namespace: prod
        rules:
        - apiGroups:
          - apps
          resources:
          - deployments
          verbs:
          - get
        - apiGroups:
          - apps
          resources:
          - replicasets
          verbs:
          - list
  ✗ Deployment prod/web: it is not in this cluster, though the live branch holds it [workload-missing]
      Windlass never sees the commits for apps/web arrive
      to mend: look at the applier, and whether this is the cluster that it applies to
        kubectl config current-context
        kubectl -n prod get deployment web

5 fine, 3 errors, 0 warnings, 1 not known
"
    );
    assert!(!format!("{said:?}").contains(CANARY));
    let github = desk.windlass(&["doctor", "--output", "github"]).exits(1);
    assert_eq!(github.out.lines().count(), 4, "{}", github.out);
    assert!(
        github.out.starts_with("::error title=flux-wait::Kustomization flux-system/web: `spec.wait` is true%0A"),
        "{}",
        github.out
    );
}

#[test]
fn nothing_that_cannot_be_seen_is_well() {
    let desk = adopted(&["web"]);
    let json = desk.windlass(&["doctor", "--output", "json"]).exits(0).json();
    assert_eq!((&json["errors"], &json["unknown"]), (&json!(0), &json!(2)), "{json:#}");
    let levels: Vec<(&str, &str)> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| (finding["code"].as_str().unwrap(), finding["level"].as_str().unwrap()))
        .collect();
    assert!(levels.contains(&("applier", "unknown")) && levels.contains(&("cluster", "unknown")), "{levels:?}");
    desk.windlass(&["doctor", "--strict"]).exits(1);
}

#[test]
fn manifests_of_the_source_are_judged_without_a_cluster() {
    let desk = adopted(&["web"]);
    desk.write(
        "clusters/prod/web.yaml",
        "apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: web, namespace: argocd}
spec:
  source: {repoURL: https://git.example.com/team/apps, targetRevision: main, path: apps/web}
  destination: {server: https://kubernetes.default.svc}
",
    );
    desk.write("charts/x/templates/app.yaml", "{{ if argoproj.io }}\n: : broken\n").commit("an Application");
    let said = desk.windlass(&["doctor"]).exits(1);
    let expected = "\
  ✗ Application argocd/web (clusters/prod/web.yaml): `spec.source.targetRevision` is `main`; Windlass writes branch `deploy` [argo-revision]
      the commits for apps/web are never applied: each waits for its deadline, then the release is rolled back
      to mend: follow the live branch
        apiVersion: argoproj.io/v1alpha1
        kind: Application
        metadata:
          name: web
          namespace: argocd
        spec:
          source:
            targetRevision: deploy
";
    assert!(said.out.contains(expected), "{}", said.out);
}

#[test]
fn sources_and_settings_that_cannot_be_used() {
    let desk = adopted(&["web", "api"]);
    desk.edit("apps/web/rollout.yaml", "replicas: 1", "replica: 1").commit("a mistake");
    let said = desk.windlass(&["doctor"]).exits(1);
    let expected = "      this app holds with `invalid`; the others go on\n      to mend: see every finding with its line\n        windlass validate apps/web\n";
    assert!(said.out.contains("✗ app apps/web: apps/web/rollout.yaml:") && said.out.contains(expected), "{}", said.out);
    assert!(said.out.contains("✓ source branch: 1 app with a Rollout that can be used"), "{}", said.out);
    desk.write(".windlass.yaml", "kind: Nothing\n").commit("worse");
    desk.windlass(&["doctor"]).exits(1).tells(&[
        "✗ .windlass.yaml: ",
        "no app moves while the settings cannot be read",
        "[cluster]",
    ]);
}

#[test]
fn a_branch_that_is_checked_out_cannot_be_pushed_to() {
    let desk = adopted(&["web"]);
    desk.git(&["checkout", "--quiet", "deploy"]);
    let said = desk.windlass(&["doctor", "--source-branch", "main"]).exits(1);
    assert!(said.out.contains("the server does not let us push: refs/heads/deploy is checked out there"), "{}", said.out);
}

#[test]
fn what_is_not_there_at_all() {
    let desk = Desk::new();
    desk.write("README.md", "nothing").commit("nothing");
    desk.windlass(&["doctor"])
        .exits(0)
        .tells(&["! source branch: no directory holds a Rollout file [no-apps]", "windlass init FOLDER"]);
    desk.windlass(&["doctor", "--repo", "ext::sh"]).exits(1).tells(&["✗ the repository: ", "[repository]"]);
    let address = format!("https://bot:{CANARY}@127.0.0.1:1/team/apps");
    let said = desk.windlass(&["doctor", "--repo", &address]).exits(1);
    let said = said.tells(&["[credentials-in-url]", "cannot reach https://127.0.0.1:1/team/apps"]);
    assert!(!format!("{said:?}").contains(CANARY), "{said:?}");
}

#[test]
fn metric_sources_are_asked() {
    let desk = adopted(&["web"]);
    let good = br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}"#;
    let (good, bad) = (Server::fixed("200 OK", good.to_vec()), Server::fixed("503 Service Unavailable", "no"));
    let config = format!(
        "apiVersion: windlass.dev/v1alpha1\nkind: Config\nsources:\n- {{name: good, prometheus: {{url: \"{}\"}}}}\n- {{name: bad, prometheus: {{url: \"{}\"}}}}\n",
        good.url(),
        bad.url()
    );
    std::fs::write(desk.repo().join("windlass.yaml"), config).unwrap();
    let steps = "      - {replicas: 1, pause: {}}\n      - {replicas: 100%}\n  analysis: {metrics: [{name: errors, source: other, query: up, max: 1}]}\n";
    desk.write("apps/api/app.yaml", &deployment("api", "1", 2)).write("apps/api/rollout.yaml", &rollout("api", steps));
    desk.git(&["add", "apps"]);
    desk.git(&["commit", "--quiet", "--message", "metrics"]);
    let said = desk.windlass(&["doctor"]).exits(1);
    let said = said.tells(&[
        "✓ source good: it answers",
        "✗ source bad: ",
        "[metrics]",
        "✗ metric errors of api: its source `other` is not defined [metrics-undefined]",
    ]);
    assert!(good.seen()[0].line.contains("query") || good.seen()[0].body.contains("vector"), "{said:?}");
}

/// A forge that answers as Gitea does.
fn gitea(push: bool) -> Server {
    Server::start(move |request: &Request, stream| {
        let date = [("date", "Sat, 21 Nov 2026 09:00:00 GMT")];
        let known = request.header("authorization") == Some(&format!("token {CANARY}"));
        let answer = match request.path() {
            "/api/v1/version" => json!({"version": "1.26.0"}),
            "/api/v1/user" if known => json!({"login": "windlass"}),
            "/api/v1/repos/team/apps" if known => json!({"permissions": {"push": true}}),
            "/api/v1/repos/team/apps/branches/env/live" if known => {
                json!({"protected": true, "user_can_push": push, "effective_branch_protection_name": "env/*"})
            }
            _ => return respond(stream, "404 Not Found", &date, b"{}"),
        };
        respond(stream, "200 OK", &date, answer.to_string().as_bytes());
    })
}

#[test]
fn a_forge_is_asked_who_may_push() {
    let access = |server: &Server, token: Option<&str>| Access {
        address: format!("{}/team/apps.git", server.url()),
        token: token.map(str::to_owned),
        user: None,
        proxy: None,
        no_proxy: None,
        certificate_authorities: None,
        timeout: std::time::Duration::from_secs(5),
    };
    let at = "2026-11-21T09:10:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
    for push in [true, false] {
        let server = gitea(push);
        let told = forge::ask(&access(&server, Some(CANARY)), "env/live", &|| at).unwrap();
        assert_eq!((told.kind, told.ahead), (Some(Kind::Gitea), Some(-600)));
        let findings = windlass::reconcile::doctor::forge::judge(
            &Ok(told.clone()),
            "env/live",
            true,
            windlass::reconcile::doctor::Level::Ok,
        );
        let codes: Vec<String> = findings.iter().map(|finding| format!("{} {:?}", finding.code, finding.level)).collect();
        let level = if push { "Ok" } else { "Error" };
        assert_eq!(codes, ["clock Warning".to_owned(), format!("protected {level}")]);
        assert!(!format!("{findings:?}{told:?}").contains(CANARY));
        let first = &server.seen()[0];
        assert_eq!(
            (first.path(), first.header("authorization")),
            ("/api/v1/version", None),
            "the token goes to a forge that is known"
        );
    }
    let server = gitea(true);
    forge::ask(&Access { user: Some("bot".to_owned()), ..access(&server, Some("pass")) }, "env/live", &|| at).unwrap();
    assert_eq!(server.seen()[1].header("authorization"), Some("Basic Ym90OnBhc3M="));
    let told = forge::ask(&access(&server, None), "env/live", &|| at).unwrap();
    assert_eq!((told.user, told.repository, told.branch), (Answer::NotAsked, Answer::Status(404), Answer::NotAsked));
    let nothing = Server::fixed("404 Not Found", "no");
    assert_eq!(forge::ask(&access(&nothing, Some(CANARY)), "live", &|| at).unwrap().kind, None);
    assert!(
        nothing
            .seen()
            .iter()
            .all(|request| request.header("authorization").is_none() && request.header("private-token").is_none())
    );
    assert!(forge::ask(&Access { address: "git@host:a/b".to_owned(), ..access(&nothing, None) }, "live", &|| at).is_err());
}

#[test]
fn only_the_named_app_is_judged() {
    let desk = adopted(&["web", "api"]);
    write_app(&desk, "third");
    desk.commit("a third");
    let json = desk.windlass(&["doctor", "web", "--output", "json"]).exits(0).json();
    let text = json.to_string();
    assert!(text.contains("app apps/web") && !text.contains("app apps/api"), "{json:#}");
    desk.windlass(&["doctor", "wbe"])
        .exits(1)
        .tells(&["✗ app wbe: there is no app of that name", "apps/api, apps/third, apps/web"]);
}
