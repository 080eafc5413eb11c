//! The lab as the ground of a scenario: one case with a repository, a namespace, an applier and a windlass of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use windlass::engine::{Phase, State};
use windlass::git::trailers::Message;
use windlass::git::{CommitInfo, Oid, Options, Repo as _, Store};
use windlass::reconcile::{AppId, layout};
use windlass::render::{Pods, PodsPhase};
use windlass::sim::invariants;
use windlass::sim::scenario::{Desk, Ground, Setting, UNREACHABLE, standing};

use super::Site;
use super::applier::Applier;
use super::proxy::Proxy;
use super::view::View;
use crate::lab::argo;
use crate::lab::program::Program;
use crate::lab::repository::Repository;
use crate::lab::rests::{Step, Subject};
use crate::lab::servers::Lab;
use crate::lab::watch::Watcher;

/// The longest wait in which nothing new happens. Far more than it takes: the machine may be busy with other things.
const LONG: Duration = Duration::from_secs(120);
/// Nothing has changed for so long: nothing is on its way.
const QUIET: Duration = Duration::from_millis(1200);

const QUERY: &str = "sum(rate(errors_total{namespace=\"{{ namespace }}\",revision=\"{{ candidate.revision }}\"}[{{ window }}])) \
     / sum(rate(requests_total{namespace=\"{{ namespace }}\",revision=\"{{ candidate.revision }}\"}[{{ window }}]))";

/// What windlass has said last of the app.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    /// Nothing yet, or that it has made a commit.
    Moves,
    /// The code of what it waits for.
    Holds(String),
    /// That the repository does not answer.
    Waits,
}

/// A second cluster, which has taken the place of the first.
pub(super) struct Second {
    pub(super) watcher: Watcher,
    lab: Lab,
    /// Commits of the live branch that it was not there for.
    pub(super) before: usize,
}

pub(super) struct Stage<'a> {
    site: &'a Site,
    pub(super) applier: Applier,
    /// Of the case: its namespace, its applier's objects, its repository.
    name: String,
    repository: Repository,
    store: Store,
    desk: Desk,
    forge: Proxy,
    metrics: Proxy,
    forge_is_up: bool,
    folder: PathBuf,
    program: Option<Program>,
    /// What windlass said before this was said by one that was killed.
    heard: usize,
    /// Whether the applier was started.
    applies: bool,
    pub(super) second: Option<Second>,
    pushed: String,
    known: Option<Oid>,
    /// Revision → part of its requests that fails.
    rates: BTreeMap<String, f64>,
    out: Vec<String>,
    /// How much windlass had said and the cluster had done when something new was seen last.
    news: ((usize, usize), Instant),
}

impl<'a> Stage<'a> {
    pub(super) fn new(site: &'a Site, applier: Applier, case: &str) -> Self {
        let number = case.split('-').next().unwrap_or_default();
        let name = format!("{}-{number}", applier.word());
        let lab = &site.lab;
        let repository = Repository::create(lab, &name);
        prepare(lab, &name);
        let forge = Proxy::to(lab.var("LAB_GITEA"));
        let metrics = Proxy::to(lab.var("LAB_PROMETHEUS"));
        let folder = lab.folder().join(format!("windlass-{name}"));
        std::fs::create_dir_all(&folder).unwrap();
        let config = format!(
            "apiVersion: windlass.dev/v1alpha1\nkind: Config\nsources:\n- {{name: prometheus, prometheus: {{url: \"{}\"}}}}\n",
            metrics.url()
        );
        std::fs::write(folder.join("windlass.yaml"), config).unwrap();
        let mut options = Options::new(repository.url.clone(), "deploy");
        options.source = Some("main".to_owned());
        let store = Store::open(options).unwrap();
        let setting = Setting { namespace: name.clone(), query: QUERY.to_owned() };
        Self {
            site,
            applier,
            name,
            repository,
            store,
            desk: Desk::new(setting),
            forge,
            metrics,
            forge_is_up: true,
            folder,
            program: None,
            heard: 0,
            applies: false,
            second: None,
            pushed: String::new(),
            known: None,
            rates: BTreeMap::new(),
            out: Vec::new(),
            news: ((0, 0), Instant::now()),
        }
    }

    /// The present cluster, and what happens in it.
    fn cluster(&self) -> (&Lab, &Watcher) {
        self.second.as_ref().map_or((&self.site.lab, &self.site.watcher), |second| (&second.lab, &second.watcher))
    }

