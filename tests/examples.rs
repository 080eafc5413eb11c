//! Every folder of `examples/` is what its README says: it validates clean, and a release of it runs to its end.

use std::path::{Path, PathBuf};

use crate::cli::desk::{Desk, is_there};
use crate::metrics::server::Server;

/// A copy of the example as a repository, with a clock instead of a cluster and with pauses of no time.
pub(crate) fn copy(name: &str) -> Desk {
    let desk = Desk::new();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    for (path, text) in files(&root) {
        let quick = text
            .replace("kubernetes: {}", "timed: {settle: 0}")
            .replace("gracePeriodSeconds: 3", "gracePeriodSeconds: 0")
            .replace("{duration: 5m}", "{duration: 0}")
            .replace("{duration: 10m}", "{duration: 0}")
            .replace("duration: 60", "duration: 0")
            .replace("count: 3", "count: 1")
            // Kruise's default is 3 seconds.
            .replace("- service: checkout", "- service: checkout\n          gracePeriodSeconds: 0");
        desk.write(&path, &quick);
    }
    desk.commit("the example");
    desk
}

/// Files by their path below `root`.
fn files(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// Releases what the source holds; what `plan` had said must be what then happens. Gives the subjects without the app.
fn release(desk: &Desk, app: &str, options: &[&str], approvals: usize) -> Vec<String> {
    let with = |args: &[&str]| -> Vec<String> { [options, args].concat().into_iter().map(str::to_owned).collect() };
    let run = |args: &[&str]| {
        let args = with(args);
        desk.windlass(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let before = desk.live();
    let plan = run(&["plan", app, "--output", "json"]).exits(0).json();
    let planned: Vec<String> =
        plan["commits"].as_array().unwrap().iter().map(|commit| commit["title"].as_str().unwrap().to_owned()).collect();
    for _ in 0..approvals {
        run(&["run", app, "--until-done", "--timeout", "1s"]).exits(4).tells(&["approval"]);
        run(&["approve", app]).exits(0);
    }
    run(&["run", app, "--until-done", "--timeout", "20s"]).exits(0);
    let plain = |subject: String| subject.strip_prefix(&format!("{app}: ")).unwrap().to_owned();
    let made: Vec<String> = desk.subjects(&before).into_iter().map(plain).collect();
    let own: Vec<&String> =
        made.iter().filter(|subject| !subject.contains("approved by") && !subject.contains("evidence")).collect();
    assert_eq!(own, planned.iter().collect::<Vec<_>>(), "what happened is what was planned");
    made
}

#[test]
fn every_example_is_tested() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut names: Vec<String> =
        std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let all = [
        "daemon-set",
        "helm",
        "ingress-nginx",
        "istio",
        "kruise",
        "kustomize-gateway-api",
        "live-elsewhere",
        "lua",
        "open-kruise",
        "own-kind",
        "plain-deployment",
        "several-rollouts",
        "shared-routing",
        "stateful-set",
        "styles",
    ];
    assert_eq!(names, all);
    for name in names {
        let readme = std::fs::read_to_string(root.join(&name).join("README.md")).unwrap();
        assert!(readme.lines().count() <= 20, "{name}/README.md is longer than a screen");
        let desk = Desk::new();
        let folder = root.join(&name);
        let said = desk.windlass(&["validate", folder.to_str().unwrap()]).exits(0);
        assert!(said.out.contains("0 errors, 0 warnings"), "{name}: {}", said.out);
    }
}

#[test]
fn plain_deployment() {
    let desk = copy("plain-deployment");
    desk.windlass(&["run"]).exits(0);
    assert_eq!(desk.subjects(""), ["hello: adopt the source as it is"]);
    desk.edit("apps/hello/deployment.yaml", "hello:1.0.0", "hello:1.1.0").commit("hello 1.1.0");
    assert_eq!(
        release(&desk, "hello", &[], 1),
        [
            "step 1/3, grow to 1 of 5 pods",
            "step 1/3, shift to 1 of 5 pods",
            "step 2/3, grow to 3 of 5 pods",
            "step 2/3, shift to 3 of 5 pods",
            "step 2/3, evidence: settled",
            "step 2/3, approved by Ada",
            "step 3/3, grow to 5 of 5 pods",
            "step 3/3, shift to 5 of 5 pods",
            "finalise, the workload's own strategy takes over",
            "release 1 complete",
        ]
    );
}

#[test]
fn live_elsewhere() {
    let desk = copy("live-elsewhere");
    desk.windlass(&["run"]).exits(1).tells(&["WINDLASS_LIVE_REPO"]);
    let url = desk.bare("apps-live.git");
    let windlass = |args: &[&str]| desk.windlass_with(args, &[("WINDLASS_LIVE_REPO", &url)]);
    windlass(&["run"]).exits(0);
    desk.edit("apps/hello/deployment.yaml", "hello:1.0.0", "hello:1.1.0").commit("hello 1.1.0");
    windlass(&["run", "--until-done"]).exits(0).tells(&["hello: release 1 complete"]);
    windlass(&["log"]).exits(0).tells(&["hello: step 1/2, shift to 1 of 5 pods"]);
    assert_eq!(desk.git(&["ls-remote", &url]).split_once('\t').unwrap().1, "refs/heads/apps");
    assert_eq!(desk.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
}

#[test]
fn helm() {
    if !is_there("helm") {
        return;
    }
    let desk = copy("helm");
    desk.windlass(&["run"]).exits(0);
    assert_eq!(desk.subjects(""), ["hello: adopt the source as it is"]);
    let steps = [
        "step 1/2, grow to 2 of 4 pods",
        "step 1/2, shift to 2 of 4 pods",
        "step 2/2, grow to 4 of 4 pods",
        "step 2/2, shift to 4 of 4 pods",
    ];
    // The environment's values, and then the chart's own, which are not in the Rollout's directory.
    desk.edit("apps/hello/values.yaml", "replicas: 4", "replicas: 4\ntag: 1.1.0").commit("hello 1.1.0 here");
    assert_eq!(release(&desk, "hello", &[], 0)[..4], steps);
    desk.edit("charts/hello/values.yaml", "registry.example.com/hello", "registry.example.com/hello-slim").commit("slim");
    let made = release(&desk, "hello", &[], 0);
    assert_eq!(made[..4], steps);
    assert_eq!(made.last().unwrap(), "release 2 complete");
}

#[test]
fn several_rollouts() {
    let desk = copy("several-rollouts");
    desk.windlass(&["run"]).exits(0);
    assert_eq!(
        desk.subjects(""),
        ["rest of apps/shop: adopt the source as it is", "api: adopt the source as it is", "web: adopt the source as it is"]
    );
    desk.edit("apps/shop/common.yaml", "EUR", "USD").commit("another currency");
    let before = desk.live();
    desk.windlass(&["run"]).exits(0);
    assert_eq!(desk.subjects(&before), ["rest of apps/shop: sync"]);
    desk.edit("apps/shop/web.yaml", "web:1.0.0", "web:1.1.0").commit("web 1.1.0");
    assert_eq!(
        release(&desk, "web", &[], 0),
        [
            "step 1/2, grow to 1 of 4 pods",
            "step 1/2, shift to 1 of 4 pods",
            "step 2/2, grow to 4 of 4 pods",
            "step 2/2, shift to 4 of 4 pods",
            "finalise, the workload's own strategy takes over",
            "release 1 complete",
        ]
    );
}

#[test]
fn shared_routing() {
    let desk = copy("shared-routing");
    desk.windlass(&["run"]).exits(0);
    desk.windlass(&["validate", "apps"]).exits(0).tells(&["but HTTPRoute shop/entry: a shared routing changes it"]);
    let entry = "deploy:apps/shop/httproute-entry.yaml";
    let plain = desk.git(&["show", entry]);
    assert!(!plain.contains("gray"), "{plain}");
    desk.edit("apps/shop/cart.yaml", "cart:1.0.0", "cart:1.1.0").commit("cart 1.1.0");
    desk.windlass(&["plan", "cart"]).exits(0).tells(&[
        "Shared routing `testers`, from commit 3 to 7 and as long as others need it: requests with header `x-tester: yes`; sets header",
    ]);
    let made = release(&desk, "cart", &[], 0);
    assert_eq!(
        made,
        [
            "step 0/2, label the running pods",
            "step 1/2, grow to 1 of 4 pods",
            "step 1/2, shift requests with header `x-env: gray` to 1 of 4 pods; shared routing `testers`",
            "step 2/2, the Service selects all pods again",
            "step 2/2, routes as you wrote them",
            "step 2/2, grow to 4 of 4 pods",
            "step 2/2, shift to 4 of 4 pods",
            "finalise, the shared routing `testers` is not needed any more",
            "finalise, the workload's own strategy takes over",
            "release 1 complete",
        ]
    );
    assert_eq!(desk.git(&["show", entry]), plain);
    let at = |subject: &str| {
        let found = desk.git(&["log", "--format=%H", "--fixed-strings", &format!("--grep={subject}"), "deploy"]);
        found.lines().next().unwrap().to_owned()
    };
    let route = |commit: &str| desk.git(&["show", &format!("{commit}:apps/shop/httproute-entry.yaml")]);
    let on = at("shared routing `testers`: requests");
    assert!(route(&on).contains("value: gray"), "{}", route(&on));
    assert!(!route(&format!("{on}^")).contains("gray"));
    assert!(route(&at("step 2/2, shift to 4 of 4 pods")).contains("gray"));
}

#[test]
fn ingress_nginx() {
    let desk = copy("ingress-nginx");
    let server = Server::fixed(
        "200 OK",
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"0.999"]}]}}"#,
    );
    desk.edit("operator/windlass.yaml", "http://prometheus.monitoring.svc:9090", &server.url());
    let options = ["--config", "operator/windlass.yaml"];
    desk.windlass(&[&options[..], &["run"]].concat()).exits(0);
    desk.edit("apps/shop/deployment.yaml", "shop:1.4.0", "shop:1.5.0").commit("shop 1.5.0");
    assert_eq!(
        release(&desk, "shop", &options, 1),
        [
            "step 0/4, label the running pods",
            "step 1/4, grow to 1 of 10 pods",
            "step 1/4, shift requests with header `x-canary: always` to 1 of 10 pods",
            "step 2/4, grow to 2 of 10 pods",
            "step 2/4, shift 20% of requests to 2 of 10 pods",
            "step 3/4, grow to 5 of 10 pods",
            "step 3/4, shift 50% of requests to 5 of 10 pods",
            "step 3/4, evidence: 1 look",
            "step 3/4, approved by Ada",
            "step 4/4, the Service selects all pods again",
            "step 4/4, routes as you wrote them",
            "step 4/4, grow to 10 of 10 pods",
            "step 4/4, shift to 10 of 10 pods",
            "finalise, the workload's own strategy takes over",
            "release 1 complete",
        ]
    );
}

