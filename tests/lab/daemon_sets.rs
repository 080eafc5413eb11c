//! DaemonSets of `apps/v1` under the real controller and scheduler: what the split by nodes rests on, and releases that the engine
//! decides by what the real observer sees. Which nodes had a Ready pod is read from the EndpointSlices of a Service that no
//! release touches.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use windlass::api::Rollout;
use windlass::engine::{self, Command, Decision, Input, Move, Phase, Seen, State};
use windlass::manifest::{self, ObjectSet};
use windlass::observe::{KubernetesObserver, KubernetesOptions, Observer, Sighting, Target, Workload};
use windlass::reconcile::sight;
use windlass::render::Pods;
use windlass::sim::cluster::Cluster;

use super::program::Program;
use super::repository::Repository;
use super::servers::Lab;
use super::watch::Watcher;
use super::{argo, flux, kinds};
use crate::world::daemon_sets::decide_from;

const LONG: Duration = Duration::from_secs(180);

fn objects(name: &str, image: &str, own: &str) -> ObjectSet {
    kinds::objects("DaemonSet", name, image, own, "")
}

fn rollout(name: &str, steps: &str) -> Rollout {
    kinds::rollout("DaemonSet", name, &format!("canary: {{steps: {steps}}}"))
}

/// An app whose commits go straight to the cluster.
struct App<'a> {
    lab: &'a Lab,
    observer: KubernetesObserver,
    /// It is given the same, and must show the same wherever the release waits.
    simulated: Cluster,
    rollout: Rollout,
    source: ObjectSet,
    /// The newest commit.
    last: Option<Move>,
    /// The state, with what was learned since.
    state: Option<State>,
    titles: Vec<String>,
}

impl<'a> App<'a> {
    fn adopt(lab: &'a Lab, rollout: Rollout, source: ObjectSet) -> Self {
        let options = KubernetesOptions { kubeconfig: Some(lab.var("KUBECONFIG").into()), ..KubernetesOptions::default() };
        let observer = KubernetesObserver::connect(&options).unwrap();
        let simulated = Cluster::new("shop");
        let mut app = Self { lab, observer, simulated, rollout, source, last: None, state: None, titles: Vec::new() };
        app.pass();
        let four = |app: &Self| matches!(app.seen(), Seen::Sight(sight) if sight.applied && sight.nodes.len() == 4);
        lab.wait("four nodes", LONG, || if four(&app) { Ok(()) } else { Err(format!("{:?}", app.seen())) });
        app
    }

    fn target(&self, state: &State) -> Target {
        let workload = &self.rollout.workload;
        Target {
            namespace: "shop".to_owned(),
            api_version: workload.api_version.clone(),
            kind: workload.kind.clone(),
            name: state.shape.shown_by(&workload.name),
            mark: state.mark.clone(),
            committed_at: 0,
            now: 0,
            described: None,
        }
    }

    /// Waits until the real controllers have come to where the simulated ones are.
    fn compare(&self) {
        let target = self.target(self.state.as_ref().unwrap());
        let known = |sighting: Sighting| {
            let workload = sighting.workload.unwrap_or_default();
            let Workload { size, replicas, updated, updated_ready, ready, nodes, .. } = workload;
            (sighting.applied, [size, replicas, updated, updated_ready, ready], nodes)
        };
        let simulated = known(self.simulated.observe(&target).unwrap());
        self.lab.wait(&format!("{simulated:?} as simulated"), LONG, || {
            let real = known(self.observer.observe(&target).map_err(|error| error.to_string())?);
            if real == simulated { Ok(()) } else { Err(format!("{real:?}")) }
        });
        println!("    {:?} on {} nodes, as simulated", simulated.1, simulated.2.len());
    }

