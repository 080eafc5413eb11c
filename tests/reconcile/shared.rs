//! Two Rollouts of one directory, and people who do whatever they like.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use windlass::engine::Command;
use windlass::git::{CommitInfo, Repo as _};
use windlass::manifest::{self, ObjectKey, ObjectSet};
use windlass::reconcile::{Overrides, Reconciler};
use windlass::sim::git::{MemoryGit, Remote};
use windlass::sim::invariants;

use super::counted::Counted;
use super::{Quick, fresh, put, rollout, settle, shown};

/// The directory of the source, where it is not elsewhere, and the live path.
const PAIR: &str = "g0/pair";

#[derive(Debug, Clone, Default)]
struct Desk {
    images: [usize; 2],
    configs: [usize; 3],
    /// Whether the pods of the first read the second's ConfigMap, too.
    uses: bool,
    /// What the Rollout files are: as they should be, broken, of another name, gone; or all of the service is gone.
    files: [usize; 2],
    /// A third Rollout for the first one's workload.
    rival: bool,
    /// The directory has another name; its live path has not.
    moved: bool,
    /// A routing that both can share: none, two that differ, one that cannot be used.
    routing: usize,
    /// Who names it.
    shares: [bool; 2],
}

const ENTRY: &str = "apiVersion: v1
kind: Service
metadata: {name: entry, namespace: shop}
spec: {selector: {app: entry}, ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: entry, namespace: shop}
spec: {rules: [{backendRefs: [{name: entry, port: 80}]}]}
";

fn routing(weight: usize) -> String {
    format!(
        "apiVersion: rollouts.kruise.io/v1alpha1\nkind: TrafficRouting\nmetadata: {{name: gray}}\nspec:\n  objectRef: [{{service: entry, \
         gracePeriodSeconds: 0, gateway: {{httpRouteName: entry}}}}]\n  strategy: {{weight: {weight}, requestHeaderModifier: {{set: [{{name: x-env, \
         value: gray}}]}}}}\n"
    )
}

fn config(name: &str, value: usize) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop}}\ndata: {{VALUE: '{value}'}}\n")
}

impl Desk {
    fn files(&self) -> BTreeMap<String, String> {
        let folder = if self.moved { "moved/pair" } else { PAIR };
        let mut files = BTreeMap::new();
        for (number, name) in ["a", "b"].into_iter().enumerate() {
            let state = self.files[number];
            if state == 4 {
                continue;
            }
            let mut uses = vec!["both".to_owned(), format!("c{name}")];
            uses.extend((number == 0 && self.uses).then(|| "cb".to_owned()));
            let uses: String = uses.iter().map(|name| format!("{{configMapRef: {{name: {name}}}}}, ")).collect();
            let app = super::manifests(name, self.images[number])
                .replace(&format!(":{}'", self.images[number]), &format!(":{}', envFrom: [{uses}]", self.images[number]));
            files.insert(format!("{folder}/{name}.yaml"), app);
            files.insert(format!("{folder}/{name}-config.yaml"), config(&format!("c{name}"), self.configs[number]));
            let file = match state {
                1 => "kind: Rollout\nspec: [\n".to_owned(),
                2 => rollout("other", "").replace("Deployment, name: other", &format!("Deployment, name: {name}")),
                3 => continue,
                _ => rollout(name, ""),
            };
            let file = match self.shares[number] {
                true => file.replace("metadata: {", "metadata: {annotations: {rollouts.kruise.io/trafficrouting: gray}, "),
                false => file,
            };
            files.insert(format!("{folder}/{name}-rollout.yaml"), file);
        }
        if self.rival {
            let text = rollout("rival", "").replace("Deployment, name: rival", "Deployment, name: a");
            files.insert(format!("{folder}/rival.yaml"), text);
        }
        files.insert(format!("{folder}/both.yaml"), config("both", self.configs[2]));
        files.insert(format!("{folder}/entry.yaml"), ENTRY.to_owned());
        if let Some(weight) = [None, Some(10), Some(30), Some(300)][self.routing] {
            files.insert(format!("{folder}/routing.yaml"), routing(weight));
        }
        files.insert(".windlass.yaml".to_owned(), {
            "apiVersion: windlass.dev/v1alpha1\nkind: Repository\npaths: {moved: g0}\n".to_owned()
        });
        files
    }

    fn commit(&self, before: Option<&Self>, remote: &Remote) {
        let (old, new) = (before.map(Self::files).unwrap_or_default(), self.files());
        let gone = old.keys().filter(|path| !new.contains_key(*path)).map(|path| (path.as_str(), None));
        let changed = new.iter().filter(|(path, text)| old.get(*path) != Some(*text));
        let changes: Vec<_> = changed.map(|(path, text)| (path.as_str(), Some(text.as_str()))).chain(gone).collect();
        if !changes.is_empty() {
            remote.commit_source(&changes, "by hand", 1_700_000_000 + i64::try_from(remote.updates()).unwrap()).unwrap();
        }
    }
}

