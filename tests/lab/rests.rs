//! What the real controllers did between the commits of a live branch: against what each commit's state says, and against the simulated
//! controllers, which are given the same live trees.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use windlass::engine::{Leg, State};
use windlass::git::trailers::Message;
use windlass::git::{Oid, Options, Repo as _, Store};
use windlass::manifest::ObjectSet;
use windlass::reconcile::{AppId, layout};
use windlass::render::{Pods, PodsPhase, Routes};
use windlass::sim::cluster::Cluster;

use super::watch::{Change, Watcher};

/// A commit of the live branch that changed an app.
pub(crate) struct Step {
    pub(crate) subject: String,
    /// All trailers, in order.
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) state: State,
    pub(crate) live: ObjectSet,
    /// Whether it is one of windlass' own.
    pub(crate) ours: bool,
}

impl Step {
    pub(crate) fn trailer(&self, key: &str) -> Option<&str> {
        self.trailers.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Which move this was: `Windlass-Step`.
    pub(crate) fn word(&self) -> &str {
        self.trailer("Windlass-Step").unwrap_or("a person's")
    }
}

/// Image → (pods, Ready).
type Counts = BTreeMap<String, (u64, u64)>;

/// An app whose commits and pods are looked at.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// The repository's address.
    pub(crate) url: String,
    pub(crate) id: AppId,
    pub(crate) namespace: String,
    /// The user's own `maxUnavailable`; `None`: the API's default, 25 % rounded down.
    pub(crate) unavailable: Option<u32>,
    /// Whether an Ingress divides requests.
    pub(crate) routed: bool,
    /// Whether all stable pods stay beside the new ones (blueGreen).
    pub(crate) stays: bool,
}

/// Every commit of an app, oldest first.
pub(crate) fn history(app: &Subject) -> Vec<Step> {
    let mut options = Options::new(app.url.clone(), "deploy");
    options.source = Some("main".to_owned());
    let mut store = Store::open(options).unwrap();
    let heads = store.fetch().unwrap();
    let id = app.id.clone();
    let mut steps = Vec::new();
    let mut at: Option<Oid> = heads.live;
    while let Some(commit) = at {
        let info = store.commit(commit).unwrap();
        at = info.parent;
        let identity = |commit: Oid| {
            let of = |path: &str| store.entry(commit, path).unwrap().map(|entry| entry.id);
            (of(&id.home()), of(&id.path))
        };
        if info.parent.map(identity) == Some(identity(commit)) {
            continue;
        }
        let Some(state) = layout::read_state(&store, commit, &id).unwrap() else { continue };
        let message = Message::parse(&info.message);
        let trailers = message.trailers().iter().map(|trailer| (trailer.key.clone(), trailer.value.clone())).collect();
        let live = layout::read_live(&store, commit, &id.path).unwrap().unwrap_or_default();
        let ours = info.author.name == "Windlass";
        steps.push(Step { subject: message.subject().to_owned(), trailers, state, live, ours });
    }
    steps.reverse();
    steps
}

/// The time between two commits in the cluster.
pub(crate) struct Rest {
    pub(crate) subject: String,
    pub(crate) real: Counts,
    /// The fewest Ready pods, by the ReplicaSets and by the EndpointSlices of the Service that no release touches.
    pub(crate) least: [u64; 2],
    /// What it must not fall below.
    pub(crate) floor: u64,
}

pub(crate) fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Checks every commit of an app against what the cluster did, and gives what was seen. `watcher` must have been there before the first
/// of these commits.
///
/// # Panics
/// With a table of all commits, where real controllers, plan and simulated controllers differ anywhere, or pods were too few.
pub(crate) fn check(app: &Subject, watcher: &Watcher, history: &[Step]) -> Vec<Rest> {
    let (rests, wrong) = compare(app, watcher, history);
    let table = table(&rests);
    println!("{table}");
    assert!(wrong.is_empty(), "{}\n{table}", wrong.join("\n"));
    rests
}