#[test]
fn kustomize_gateway_api() {
    if !is_there("kustomize") {
        return;
    }
    let desk = copy("kustomize-gateway-api");
    desk.windlass(&["run"]).exits(0);
    desk.edit("apps/web/application.conf", "hello", "good day").commit("another greeting");
    assert_eq!(
        release(&desk, "web", &[], 0),
        [
            "step 0/3, label the running pods",
            "step 1/3, grow to 1 of 4 pods",
            "step 1/3, shift 10% of requests to 1 of 4 pods; sets header `x-version: candidate`",
            "step 2/3, grow to 2 of 4 pods",
            "step 2/3, shift 50% of requests to 2 of 4 pods",
            "step 3/3, the Service selects all pods again",
            "step 3/3, routes as you wrote them",
            "step 3/3, grow to 4 of 4 pods",
            "step 3/3, shift to 4 of 4 pods",
            "finalise, the workload's own strategy takes over",
            "release 1 complete",
        ]
    );
}

#[test]
fn istio() {
    let desk = copy("istio");
    desk.windlass(&["run"]).exits(0);
    desk.edit("apps/cart/deployment.yaml", "cart:2.0.0", "cart:2.1.0").commit("cart 2.1.0");
    assert_eq!(
        release(&desk, "cart", &[], 0),
        [
            "step 0/4, label the running pods",
            "step 1/4, grow to 1 of 5 pods",
            "step 1/4, shift a copy of 10% of requests to 1 of 5 pods",
            "step 2/4, shift requests with header `x-canary: 1` to 1 of 5 pods",
            "step 3/4, grow to 2 of 5 pods",
            "step 3/4, shift 30% of requests to 2 of 5 pods",
            "step 4/4, the Service selects all pods again",
            "step 4/4, routes as you wrote them",
            "step 4/4, grow to 5 of 5 pods",
            "step 4/4, shift to 5 of 5 pods",
            "finalise, the workload's own strategy takes over",
            "release 1 complete",
        ]
    );
}

