//! Every rule must be able to fail: good histories with one bad commit on top, and worlds that do what they must not.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use windlass::git::{Change, NewCommit, Oid, Person, Repo as _};
use windlass::sim::invariants::{self, Rule};
use windlass::sim::scenario::{Conditions, Play, Script, play};

const HOME: &str = ".windlass/prod/checkout/checkout";
const GOOD: &str = "> app route=ingress
> steps 20%/traffic=20%/pause=60 60%/traffic=60%/pause=60 100%
> metric name=error-rate max=0.05 interval=30 count=3
> commit
> until rest
> image 2
> commit
";

fn played(more: &str) -> Play {
    play(&Script::parse(&format!("{GOOD}{more}")).unwrap(), &Conditions::default()).unwrap()
}

/// A commit that looks like one of Windlass.
struct Forgery<'a> {
    play: &'a Play,
    changes: BTreeMap<String, Option<String>>,
    kind: &'a str,
    by: Option<&'a str>,
}

impl<'a> Forgery<'a> {
    fn new(play: &'a Play, kind: &'a str) -> Self {
        Self { play, changes: BTreeMap::new(), kind, by: None }
    }

    fn text(&self, commit: Oid, path: &str) -> String {
        let files = self.play.remote.files(commit, "").unwrap();
        String::from_utf8(files[path].clone()).unwrap()
    }

    fn state(mut self, edit: impl FnOnce(&mut Value)) -> Self {
        let head = self.play.head.unwrap();
        let path = format!("{HOME}/state");
        let text = self.changes.get(&path).cloned().flatten().unwrap_or_else(|| self.text(head, &path));
        let mut state: Value = serde_json::from_str(&text).unwrap();
        state["parent"] = json!(head.to_string());
        edit(&mut state);
        self.changes.insert(path, Some(state.to_string()));
        self
    }

    fn file(mut self, path: &str, content: Option<String>) -> Self {
        self.changes.insert(path.to_owned(), content);
        self
    }

    /// The rules that are broken with this commit on top.
    fn rules(self) -> Vec<Rule> {
        let by = self.by.map(|by| format!("Windlass-By: \"{by}\"\n")).unwrap_or_default();
        let message = format!("checkout: forged\n\nWindlass-Release: prod/checkout#1\nWindlass-Step: 1/3 {}\n{by}", self.kind);
        let changes = self.changes.into_iter().map(|(path, content)| match content {
            Some(content) => Change::File { path, content: content.into_bytes() },
            None => Change::Remove { path },
        });
        let author = Person { name: "Windlass".to_owned(), email: "windlass@users.noreply.invalid".to_owned() };
        let commit = NewCommit { changes: changes.collect(), message, author, time: 1_767_700_000 };
        let head = self.play.remote.commit("deploy", &commit).unwrap();
        let mut git = self.play.open();
        git.fetch().unwrap();
        let mut rules: Vec<Rule> = invariants::check(&git, head).unwrap().into_iter().map(|violation| violation.rule).collect();
        rules.sort();
        rules.dedup();
        rules
    }
}

#[test]
fn a_good_history_breaks_no_rule() {
    for more in ["", "> until hold soak\n", "> until rest\n"] {
        assert_eq!(super::judge("good", &Script::default(), &played(more)), Vec::<String>::new());
    }
}

#[test]
fn a_skipped_gate_is_seen() {
    let play = played("> until hold soak\n");
    assert_eq!(Forgery::new(&play, "grow").state(|state| state["step"] = json!(2)).rules(), [Rule::NoGateSkipped]);
    let play = played("> until hold soak\n");
    let mut forged = Forgery::new(&play, "note").state(|state| state["step"] = json!(2));
    forged.by = Some("alice");
    assert_eq!(forged.rules(), [], "a person's word may");
}

#[test]
fn fewer_pods_are_seen() {
    let play = played("> run 2m\n> until hold soak\n");
    let forged = Forgery::new(&play, "shift").state(|state| state["shape"]["pods"]["held"]["to"] = json!(1));
    assert_eq!(forged.rules(), [Rule::PodsNeverShrink]);
}

#[test]
fn another_share_than_the_steps_is_seen() {
    let play = played("> until hold soak\n");
    let forged = Forgery::new(&play, "shift").state(|state| state["shape"]["routes"]["split"]["weight"] = json!(90));
    assert_eq!(forged.rules(), [Rule::TrafficAsPlanned]);
}

#[test]
fn requests_to_a_service_that_is_gone_are_seen() {
    let play = played("> until hold soak\n");
    let forged = Forgery::new(&play, "note").state(|_| {}).file("prod/checkout/service-checkout-canary.yaml", None);
    assert_eq!(forged.rules(), [Rule::NoTrafficToAbsent]);
}

