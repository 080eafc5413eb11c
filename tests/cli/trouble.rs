//! What goes wrong, in words that name the cause and the way out; and that no app suffers for another.

use super::desk::{Desk, Said, adopted, deployment, rollout, settings, write_app};

/// Two apps at version 1, then `spoil` and a new version of `web`: `web` goes on whatever `broken` is.
fn beside(spoil: impl Fn(&Desk)) -> Said {
    let desk = adopted(&["broken", "web"]);
    spoil(&desk);
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2, and something broken");
    let said = desk.windlass(&["run"]);
    let subjects = desk.subjects("");
    assert!(subjects.iter().any(|subject| subject == "web: step 1/2, shift to 1 of 4 pods"), "{subjects:?}\n{said:?}");
    assert!(!subjects.iter().any(|subject| subject.starts_with("broken: step")), "{subjects:?}");
    assert!(!said.err.contains("panicked"), "{}", said.err);
    said
}

#[test]
fn a_broken_rollout_shows_its_place_and_a_hint() {
    beside(|desk| {
        desk.edit("apps/broken/rollout.yaml", "replicas: 1", "replica: 1");
    })
    .exits(1)
    .tells(&["apps/broken/rollout.yaml:9:", "replica", "= help: did you mean `replicas`?"]);
}

#[test]
fn a_source_that_is_an_attack_holds_its_own_app() {
    // Aliases of aliases: 10^9 entries where they are followed.
    let bomb: String = std::iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain((1..9).map(|level| {
            let inner = vec![format!("*a{}", level - 1); 10].join(", ");
            format!("a{level}: &a{level} [{inner}]\n")
        }))
        .collect();
    let start = std::time::Instant::now();
    beside(|desk| {
        desk.write("apps/broken/bomb.yaml", &format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: bomb}}\n{bomb}"));
    })
    .exits(1)
    .tells(&["apps/broken/bomb.yaml"]);
    assert!(start.elapsed().as_secs() < 20);

    beside(|desk| {
        std::os::unix::fs::symlink("/etc/hostname", desk.repo().join("apps/broken/link.yaml")).unwrap();
    })
    .exits(1)
    .tells(&["apps/broken/link.yaml", "link"]);

    beside(|desk| {
        desk.write("apps/broken/Chart.yaml", "apiVersion: v2\nname: broken\nversion: 1.0.0\ndependencies: [{name: redis}]\n");
    })
    .exits(1)
    .tells(&["the chart depends on `redis`", "commit `charts/`"]);
}

#[test]
fn objects_that_do_not_fit_hold_their_own_app() {
    beside(|desk| {
        desk.edit("apps/broken/rollout.yaml", "kind: Deployment, name: broken", "kind: Deployment, name: brokem");
    })
    .exits(1)
    .tells(&[
        "apps/broken/rollout.yaml:5:",
        "workload Deployment `brokem` does not exist in the source",
        "did you mean `broken`?",
    ]);

    beside(|desk| {
        let scaler = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: broken, namespace: prod}\nspec: \
                      {maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: broken}}\n";
        desk.write("apps/broken/scaler.yaml", scaler);
    })
    .exits(1)
    .tells(&["HorizontalPodAutoscaler `broken`", "remove it there"]);

    beside(|desk| {
        desk.edit("apps/broken/app.yaml", "name: broken, namespace: prod", "name: broken, namespace: prod, name: again");
    })
    .exits(1)
    .tells(&["apps/broken/app.yaml:3:", "name"]);
}

#[test]
fn metrics_that_cannot_be_asked_hold_and_then_roll_back() {
    let metric = "  analysis:\n    metrics:\n      - {name: errors, source: prom, query: 'sum(up)', max: 1, interval: 1s, count: 1, \
                  consecutiveErrorLimit: 1}\n";
    let steps = "      - {replicas: 1, pause: {duration: 0}}\n      - {replicas: 100%}\n";
    let desk = adopted(&["judged", "web"]);
    desk.write("apps/judged/rollout.yaml", &(rollout("judged", steps) + metric));
    desk.edit("apps/judged/app.yaml", ":1'", ":2'").edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    // No source of that name.
    desk.windlass(&["run"])
        .tells(&["no such source; none is defined (windlass.yaml, `--config`)", "web: step 1/2, shift to 1 of 4 pods"]);
    desk.windlass(&["run", "judged", "--until-done", "--timeout", "20s"]).exits(3).tells(&["judged: release 1 rolled back"]);

    // A source that nobody answers for.
    let config =
        "apiVersion: windlass.dev/v1alpha1\nkind: Config\nsources: [{name: prom, prometheus: {url: 'http://127.0.0.1:1'}}]\n";
    desk.write("operator.yaml", config).commit("settings");
    desk.windlass(&["retry", "judged"]).exits(0);
    desk.windlass(&["run", "judged", "--config", "operator.yaml"]).tells(&["cannot reach metrics source `prom`"]);
    desk.windlass(&["run", "--config", "nowhere.yaml"]).exits(2).tells(&["nowhere.yaml"]);
    desk.write("operator.yaml", &config.replace("prometheus:", "promtheus:"));
    desk.windlass(&["run", "--config", "operator.yaml"]).exits(2).tells(&["operator.yaml:3:", "did you mean `prometheus`?"]);
}

#[test]
fn a_cluster_that_is_not_there_is_said_so() {
    let desk = Desk::new();
    write_app(&desk, "web");
    desk.commit("no .windlass.yaml: the cluster is read");
    desk.windlass(&["run"]).exits(0).tells(&["web: adopt the source as it is"]);
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    desk.windlass(&["run"]).exits(5).tells(&["unreachable", "release 1 waits for the commit before it"]);
}