    fn url(&self) -> String {
        format!("{}/{}.git", self.forge.url(), self.repository.full_name)
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let (lab, _) = self.cluster();
        vec![
            ("PATH", self.site.lab.var("PATH").to_owned()),
            ("KUBECONFIG", lab.var("KUBECONFIG").to_owned()),
            ("WINDLASS_REPO", self.url()),
            ("WINDLASS_USERNAME", "windlass".to_owned()),
            ("WINDLASS_TOKEN", self.repository.token.clone()),
            ("WINDLASS_CACHE", self.folder.join("cache").display().to_string()),
            ("WINDLASS_ACTOR", "alice".to_owned()),
        ]
    }

    fn start(&mut self) {
        self.heard = self.output().len();
        let environment = self.environment();
        let environment = environment.iter().map(|(name, value)| (*name, value.as_str()));
        let args = ["run", "--watch", "--interval", "1s", "--config", "windlass.yaml", "-vv"];
        self.program = Some(Program::start(&self.folder, &args, environment));
    }

    fn kill(&mut self) {
        if let Some(mut program) = self.program.take() {
            assert!(program.is_running(), "windlass has ended by itself:\n{}", program.output());
            program.crash();
        }
    }

    pub(super) fn output(&self) -> String {
        std::fs::read_to_string(self.folder.join("windlass.txt")).unwrap_or_default()
    }

    fn word(&mut self) -> Word {
        let path = self.desk.app().map(|app| format!("{}: ", app.path)).unwrap_or_default();
        let output = self.output();
        for line in output.get(self.heard..).unwrap_or_default().lines().rev() {
            if let Some(code) = line.strip_prefix(&path).and_then(|rest| rest.split(' ').next()) {
                return Word::Holds(code.to_owned());
            }
            if line.starts_with("waiting: ") {
                return Word::Waits;
            }
            if line.split(' ').next().is_some_and(|id| id.len() == 10 && id.chars().all(|digit| digit.is_ascii_hexdigit())) {
                return Word::Moves;
            }
        }
        Word::Moves
    }

    /// Whether windlass has looked at all there is since a head came, and found nothing due: what it said before that is old.
    fn has_seen(&self, head: Oid) -> bool {
        let output = self.output();
        let last = output.get(self.heard..).unwrap_or_default().lines().rev().find(|line| line.contains("nothing is due"));
        last.is_some_and(|line| line.contains(&self.pushed) && line.contains(&head.to_string()))
    }

    pub(super) fn subject(&mut self) -> Result<Subject, String> {
        let url = self.repository.url.clone();
        let namespace = self.name.clone();
        let app = self.desk.app()?;
        let unavailable = app.options.get("max-unavailable").and_then(|pods| pods.parse().ok());
        let routed = app.options.get("route").is_some_and(|route| route != "none");
        Ok(Subject { url, id: id(app), namespace, unavailable, routed, stays: stays(app) })
    }

    /// The live branch's head, and what it records of the app.
    fn recorded(&mut self) -> Result<Option<(Oid, State)>, String> {
        let Some(head) = self.store.fetch().map_err(|error| error.to_string())?.live else { return Ok(None) };
        let app = id(self.desk.app()?);
        let state = layout::read_state(&self.store, head, &app).map_err(|trouble| trouble.to_string())?;
        Ok(state.map(|state| (head, state)))
    }

    /// The live branch up to what was told, newest first.
    fn fresh(&self, head: Oid) -> Result<Vec<CommitInfo>, String> {
        let (mut fresh, mut at) = (Vec::new(), Some(head));
        while let Some(commit) = at.filter(|commit| Some(*commit) != self.known) {
            let info = self.store.commit(commit).map_err(|error| error.to_string())?;
            at = info.parent;
            fresh.push(info);
        }
        Ok(fresh)
    }