/// What was seen, and all that is wrong with it.
pub(crate) fn compare(app: &Subject, watcher: &Watcher, history: &[Step]) -> (Vec<Rest>, Vec<String>) {
    let name = app.id.name.as_str();
    // One order for all kinds: etcd's revision, not the time of arrival.
    let prefix = format!("{name}-");
    let mut changes: Vec<Change> = watcher
        .changes_in(&app.namespace)
        .into_iter()
        .filter(|change| change.name == name || change.name.starts_with(&prefix))
        .collect();
    changes.sort_by_key(|change| version(&change.object));
    let marks = applied(&changes, name, history);
    let mut cluster = Cluster::new(&app.namespace);
    let (mut rests, mut wrong, mut size_before) = (Vec::new(), Vec::new(), 0);
    for (index, (step, from)) in marks.iter().enumerate() {
        let until = marks.get(index + 1).map_or(u64::MAX, |(_, version)| *version);
        cluster.apply(&step.live).unwrap();
        cluster.advance(60_000);
        let key = Cluster::deployment(&app.namespace, name);
        let simulated: Counts = cluster
            .pods_by(&key, "/spec/containers/0/image")
            .into_iter()
            .map(|(image, counts)| (image, (u64::from(counts.pods), u64::from(counts.ready))))
            .collect();
        let real = pods(&changes, name, until);
        let workload = step.live.values().find(|object| object.kind() == "Deployment").unwrap();
        let size = workload.get("/spec/replicas").and_then(Value::as_u64).unwrap_or(1);
        let (new, old) = planned(step.state.shape.pods, size, app.stays);
        let image = workload.text("/spec/template/spec/containers/0/image").unwrap();
        let seen_new = real.get(image).map_or(0, |(pods, _)| *pods);
        let seen_old = real.iter().filter(|(other, _)| *other != image).map(|(_, (pods, _))| pods).sum::<u64>();
        // After a person's revert windlass goes back from wherever the pods are.
        let answer = index > 0 && marks.get(index - 1).is_some_and(|(step, _)| !step.ours);
        if step.ours && !answer && (seen_new, seen_old) != (new, old) {
            wrong.push(format!("{}: {new} + {old} pods were planned, {seen_new} + {seen_old} are there", step.subject));
        }
        if step.ours && real != simulated {
            wrong.push(format!("{}: real {real:?}, simulated {simulated:?}", step.subject));
        }
        let strict = matches!(step.state.shape.pods, Pods::Held { .. } | Pods::Returning { .. } | Pods::Back { .. });
        let smaller = if index == 0 { 0 } else { size.min(size_before) };
        let unavailable = app.unavailable.map_or(smaller / 4, u64::from);
        let floor = if strict { smaller } else { smaller.saturating_sub(unavailable) };
        let sets =
            fewest(&changes, *from, until, |at| pods(&changes[..at], name, u64::MAX).values().map(|(_, ready)| ready).sum());
        let slices = fewest(&changes, *from, until, |at| endpoints(&changes[..at], &format!("{name}-all")));
        for (who, least) in [("ReplicaSets", sets), ("EndpointSlices", slices)] {
            if least < floor {
                wrong.push(format!("{}: the {who} had only {least} Ready pods, {floor} were to stay", step.subject));
            }
        }
        if index > 0 && app.routed && fewest(&changes, *from, until, |at| endpoints(&changes[..at], name)) == 0 {
            wrong.push(format!("{}: the stable Service had no Ready pod", step.subject));
        }
        if let (Routes::Split { .. }, Leg::Shift) = (&step.state.shape.routes, step.state.leg) {
            // The most there were: where all goes back in one commit, the applier may have taken them away before the Deployment came.
            let canary = format!("{name}-canary");
            let ready = greatest(&changes, *from, until, |at| endpoints(&changes[..at], &canary));
            if ready != new {
                wrong.push(format!("{}: {ready} pods take the candidate's requests, {new} are there", step.subject));
            }
        }
        size_before = size;
        rests.push(Rest { subject: step.subject.clone(), real, least: [sets, slices], floor });
    }
    (rests, wrong)
}

pub(crate) fn table(rests: &[Rest]) -> String {
    let mut text = String::new();
    for Rest { subject, real, least, floor } in rests {
        let pods: Vec<String> = real
            .iter()
            .map(|(image, (pods, ready))| format!("{}: {pods} ({ready} ready)", image.rsplit('/').next().unwrap()))
            .collect();
        let _ = writeln!(text, "  {subject:<58} {:<40} least {least:?} of {floor}", pods.join(", "));
    }
    text
}

