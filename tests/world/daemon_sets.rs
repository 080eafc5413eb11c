//! Releases of a DaemonSet by nodes in many worlds: the engine against the simulated controllers, with appliers that come late and break
//! off half-way, nodes that come and go, pods that are lost, people and new versions in the middle.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use windlass::api::{self, Meaning, Rollout};
use windlass::engine::{self, Command, Decision, History, Input, Move, Phase, Seen, Source, State};
use windlass::manifest::{self, ObjectKey, ObjectSet};
use windlass::observe::{Observer, Target};
use windlass::reconcile::sight;
use windlass::sim::Rng;
use windlass::sim::cluster::Cluster;

fn objects(image: u64, strategy: &str) -> ObjectSet {
    let text = format!(
        "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {{name: agent, namespace: shop}}\nspec:\n  updateStrategy: {{rollingUpdate: \
         {{{strategy}}}}}\n  selector: {{matchLabels: {{app: agent}}}}\n  template:\n    metadata: {{labels: {{app: agent}}}}\n    spec: \
         {{containers: [{{name: app, image: \"shop/agent:{image}\"}}]}}\n"
    );
    manifest::read("workload.yaml", &text).unwrap().into_iter().map(|document| document.object).collect()
}

fn rollout(steps: &str) -> Rollout {
    let text = format!(
        "apiVersion: windlass.dev/v1alpha1\nkind: Rollout\nmetadata: {{name: agent, namespace: shop}}\nspec:\n  workloadRef: \
         {{apiVersion: apps/v1, kind: DaemonSet, name: agent}}\n  strategy: {{canary: {{steps: [{steps}]}}}}\n"
    );
    let read = api::read("rollout.yaml", &text);
    assert!(!read.has_errors(), "{:?}", read.findings);
    match read.documents.into_iter().map(api::Document::into_meaning).next() {
        Some(Meaning::Rollout(rollout)) => rollout,
        other => panic!("{other:?}"),
    }
}