    /// The live Deployment's view of the state: what is missing, where something is.
    fn missing(&mut self, state: &State, code: Option<&str>) -> Option<String> {
        let (name, stays) = self.desk.app().map(|app| (app.name.clone(), stays(app))).unwrap_or_default();
        let (_, watcher) = self.cluster();
        let mut changes = watcher.changes_in(&self.name);
        let view = View::after(&mut changes);
        let Some(live) = view.deployment(&name) else { return Some("no Deployment".to_owned()) };
        if code == Some("not-applied") {
            return None;
        }
        if live["metadata"]["annotations"]["windlass.dev/commit-tree"] != state.mark.as_str() {
            return Some("not applied".to_owned());
        }
        let count = |field: &str| live["status"][field].as_u64().unwrap_or(0);
        let size = live["spec"]["replicas"].as_u64().unwrap_or(1);
        let (new, all) = match state.shape.pods {
            Pods::Held { size, to, .. } if stays => (to.into(), u64::from(size + to)),
            Pods::Held { size, from, to, phase: PodsPhase::Grow, .. } => (to.into(), u64::from(size - from + to)),
            Pods::Held { size, to, phase: PodsPhase::Shift, .. } => (to.into(), size.into()),
            Pods::Back { kept, from, left, phase: PodsPhase::Grow, .. } if from == left => (kept.into(), u64::from(kept + from)),
            Pods::Back { size, from, left, phase: PodsPhase::Grow, .. } => ((size - left).into(), (size - left + from).into()),
            Pods::Back { size, left, phase: PodsPhase::Shift, .. } => ((size - left).into(), size.into()),
            Pods::Stable | Pods::Returning { .. } | Pods::Candidate => (size, size),
        };
        let seen = (count("updatedReplicas"), count("replicas"));
        let taken_up = live["metadata"]["generation"] == live["status"]["observedGeneration"];
        let ready = code == Some("not-ready") || count("readyReplicas") == all;
        let whole = taken_up && ready && seen == (new, all);
        (!whole).then(|| format!("{new} new of {all} pods shall be, there are {}", live["status"]))
    }

    /// What stands when the wait is over; an error says what is missing.
    fn reached(&mut self, code: Option<&str>) -> Result<(Oid, usize), String> {
        let word = self.word();
        let fits = match (&word, code) {
            (Word::Holds(holds), Some(code)) => holds == code,
            (Word::Moves, None) => true,
            _ => false,
        };
        if !fits {
            return Err(format!("windlass said {word:?}"));
        }
        let (head, state) = self.recorded()?.ok_or("nothing is recorded yet")?;
        if !self.has_seen(head) {
            return Err(format!("windlass has not looked at {head} yet"));
        }
        if state.source.commit != self.pushed {
            return Err(format!("it stands at the source commit {}, {} is the newest", state.source.commit, self.pushed));
        }
        if code.is_none() && state.phase != Phase::Healthy {
            return Err(format!("it is {:?}", state.phase));
        }
        match self.missing(&state, code) {
            Some(missing) => Err(missing),
            None => Ok((head, self.cluster().1.count_in(&self.name))),
        }
    }

    /// Fails where windlass has ended, or where nothing new has happened for too long.
    fn alive(&mut self, what: &str, missing: &str) {
        let running = self.program.as_mut().is_none_or(Program::is_running);
        assert!(running, "windlass ended while {what} was waited for\n{}", self.report());
        let news = (self.output().len(), self.cluster().1.count_in(&self.name));
        if news != self.news.0 {
            self.news = (news, Instant::now());
        }
        let since = self.news.1.elapsed();
        assert!(since < LONG, "nothing has happened for {since:?}, {what} is waited for: {missing}\n{}", self.report());
    }

    pub(super) fn report(&mut self) -> String {
        let log = match self.recorded() {
            Ok(Some((head, _))) => {
                self.known = None;
                let lines = self.fresh(head).unwrap_or_default();
                lines.iter().take(20).map(|commit| format!("{} {}\n", commit.id, title(commit))).collect()
            }
            Ok(None) => "nothing\n".to_owned(),
            Err(error) => error,
        };
        let output = self.output();
        let (lab, _) = self.cluster();
        let ask = |args: &[&str]| lab.try_kubectl(args, "").unwrap_or_default();
        let pods = ask(&["-n", &self.name, "get", "deployments,replicasets,pods,ingresses", "-o", "wide"]);
        let live = ask(&["-n", &self.name, "get", "deployments", "-o", "yaml"]);
        let applier = ask(&["get", "gitrepositories,kustomizations,applications", "-A"]);
        format!("--- windlass\n{output}\n--- deploy\n{log}--- cluster\n{pods}\n{live}\n{applier}")
    }

    /// The case is over.
    pub(super) fn leave(&mut self) {
        self.kill();
        if self.applies {
            self.applier.leave(&self.site.lab, &self.name);
        }
    }