#[derive(Debug, Clone)]
enum Deed {
    Release(usize, usize),
    Config(usize, usize),
    Uses(bool),
    File(usize, usize),
    Rival(bool),
    Move(bool),
    Routing(usize),
    Shares(usize, bool),
    /// Somebody writes a file of the live path.
    Hand(usize),
    /// Somebody reverts a commit of the live branch.
    Revert(usize),
    Say(usize, usize),
    Other,
}

fn deed() -> impl Strategy<Value = Deed> {
    let app = 0..2usize;
    prop_oneof![
        4 => (app.clone(), 1..4usize).prop_map(|(app, image)| Deed::Release(app, image)),
        2 => (0..3usize, 0..3usize).prop_map(|(config, value)| Deed::Config(config, value)),
        3 => any::<bool>().prop_map(Deed::Uses),
        4 => (app.clone(), prop_oneof![3 => Just(0usize), 4 => 1..5usize]).prop_map(|(app, state)| Deed::File(app, state)),
        1 => any::<bool>().prop_map(Deed::Rival),
        1 => any::<bool>().prop_map(Deed::Move),
        3 => prop_oneof![5 => 0..3usize, 1 => Just(3usize)].prop_map(Deed::Routing),
        3 => (app.clone(), any::<bool>()).prop_map(|(app, shares)| Deed::Shares(app, shares)),
        3 => (0..HAND.len()).prop_map(Deed::Hand),
        2 => (0..4usize).prop_map(Deed::Revert),
        3 => (app, 0..6usize).prop_map(|(app, word)| Deed::Say(app, word)),
        1 => Just(Deed::Other),
    ]
}

const HAND: [&str; 7] = [
    "deployment-a.yaml",
    "configmap-cb.yaml",
    "configmap-both.yaml",
    "httproute-entry.yaml",
    "extra.yaml",
    "extra.yml",
    "README.md",
];

fn carry_out(deed: &Deed, desk: &mut Desk, remote: &Remote, world: &Quick) {
    let before = desk.clone();
    match *deed {
        Deed::Release(app, image) => desk.images[app] = image,
        Deed::Config(config, value) => desk.configs[config] = value,
        Deed::Uses(on) => desk.uses = on,
        Deed::File(app, state) => desk.files[app] = state,
        Deed::Rival(on) => desk.rival = on,
        Deed::Move(on) => desk.moved = on,
        Deed::Routing(which) => desk.routing = which,
        Deed::Shares(app, on) => desk.shares[app] = on,
        Deed::Hand(file) => {
            let name = HAND[file];
            let text = match name {
                "deployment-a.yaml" => super::manifests("a", 9),
                "README.md" => "by hand\n".to_owned(),
                "httproute-entry.yaml" => ENTRY.split_once("---\n").unwrap().1.replace("port: 80", "port: 81"),
                other => config(other.rsplit_once('.').unwrap().0.trim_start_matches("configmap-"), 9),
            };
            put(remote, "deploy", &format!("{PAIR}/{name}"), Some(&format!("# {}\n{text}", remote.updates())));
        }
        Deed::Revert(back) => {
            let log = remote.log("deploy").unwrap();
            // Not of what has no parent, and not of what does not fit any more.
            if let Some(commit) = log.get(back).filter(|_| log.len() > back + 1) {
                let _ = remote.revert("deploy", commit.id, 1_750_000_000);
            }
        }
        Deed::Say(app, word) => {
            let mut process = Reconciler::new(Box::new(MemoryGit::open(remote)), world, Overrides::default());
            let name = Some(["g0/pair:a", "g0/pair:b"][app]);
            let command = match word {
                0 => Command::Rollback { now: true },
                1 => Command::Promote,
                2 => Command::Adopt(ObjectSet::default()),
                3 => Command::Retry,
                4 => Command::Pause { why: None },
                _ => {
                    let _ = process.eject(name, "alice");
                    return;
                }
            };
            // Most do not fit where it stands.
            let _ = process.say(name, &command, "alice");
        }
        Deed::Other => {
            let mut other = Reconciler::new(Box::new(MemoryGit::open(remote)), world, Overrides::default());
            let _ = other.pass();
        }
    }
    desk.commit(Some(&before), remote);
}

fn objects(files: &BTreeMap<String, Vec<u8>>, wanted: impl Fn(&str) -> bool) -> BTreeMap<ObjectKey, manifest::Object> {
    let mut found = BTreeMap::new();
    for (name, content) in files.iter().filter(|(name, _)| wanted(name) && name.ends_with(".yaml")) {
        let Ok(documents) = manifest::read(name, &String::from_utf8_lossy(content)) else { continue };
        found.extend(documents.into_iter().map(|document| (document.object.key(), document.object)));
    }
    found
}

