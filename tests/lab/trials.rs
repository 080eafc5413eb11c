//! The observer, the metrics source and the lab's own helpers on real servers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use windlass::metrics::{MetricsError, Prometheus, PrometheusOptions, Source};
use windlass::observe::{KubernetesObserver, KubernetesOptions, ObserveError, Observer, Sighting, Target};

use super::repository::Repository;
use super::servers::Lab;
use super::watch::Watcher;
use super::{argo, flux, gauges};

const LONG: Duration = Duration::from_secs(120);

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A Deployment with a Service. `surge`: the step's maxSurge and maxUnavailable, which hold it; `None`: its own settings.
fn checkout(mark: &str, image: &str, replicas: u32, surge: Option<(u32, u32)>) -> String {
    let held = surge.map_or_else(String::new, |(surge, unavailable)| {
        format!(
            "
  minReadySeconds: 2147483646
  progressDeadlineSeconds: 2147483647
  strategy: {{type: RollingUpdate, rollingUpdate: {{maxSurge: {surge}, maxUnavailable: {unavailable}}}}}"
        )
    });
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: checkout, namespace: shop, annotations: {{windlass.dev/commit-tree: \"{mark}\"}}}}
spec:
  replicas: {replicas}{held}
  selector: {{matchLabels: {{app: checkout}}}}
  template:
    metadata: {{labels: {{app: checkout}}}}
    spec: {{containers: [{{name: app, image: \"{image}\"}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: checkout, namespace: shop}}
spec: {{selector: {{app: checkout}}, ports: [{{port: 80}}]}}
"
    )
}

fn target(mark: &str) -> Target {
    Target {
        namespace: "shop".to_owned(),
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        name: "checkout".to_owned(),
        described: None,
        mark: mark.to_owned(),
        committed_at: 0,
        now: 0,
    }
}

fn observer(lab: &Lab) -> KubernetesObserver {
    let options = KubernetesOptions { kubeconfig: Some(lab.var("KUBECONFIG").into()), ..KubernetesOptions::default() };
    KubernetesObserver::connect(&options).unwrap()
}

/// Size, all, updated, updated and ready, ready.
fn counts(sighting: &Sighting) -> Option<[u32; 5]> {
    let workload = sighting.workload.as_ref()?;
    Some([workload.size, workload.replicas, workload.updated, workload.updated_ready, workload.ready])
}

fn settle(lab: &Lab, observer: &KubernetesObserver, mark: &str, expected: [u32; 5]) -> Sighting {
    lab.wait(&format!("{expected:?} with {mark}"), LONG, || {
        let sighting = observer.observe(&target(mark)).map_err(|error| error.to_string())?;
        if sighting.applied && counts(&sighting) == Some(expected) { Ok(sighting) } else { Err(format!("{sighting:?}")) }
    })
}

#[test]
fn a_held_rolling_update_is_seen_as_it_is() {
    let Some(lab) = Lab::up(&[]) else {
        return;
    };
    let observer = observer(&lab);
    let absent = observer.observe(&target("1111aaaa")).unwrap();
    assert!(absent.workload.is_none());
    assert_eq!(absent.missing.unwrap(), "Deployment shop/checkout does not exist: not applied yet, or applied elsewhere");

    let watcher = Watcher::start(&lab, "shop");
    lab.apply(&checkout("1111aaaa", "shop/checkout:1", 10, None));
    let stable = settle(&lab, &observer, "1111aaaa", [10, 10, 10, 10, 10]);
    assert_eq!(stable.workload.as_ref().unwrap().available, 10);
    lab.wait("ten endpoints", LONG, || match watcher.ready_endpoints("checkout").last() {
        Some((_, 10)) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let serving = watcher.now();

    // grow: two new pods beside all old ones; none of the new counts as available
    let grown = checkout("2222bbbb", "shop/checkout:2", 10, Some((2, 0)));
    let before = observer.observe(&target("2222bbbb")).unwrap();
    assert_eq!(before.missing.unwrap(), "the live Deployment carries commit-tree 1111aaaa, not 2222bbbb: not applied yet");
    lab.apply(&grown);
    let grown = settle(&lab, &observer, "2222bbbb", [10, 12, 2, 2, 12]);
    let (old, new) = (stable.workload.unwrap().revision_label.unwrap(), grown.workload.unwrap().revision_label.unwrap());
    assert_eq!(new.0, "pod-template-hash");
    assert_ne!(old.1, new.1);
    assert_eq!(
        lab.kubectl(&["-n", "shop", "get", "pods", "-l", &format!("{}={}", new.0, new.1), "-o", "name"]).lines().count(),
        2
    );

    // shift: two old pods go
    lab.apply(&checkout("3333cccc", "shop/checkout:2", 10, Some((0, 2))));
    settle(&lab, &observer, "3333cccc", [10, 10, 2, 2, 10]);
    assert!(watcher.least_ready_since("checkout", serving) >= 10, "{:?}", watcher.ready_endpoints("checkout"));
    // rollback: ten old ones again; on the way there Kubernetes' default maxUnavailable of 25 % is the user's own word
    lab.apply(&checkout("4444dddd", "shop/checkout:1", 10, None));
    let back = settle(&lab, &observer, "4444dddd", [10, 10, 10, 10, 10]);
    assert_eq!(back.workload.unwrap().revision_label.unwrap(), old);
    assert!(watcher.least_ready_since("checkout", serving) >= 8, "{:?}", watcher.ready_endpoints("checkout"));
    let pods = watcher.pods(&format!("checkout-{}", new.1));
    assert_eq!(pods.iter().map(|(_, pods)| *pods).max(), Some(2), "{pods:?}");
    assert!(watcher.changes().iter().any(|change| change.kind == "Deployment" && !change.deleted));
}

/// A reader with just the rights that the hint names is enough; without them it is refused, with that hint.
#[test]
fn the_rights_in_the_hint_suffice() {
    let Some(lab) = Lab::up(&[]) else {
        return;
    };
    lab.apply(&checkout("1111aaaa", "shop/checkout:1", 1, None));
    settle(&lab, &observer(&lab), "1111aaaa", [1, 1, 1, 1, 1]);
    lab.kubectl(&["-n", "shop", "create", "serviceaccount", "reader"]);
    let token = lab.kubectl(&["-n", "shop", "create", "token", "reader"]);
    let token = token.trim();
    let kubeconfig = lab.folder().join("reader");
    let write = |token: &str| {
        let text = std::fs::read_to_string(lab.var("KUBECONFIG")).unwrap().replace(lab.var("LAB_TOKEN"), token);
        std::fs::write(&kubeconfig, text).unwrap();
        let options = KubernetesOptions { kubeconfig: Some(kubeconfig.clone()), ..KubernetesOptions::default() };
        KubernetesObserver::connect(&options).unwrap()
    };
    let reader = write(token);
    let Err(ObserveError::Refused { cause, hint }) = reader.observe(&target("1111aaaa")) else {
        panic!("a reader without rights was not refused");
    };
    assert!(cause.contains("(403)") && !cause.contains(token), "{cause}");
    assert_eq!(hint.unwrap(), "grant in namespace shop: verb get on deployments and verb list on replicasets of API group apps");
    lab.apply(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: shop}
rules:
- {apiGroups: [apps], resources: [deployments], verbs: [get]}
- {apiGroups: [apps], resources: [replicasets], verbs: [list]}
",
    );
    lab.kubectl(&["-n", "shop", "create", "rolebinding", "reader", "--role=reader", "--serviceaccount=shop:reader"]);
    lab.wait("reading with these rights", LONG, || match reader.observe(&target("1111aaaa")) {
        Ok(sighting) if sighting.applied => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let Err(ObserveError::Refused { cause, .. }) = write("not-a-token").observe(&target("1111aaaa")) else {
        panic!("a wrong token was not refused");
    };
    assert_eq!(cause, "the cluster does not accept the credentials (401)");
}

#[test]
fn prometheus_answers() {
    let Some(lab) = Lab::up(&["prometheus"]) else {
        return;
    };
    let gauges = gauges::Gauges::start(&lab);
    gauges.set("queue_length{app=\"checkout\"}", 3.5);
    gauges.set("queue_length{app=\"cart\"}", 4.0);
    gauges.grow("requests_total{app=\"checkout\"}", 100.0);
    let source = Prometheus::new(PrometheusOptions::new("lab", lab.var("LAB_PROMETHEUS"))).unwrap();
    let ask =
        |query: &str| source.query(query, now()).map(|found| found.into_iter().map(|sample| sample.value).collect::<Vec<_>>());
    lab.wait("a scraped gauge", LONG, || match ask("queue_length{app=\"checkout\"}") {
        Ok(found) if found == [3.5] => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let mut both = ask("queue_length").unwrap();
    both.sort_by(f64::total_cmp);
    assert_eq!(both, [3.5, 4.0]);
    assert_eq!(ask("scalar(queue_length{app=\"cart\"})").unwrap(), [4.0]);
    assert!(ask("no_such_metric").unwrap().is_empty());
    assert!(ask("vector(0) / vector(0)").unwrap()[0].is_nan());
    assert_eq!(ask("vector(1) / vector(0)").unwrap(), [f64::INFINITY]);
    lab.wait("a rate", LONG, || match ask("sum(rate(requests_total[10s]))") {
        Ok(found) if found.len() == 1 && (found[0] - 100.0).abs() < 30.0 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    for (query, text) in [("sum(", "parse error"), ("queue_length[10s]", "matrix"), ("\"text\"", "text")] {
        match ask(query) {
            Err(MetricsError::Refused { cause, .. }) => assert!(cause.contains(text), "{query}: {cause}"),
            other => panic!("{query}: {other:?}"),
        }
    }
    // what the escapes of a query template mean to Prometheus itself
    gauges.set(r#"odd{path="a\"b\\c"}"#, 1.0);
    let odd = windlass::metrics::Variables {
        namespace: "shop",
        workload: "a\"b\\c",
        stable_revision: "",
        candidate_revision: "",
        step: 1,
        window: 300,
    };
    for template in [
        r#"odd{path="{{ workload }}"}"#,
        "odd{path='{{ workload }}'}",
        r#"last_over_time(odd{path="{{ workload }}"}[{{ window }}])"#,
    ] {
        let query = windlass::metrics::template::render(template, &odd).unwrap();
        lab.wait(&query, LONG, || match ask(&query) {
            Ok(found) if found == [1.0] => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
    // a TLS server that nobody vouches for
    let untrusted = Prometheus::new(PrometheusOptions::new("lab", lab.var("LAB_API"))).unwrap().query("up", now());
    match untrusted {
        Err(MetricsError::Unreachable { cause, .. }) => assert!(cause.contains("certificate"), "{cause}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn flux_applies_a_branch_of_gitea() {
    let Some(lab) = Lab::up(&["flux", "gitea"]) else {
        return;
    };
    let repository = Repository::create(&lab, "live");
    let observer = observer(&lab);
    let first =
        repository.push("deploy", &[("shop/checkout.yaml", Some(&checkout("1111aaaa", "shop/checkout:1", 3, None)))], "first");
    repository.push("main", &[("README.md", Some("the source\n"))], "another branch, without the manifests");
    assert_eq!(repository.full_name, "windlass/live");
    flux::apply_branch(&lab, "shop", &repository, "deploy", "shop", None);
    flux::wait_applied(&lab, "shop", &first, LONG);
    settle(&lab, &observer, "1111aaaa", [3, 3, 3, 3, 3]);
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: shop}\n";
    let manifests = checkout("2222bbbb", "shop/checkout:2", 3, Some((1, 0)));
    let second =
        repository.push("deploy", &[("shop/checkout.yaml", Some(&manifests)), ("shop/settings.yaml", Some(config))], "second");
    flux::wait_applied(&lab, "shop", &second, LONG);
    settle(&lab, &observer, "2222bbbb", [3, 4, 1, 1, 4]);
    assert!(lab.get("shop", "configmap", "settings").is_some());
    let third = repository.push("deploy", &[("shop/settings.yaml", None)], "third");
    flux::wait_applied(&lab, "shop", &third, LONG);
    assert!(lab.get("shop", "configmap", "settings").is_none(), "what is gone from Git is pruned");
    assert!(lab.env().contains_key("LAB_GITEA_ALICE"));
    assert!(!repository.git(&["config", "--list", "--local"]).contains(&repository.token), "no token in the clone");
}

#[test]
fn argo_cd_applies_a_branch_of_gitea() {
    let Some(lab) = Lab::up(&["argo", "gitea"]) else {
        return;
    };
    let repository = Repository::create(&lab, "live");
    let observer = observer(&lab);
    let first =
        repository.push("deploy", &[("shop/checkout.yaml", Some(&checkout("1111aaaa", "shop/checkout:1", 3, None)))], "first");
    argo::apply_branch(&lab, "shop", &repository, "deploy", "shop", "shop");
    argo::wait_applied(&lab, "shop", &first, LONG);
    settle(&lab, &observer, "1111aaaa", [3, 3, 3, 3, 3]);
    let manifests = checkout("2222bbbb", "shop/checkout:2", 3, Some((1, 0)));
    let second = repository.push("deploy", &[("shop/checkout.yaml", Some(&manifests))], "second");
    argo::wait_applied(&lab, "shop", &second, LONG);
    settle(&lab, &observer, "2222bbbb", [3, 4, 1, 1, 4]);
}