    /// Checks all that happened in the clusters against what the live branch says.
    pub(super) fn judge(&mut self, history: &[Step], at_once: bool) -> Result<Vec<String>, String> {
        let subject = self.subject()?;
        let mut wrong = super::judge(&subject, &self.site.watcher, history, at_once, "");
        let (head, _) = self.recorded()?.ok_or("nothing is recorded")?;
        let broken = invariants::check(&self.store, head).map_err(|trouble| trouble.to_string())?;
        wrong.extend(broken.iter().map(ToString::to_string));
        if let Some(second) = &self.second {
            let since = history.iter().position(|step| step.word().ends_with("restore-pods")).unwrap_or(second.before);
            wrong.extend(super::judge(&subject, &second.watcher, &history[since..], at_once, "new cluster: "));
        }
        Ok(wrong)
    }
}

fn id(app: &windlass::sim::scenario::App) -> AppId {
    AppId { path: app.path.clone(), name: app.name.clone() }
}

/// Whether all stable pods stay beside the new ones.
fn stays(app: &windlass::sim::scenario::App) -> bool {
    app.options.get("style").is_some_and(|style| style == "blueGreen")
}

fn title(commit: &CommitInfo) -> &str {
    commit.message.lines().next().unwrap_or_default()
}

/// A namespace, and a Service in it that no release touches: its EndpointSlices show all pods.
fn prepare(lab: &Lab, namespace: &str) {
    lab.apply(&format!(
        "apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}}}
---
apiVersion: v1
kind: Service
metadata: {{name: checkout-all, namespace: {namespace}}}
spec: {{selector: {{app: checkout}}, ports: [{{port: 80}}]}}
"
    ));
}

