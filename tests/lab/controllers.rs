//! The simulated controllers against the real ones: the same step lists on both, pods counted at every rest.
//!
//! Needs `WINDLASS_LAB_TESTS=1` and the laboratory (`WINDLASS_LAB`, or `../shared/lab` beside the repository); without them the test
//! says so and ends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use windlass::manifest::ObjectSet;
use windlass::sim::Rng;
use windlass::sim::cluster::Cluster;

use super::servers::Lab;

use crate::world::kit::{self, IMAGE, NAMESPACE, Step, key};

/// What is compared of a Deployment.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// Image → (pods, Ready).
    pods: BTreeMap<String, (u32, u32)>,
    /// As the status names them.
    counts: BTreeMap<&'static str, u64>,
    revision: String,
    /// Why the Progressing condition is as it is.
    progressing: Option<String>,
}

const COUNTS: [&str; 5] = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"];

fn simulated(cluster: &Cluster, name: &str) -> Seen {
    let status = cluster.status(&key(name)).unwrap();
    let counts = [status.replicas, status.updated, status.ready, status.available, status.unavailable].map(u64::from);
    let pods = cluster.pods_by(&key(name), IMAGE);
    Seen {
        pods: pods.into_iter().map(|(image, counts)| (image, (counts.pods, counts.ready))).collect(),
        counts: COUNTS.into_iter().zip(counts).collect(),
        revision: cluster.revisions(&key(name)).last().map(|set| set.revision.to_string()).unwrap_or_default(),
        progressing: status.progressing.as_ref().map(|condition| condition.reason.to_owned()),
    }
}

/// The real controllers.
struct Real(Lab);

impl Real {
    fn apply(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
        self.0.apply(&list);
    }