#[test]
fn a_place_without_a_repository_is_said_so() {
    let desk = Desk::new();
    let nowhere = tempfile::tempdir().unwrap();
    let said = desk.command(env!("CARGO_BIN_EXE_windlass"), nowhere.path()).arg("status").output().unwrap();
    assert_eq!(said.status.code(), Some(2));
    let text = String::from_utf8(said.stderr).unwrap();
    assert!(text.contains("error: no repository here") && text.contains("--repo"), "{text}");
    let missing = nowhere.path().join("missing");
    desk.windlass(&["status", "--repo", missing.to_str().unwrap()]).exits(5).tells(&["missing"]);
    desk.windlass(&["status"]).exits(5).tells(&["main"]);
    desk.write("README.md", "").commit("nothing yet");
    desk.windlass(&["status"]).exits(0).tells(&["No apps", "`windlass init`"]);
    desk.windlass(&["approve"]).exits(1).tells(&["no app"]);
}

#[test]
fn a_broken_settings_file_stops_everything_and_shows_why() {
    let desk = Desk::new();
    desk.write(".windlass.yaml", &settings(0).replace("observe:", "observes:"));
    write_app(&desk, "web");
    desk.commit("settings with a slip");
    desk.windlass(&["run"]).exits(1).tells(&[".windlass.yaml:3:", "did you mean `observe`?"]);
    assert_eq!(desk.git(&["branch", "--list", "deploy"]), "", "nothing was written");
}

#[test]
fn a_live_path_that_is_somebodys_is_not_taken() {
    let desk = Desk::new();
    desk.write(".windlass.yaml", &settings(0));
    write_app(&desk, "web");
    desk.commit("apps");
    desk.git(&["branch", "deploy"]);
    let before = desk.live();
    desk.windlass(&["run"]).exits(1).tells(&["files stand here that Windlass did not write", "map the app to another live path"]);
    assert_eq!(desk.live(), before);
    desk.git(&["checkout", "--quiet", "deploy"]);
    desk.git(&["rm", "-r", "--quiet", "apps"]);
    desk.commit("room for windlass");
    desk.windlass(&["run", "--source-branch", "main"]).exits(5).tells(&["is checked out there", "bare repository"]);
    desk.git(&["checkout", "--quiet", "main"]);
    desk.windlass(&["run"]).exits(0).tells(&["web: adopt the source as it is"]);
}

#[test]
fn validate_shows_the_step_that_a_route_cannot_express() {
    let desk = Desk::new();
    desk.write("apps/web/app.yaml", &deployment("web", "1", 4));
    desk.write(
        "apps/web/routes.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n---\n\
         apiVersion: split.smi-spec.io/v1alpha2\nkind: TrafficSplit\nmetadata: {name: web}\n\
         spec: {service: web, backends: [{service: web, weight: 1}]}\n",
    );
    let steps =
        "      - {replicas: 1, traffic: 20%, pause: {}}\n      - {replicas: 2, matches: [{headers: [{name: x, value: a}]}]}\n";
    let routing = "      trafficRoutings:\n      - service: web\n        customNetworkRefs: \
                   [{apiVersion: split.smi-spec.io/v1alpha2, kind: TrafficSplit, name: web}]\n      steps:\n";
    desk.write("apps/web/rollout.yaml", &rollout("web", steps).replace("      steps:\n", routing));
    desk.windlass(&["validate"]).exits(1).tells(&[
        "route",
        "TrafficSplit (SMI) cannot express `matches`",
        "use `traffic` alone, or a `gateway` routing (HTTPRoute)",
        "1 error",
    ]);
    desk.edit("apps/web/rollout.yaml", "matches: [{headers: [{name: x, value: a}]}]", "traffic: 50%");
    desk.windlass(&["validate"]).exits(0);
}

#[test]
fn validate_finds_everything_at_once() {
    let desk = Desk::new();
    write_app(&desk, "web");
    desk.edit("apps/web/rollout.yaml", "replicas: 1,", "replicas: 1, trafic: 20%,");
    desk.write("apps/api/app.yaml", &deployment("api", "1", 4));
    desk.write("apps/api/rollout.yaml", &rollout("apis", "      - {replicas: 100%}\n"));
    desk.write("apps/shop/app.yaml", &deployment("shop", "1", 4));
    desk.write("apps/shop/rollout.yaml", &rollout("shop", "      - {replicas: 100%}\n      - {replicas: 50%}\n"));
    desk.windlass(&["validate"]).exits(1).tells(&[
        "apps/web/rollout.yaml:9:",
        "did you mean `traffic`?",
        "Steps.CanaryReplicas must be a non decreasing sequence",
        "workload Deployment `apis` does not exist in the source",
        "3 errors",
    ]);
    let said = desk.windlass(&["validate", "--output", "github", "apps/web"]).exits(1);
    assert!(said.out.starts_with("::error file=apps/web/rollout.yaml,line=9,"), "{}", said.out);
    desk.windlass(&["validate", "nowhere"]).exits(2).tells(&["nowhere: no such file or folder"]);
}

#[test]
fn wrong_usage_is_2() {
    let desk = Desk::new();
    desk.windlass(&["rol"]).exits(2).tells(&["rol"]);
    desk.windlass(&["goto"]).exits(2);
    desk.windlass(&["run", "--watch", "--until-done"]).exits(2);
    desk.windlass(&["run", "--until-done", "--timeout", "soon"]).exits(2).tells(&["`soon` is no duration"]);
    desk.windlass(&["schema", "nothing"]).exits(2);
}