    fn seen(&self) -> Seen {
        let Some(state) = &self.state else { return Seen::Unreachable("nothing is there".to_owned()) };
        match self.observer.observe(&self.target(state)) {
            Ok(sighting) => Seen::Sight(sight(sighting)),
            Err(error) => Seen::Unreachable(error.to_string()),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&Input<'_>) -> T) -> T {
        let stands = (self.state.as_ref(), self.last.as_ref());
        decide_from(&self.rollout, &self.source, stands, (self.seen(), Timestamp::now()), work)
    }

    fn take(&mut self, commit: Move) {
        let objects = &commit.live.objects;
        self.lab.apply(&objects.values().map(manifest::write).collect::<Vec<_>>().join("---\n"));
        let second = format!("{}-canary", self.rollout.workload.name);
        if objects.find("apps", "DaemonSet", &second).is_none() {
            // What an applier prunes.
            self.lab.kubectl(&["-n", "shop", "delete", "daemonset", &second, "--ignore-not-found"]);
        }
        self.simulated.apply(objects).unwrap();
        self.simulated.advance(60_000);
        println!("  {}", commit.title);
        self.titles.push(commit.title.clone());
        self.state = Some(State { tree: commit.live.mark.clone(), ..commit.state.clone() });
        self.last = Some(commit);
    }

    /// One decision, and what follows from it.
    fn pass(&mut self) -> String {
        match self.with(|input| engine::decide(input).unwrap()) {
            Decision::Rest => "at rest".to_owned(),
            Decision::Hold(hold, learned) => {
                self.state = Some(*learned);
                format!("{}: {}", hold.reason.code(), hold.text)
            }
            Decision::Commit(commit) => {
                self.take(*commit);
                "a commit".to_owned()
            }
        }
    }

    /// Passes until the newest answer begins so; gives the titles of the commits since the last time.
    fn until(&mut self, answer: &str) -> Vec<String> {
        let start = std::time::Instant::now();
        loop {
            let is = self.pass();
            if is.starts_with(answer) {
                self.compare();
                return std::mem::take(&mut self.titles);
            }
            assert!(start.elapsed() < LONG, "{answer} did not come about: {is}\n{}", self.lab.state());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn say(&mut self, command: &Command) {
        let commit = self.with(|input| engine::command(input, command, "alice").unwrap());
        self.take(commit);
    }

    /// Node → uid and image of its pod, where no pod is on its way.
    fn pods(&self) -> BTreeMap<String, (String, String)> {
        let label = format!("app={}", self.rollout.workload.name);
        let text = self.lab.kubectl(&["-n", "shop", "get", "pods", "-l", &label, "-o", "json"]);
        let list: Value = serde_json::from_str(&text).unwrap();
        let of = |pod: &Value, pointer: &str| pod.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let pods = list["items"].as_array().unwrap().iter();
        let image = |pod: &Value| of(pod, "/spec/containers/0/image").rsplit(':').next().unwrap_or_default().to_owned();
        pods.map(|pod| (of(pod, "/spec/nodeName"), (of(pod, "/metadata/uid"), image(pod)))).collect()
    }
}

/// The fewest nodes with a Ready pod since `since`, and how many pods each node has had.
fn nodes(watcher: &Watcher, service: &str, since: Duration) -> (usize, BTreeMap<String, usize>) {
    let mut slices: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut pods: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut least = usize::MAX;
    let count = |slices: &BTreeMap<String, BTreeSet<String>>| slices.values().flatten().collect::<BTreeSet<_>>().len();
    let mut begun = false;
    for change in watcher.changes().into_iter().filter(|change| change.kind == "EndpointSlice") {
        if change.object["metadata"]["labels"]["kubernetes.io/service-name"] != service {
            continue;
        }
        if change.at >= since && !begun {
            (begun, least) = (true, count(&slices));
        }
        let mut ready = BTreeSet::new();
        for endpoint in change.object["endpoints"].as_array().into_iter().flatten().filter(|_| !change.deleted) {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let node = text(&endpoint["nodeName"]);
            if change.at >= since {
                pods.entry(node.clone()).or_default().insert(text(&endpoint["targetRef"]["uid"]));
            }
            if endpoint["conditions"]["ready"] == true {
                ready.insert(node);
            }
        }
        slices.insert(change.name.clone(), ready);
        if begun {
            least = least.min(count(&slices));
        }
    }
    (least, pods.into_iter().map(|(node, pods)| (node, pods.len())).collect())
}

/// Why both DaemonSets have `OnDelete`: to leave one node is a new template, and `RollingUpdate` replaces the pods of all others.
#[test]
fn to_leave_a_node_replaces_all_pods_but_with_on_delete() {
    let Some(lab) = Lab::up(&[]) else {
        return;
    };
    for (name, strategy, stay) in [("rolls", "RollingUpdate", 0), ("stays", "OnDelete", 3)] {
        let set = |affinity: &str| {
            format!(
                "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  selector: {{matchLabels: \
                 {{app: {name}}}}}\n  updateStrategy: {{type: {strategy}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec: \
                 {{{affinity}containers: [{{name: app, image: \"shop/a:1\"}}]}}\n"
            )
        };
        let pods = || -> BTreeSet<String> {
            let path = "-o=jsonpath={range .items[?(@.status.phase=='Running')]}{.metadata.uid}{'\\n'}{end}";
            let text = lab.kubectl(&["-n", "shop", "get", "pods", "-l", &format!("app={name}"), path]);
            text.lines().map(str::to_owned).collect()
        };
        lab.apply(&set(""));
        let before = lab.wait("four pods", LONG, || if pods().len() == 4 { Ok(pods()) } else { Err(format!("{:?}", pods())) });
        let field = "{key: metadata.name, operator: NotIn, values: [node-1]}";
        lab.apply(&set(&format!(
            "affinity: {{nodeAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: {{nodeSelectorTerms: [{{matchFields: [{field}]}}]}}}}}}, "
        )));
        lab.wait("three pods, of which so many stay", LONG, || {
            let now = pods();
            if now.len() == 3 && now.intersection(&before).count() == stay { Ok(()) } else { Err(format!("{now:?}")) }
        });
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(pods().intersection(&before).count(), stay, "{strategy}");
    }
}

/// One node at a time has no pod; pods on nodes that no step has chosen stay through a release and its rollback; the nodes of
/// the canary have three pods in a whole release (old, canary, new), all others two.
#[test]
fn a_daemon_set_goes_node_by_node() {
    let Some(lab) = Lab::up(&[]) else {
        return;
    };
    let watcher = Watcher::start(&lab, "shop");
    let of = |image| objects("agent", image, "");
    let rollout = rollout("agent", "[{replicas: 50%, pause: {}}, {replicas: 100%}]");
    let mut app = App::adopt(&lab, rollout, of("1"));
    app.titles.clear();
    lab.wait("four Ready endpoints", LONG, || match watcher.ready_endpoints("agent").last() {
        Some((_, 4)) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let (first, since) = (app.pods(), watcher.now());
    let own = |pods: &BTreeMap<String, (String, String)>| ["node-3", "node-4"].map(|node| pods[node].clone());

    app.source = of("2");
    assert_eq!(app.until("approval"), ["step 1/2, replace up to 1 of 4 pods", "step 1/2, replace up to 2 of 4 pods"]);
    let pods = app.pods();
    assert_eq!(own(&pods), own(&first), "a template that leaves nodes replaces no other pod");
    assert_eq!([&pods["node-1"].1, &pods["node-2"].1], ["2", "2"]);

    // A node that comes gets the stable version; it is no commit, but a larger size.
    let node = lab.get("default", "node", "node-1").unwrap();
    let mut fifth = serde_json::json!({"apiVersion": "v1", "kind": "Node", "metadata": {
        "name": "node-5", "labels": node["metadata"]["labels"], "annotations": {"kwok.x-k8s.io/node": "fake"}}});
    fifth["metadata"]["labels"]["kubernetes.io/hostname"] = "node-5".into();
    lab.apply(&fifth.to_string());
    lab.wait("a pod on the fifth node", LONG, || match app.pods().get("node-5") {
        Some((_, image)) if image == "1" => Ok(()),
        Some((_, image)) => panic!("version {image}"),
        None => Err("none".to_owned()),
    });
    lab.wait("it is Ready", LONG, || match app.seen() {
        Seen::Sight(sight) if sight.nodes.iter().any(|node| node.name == "node-5" && node.ready) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    app.simulated.set_nodes(5);
    app.simulated.advance(60_000);
    assert_eq!(app.until("approval"), ["step 1/2, replace up to 3 of 5 pods"], "50 % of 5, rounded up");
    lab.kubectl(&["delete", "node", "node-5"]);
    app.simulated.set_nodes(4);
    app.simulated.advance(60_000);
    lab.wait("four nodes again", LONG, || match app.seen() {
        Seen::Sight(sight) if sight.nodes.len() == 4 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(app.until("approval").is_empty(), "there are as many as it wants");

    app.say(&Command::Rollback { now: false });
    assert_eq!(
        app.until("rejected"),
        [
            "roll back, stable pods, canary left on 2 nodes",
            "roll back, stable pods, canary left on 1 node",
            "roll back, stable pods",
            "release 1 rolled back"
        ]
    );
    let pods = app.pods();
    assert_eq!(pods["node-4"], first["node-4"], "a release and its rollback have not touched it");
    assert!(pods.values().all(|(_, image)| image == "1"), "{pods:?}");
    let (least, _) = nodes(&watcher, "agent", since);
    assert!(least >= 3, "{least} nodes had a Ready pod");

    let since = watcher.now();
    app.source = of("3");
    app.until("approval");
    assert!(matches!(app.state.as_ref().unwrap().shape.pods, Pods::Held { to: 2, .. }));
    app.say(&Command::Approve);
    let titles = app.until("at rest");
    assert_eq!(app.state.as_ref().unwrap().phase, Phase::Healthy);
    assert_eq!(
        titles,
        [
            "step 1/2, approved by alice",
            "step 2/2, the workload's own strategy takes over, canary left on 1 node",
            "step 2/2, the workload's own strategy takes over",
            "release 2 complete"
        ]
    );
    assert!(app.pods().values().all(|(_, image)| image == "3"));
    let (least, pods) = nodes(&watcher, "agent", since);
    println!("  at least {least} of 4 nodes had a Ready pod; pods by node: {pods:?}");
    assert!(least >= 3, "{least} nodes had a Ready pod");
    assert_eq!(pods.values().copied().collect::<Vec<_>>(), [3, 3, 2, 2], "old, canary and new; old and new");

    // The API's defaults are back, and nothing moves by itself any more.
    let live = lab.get("shop", "daemonset", "agent").unwrap();
    assert_eq!(live.pointer("/spec/updateStrategy/type"), Some(&Value::from("RollingUpdate")));
    assert_eq!(live.pointer("/spec/updateStrategy/rollingUpdate/maxUnavailable"), Some(&Value::from(1)));
    let rest = app.pods();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(app.pods(), rest);
}

/// Where two pods may be on a node (`maxSurge`), every node has a Ready pod all the time.
#[test]
fn a_daemon_set_that_surges_leaves_no_node() {
    let Some(lab) = Lab::up(&[]) else {
        return;
    };
    let watcher = Watcher::start(&lab, "shop");
    let own = "  updateStrategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}\n";
    let of = |image| objects("surge", image, own);
    let rollout = rollout("surge", "[{replicas: 50%, pause: {}}, {replicas: 100%}]");
    let mut app = App::adopt(&lab, rollout, of("1"));
    app.titles.clear();
    lab.wait("four Ready endpoints", LONG, || match watcher.ready_endpoints("surge").last() {
        Some((_, 4)) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let (first, since) = (app.pods(), watcher.now());
    app.source = of("2");
    assert_eq!(app.until("approval"), ["step 1/2, grow to 2 of 4 pods", "step 1/2, shift to 2 of 4 pods"]);
    app.say(&Command::Rollback { now: false });
    assert_eq!(
        app.until("rejected"),
        ["roll back, stable pods, canary left on 2 nodes", "roll back, stable pods", "release 1 rolled back"]
    );
    let pods = app.pods();
    assert_eq!(["node-3", "node-4"].map(|node| &pods[node]), ["node-3", "node-4"].map(|node| &first[node]));
    app.source = of("3");
    app.until("approval");
    app.say(&Command::Approve);
    app.until("at rest");
    assert!(app.pods().values().all(|(_, image)| image == "3"));
    let (least, _) = nodes(&watcher, "surge", since);
    println!("  at least {least} of 4 nodes had a Ready pod");
    assert_eq!(least, 4);
}

/// The program itself, through Gitea, with Flux and with Argo CD: both apply the two DaemonSets, and take the second one away.
#[test]
fn a_daemon_set_goes_end_to_end_with_flux_and_argo_cd() {
    let Some(lab) = Lab::up(&["flux", "argo", "gitea"]) else {
        return;
    };
    let watcher = Watcher::start(&lab, "shop");
    let repository = Repository::create(&lab, "agents");
    let names = ["with-flux", "with-argo"];
    let push = |image: &str| {
        let files: Vec<(String, String)> = names
            .into_iter()
            .flat_map(|name| {
                let app = objects(name, image, "").values().map(manifest::write).collect::<Vec<_>>().join("---\n");
                let observe = if name == "with-flux" { "flux" } else { "argocd" };
                let rollout = format!(
                    "apiVersion: windlass.dev/v1alpha1\nkind: Rollout\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  workloadRef: \
                     {{apiVersion: apps/v1, kind: DaemonSet, name: {name}}}\n  observe: {{{observe}: {{}}}}\n  strategy: {{canary: {{steps: \
                     [{{replicas: 50%, pause: {{duration: 1}}}}, {{replicas: 100%}}]}}}}\n"
                );
                [(format!("apps/{name}/app.yaml"), app), (format!("apps/{name}/rollout.yaml"), rollout)]
            })
            .collect();
        let files: Vec<(&str, Option<&str>)> = files.iter().map(|(path, text)| (path.as_str(), Some(text.as_str()))).collect();
        repository.push("main", &files, &format!("version {image}"));
    };
    push("1");
    let folder = lab.folder().join("agents-windlass");
    std::fs::create_dir_all(&folder).unwrap();
    let cache = folder.join("cache").display().to_string();
    let environment = [
        ("PATH", lab.var("PATH")),
        ("KUBECONFIG", lab.var("KUBECONFIG")),
        ("WINDLASS_REPO", &repository.url),
        ("WINDLASS_USERNAME", "windlass"),
        ("WINDLASS_TOKEN", &repository.token),
        ("WINDLASS_CACHE", &cache),
    ];
    let windlass = Program::start(&folder, &["run", "--watch", "--interval", "1s"], environment);
    lab.wait("a live branch", LONG, || match repository.git(&["ls-remote", "origin", "refs/heads/deploy"]).is_empty() {
        true => Err(windlass.output()),
        false => Ok(()),
    });
    flux::apply_branch(&lab, names[0], &repository, "deploy", &format!("apps/{}", names[0]), None);
    argo::apply_branch(&lab, names[1], &repository, "deploy", &format!("apps/{}", names[1]), "shop");
    argo::notify(&lab, &repository);
    let wait = |image: &str| {
        for name in names {
            lab.wait(&format!("version {image} of {name} at rest"), LONG, || {
                let live = lab.get("shop", "daemonset", name).ok_or("it is not there")?;
                let text = |pointer: &str| live.pointer(pointer).cloned().unwrap_or_default();
                let at_rest = text("/spec/template/spec/containers/0/image") == format!("shop/{name}:{image}")
                    && text("/spec/updateStrategy/type") == "RollingUpdate"
                    && text("/spec/template/spec/affinity").is_null()
                    && text("/status/updatedNumberScheduled") == 4
                    && text("/status/numberReady") == 4
                    && text("/metadata/generation") == text("/status/observedGeneration");
                match at_rest && lab.get("shop", "daemonset", &format!("{name}-canary")).is_none() {
                    true => Ok(()),
                    false => Err(format!("{}\n{}", live["status"], windlass.output())),
                }
            });
        }
    };
    wait("1");
    lab.wait("endpoints of all", LONG, || {
        let all = names.map(|name| watcher.ready_endpoints(name).last().map_or(0, |(_, ready)| *ready));
        if all == [4, 4] { Ok(()) } else { Err(format!("{all:?}")) }
    });
    let since = watcher.now();
    push("2");
    wait("2");
    println!("{}", windlass.output());
    for name in names {
        let (least, pods) = nodes(&watcher, name, since);
        println!("  {name}: at least {least} of 4 nodes had a Ready pod; pods by node: {pods:?}");
        assert!(least >= 3, "{name}: {least} nodes had a Ready pod");
        assert_eq!(pods.values().copied().collect::<Vec<_>>(), [3, 3, 2, 2], "{name}");
    }
}