#[test]
fn kruise() {
    let desk = copy("kruise");
    desk.windlass(&["run"]).exits(0);
    desk.edit("apps/checkout/app.yaml", "checkout:3.1.0", "checkout:3.2.0").commit("checkout 3.2.0");
    assert_eq!(
        release(&desk, "checkout", &[], 1),
        [
            "step 0/3, label the running pods",
            "step 1/3, grow to 1 of 5 pods",
            "step 1/3, shift 20% of requests to 1 of 5 pods",
            "step 2/3, grow to 3 of 5 pods",
            "step 2/3, shift 50% of requests to 3 of 5 pods",
            "step 2/3, evidence: settled",
            "step 2/3, approved by Ada",
            "step 3/3, the Service selects all pods again",
            "step 3/3, routes as you wrote them",
            "step 3/3, grow to 5 of 5 pods",
            "step 3/3, shift to 5 of 5 pods",
            "finalise, the workload's own strategy takes over",
            "release 1 complete",
        ]
    );
    desk.edit("apps/catalog/app.yaml", "catalog:0.9.0", "catalog:1.0.0").commit("catalog 1.0.0");
    assert_eq!(
        release(&desk, "catalog", &[], 0),
        [
            "step 1/3, grow to 1 of 3 pods",
            "step 1/3, shift to 1 of 3 pods",
            "step 2/3, grow to 2 of 3 pods",
            "step 2/3, shift to 2 of 3 pods",
            "step 3/3, grow to 3 of 3 pods",
            "step 3/3, shift to 3 of 3 pods",
            "finalise, the workload's own strategy takes over",
            "release 1 complete",
        ]
    );
}