/// What the engine is given of an app that stands in its newest commit, where all commits are Windlass' own.
pub(crate) fn decide_from<T>(
    rollout: &Rollout,
    source: &ObjectSet,
    (state, last): (Option<&State>, Option<&Move>),
    (seen, now): (Seen, Timestamp),
    work: impl FnOnce(&Input<'_>) -> T,
) -> T {
    let inputs = BTreeMap::new();
    work(&Input {
        rollout,
        spec_gone: false,
        halted: false,
        state,
        stable: last.map(|last| &last.stable),
        candidate: last.and_then(|last| last.candidate.as_ref()),
        source: Some(Source { path: "shop", commit: "c", inputs: &inputs, objects: source }),
        history: History::Ours,
        seen: Some(seen),
        looks: &[],
        now,
    })
}

struct World {
    cluster: Cluster,
    rng: Rng,
    rollout: Rollout,
    source: ObjectSet,
    last: Option<Move>,
    state: Option<State>,
    /// What the applier has not applied yet.
    waits: Option<ObjectSet>,
    story: Vec<String>,
}

impl World {
    fn key() -> ObjectKey {
        ObjectKey {
            group: "apps".to_owned(),
            kind: "DaemonSet".to_owned(),
            namespace: Some("shop".to_owned()),
            name: "agent".to_owned(),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(i64::try_from(self.cluster.now()).unwrap()).unwrap()
    }

    fn seen(&self) -> Seen {
        let Some(state) = &self.state else { return Seen::Unreachable("nothing yet".to_owned()) };
        let target = Target {
            namespace: "shop".to_owned(),
            api_version: "apps/v1".to_owned(),
            kind: "DaemonSet".to_owned(),
            name: "agent".to_owned(),
            mark: state.mark.clone(),
            committed_at: 0,
            now: 0,
            described: None,
        };
        Seen::Sight(sight(self.cluster.observe(&target).unwrap()))
    }

    fn with<T>(&self, work: impl FnOnce(&Input<'_>) -> T) -> T {
        let stands = (self.state.as_ref(), self.last.as_ref());
        decide_from(&self.rollout, &self.source, stands, (self.seen(), self.now()), work)
    }

    fn take(&mut self, commit: Move) {
        self.story.push(format!("{} ms: {}", self.cluster.now(), commit.title));
        self.waits = Some(commit.live.objects.clone());
        self.state = Some(State { tree: commit.live.mark.clone(), ..commit.state.clone() });
        self.last = Some(commit);
    }

    /// Time passes, the applier may come, Windlass may look.
    fn pass(&mut self) -> bool {
        self.cluster.advance(self.rng.below(700));
        match (self.rng.below(4), &self.waits) {
            (0, Some(objects)) => {
                let objects = objects.clone();
                self.cluster.apply(&objects).unwrap();
                self.waits = None;
            }
            (1, Some(objects)) => {
                let (objects, count) = (objects.clone(), usize::try_from(self.rng.below(2)).unwrap());
                self.cluster.apply_some(&objects, count).unwrap();
            }
            _ => {}
        }
        match self.with(|input| engine::decide(input).unwrap()) {
            Decision::Rest => self.waits.is_none(),
            Decision::Hold(_, learned) => {
                let rests = learned.phase == Phase::Healthy && !learned.rejected.is_empty() && self.waits.is_none();
                self.state = Some(*learned);
                rests
            }
            Decision::Commit(commit) => {
                self.take(*commit);
                false
            }
        }
    }

    fn event(&mut self, strategy: &str, images: &mut u64) {
        let nodes = self.seen();
        let story = match self.rng.below(6) {
            0 => {
                let more = 1 + u32::try_from(self.rng.below(3)).unwrap();
                self.cluster.set_nodes(16 + more);
                format!("up to {} nodes", 16 + more)
            }
            1 | 2 => {
                let node = u32::try_from(self.rng.below(16)).unwrap();
                let left = matches!(&nodes, Seen::Sight(sight) if sight.nodes.len() > 3);
                if left {
                    self.cluster.lose_node(node);
                }
                format!("node-{} is gone: {left}", node + 1)
            }
            3 => {
                self.cluster.evict(&Self::key(), 1);
                "a pod is lost".to_owned()
            }
            4 => {
                let said = self.with(|input| engine::command(input, &Command::Rollback { now: false }, "alice"));
                match said {
                    Ok(commit) => {
                        self.take(commit);
                        "rollback".to_owned()
                    }
                    Err(_) => "no release to roll back".to_owned(),
                }
            }
            _ => {
                *images += 1;
                self.source = objects(*images, strategy);
                format!("version {images}")
            }
        };
        self.story.push(format!("{} ms: {story}", self.cluster.now()));
    }
}

const STRATEGIES: [(&str, u32); 5] = [
    ("maxUnavailable: 1", 1),
    ("maxUnavailable: 3", 3),
    ("maxUnavailable: 20%", 2),
    ("maxSurge: 1, maxUnavailable: 0", 0),
    ("maxSurge: 50%, maxUnavailable: 0", 0),
];

fn play(seed: u64, events: bool) {
    let mut rng = Rng::new(seed);
    let pick = |rng: &mut Rng, of: usize| usize::try_from(rng.below(u64::try_from(of).unwrap())).unwrap();
    let (strategy, limit) = STRATEGIES[pick(&mut rng, STRATEGIES.len())];
    let mut steps: Vec<u64> = (0..=rng.below(3)).map(|_| 1 + rng.below(99)).collect();
    steps.sort_unstable();
    steps.dedup();
    steps.push(100);
    let steps: Vec<String> =
        steps.iter().map(|percent| format!("{{replicas: {percent}%, pause: {{duration: 1}}, timeout: 10h}}")).collect();
    let mut cluster = Cluster::new("shop");
    let size = if events { 16 } else { 3 + u32::try_from(rng.below(8)).unwrap() };
    cluster.set_nodes(size);
    if rng.below(2) == 0 {
        cluster.shuffle(seed);
    }
    let rollout = rollout(&steps.join(", "));
    let (source, story) = (objects(1, strategy), vec![format!("seed {seed}, {size} nodes, {strategy}, {}", steps.join(", "))]);
    let mut world = World { cluster, rng, rollout, source, last: None, state: None, waits: None, story };
    let mut images = 1;
    let rest = |world: &mut World| {
        let rests = (0..20_000).any(|_| world.pass());
        assert!(
            rests,
            "it never ends\n{}\n{}",
            world.story.join("\n"),
            world.with(|input| format!("{:?}", engine::decide(input)))
        );
        world.cluster.advance(5_000);
    };
    rest(&mut world);
    let since = world.cluster.now();
    for _ in 0..3 {
        images += 1;
        world.source = objects(images, strategy);
        if events {
            for _ in 0..world.rng.below(6) {
                for _ in 0..world.rng.below(60) {
                    world.pass();
                }
                world.event(strategy, &mut images);
            }
        }
        rest(&mut world);
        let told = world.story.join("\n");
        // One Ready pod on each node, of one version, and nothing of the second DaemonSet.
        let pods = world.cluster.pods_by(&World::key(), "/spec/containers/0/image");
        let second = ObjectKey { name: "agent-canary".to_owned(), ..World::key() };
        assert!(world.cluster.live(&second).is_none(), "{told}");
        let ready: u32 = pods.values().map(|counts| counts.ready).sum();
        let Seen::Sight(sight) = world.seen() else { panic!("{told}") };
        assert!(sight.applied, "{sight:?}\n{told}");
        let nodes: BTreeSet<&str> = sight.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!((pods.len(), ready), (1, u32::try_from(nodes.len()).unwrap()), "{pods:?} {nodes:?}\n{told}");
    }
    if !events {
        let least = world.cluster.timeline().fewest_ready(&World::key(), since, world.cluster.now()).unwrap();
        assert!(least + limit >= size, "{least} of {size} nodes had a Ready pod\n{}", world.story.join("\n"));
    }
}

#[test]
fn no_more_nodes_than_the_limit_are_without_a_pod() {
    (0..15).for_each(|seed| play(seed, false));
}

#[test]
fn whatever_happens_it_ends_with_one_pod_on_each_node() {
    (0..25).for_each(|seed| play(seed, true));
}
