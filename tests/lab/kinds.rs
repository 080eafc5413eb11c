//! StatefulSets, and Deployments in the styles other than partition, under the real controllers, against the simulated ones: both are
//! given the same live trees.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use windlass::api::{self, Meaning, Rollout};
use windlass::engine::{self, Command, History, Input, Move, Source, State};
use windlass::manifest::{self, ObjectSet};
use windlass::observe::{KubernetesObserver, KubernetesOptions, Observer, Sighting, Target};
use windlass::sim::cluster::Cluster;

use super::servers::Lab;
use super::watch::Watcher;

const LONG: Duration = Duration::from_secs(180);

/// A workload of `own` fields with a Service that selects all its pods. `note` stands among the pod's annotations.
pub(super) fn objects(kind: &str, name: &str, image: &str, own: &str, note: &str) -> ObjectSet {
    let text = format!(
        "apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}, namespace: shop}}
spec:
{own}  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}, annotations: {{{note}}}}}
    spec: {{containers: [{{name: app, image: \"shop/{name}:{image}\"}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec: {{selector: {{app: {name}}}, ports: [{{port: 80}}]}}
"
    );
    manifest::read("workload.yaml", &text).unwrap().into_iter().map(|document| document.object).collect()
}

pub(super) fn rollout(kind: &str, name: &str, strategy: &str) -> Rollout {
    let strategy = strategy.replace("PAUSE", "pause: {duration: 0}");
    let text = format!(
        "apiVersion: windlass.dev/v1alpha1
kind: Rollout
metadata: {{name: {name}, namespace: shop}}
spec:
  workloadRef: {{apiVersion: apps/v1, kind: {kind}, name: {name}}}
  strategy: {{{strategy}}}
"
    );
    let read = api::read("rollout.yaml", &text);
    assert!(!read.has_errors(), "{:?}", read.findings);
    let mut meanings = read.documents.into_iter().map(api::Document::into_meaning);
    match meanings.next() {
        Some(Meaning::Rollout(rollout)) => rollout,
        other => panic!("{other:?}"),
    }
}

/// Size, all, updated, updated and ready, ready.
fn counts(sighting: &Sighting) -> Option<[u32; 5]> {
    let workload = sighting.workload.as_ref()?;
    Some([workload.size, workload.replicas, workload.updated, workload.updated_ready, workload.ready])
}

struct Both<'a> {
    lab: &'a Lab,
    observer: KubernetesObserver,
    simulated: Cluster,
    rollout: &'a Rollout,
}

impl<'a> Both<'a> {
    fn new(lab: &'a Lab, rollout: &'a Rollout) -> Self {
        let options = KubernetesOptions { kubeconfig: Some(lab.var("KUBECONFIG").into()), ..KubernetesOptions::default() };
        Self { lab, observer: KubernetesObserver::connect(&options).unwrap(), simulated: Cluster::new("shop"), rollout }
    }

    /// Gives a commit's live tree to both clusters. At rest, both must show the same to their observers.
    fn go(&mut self, commit: &Move) -> [u32; 5] {
        let objects = &commit.live.objects;
        self.lab.apply(&objects.values().map(manifest::write).collect::<Vec<_>>().join("---\n"));
        let second = format!("{}-canary", self.rollout.workload.name);
        if self.rollout.workload.kind == "Deployment" && objects.find("apps", "Deployment", &second).is_none() {
            // What an applier prunes.
            self.lab.kubectl(&["-n", "shop", "delete", "deployment", &second, "--ignore-not-found"]);
        }
        self.simulated.apply(objects).unwrap();
        self.simulated.advance(60_000);
        self.rest(commit, &commit.title)
    }

    /// An autoscaler changes the size.
    fn scale(&mut self, size: u32, commit: &Move) -> [u32; 5] {
        let workload = &self.rollout.workload;
        let what = format!("{}/{}", workload.kind.to_lowercase(), workload.name);
        self.lab.kubectl(&["-n", "shop", "scale", &what, "--replicas", &size.to_string()]);
        self.simulated.scale(&Cluster::workload("shop", workload), size).unwrap();
        self.simulated.advance(60_000);
        self.rest(commit, &format!("scaled to {size}"))
    }

    fn rest(&self, commit: &Move, title: &str) -> [u32; 5] {
        let workload = &self.rollout.workload;
        let target = Target {
            namespace: "shop".to_owned(),
            api_version: workload.api_version.clone(),
            kind: workload.kind.clone(),
            name: commit.state.shape.shown_by(&workload.name),
            described: None,
            mark: commit.live.mark.clone(),
            committed_at: 0,
            now: 0,
        };
        let name = &target.name;
        let simulated = self.simulated.observe(&target).unwrap();
        assert!(simulated.applied, "{title}: {simulated:?}");
        let wanted = counts(&simulated).unwrap();
        let real = self.lab.wait(&format!("{name}, {title}: {wanted:?} as simulated"), LONG, || {
            let real = self.observer.observe(&target).map_err(|error| error.to_string())?;
            if real.applied && counts(&real) == Some(wanted) { Ok(real) } else { Err(format!("{real:?}")) }
        });
        // It stays there: a controller on its way would go on.
        std::thread::sleep(Duration::from_secs(2));
        let later = self.observer.observe(&target).unwrap();
        assert_eq!(counts(&later), Some(wanted), "{name}, {title}: it went on");
        let key = |sighting: &Sighting| sighting.workload.as_ref().and_then(|workload| workload.revision_label.clone());
        // Where there is no updated pod, there is none to read a label from.
        if wanted[2] > 0 {
            assert_eq!(key(&real).map(|label| label.0), key(&simulated).map(|label| label.0));
        }
        println!("  {name:<16} {title:<50} {wanted:?}");
        wanted
    }

    /// Every commit from a state to where `source` leads.
    fn plan(&self, state: Option<&State>, (stable, candidate): Slots<'_>, source: &ObjectSet, counted: Option<u32>) -> Vec<Move> {
        let inputs = BTreeMap::new();
        let source = Source { path: "shop", commit: "c", inputs: &inputs, objects: source };
        let now = Timestamp::UNIX_EPOCH;
        let planned = engine::forecast(self.rollout, state, (stable, candidate), Some(&source), (true, counted), now).unwrap().0;
        planned.into_iter().map(|planned| planned.commit).collect()
    }

    /// The commit that follows when the source changes in the middle of a release.
    fn sync(&self, step: &Move, source: &ObjectSet) -> Move {
        let inputs = BTreeMap::new();
        let state = at_tree(step, "sync");
        let source = Some(Source { path: "shop", commit: "c", inputs: &inputs, objects: source });
        match engine::decide(&Input { source, ..input(self.rollout, step, &state) }).unwrap() {
            engine::Decision::Commit(commit) => *commit,
            other => panic!("{other:?}"),
        }
    }

    fn back(&self, step: &Move) -> Move {
        let state = at_tree(step, "back");
        engine::command(&input(self.rollout, step, &state), &Command::Rollback { now: false }, "alice").unwrap()
    }
}

/// The stable and the candidate slot.
type Slots<'a> = (Option<&'a ObjectSet>, Option<&'a ObjectSet>);

fn input<'a>(rollout: &'a Rollout, step: &'a Move, state: &'a State) -> Input<'a> {
    Input {
        rollout,
        spec_gone: false,
        halted: false,
        state: Some(state),
        stable: Some(&step.stable),
        candidate: step.candidate.as_ref(),
        source: None,
        history: History::Ours,
        seen: None,
        looks: &[],
        now: Timestamp::UNIX_EPOCH,
    }
}