#[test]
fn stateful_set() {
    let desk = copy("stateful-set");
    desk.windlass(&["run"]).exits(0);
    desk.edit("apps/db/statefulset.yaml", "db:16.3", "db:16.4").commit("db 16.4");
    assert_eq!(
        release(&desk, "db", &[], 1),
        [
            "step 1/3, replace up to 1 of 3 pods",
            "step 1/3, evidence: settled",
            "step 1/3, approved by Ada",
            "step 2/3, replace up to 2 of 3 pods",
            "step 3/3, replace up to 3 of 3 pods",
            "finalise, the workload's own strategy takes over",
            "release 1 complete",
        ]
    );
}

#[test]
fn own_kind() {
    let desk = copy("own-kind");
    desk.windlass(&["run"]).exits(0);
    desk.edit("apps/arena/gameset.yaml", "arena:1.0.0", "arena:1.1.0").commit("arena 1.1.0");
    desk.windlass(&["plan", "arena", "--diff"]).exits(0).tells(&["keep: 3"]);
    assert_eq!(
        release(&desk, "arena", &[], 0),
        [
            "step 1/2, replace up to 1 of 4 pods",
            "step 2/2, replace up to 4 of 4 pods",
            "finalise, the workload's own strategy takes over",
            "release 1 complete",
        ]
    );
}

#[test]
fn open_kruise() {
    let desk = copy("open-kruise");
    desk.windlass(&["run"]).exits(0);
    desk.edit("apps/clones/cloneset.yaml", "clones:1.0.0", "clones:1.1.0").commit("clones 1.1.0");
    let steps = [
        "step 1/2, replace up to 2 of 10 pods",
        "step 2/2, replace up to 10 of 10 pods",
        "finalise, the workload's own strategy takes over",
        "release 1 complete",
    ];
    assert_eq!(release(&desk, "clones", &[], 0), steps);
    desk.edit("apps/ordered/statefulset.yaml", "ordered:1.0.0", "ordered:1.1.0").commit("ordered 1.1.0");
    assert_eq!(release(&desk, "ordered", &[], 0), steps.map(|step| step.replace("10 of 10", "6 of 6").replace("of 10", "of 6")));
    desk.edit("apps/pairs/cloneset.yaml", "pairs:1.0.0", "pairs:1.1.0").commit("pairs 1.1.0");
    let steps = [
        "step 0/2, label the running pods",
        "step 1/2, grow to 4 of 4 pods",
        "step 1/2, shift 0% of requests to 4 of 4 pods",
        "step 2/2, shift 100% of requests to 4 of 4 pods",
        "finalise, the Service selects all pods again",
        "finalise, the workload's own strategy takes over",
        "finalise, routes as you wrote them",
        "release 1 complete",
    ];
    assert_eq!(release(&desk, "pairs", &[], 0), steps);
    // How many nodes there are is known to a cluster alone: without one, nothing is planned and nothing released.
    desk.edit("apps/agents/daemonset.yaml", "agents:1.0.0", "agents:1.1.0").commit("agents 1.1.0");
    needs_a_cluster(&desk, "agents");
}

