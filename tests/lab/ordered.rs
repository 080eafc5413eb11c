//! StatefulSets under the real controller, against the simulated one: both are given the same live trees.

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

/// A StatefulSet of `own` fields with a Service that selects all its pods. `note` stands among the pod's annotations.
fn objects(name: &str, image: &str, replicas: u32, own: &str, note: &str) -> ObjectSet {
    let text = format!(
        "apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: {name}, namespace: shop}}
spec:
  replicas: {replicas}
  serviceName: {name}
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
    manifest::read("set.yaml", &text).unwrap().into_iter().map(|document| document.object).collect()
}

fn rollout(name: &str) -> Rollout {
    let text = format!(
        "apiVersion: windlass.dev/v1alpha1
kind: Rollout
metadata: {{name: {name}, namespace: shop}}
spec:
  workloadRef: {{apiVersion: apps/v1, kind: StatefulSet, name: {name}}}
  strategy: {{canary: {{steps: [{{replicas: 20%, pause: {{duration: 0}}}}, {{replicas: 3, pause: {{duration: 0}}}}, {{replicas: 100%}}]}}}}
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
    observer: &'a KubernetesObserver,
    simulated: Cluster,
    name: &'a str,
}

impl Both<'_> {
    /// Gives a commit's live tree to both clusters. At rest, both must show the same to their observers.
    fn go(&mut self, commit: &Move) -> [u32; 5] {
        let objects = &commit.live.objects;
        self.lab.apply(&objects.values().map(manifest::write).collect::<Vec<_>>().join("---\n"));
        self.simulated.apply(objects).unwrap();
        self.simulated.advance(60_000);
        self.rest(&commit.live.mark, &commit.title)
    }

    fn rest(&self, mark: &str, title: &str) -> [u32; 5] {
        let target = Target {
            namespace: "shop".to_owned(),
            api_version: "apps/v1".to_owned(),
            kind: "StatefulSet".to_owned(),
            name: self.name.to_owned(),
            mark: mark.to_owned(),
            committed_at: 0,
            now: 0,
        };
        let simulated = self.simulated.observe(&target).unwrap();
        assert!(simulated.applied, "{title}: {simulated:?}");
        let wanted = counts(&simulated).unwrap();
        let real = self.lab.wait(&format!("{}, {title}: {wanted:?} as simulated", self.name), LONG, || {
            let real = self.observer.observe(&target).map_err(|error| error.to_string())?;
            if real.applied && counts(&real) == Some(wanted) { Ok(real) } else { Err(format!("{real:?}")) }
        });
        // It stays there: a controller on its way would go on.
        std::thread::sleep(Duration::from_secs(2));
        let later = self.observer.observe(&target).unwrap();
        assert_eq!(counts(&later), Some(wanted), "{}, {title}: it went on", self.name);
        let key = |sighting: &Sighting| sighting.workload.as_ref().and_then(|workload| workload.revision_label.clone());
        // Where there is no updated pod, there is none to read a label from.
        if wanted[2] > 0 {
            assert_eq!(key(&real).map(|label| label.0), key(&simulated).map(|label| label.0));
        }
        println!("  {:<10} {title:<50} {wanted:?}", self.name);
        wanted
    }
}

fn input<'a>(rollout: &'a Rollout, step: &'a Move, state: &'a State) -> Input<'a> {
    Input {
        rollout,
        spec_gone: false,
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

fn plan(rollout: &Rollout, state: Option<&State>, stable: Option<&ObjectSet>, source: &ObjectSet) -> Vec<Move> {
    let inputs = BTreeMap::new();
    let source = Source { path: "shop", commit: "c", inputs: &inputs, objects: source };
    let now = Timestamp::UNIX_EPOCH;
    let planned = engine::forecast(rollout, state, (stable, None), Some(&source), (true, None), now).unwrap().0;
    planned.into_iter().map(|planned| planned.commit).collect()
}

fn at_tree(step: &Move, tree: &str) -> State {
    State { tree: tree.to_owned(), ..step.state.clone() }
}

#[test]
fn a_stateful_set_goes_as_the_simulated_one_does() {
    let Some(lab) = Lab::up(&[]) else {
        return;
    };
    let options = KubernetesOptions { kubeconfig: Some(lab.var("KUBECONFIG").into()), ..KubernetesOptions::default() };
    let observer = KubernetesObserver::connect(&options).unwrap();
    let parallel = "  podManagementPolicy: Parallel\n  updateStrategy: {rollingUpdate: {maxUnavailable: 2}}\n";
    for (name, own, missing) in [("ordered", "", 1), ("parallel", parallel, 2)] {
        let (first, second) = (objects(name, "1", 5, own, ""), objects(name, "2", 5, own, ""));
        let rollout = rollout(name);
        let mut both = Both { lab: &lab, observer: &observer, simulated: Cluster::new("shop"), name };
        let watcher = Watcher::start(&lab, "shop");
        let adopted = plan(&rollout, None, None, &first).remove(0);
        both.go(&adopted);
        lab.wait("five endpoints", LONG, || match watcher.ready_endpoints(name).last() {
            Some((_, 5)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
        let since = watcher.now();

        // To the end, and back from the second step of the next release.
        let steps = plan(&rollout, Some(&at_tree(&adopted, "a")), Some(&first), &second);
        let seen: Vec<[u32; 5]> = steps.iter().map(|step| both.go(step)).collect();
        assert_eq!(seen.iter().map(|counts| counts[2]).collect::<Vec<_>>(), [1, 3, 5, 5, 5], "updated pods");
        let done = steps.last().unwrap();
        let third = objects(name, "3", 5, own, "");
        let steps = plan(&rollout, Some(&at_tree(done, "b")), Some(&second), &third);
        both.go(&steps[0]);
        both.go(&steps[1]);
        let state = at_tree(&steps[1], "c");
        let back = engine::command(&input(&rollout, &steps[1], &state), &Command::Rollback { now: false }, "alice").unwrap();
        assert_eq!(both.go(&back), [5, 5, 5, 5, 5]);
        assert!(watcher.least_ready_since(name, since) >= 5 - missing, "{:?}", watcher.ready_endpoints(name));

        // Another size in the middle: the partition stays, and with it the old pods.
        let steps = plan(&rollout, Some(&at_tree(done, "d")), Some(&second), &third);
        both.go(&steps[0]);
        let inputs = BTreeMap::new();
        for (size, updated) in [(7, 3), (4, 0)] {
            let resized = objects(name, "3", size, own, "");
            let state = at_tree(&steps[0], "e");
            let source = Some(Source { path: "shop", commit: "c", inputs: &inputs, objects: &resized });
            let input = Input { source, ..input(&rollout, &steps[0], &state) };
            let engine::Decision::Commit(commit) = engine::decide(&input).unwrap() else { panic!("no commit for {size} pods") };
            assert_eq!(both.go(&commit)[2], updated, "{size} pods");
        }
    }
}

/// What Windlass says of a StatefulSet with a broken pod is so: the controller leaves it, until somebody deletes it.
#[test]
fn a_broken_pod_of_a_stateful_set_stays_until_it_is_deleted() {
    let Some(lab) = Lab::up(&[]) else {
        return;
    };
    let options = KubernetesOptions { kubeconfig: Some(lab.var("KUBECONFIG").into()), ..KubernetesOptions::default() };
    let observer = KubernetesObserver::connect(&options).unwrap();
    let (name, broken) = ("broken", "lab/never-ready: \"true\"");
    let (first, second) = (objects(name, "1", 3, "", ""), objects(name, "2", 3, "", broken));
    let rollout = rollout(name);
    let mut both = Both { lab: &lab, observer: &observer, simulated: Cluster::new("shop"), name };
    let adopted = plan(&rollout, None, None, &first).remove(0);
    both.go(&adopted);
    let step = plan(&rollout, Some(&at_tree(&adopted, "a")), Some(&first), &second).remove(0);
    assert_eq!(both.go(&step), [3, 3, 1, 0, 2]);
    let state = at_tree(&step, "b");
    let back = engine::command(&input(&rollout, &step, &state), &Command::Rollback { now: false }, "alice").unwrap();
    assert_eq!(both.go(&back), [3, 3, 2, 2, 2], "the broken pod stays");
    lab.kubectl(&["-n", "shop", "delete", "pod", "broken-2"]);
    let key = Cluster::workload("shop", &rollout.workload);
    both.simulated.delete_broken(&key);
    both.simulated.advance(60_000);
    assert_eq!(both.rest(&back.live.mark, "after kubectl delete pod"), [3, 3, 3, 3, 3]);
}