fn at_tree(step: &Move, tree: &str) -> State {
    State { tree: tree.to_owned(), ..step.state.clone() }
}

#[test]
fn a_stateful_set_goes_as_the_simulated_one_does() {
    let Some(lab) = Lab::up(&[]) else {
        return;
    };
    let parallel =
        "  serviceName: none\n  podManagementPolicy: Parallel\n  updateStrategy: {rollingUpdate: {maxUnavailable: 2}}\n";
    for (name, own, missing) in [("ordered", "  serviceName: none\n", 1), ("parallel", parallel, 2)] {
        let of = |image, size| objects("StatefulSet", name, image, &format!("  replicas: {size}\n{own}"), "");
        let (first, second, third) = (of("1", 5), of("2", 5), of("3", 5));
        let rollout =
            rollout("StatefulSet", name, "canary: {steps: [{replicas: 20%, PAUSE}, {replicas: 3, PAUSE}, {replicas: 100%}]}");
        let mut both = Both::new(&lab, &rollout);
        let watcher = Watcher::start(&lab, "shop");
        let adopted = both.plan(None, (None, None), &first, None).remove(0);
        both.go(&adopted);
        lab.wait("five endpoints", LONG, || match watcher.ready_endpoints(name).last() {
            Some((_, 5)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
        let since = watcher.now();

        // To the end, and back from the second step of the next release.
        let steps = both.plan(Some(&at_tree(&adopted, "a")), (Some(&first), None), &second, None);
        let seen: Vec<[u32; 5]> = steps.iter().map(|step| both.go(step)).collect();
        assert_eq!(seen.iter().map(|counts| counts[2]).collect::<Vec<_>>(), [1, 3, 5, 5, 5], "updated pods");
        let done = at_tree(steps.last().unwrap(), "b");
        let steps = both.plan(Some(&done), (Some(&second), None), &third, None);
        both.go(&steps[0]);
        both.go(&steps[1]);
        assert_eq!(both.go(&both.back(&steps[1])), [5, 5, 5, 5, 5]);
        assert!(watcher.least_ready_since(name, since) >= 5 - missing, "{:?}", watcher.ready_endpoints(name));

        // Another size in the middle: the partition stays, and with it the old pods.
        let mut step = both.plan(Some(&done), (Some(&second), None), &third, None).remove(0);
        both.go(&step);
        for (size, updated) in [(7, 3), (4, 0)] {
            step = both.sync(&step, &of("3", size));
            assert_eq!(both.go(&step)[2], updated, "{size} pods");
        }
    }
}

/// What Windlass says of a StatefulSet with a broken pod is so: the controller leaves it, until somebody deletes it.
#[test]
fn a_broken_pod_of_a_stateful_set_stays_until_it_is_deleted() {
    let Some(lab) = Lab::up(&[]) else {
        return;
    };
    let of = |image, note| objects("StatefulSet", "broken", image, "  replicas: 3\n  serviceName: none\n", note);
    let (first, second) = (of("1", ""), of("2", "lab/never-ready: \"true\""));
    let rollout = rollout("StatefulSet", "broken", "canary: {steps: [{replicas: 20%, PAUSE}, {replicas: 100%}]}");
    let mut both = Both::new(&lab, &rollout);
    let adopted = both.plan(None, (None, None), &first, None).remove(0);
    both.go(&adopted);
    let step = both.plan(Some(&at_tree(&adopted, "a")), (Some(&first), None), &second, None).remove(0);
    assert_eq!(both.go(&step), [3, 3, 1, 0, 2]);
    let back = both.back(&step);
    assert_eq!(both.go(&back), [3, 3, 2, 2, 2], "the broken pod stays");
    lab.kubectl(&["-n", "shop", "delete", "pod", "broken-2"]);
    both.simulated.delete_broken(&Cluster::workload("shop", &rollout.workload));
    both.simulated.advance(60_000);
    assert_eq!(both.rest(&back, "after kubectl delete pod"), [3, 3, 3, 3, 3]);

    // With `Parallel` nobody has to: a broken pod is replaced as any other.
    let own = "  replicas: 3\n  serviceName: none\n  podManagementPolicy: Parallel\n";
    let of = |image, note| objects("StatefulSet", "mended", image, own, note);
    let (first, second) = (of("1", ""), of("2", "lab/never-ready: \"true\""));
    let rollout = self::rollout("StatefulSet", "mended", "canary: {steps: [{replicas: 20%, PAUSE}, {replicas: 100%}]}");
    let mut both = Both::new(&lab, &rollout);
    let adopted = both.plan(None, (None, None), &first, None).remove(0);
    both.go(&adopted);
    let step = both.plan(Some(&at_tree(&adopted, "a")), (Some(&first), None), &second, None).remove(0);
    assert_eq!(both.go(&step), [3, 3, 1, 0, 2]);
    assert_eq!(both.go(&both.back(&step)), [3, 3, 3, 3, 3]);
}

/// blueGreen, with other sizes in the middle (Kruise: 5, 6, 7, 8, 4 at 50 %), and a second Deployment beside the stable one.
#[test]
fn deployments_in_other_styles_go_as_the_simulated_ones_do() {
    let Some(lab) = Lab::up(&[]) else {
        return;
    };
    let green = rollout("Deployment", "green", "blueGreen: {steps: [{replicas: 50%, PAUSE}, {replicas: 100%, PAUSE}]}");
    let of = |image, size| objects("Deployment", "green", image, &format!("  replicas: {size}\n"), "");
    let mut both = Both::new(&lab, &green);
    let watcher = Watcher::start(&lab, "shop");
    let adopted = both.plan(None, (None, None), &of("1", 5), None).remove(0);
    both.go(&adopted);
    lab.wait("five endpoints", LONG, || match watcher.ready_endpoints("green").last() {
        Some((_, 5)) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let since = watcher.now();
    let mut step = both.plan(Some(&at_tree(&adopted, "a")), (Some(&of("1", 5)), None), &of("2", 5), None).remove(0);
    assert_eq!(both.go(&step), [5, 8, 3, 3, 8]);
    for (size, updated) in [(6, 3), (7, 4), (8, 4), (5, 3)] {
        step = both.sync(&step, &of("2", size));
        assert_eq!(both.go(&step), [size, size + updated, updated, updated, size + updated]);
    }
    let slots = (Some(step.stable.clone()), step.candidate.clone());
    for step in both.plan(Some(&at_tree(&step, "b")), (slots.0.as_ref(), slots.1.as_ref()), &of("2", 5), None) {
        both.go(&step);
    }
    assert!(watcher.least_ready_since("green", since) >= 5, "{:?}", watcher.ready_endpoints("green"));

    let second = rollout(
        "Deployment",
        "beside",
        "canary: {enableExtraWorkloadForCanary: true, steps: [{replicas: 20%, PAUSE}, {replicas: 60%, PAUSE}]}",
    );
    let of = |image| objects("Deployment", "beside", image, "  replicas: 5\n", "");
    let mut both = Both::new(&lab, &second);
    let adopted = both.plan(None, (None, None), &of("1"), None).remove(0);
    both.go(&adopted);
    let steps = both.plan(Some(&at_tree(&adopted, "a")), (Some(&of("1")), None), &of("2"), None);
    assert_eq!(both.go(&steps[0]), [1, 1, 1, 1, 1]);
    assert_eq!(both.go(&both.back(&steps[0])), [5, 5, 5, 5, 5]);
    let seen: Vec<[u32; 5]> = steps.iter().map(|step| both.go(step)).collect();
    assert_eq!(seen, [[1; 5], [3; 5], [5; 5], [5; 5]]);
}

/// The size is somebody else's, the HorizontalPodAutoscaler is there (without metrics, so it leaves the size alone): the parts follow.
#[test]
fn the_parts_of_a_scaled_deployment_follow_its_size() {
    let Some(lab) = Lab::up(&[]) else {
        return;
    };
    let scaled =
        rollout("Deployment", "scaled", "canary: {steps: [{replicas: 20%, PAUSE}, {replicas: 50%, PAUSE}, {replicas: 100%}]}");
    let scaler = "apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: scaled, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: scaled}
  minReplicas: 1
  maxReplicas: 50
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
";
    let of = |image| {
        let mut objects = objects("Deployment", "scaled", image, "", "");
        manifest::read("scaler.yaml", scaler).unwrap().into_iter().for_each(|document| drop(objects.insert(document.object)));
        objects
    };
    let mut both = Both::new(&lab, &scaled);
    let adopted = both.plan(None, (None, None), &of("1"), None).remove(0);
    both.go(&adopted);
    both.scale(10, &adopted);
    let steps = both.plan(Some(&at_tree(&adopted, "a")), (Some(&of("1")), None), &of("2"), Some(10));
    assert_eq!(both.go(&steps[0]), [10, 12, 2, 2, 12]);
    assert_eq!(both.go(&steps[1]), [10, 10, 2, 2, 10]);
    assert_eq!(both.scale(20, &steps[1]), [20, 20, 4, 4, 20]);
    assert_eq!(both.scale(8, &steps[1])[1], 8);
    let slots = (Some(steps[1].stable.clone()), steps[1].candidate.clone());
    let steps = both.plan(Some(&at_tree(&steps[1], "b")), (slots.0.as_ref(), slots.1.as_ref()), &of("2"), Some(8));
    let seen: Vec<[u32; 5]> = steps.iter().map(|step| both.go(step)).collect();
    assert_eq!(seen[1], [8, 8, 4, 4, 8], "half of what is there now");
    assert_eq!(seen.last(), Some(&[8; 5]));

    // A second Deployment beside it: counted from the same size, and left alone when that changes.
    let extra = rollout(
        "Deployment",
        "scaled",
        "canary: {enableExtraWorkloadForCanary: true, steps: [{replicas: 20%, PAUSE}, {replicas: 60%, PAUSE}]}",
    );
    let mut both = Both { rollout: &extra, ..both };
    let adopted = both.plan(None, (None, None), &of("2"), None).remove(0);
    both.go(&adopted);
    both.scale(10, &adopted);
    let steps = both.plan(Some(&at_tree(&adopted, "c")), (Some(&of("2")), None), &of("3"), Some(10));
    assert_eq!(both.go(&steps[0]), [2; 5]);
    assert_eq!(both.scale(20, &steps[0]), [2; 5]);
    let slots = (Some(steps[0].stable.clone()), steps[0].candidate.clone());
    let steps = both.plan(Some(&at_tree(&steps[0], "d")), (slots.0.as_ref(), slots.1.as_ref()), &of("3"), Some(20));
    let seen: Vec<[u32; 5]> = steps.iter().map(|step| both.go(step)).collect();
    assert_eq!(seen, [[4; 5], [12; 5], [20; 5], [20; 5]]);
}