impl Ground for Stage<'_> {
    fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }

    fn commit(&mut self, changes: &[(String, Option<String>)], message: &str) -> Result<(), String> {
        let settings = format!(
            "apiVersion: windlass.dev/v1alpha1\nkind: Repository\nliveBranch: deploy\nobserve: {}\n",
            self.applier.observe(&self.name)
        );
        let mut changes: Vec<(&str, Option<&str>)> =
            changes.iter().map(|(path, content)| (path.as_str(), content.as_deref())).collect();
        changes.push((".windlass.yaml", Some(&settings)));
        let setting = self.desk.setting.clone();
        let revision = self.desk.app()?.revision(&setting)?;
        let rate = self.rates.get(&revision).copied().unwrap_or(0.0);
        self.errors(&revision, rate)?;
        self.pushed = self.repository.push("main", &changes, message);
        if self.program.is_none() {
            self.start();
        }
        Ok(())
    }

    fn run(&mut self, ms: u64) -> Result<(), String> {
        std::thread::sleep(Duration::from_millis(ms));
        Ok(())
    }

    fn until(&mut self, code: Option<&str>) -> Result<(), String> {
        let what = code.map_or("rest".to_owned(), |code| format!("hold {code}"));
        self.news.1 = Instant::now();
        let mut stands: Option<((Oid, usize), Instant)> = None;
        let head = loop {
            if !self.applies && self.recorded()?.is_some() {
                self.applies = true;
                self.applier.start(&self.site.lab, &self.name, &self.url(), &self.desk.app()?.path.clone(), &self.name);
                if self.applier == Applier::ArgoCd {
                    argo::notify(&self.site.lab, &self.repository);
                }
            }
            match self.reached(code) {
                Ok(found) => match &stands {
                    Some((before, since)) if *before == found => {
                        if since.elapsed() >= QUIET {
                            break found.0;
                        }
                    }
                    _ => stands = Some((found, Instant::now())),
                },
                Err(missing) => {
                    stands = None;
                    self.alive(&what, &missing);
                }
            }
            std::thread::sleep(Duration::from_millis(300));
        };
        for commit in self.fresh(head)?.into_iter().rev() {
            let ours = Message::parse(&commit.message).only("Windlass-Release").is_some();
            let by = if ours { "" } else { "by hand: " };
            self.out.push(format!("{by}{}", title(&commit)));
        }
        self.known = Some(head);
        Ok(())
    }

    fn status(&mut self) -> Result<(), String> {
        if !self.forge_is_up {
            self.news.1 = Instant::now();
            while self.word() != Word::Waits {
                self.alive("a word that the repository does not answer", "");
                std::thread::sleep(Duration::from_millis(100));
            }
            self.out.push(UNREACHABLE.to_owned());
            return Ok(());
        }
        let (head, state) = self.recorded()?.ok_or("nothing is recorded yet")?;
        let app = id(self.desk.app()?);
        let rollout = layout::read_rollout(&self.store, head, &app).map_err(|trouble| trouble.to_string())?;
        let steps = rollout.map_or(0, |rollout| rollout.steps.len());
        let hold = match self.word() {
            Word::Holds(code) => Some(code),
            Word::Moves => None,
            Word::Waits => Some("the repository".to_owned()),
        };
        let mut changes = self.cluster().1.changes_in(&self.name);
        let picture = View::after(&mut changes).picture(&app.name);
        self.out.extend(standing(&app.path, &state, steps, hold.as_deref()));
        self.out.push(format!("  {picture}"));
        Ok(())
    }

    fn restart(&mut self) -> Result<(), String> {
        self.kill();
        self.start();
        Ok(())
    }

    fn say(&mut self, verb: &str, rest: &str) -> Result<bool, String> {
        let args: &[&str] = match (verb, rest) {
            ("approve" | "rollback", "") => &[verb],
            ("rollback", "now") => &["rollback", "--now"],
            _ => return Ok(false),
        };
        let cache = self.folder.join("person").display().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.args(args).env_clear().env("HOME", &self.folder).envs(self.environment()).env("WINDLASS_CACHE", cache);
        let output = command.current_dir(&self.folder).output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(format!("windlass {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr)));
        }
        Ok(true)
    }

    fn foreign(&mut self, path: &str, change: &dyn Fn(Option<String>) -> Result<String, String>) -> Result<(), String> {
        let (head, _) = self.recorded()?.ok_or("nothing is recorded yet")?;
        let content = layout::read_file(&self.store, head, path).map_err(|trouble| trouble.to_string())?;
        let content = change(content.map(|content| String::from_utf8_lossy(&content).into_owned()))?;
        self.repository.push("deploy", &[(path, Some(&content))], &format!("change {path}"));
        Ok(())
    }

    fn revert(&mut self, back: usize) -> Result<(), String> {
        self.repository.git(&["fetch", "--quiet", "origin", "deploy"]);
        self.repository.git(&["checkout", "--quiet", "--force", "-B", "deploy", "FETCH_HEAD"]);
        self.repository.git(&["revert", "--no-edit", &format!("HEAD~{back}")]);
        self.repository.git(&["push", "--quiet", "origin", "deploy"]);
        Ok(())
    }

    fn git(&mut self, up: bool) -> Result<(), String> {
        self.forge.set(up);
        self.forge_is_up = up;
        Ok(())
    }

    fn applier(&mut self, up: bool) -> Result<(), String> {
        self.applier.set(&self.site.lab, &self.name, up);
        Ok(())
    }

    fn prometheus(&mut self, up: bool) -> Result<(), String> {
        self.metrics.set(up);
        Ok(())
    }

    fn new_cluster(&mut self) -> Result<(), String> {
        self.kill();
        let lab = self.site.lab.another(&["flux"]);
        let watcher = Watcher::start_everywhere(&lab);
        prepare(&lab, &self.name);
        let path = self.desk.app()?.path.clone();
        Applier::Flux.start(&lab, &self.name, &self.url(), &path, &self.name);
        let (head, _) = self.recorded()?.ok_or("nothing is recorded yet")?;
        let before = std::iter::successors(Some(head), |at| self.store.commit(*at).ok()?.parent).count();
        self.second = Some(Second { watcher, lab, before });
        // Nobody helps it yet: all its pods are of the new version.
        let name = self.desk.app()?.name.clone();
        self.news.1 = Instant::now();
        loop {
            let mut changes = self.cluster().1.changes_in(&self.name);
            let view = View::after(&mut changes);
            let status = view.deployment(&name).map_or(Value::Null, |live| live["status"].clone());
            let all_new = status["updatedReplicas"].is_u64() && status["updatedReplicas"] == status["replicas"];
            let size = view.deployment(&name).map_or(Value::Null, |live| live["spec"]["replicas"].clone());
            if all_new && status["readyReplicas"] == size {
                break;
            }
            self.alive("the new cluster's pods", &status.to_string());
            std::thread::sleep(Duration::from_millis(200));
        }
        self.start();
        Ok(())
    }

    fn errors(&mut self, revision: &str, rate: f64) -> Result<(), String> {
        self.rates.insert(revision.to_owned(), rate);
        let labels = format!("{{namespace=\"{}\",revision=\"{revision}\"}}", self.name);
        self.site.gauges.grow(&format!("requests_total{labels}"), 100.0);
        self.site.gauges.grow(&format!("errors_total{labels}"), 100.0 * rate);
        Ok(())
    }

    fn told(&mut self) -> Result<Vec<String>, String> {
        Ok(std::mem::take(&mut self.out))
    }
}
