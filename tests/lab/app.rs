//! An app as its developers have it at Gitea, and the windlass processes that release it.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use windlass::engine::{Phase, State};
use windlass::reconcile::AppId;

use super::files::Files;
use super::program::Program;
use super::repository::Repository;
use super::rests::Subject;
use super::servers::Lab;

/// The longest wait for anything that a release does. Far more than it takes: a machine may be busy with other things.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// One app of a repository.
pub(crate) struct App<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) repository: &'a Repository,
    /// As they stand on the source branch.
    pub(crate) files: RefCell<Files>,
    started: Cell<u32>,
}

impl<'a> App<'a> {
    /// Pushes the first version to `main`.
    pub(crate) fn create(lab: &'a Lab, repository: &'a Repository, files: Files) -> Self {
        let app = Self { lab, repository, files: RefCell::new(files), started: Cell::new(0) };
        app.push("main", "The first version");
        app
    }

    pub(crate) fn name(&self) -> &'static str {
        self.files.borrow().name
    }

    /// The source path and the live path.
    pub(crate) fn path(&self) -> String {
        format!("apps/{}", self.name())
    }

    pub(crate) fn subject(&self) -> Subject {
        let files = self.files.borrow();
        Subject {
            url: self.repository.url.clone(),
            id: AppId { path: self.path(), name: self.name().to_owned() },
            namespace: "shop".to_owned(),
            unavailable: None,
            routed: files.routed,
            stays: false,
        }
    }

    /// A developer changes the source.
    pub(crate) fn change(&self, message: &str, change: impl FnOnce(&mut Files)) {
        change(&mut self.files.borrow_mut());
        self.push("main", message);
    }

    /// The same on a branch of its own; `change` with the same content merges it. Gives the titles of the commits that the plan foretells.
    pub(crate) fn propose(&self, branch: &str, message: &str, change: impl FnOnce(&mut Files)) -> Vec<String> {
        change(&mut self.files.borrow_mut());
        self.push(branch, message);
        let plan = self.windlass(&["plan", "--source", branch, "--output", "json"]);
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        plan["commits"].as_array().unwrap().iter().map(|commit| commit["title"].as_str().unwrap().to_owned()).collect()
    }

    fn push(&self, branch: &str, message: &str) {
        let (path, files) = (self.path(), self.files.borrow());
        let (app, rollout) = (files.manifests(), files.rollout());
        let files = [(format!("{path}/app.yaml"), app), (format!("{path}/rollout.yaml"), rollout)];
        let files: Vec<(&str, Option<&str>)> =
            files.iter().map(|(path, content)| (path.as_str(), Some(content.as_str()))).collect();
        self.repository.push(branch, &files, message);
    }

    fn environment(&self, folder: &std::path::Path) -> Vec<(&'static str, String)> {
        let cache = folder.join("cache").display().to_string();
        [
            ("PATH", self.lab.var("PATH").to_owned()),
            ("KUBECONFIG", self.lab.var("KUBECONFIG").to_owned()),
            ("WINDLASS_REPO", self.repository.url.clone()),
            ("WINDLASS_USERNAME", "windlass".to_owned()),
            ("WINDLASS_TOKEN", self.repository.token.clone()),
            ("WINDLASS_CACHE", cache),
            ("WINDLASS_ACTOR", "alice".to_owned()),
        ]
        .into()
    }

    /// A folder with the operator's settings.
    fn folder(&self) -> PathBuf {
        self.started.set(self.started.get() + 1);
        let folder = self.lab.folder().join(format!("{}-{}", self.name(), self.started.get()));
        std::fs::create_dir_all(&folder).unwrap();
        let config = format!(
            "apiVersion: windlass.dev/v1alpha1\nkind: Config\nsources:\n- {{name: main, prometheus: {{url: \"{}\"}}}}\n",
            self.lab.var("LAB_PROMETHEUS")
        );
        std::fs::write(folder.join("windlass.yaml"), config).unwrap();
        folder
    }

    /// `windlass run --watch` for the whole repository, with an empty cache.
    pub(crate) fn watch(&self) -> Program {
        let folder = self.folder();
        let environment = self.environment(&folder);
        let environment = environment.iter().map(|(name, value)| (*name, value.as_str()));
        Program::start(&folder, &["run", "--watch", "--interval", "1s", "--config", "windlass.yaml"], environment)
    }

    /// Runs another verb to its end and gives its stdout.
    pub(crate) fn windlass(&self, args: &[&str]) -> String {
        let folder = self.folder();
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.args(args).env_clear().env("HOME", &folder).envs(self.environment(&folder)).current_dir(&folder);
        let output = command.output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "windlass {}: {}\n{stdout}{stderr}", args.join(" "), output.status);
        stdout.into_owned()
    }

    /// The newest commit of the live branch and what is recorded there of the app; `None` where there is nothing yet.
    pub(crate) fn recorded(&self) -> Option<(String, State)> {
        if self.repository.git(&["ls-remote", "origin", "refs/heads/deploy"]).is_empty() {
            return None;
        }
        self.repository.git(&["fetch", "--quiet", "origin", "+refs/heads/deploy:refs/remotes/origin/deploy"]);
        let commit = self.repository.git(&["rev-parse", "origin/deploy"]);
        let file = format!(".windlass/{}/{}/state", self.path(), self.name());
        if self.repository.git(&["ls-tree", "--name-only", &commit, &file]).is_empty() {
            return None;
        }
        let text = self.repository.git(&["show", &format!("{commit}:{file}")]);
        Some((commit, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}\n{text}"))))
    }

    /// The live tree of the app at a commit.
    pub(crate) fn tree(&self, commit: &str) -> String {
        self.repository.git(&["rev-parse", &format!("{commit}:{}", self.path())])
    }

    /// Waits for a recorded state. A failure tells what windlass said, and how Git and the cluster stand.
    pub(crate) fn wait(&self, program: &mut Program, what: &str, fits: impl Fn(&State) -> bool) -> (String, State) {
        let start = Instant::now();
        loop {
            let recorded = self.recorded();
            if let Some((commit, state)) = recorded.filter(|(_, state)| fits(state)) {
                return (commit, state);
            }
            self.alive(program, what, start);
            std::thread::sleep(Duration::from_millis(400));
        }
    }

    /// Waits until the newest release has ended, and for the Deployment to be applied like that and whole.
    pub(crate) fn wait_end(&self, program: &mut Program, release: u64) -> (String, State) {
        let what = format!("the end of release {release}");
        let (commit, state) =
            self.wait(program, &what, |state| state.phase == Phase::Healthy && state.release == release && state.step == 0);
        self.wait_whole(program, &what, &state);
        (commit, state)
    }

    /// Waits until the live Deployment is as `state` says, with all its pods updated and available.
    pub(crate) fn wait_whole(&self, program: &mut Program, what: &str, state: &State) {
        let start = Instant::now();
        loop {
            let live = self.lab.get("shop", "deployment", self.name()).unwrap_or_default();
            let (status, size) = (&live["status"], &live["spec"]["replicas"]);
            let counts = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"];
            let seen = live["metadata"]["generation"] == status["observedGeneration"];
            let mark = live["metadata"]["annotations"]["windlass.dev/commit-tree"] == state.mark.as_str();
            if mark && seen && counts.iter().all(|count| status[count] == *size) {
                return;
            }
            self.alive(program, what, start);
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Waits until windlass says `text` (of this app), behind the first `from` bytes of what it has said. Gives the length of its output.
    pub(crate) fn wait_said(&self, program: &mut Program, from: usize, text: &str) -> usize {
        let start = Instant::now();
        let about = [format!("{}:", self.name()), format!("{}: ", self.path())];
        loop {
            let output = program.output();
            let said = output.get(from..).unwrap_or_default();
            if said.lines().any(|line| line.contains(text) && about.iter().any(|app| line.contains(app.as_str()))) {
                return output.len();
            }
            self.alive(program, &format!("windlass' word `{text}`"), start);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn alive(&self, program: &mut Program, what: &str, start: Instant) {
        assert!(program.is_running(), "windlass ended while {what} was waited for\n{}", self.report(program));
        assert!(start.elapsed() < LONG, "{}: {what} did not happen in {LONG:?}\n{}", self.name(), self.report(program));
    }

    fn report(&self, program: &Program) -> String {
        let log = Command::new("git")
            .args(["log", "-20", "--format=%h %cd %s", "--date=format:%T", "origin/deploy"])
            .current_dir(self.repository.folder())
            .output();
        let log = log.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let selector = format!("app={}", self.name());
        let kinds = "deployments,replicasets";
        let sets = self.lab.try_kubectl(&["-n", "shop", "get", kinds, "-l", &selector, "-o", "wide"], "").unwrap_or_default();
        let live = self.lab.try_kubectl(&["-n", "shop", "get", "deployment", self.name(), "-o", "yaml"], "").unwrap_or_default();
        let flux = self.lab.try_kubectl(&["-n", "flux-system", "get", "gitrepositories,kustomizations"], "").unwrap_or_default();
        format!("--- windlass\n{}\n--- deploy\n{log}\n--- cluster\n{sets}\n{live}\n{flux}", program.output())
    }
}