#[test]
fn requests_in_the_same_commit_as_the_pods_are_seen() {
    let play = played("> run 20s\n");
    let log = play.remote.log("deploy").unwrap();
    let shift = log.iter().find(|commit| commit.message.contains("shift 20%")).unwrap().id;
    let adopt = log.last().unwrap().id;
    let files = play.remote.files(shift, "").unwrap();
    play.remote.force_push("deploy", adopt).unwrap();
    let mut forged = Forgery::new(&play, "shift");
    for (path, content) in files {
        forged = forged.file(&path, Some(String::from_utf8(content).unwrap()));
    }
    let forged = forged.state(|state| state["parent"] = json!(adopt.to_string()));
    assert_eq!(forged.rules(), [Rule::NoTrafficToAbsent]);
}

#[test]
fn pods_that_go_before_their_requests_are_seen() {
    let play = played("> until hold soak\n");
    let first = play.remote.log("deploy").unwrap().last().unwrap().id;
    let path = "prod/checkout/deployment-checkout.yaml";
    let forged = Forgery::new(&play, "rollback-pods");
    let stable = forged.text(first, path);
    let forged = forged.file(path, Some(stable)).state(|state| {
        state["phase"] = json!("RollingBack");
        state["shape"]["pods"] = json!("stable");
    });
    assert_eq!(forged.rules(), [Rule::NoPrematureDrain]);
}

#[test]
fn commits_that_are_no_single_move_are_seen() {
    let play = played("> until hold soak\n");
    assert_eq!(Forgery::new(&play, "note").rules(), [Rule::OneMove], "an empty commit");
    let play = played("> until hold soak\n");
    let forged = Forgery::new(&play, "note").state(|state| state["parent"] = json!("0".repeat(40)));
    assert_eq!(forged.rules(), [Rule::OneMove], "made on another parent");
}

#[test]
fn a_stable_version_that_a_rollback_would_not_bring_back_is_seen() {
    let play = played("> until hold soak\n");
    let path = format!("{HOME}/stable/service-checkout.manifest");
    let forged = Forgery::new(&play, "note").state(|_| {});
    let text = forged.text(play.head.unwrap(), &path).replace("port: 80", "port: 81");
    assert_eq!(forged.file(&path, Some(text)).rules(), [Rule::RollbackReachable]);
}

#[test]
fn paths_of_others_are_seen() {
    let play = played("> until hold soak\n");
    for path in ["prod/cart/deployment-cart.yaml", "prod/checkout/deeper/file.yaml", "README.md"] {
        let forged = Forgery::new(&play, "note").state(|_| {}).file(path, Some("x".to_owned()));
        let rules = forged.rules();
        assert!(rules.contains(&Rule::OwnPaths), "{path}: {rules:?}");
    }
}

#[test]
fn going_on_past_a_pause_or_a_rollback_is_seen() {
    let play = played("> until hold soak\n> pause alice\n");
    let forged = Forgery::new(&play, "note").state(|state| state["phase"] = json!("Releasing"));
    assert_eq!(forged.rules(), [Rule::PauseWins]);
    let play = played("> until hold soak\n> rollback\n");
    let forged = Forgery::new(&play, "note").state(|state| state["phase"] = json!("Releasing"));
    assert_eq!(forged.rules(), [Rule::PauseWins]);
}

#[test]
fn a_finished_release_that_moves_is_seen() {
    let play = played("> until rest\n");
    let forged = Forgery::new(&play, "note").state(|state| state["phase"] = json!("Releasing"));
    assert!(forged.rules().contains(&Rule::FinishedStays));
    let play = played("> until rest\n");
    let forged = Forgery::new(&play, "note").state(|state| state["release"] = json!(0));
    assert_eq!(forged.rules(), [Rule::FinishedStays]);
}

#[test]
fn a_lost_commit_is_seen() {
    let play = played("> until hold soak\n");
    let older = play.remote.log("deploy").unwrap()[1].id;
    play.remote.force_push("deploy", older).unwrap();
    let mut git = play.open();
    git.fetch().unwrap();
    assert_eq!(invariants::nothing_lost(&git, older, &play.seen).unwrap().len(), 1);
}

#[test]
fn a_cluster_that_stands_otherwise_is_seen() {
    let play = played("> until rest\n> scale-live 8\n> run 1s\n");
    assert!(play.findings.iter().any(|finding| finding.contains("run at a rest")), "{:?}", play.findings);
    let play = played("> until rest\n> sicken 5\n> run 1s\n");
    assert!(play.findings.iter().any(|finding| finding.contains("answered by nobody")), "{:?}", play.findings);
    assert!(play.findings.iter().any(|finding| finding.contains("were Ready")), "{:?}", play.findings);
}

#[test]
fn a_scenario_that_is_not_at_rest_is_seen() {
    assert!(played("").restless);
    assert!(!played("> until rest\n").restless);
}