/// The commits that changed what is applied, each with the version at which its Deployment came to the cluster.
fn applied<'h>(changes: &[Change], name: &str, history: &'h [Step]) -> Vec<(&'h Step, u64)> {
    let mut found: Vec<(&Step, u64)> = Vec::new();
    for step in history {
        let (last, from) = found.last().map_or(("", 0), |(step, version)| (step.state.mark.as_str(), *version));
        if step.state.mark == last {
            continue;
        }
        let arrival = changes.iter().find(|change| {
            change.kind == "Deployment"
                && change.name == name
                && version(&change.object) > from
                && change.object["metadata"]["annotations"]["windlass.dev/commit-tree"] == step.state.mark.as_str()
        });
        match arrival {
            Some(arrival) => found.push((step, version(&arrival.object))),
            // What a person has pushed is answered at once: it may never come to the cluster.
            None => assert!(!step.ours, "{name}: `{}` never came to the cluster", step.subject),
        }
    }
    found
}

/// New and old pods at the rest of a shape: design 02, 4.
fn planned(pods: Pods, size: u64, stays: bool) -> (u64, u64) {
    match pods {
        Pods::Held { size, to, .. } if stays => (to.into(), size.into()),
        Pods::Stable | Pods::Returning { .. } | Pods::Candidate => (size, 0),
        Pods::Back { kept, from, left, phase: PodsPhase::Grow, .. } if from == left => (kept.into(), from.into()),
        Pods::Back { size, from, left, phase: PodsPhase::Grow, .. } => ((size - left).into(), from.into()),
        Pods::Back { size, left, phase: PodsPhase::Shift, .. } => ((size - left).into(), left.into()),
        Pods::Held { size, from, to, phase: PodsPhase::Grow, .. } => (to.into(), (size - from).into()),
        Pods::Held { size, to, phase: PodsPhase::Shift, .. } => (to.into(), (size - to).into()),
    }
}

/// The pods of an app's ReplicaSets before a version.
fn pods(changes: &[Change], name: &str, until: u64) -> Counts {
    let mut sets: BTreeMap<&str, (&str, u64, u64)> = BTreeMap::new();
    for change in changes.iter().filter(|change| change.kind == "ReplicaSet") {
        if version(&change.object) >= until || change.object["metadata"]["labels"]["app"] != name {
            continue;
        }
        let image = change.object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
        let status = |field: &str| if change.deleted { 0 } else { change.object["status"][field].as_u64().unwrap_or(0) };
        sets.insert(&change.name, (image, status("replicas"), status("readyReplicas")));
    }
    let mut counts = Counts::new();
    for (image, pods, ready) in sets.into_values().filter(|(_, pods, _)| *pods > 0) {
        let sum = counts.entry(image.to_owned()).or_default();
        *sum = (sum.0 + pods, sum.1 + ready);
    }
    counts
}

/// Ready endpoints of a Service after these changes.
fn endpoints(changes: &[Change], service: &str) -> u64 {
    let mut slices: BTreeMap<&str, u64> = BTreeMap::new();
    for change in changes.iter().filter(|change| change.kind == "EndpointSlice") {
        if change.object["metadata"]["labels"]["kubernetes.io/service-name"] != service {
            continue;
        }
        let endpoints = change.object["endpoints"].as_array();
        let ready = endpoints.into_iter().flatten().filter(|endpoint| endpoint["conditions"]["ready"] != false).count();
        slices.insert(&change.name, if change.deleted { 0 } else { u64::try_from(ready).unwrap() });
    }
    slices.values().sum()
}

/// The least value of `count` (of the first so many changes) from one version to another.
fn fewest(changes: &[Change], from: u64, until: u64, count: impl Fn(usize) -> u64) -> u64 {
    between(changes, from, until).map(count).min().unwrap_or(0)
}

fn greatest(changes: &[Change], from: u64, until: u64, count: impl Fn(usize) -> u64) -> u64 {
    between(changes, from, until).map(count).max().unwrap_or(0)
}

fn between(changes: &[Change], from: u64, until: u64) -> std::ops::RangeInclusive<usize> {
    let position = |at: u64| changes.partition_point(|change| version(&change.object) < at);
    position(from)..=position(until)
}