/// What Windlass must not have done in one commit, whatever people did.
fn judge(remote: &Remote, desk: &Desk, commit: &CommitInfo) -> Result<(), TestCaseError> {
    let Some(parent) = commit.parent else { return Ok(()) };
    let subject = commit.message.lines().next().unwrap_or_default();
    let (before, after) = (remote.files(parent, PAIR).unwrap(), remote.files(commit.id, PAIR).unwrap());
    for name in before.keys().filter(|name| !name.ends_with(".yaml") && *name != "hydrator.metadata") {
        prop_assert!(after.contains_key(name), "{subject} removes {name}");
    }
    let by_hand = before.iter().find(|(name, content)| *name == "extra.yaml" && after.get(*name) != Some(content));
    prop_assert!(by_hand.is_none() || subject.ends_with("adopt a change of the live path"), "{subject} touches {by_hand:?}");
    let source = desk.files().into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
    let source: BTreeSet<ObjectKey> = objects(&source, |name| !name.ends_with("rollout.yaml")).into_keys().collect();
    let (old, new) = (objects(&before, |_| true), objects(&after, |_| true));
    let back = subject.contains("roll");
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        prop_assert!(back || !source.contains(key), "{subject} removes {key}, and the source has it");
    }
    Ok(())
}

struct Play {
    remote: Remote,
    world: Quick,
    desk: Desk,
    judged: usize,
}

impl Play {
    fn begin() -> Self {
        let desk = Desk { images: [1, 1], routing: 1, shares: [true, false], ..Desk::default() };
        let remote = Remote::new("shop", "main", "deploy");
        desk.commit(None, &remote);
        Self { remote, world: Quick(Cell::new(1_800_000_000)), desk, judged: 0 }
    }

    fn judge(&mut self) -> Result<(), TestCaseError> {
        let log = self.remote.log("deploy").unwrap();
        for commit in log.iter().rev().skip(self.judged).filter(|commit| commit.message.contains("Windlass-Release: ")) {
            judge(&self.remote, &self.desk, commit)?;
        }
        self.judged = log.len();
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever people do: nothing of theirs is lost, no object goes that the source still has, no rule of the live branch is
    /// broken, all comes to rest, and who remembers says what a newcomer says.
    #[test]
    fn several_rollouts_of_one_directory(deeds in proptest::collection::vec((deed(), any::<bool>()), 1..12)) {
        let mut play = Play::begin();
        let (remote, start) = (play.remote.clone(), Quick(Cell::new(1_800_000_000)));
        let mut process = Reconciler::new(Box::new(MemoryGit::open(&remote)), &start, Overrides::default());
        settle(&mut process, &start);
        play.judge()?;
        for (deed, look) in &deeds {
            play.world.0.set(start.0.get());
            let desk = &mut play.desk;
            carry_out(deed, desk, &remote, &play.world);
            if *look {
                let told = settle(&mut process, &start);
                prop_assert_eq!(shown(&told), fresh(&remote, &start), "after {:?} of {:?}", deed, deeds);
            }
            play.judge()?;
        }
        let told = settle(&mut process, &start);
        prop_assert_eq!(shown(&told), fresh(&remote, &start), "after {:?}", deeds);
        play.judge()?;
        let mut git = MemoryGit::open(&remote);
        let head = git.fetch().unwrap().live.unwrap();
        let broken: Vec<String> = invariants::check(&git, head).unwrap().iter().map(ToString::to_string).collect();
        prop_assert!(broken.is_empty(), "{:?}\n{}", deeds, broken.join("\n"));
    }
}

/// At rest a directory with two Rollouts is not read again, and a look of one of them costs the same beside many others.
#[test]
fn at_rest_a_shared_directory_is_not_read() {
    let reads = |others: usize| {
        let play = Play::begin();
        for number in 0..others {
            put(&play.remote, "main", &format!("other/x{number}/app.yaml"), Some(&super::manifests(&format!("x{number}"), 1)));
            put(&play.remote, "main", &format!("other/x{number}/rollout.yaml"), Some(&rollout(&format!("x{number}"), "")));
        }
        let counted = Counted::new(MemoryGit::open(&play.remote));
        let mut process = Reconciler::new(Box::new(counted.clone()), &play.world, Overrides::default());
        process.brief = true;
        settle(&mut process, &play.world);
        let quiet = counted.reads(|| drop(process.pass().unwrap()));
        put(&play.remote, "main", "notes.txt", Some("1"));
        let source = counted.reads(|| drop(process.pass().unwrap()));
        put(&play.remote, "deploy", "notes.txt", Some("1"));
        let live = counted.reads(|| drop(process.pass().unwrap()));
        let mut desk = play.desk.clone();
        desk.images[0] = 2;
        desk.commit(Some(&play.desk), &play.remote);
        let mut commits = 0;
        let release = counted.reads(|| commits = process.pass().unwrap().commits.len());
        assert_eq!(commits, 1);
        (quiet, source, live, release)
    };
    let (few, many) = (reads(2), reads(30));
    assert_eq!((few.0, few.1, few.2), (many.0, many.1, many.2));
    assert!(few.0 <= 1, "{few:?}: the settings at most");
    assert_eq!(few.3, many.3, "a look at one directory");
}