    /// The Deployments, and whether everything stands still: nothing terminates, every change was seen.
    fn look(&self) -> (BTreeMap<String, Seen>, bool) {
        let found: Value =
            serde_json::from_str(&self.0.kubectl(&["-n", NAMESPACE, "get", "deployments,pods", "-o", "json"])).unwrap();
        let (mut all, mut still) = (BTreeMap::<String, Seen>::new(), true);
        let reason_of = |item: &Value, kind: &str| -> Option<Value> {
            item["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind).cloned()
        };
        for item in found["items"].as_array().unwrap() {
            let label = if item["kind"] == "Deployment" { &item["metadata"]["name"] } else { &item["metadata"]["labels"]["app"] };
            let seen = all.entry(label.as_str().unwrap().to_owned()).or_default();
            if item["kind"] == "Deployment" {
                still &= item["metadata"]["generation"] == item["status"]["observedGeneration"];
                seen.counts = COUNTS.map(|count| (count, item["status"][count].as_u64().unwrap_or(0))).into_iter().collect();
                let revision = &item["metadata"]["annotations"]["deployment.kubernetes.io/revision"];
                seen.revision = revision.as_str().unwrap_or_default().to_owned();
                seen.progressing = reason_of(item, "Progressing").map(|found| found["reason"].as_str().unwrap().to_owned());
            } else if item["metadata"]["deletionTimestamp"].is_string() {
                still = false;
            } else {
                let image = item["spec"]["containers"][0]["image"].as_str().unwrap().to_owned();
                let ready = reason_of(item, "Ready").is_some_and(|found| found["status"] == "True");
                let count = seen.pods.entry(image).or_default();
                count.0 += 1;
                count.1 += u32::from(ready);
            }
        }
        (all, still)
    }

    /// Waits until the same is seen for a second, and, where that is not `expected`, gives it time to become so.
    fn rest(&self, expected: &BTreeMap<String, Seen>) -> BTreeMap<String, Seen> {
        let start = Instant::now();
        let (mut last, mut since) = (self.look(), Instant::now());
        loop {
            std::thread::sleep(Duration::from_millis(200));
            let seen = self.look();
            if seen != last {
                (last, since) = (seen, Instant::now());
                continue;
            }
            let steady = last.1 && since.elapsed() > Duration::from_millis(1000);
            if (steady && last.0 == *expected) || start.elapsed() > Duration::from_secs(15) {
                return last.0;
            }
        }
    }
}

/// Name → steps. Every list runs on a Deployment of its own; they all go through their steps at the same time.
fn lists() -> Vec<(&'static str, Vec<Step>)> {
    let whole = || vec![Step::plain(10, "v1:1")];
    let with = |steps: Vec<Step>| whole().into_iter().chain(steps).collect::<Vec<_>>();
    let percent = |size, part: &str| Step::held(size, "v2:1", json!(0), json!(part));
    let never = |step: Step| step.note("lab/never-ready", "true");
    let mut lists = vec![
        ("figures", {
            let mut steps = whole();
            for (from, to) in [(0, 2), (2, 4), (4, 7), (7, 10)] {
                steps.extend([Step::grow(10, "v2:1", from, to), Step::shift(10, "v2:1", to)]);
            }
            steps.push(Step::plain(10, "v2:1"));
            steps
        }),
        ("scaled", with(vec![percent(10, "40%"), percent(20, "40%"), percent(10, "40%"), Step::plain(10, "v1:1")])),
        (
            "scaled-int",
            with(vec![
                Step::grow(10, "v2:1", 0, 4),
                Step::shift(10, "v2:1", 4),
                Step::shift(20, "v2:1", 4),
                Step::shift(20, "v2:1", 8),
                Step::shift(13, "v2:1", 6),
                Step::shift(10, "v2:1", 4),
                Step::plain(10, "v2:1"),
            ]),
        ),
        (
            "scaled-grown",
            with(vec![
                Step::grow(10, "v2:1", 0, 3),
                Step::grow(15, "v2:1", 0, 3),
                Step::grow(7, "v2:1", 0, 3),
                Step::shift(7, "v2:1", 3),
                Step::plain(7, "v1:1"),
            ]),
        ),
        (
            "bad",
            with(vec![
                never(Step::grow(10, "v2:1", 0, 2)),
                never(Step::shift(10, "v2:1", 2)),
                never(Step::shift(14, "v2:1", 2)),
                Step::plain(14, "v1:1"),
            ]),
        ),
        (
            "over",
            with(vec![
                Step::grow(10, "v2:1", 0, 4),
                Step::shift(10, "v2:1", 4),
                Step::held(10, "v3:1", json!(2), json!(4)),
                Step::shift(10, "v3:1", 6),
                Step::plain(10, "v1:1"),
            ]),
        ),
        (
            "in-turn",
            with(vec![
                Step::shift(10, "v2:1", 3),
                Step::shift(10, "v3:1", 3),
                Step::shift(16, "v3:1", 3),
                Step::plain(16, "v3:1"),
                Step::plain(4, "v1:1"),
            ]),
        ),
        (
            "blue-green",
            with(vec![
                Step::held(10, "v2:1", json!("50%"), json!(0)),
                Step::held(14, "v2:1", json!("50%"), json!(0)),
                Step::held(14, "v2:1", json!("100%"), json!(0)),
                Step::held(9, "v2:1", json!("100%"), json!(0)),
                Step::plain(9, "v2:1"),
            ]),
        ),
        (
            "paused",
            with(vec![
                Step::shift(10, "v2:1", 3),
                Step::shift(10, "v3:1", 3).with("paused", json!(true)),
                Step::shift(17, "v3:1", 3).with("paused", json!(true)),
                Step::plain(17, "v3:1"),
            ]),
        ),
        (
            "recreate",
            ["v1:1", "v2:1", "v1:1"]
                .into_iter()
                .map(|image| Step::plain(5, image).with("strategy", json!({"type": "Recreate"})))
                .collect(),
        ),
    ];
    for (name, size) in [("three", 3), ("five", 5), ("seven", 7)] {
        let mut steps = vec![Step::plain(size, "v1:1")];
        let mut from = 0;
        for part in [20_u32, 34, 67, 100] {
            let to = (part * size).div_ceil(100);
            if to > from {
                steps.extend([Step::grow(size, "v2:1", from, to), Step::shift(size, "v2:1", to)]);
                from = to;
            }
        }
        // The same again in percent, rounded by the controller; then back.
        steps.extend([percent(size, "34%"), Step::plain(size, "v1:1")].map(|step| Step { image: "v3:1", ..step }));
        lists.push((name, steps));
    }
    lists
}

/// A list drawn from a seed: sizes, versions, holds, pauses and pods that never become Ready, in any order.
fn drawn(seed: u64) -> Vec<Step> {
    let mut chance = Rng::new(seed);
    let mut below = |limit: u32| u32::try_from(chance.below(u64::from(limit))).unwrap();
    let mut steps = vec![Step::plain(1 + below(12), "v1:1")];
    while steps.len() < 9 {
        let size = if below(12) == 0 { 0 } else { 1 + below(16) };
        let image = ["v1:1", "v2:1", "v3:1"][below(3) as usize];
        let (surge, unavailable) = (below(8), below(8));
        let step = match below(6) {
            0 => Step::plain(size, image),
            1 => Step::shift(size, image, 1 + unavailable),
            2 => Step::held(size, image, json!(format!("{}%", 10 * surge)), json!(format!("{}%", 10 + 10 * unavailable))),
            3 => Step::held(size, image, json!(1 + surge), json!(unavailable)).with("paused", json!(true)),
            _ => Step::held(size, image, json!(1 + surge), json!(unavailable)),
        };
        // What never becomes Ready must be a version of its own.
        steps.push(if below(5) == 0 { Step { image: "bad:1", ..step }.note("lab/never-ready", "true") } else { step });
    }
    steps
}

/// The rests of a list, with the controllers' turns in the order of this seed (0: Deployments first).
fn rests(name: &str, steps: &[Step], order: u64) -> Vec<Seen> {
    let mut cluster = Cluster::new(NAMESPACE);
    if order > 0 {
        cluster.shuffle(order);
    }
    let play = |step: &Step| {
        kit::play(&mut cluster, name, step);
        simulated(&cluster, name)
    };
    steps.iter().map(play).collect()
}

/// Whether the rests are the same in every order of turns that is tried. Where they are not, the real controllers race
/// too (they read counts that are of before), and there is nothing to compare.
fn certain(steps: &[Step]) -> bool {
    let first = rests("shop", steps, 0);
    (1..8).all(|order| rests("shop", steps, order) == first)
}

/// How many drawn lists are compared, where `WINDLASS_LAB_DRAWN` says nothing else: the real pods take their time.
const DRAWN: usize = 2;

/// What Windlass does, and the lists beside it, must not hang on the order in which the controllers take their turns.
#[test]
fn the_order_of_the_controllers_turns_changes_no_rest() {
    for (name, steps) in lists() {
        assert!(certain(&steps), "{name}");
    }
}

#[test]
fn the_simulated_controllers_stand_where_the_real_ones_do() {
    let Some(lab) = Lab::up(&[]) else { return };
    let lab = Real(lab);
    let mut lists: Vec<(String, Vec<Step>)> = lists().into_iter().map(|(name, steps)| (name.to_owned(), steps)).collect();
    let fixed = lists.len();
    let count = std::env::var("WINDLASS_LAB_DRAWN").map_or(DRAWN, |count| count.parse().unwrap());
    let mut passed_over = 0;
    for seed in 1.. {
        if lists.len() == fixed + count {
            break;
        }
        match drawn(seed) {
            steps if certain(&steps) => lists.push((format!("drawn-{seed}"), steps)),
            _ => passed_over += 1,
        }
    }
    eprintln!("{fixed} fixed lists and {count} drawn ones; {passed_over} drawn ones hang on the order of turns");
    let mut cluster = Cluster::new(NAMESPACE);
    let mut live: BTreeMap<&str, Step> = BTreeMap::new();
    let mut wrong = Vec::new();
    for round in 0..lists.iter().map(|(_, steps)| steps.len()).max().unwrap_or(0) {
        for (name, steps) in &lists {
            if let Some(step) = steps.get(round) {
                live.insert(name, step.clone());
            }
        }
        let objects: ObjectSet = live.iter().map(|(name, step)| step.deployment(name)).collect();
        cluster.apply(&objects).unwrap();
        cluster.advance(30_000);
        let expected: BTreeMap<String, Seen> = live.keys().map(|name| ((*name).to_owned(), simulated(&cluster, name))).collect();
        lab.apply(&objects.values().map(windlass::manifest::Object::to_value).collect::<Vec<_>>());
        let seen = lab.rest(&expected);
        for (name, simulated) in &expected {
            if seen.get(name) != Some(simulated) {
                wrong.push(format!("{name}, step {round}:\n  real      {:?}\n  simulated {simulated:?}", seen.get(name)));
            }
        }
    }
    assert!(wrong.is_empty(), "the simulator differs from Kubernetes:\n{}", wrong.join("\n"));
}