fn needs_a_cluster(desk: &Desk, app: &str) {
    let said = desk.windlass(&["plan", app]);
    let all = format!("{}{}", said.out, said.err);
    assert!(all.contains("known to the cluster alone"), "{all}");
}

#[test]
fn styles() {
    let desk = copy("styles");
    desk.windlass(&["run"]).exits(0);
    desk.edit("apps/beside/app.yaml", "beside:1.0.0", "beside:1.1.0").commit("beside 1.1.0");
    assert_eq!(
        release(&desk, "beside", &[], 0),
        [
            "step 0/2, label the running pods",
            "step 1/2, grow to 1 canary pod",
            "step 1/2, shift 20% of requests to 1 canary pod",
            "step 2/2, grow to 3 canary pods",
            "step 2/2, shift 60% of requests to 3 canary pods",
            "finalise, the Service selects all pods again",
            "finalise, routes as you wrote them",
            "finalise, the workload's own strategy takes over",
            "release 1 complete",
        ]
    );
    desk.edit("apps/green/app.yaml", "green:1.0.0", "green:1.1.0").commit("green 1.1.0");
    assert_eq!(
        release(&desk, "green", &[], 0),
        [
            "step 0/2, label the running pods",
            "step 1/2, grow to 2 of 4 pods",
            "step 1/2, shift 0% of requests to 2 of 4 pods",
            "step 2/2, grow to 4 of 4 pods",
            "step 2/2, shift 100% of requests to 4 of 4 pods",
            "finalise, the Service selects all pods again",
            "finalise, the workload's own strategy takes over",
            "finalise, routes as you wrote them",
            "release 1 complete",
        ]
    );
    desk.edit("apps/scaled/app.yaml", "scaled:1.0.0", "scaled:1.1.0").commit("scaled 1.1.0");
    needs_a_cluster(&desk, "scaled");
}

#[test]
fn daemon_set() {
    let desk = copy("daemon-set");
    desk.windlass(&["validate"]).exits(0);
    desk.windlass(&["run"]).exits(0);
    // Which nodes there are is known to a cluster alone: without one, nothing is planned and nothing released.
    desk.edit("apps/agent/daemonset.yaml", "agent:1.0.0", "agent:1.1.0").commit("agent 1.1.0");
    let said = desk.windlass(&["plan", "agent"]);
    let text = format!("{}{}", said.out, said.err);
    assert!(text.contains("its batches are nodes, which are known to the cluster alone"), "{text}");
    assert!(text.contains("Advanced DaemonSet"), "the way out: {text}");
}

#[test]
fn lua() {
    let desk = copy("lua");
    desk.windlass(&["lua", "test"]).exits(0).tells(&["3 files: 5 steps, 0 failed"]);
    desk.windlass(&["run"]).exits(0);
    let before = desk.live_file("apps/cart/routegroup-cart.yaml");
    desk.edit("apps/cart/deployment.yaml", "cart:2.0.0", "cart:2.1.0").commit("cart 2.1.0");
    assert_eq!(
        release(&desk, "cart", &[], 0),
        [
            "step 0/3, label the running pods",
            "step 1/3, grow to 1 of 5 pods",
            "step 1/3, shift requests with header `x-canary: 1` to 1 of 5 pods",
            "step 2/3, grow to 2 of 5 pods",
            "step 2/3, shift 30% of requests to 2 of 5 pods",
            "step 3/3, the Service selects all pods again",
            "step 3/3, routes as you wrote them",
            "step 3/3, grow to 5 of 5 pods",
            "step 3/3, shift to 5 of 5 pods",
            "finalise, the workload's own strategy takes over",
            "release 1 complete",
        ]
    );
    assert_eq!(desk.live_file("apps/cart/routegroup-cart.yaml"), before, "byte for byte");
}
