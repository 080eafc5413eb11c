//! A person at a terminal: a repository in a folder of its own, Git and the real program, none of this machine's settings.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What a program said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// Fails the test unless the program ended with this code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}:\n{}", self.out))
    }

    /// Fails the test unless stdout and stderr together hold all of these.
    #[track_caller]
    pub(crate) fn tells(self, parts: &[&str]) -> Self {
        for part in parts {
            let there = self.out.contains(part) || self.err.contains(part);
            assert!(there, "`{part}` is not in stdout:\n{}\nstderr:\n{}", self.out, self.err);
        }
        self
    }
}

pub(crate) struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    /// An empty repository, `main` checked out. The person is called Ada.
    pub(crate) fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::write(desk.at(".gitconfig"), "[user]\nname = Ada\nemail = ada@example.com\n").unwrap();
        std::fs::create_dir(desk.repo()).unwrap();
        desk.git(&["init", "--quiet", "--initial-branch=main"]);
        desk
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The repository's folder.
    pub(crate) fn repo(&self) -> PathBuf {
        self.at("repo")
    }

    /// An empty bare repository beside the person's; gives its URL.
    pub(crate) fn bare(&self, name: &str) -> String {
        let path = self.at(name);
        self.git(&["init", "--quiet", "--bare", "--initial-branch=main", &path.display().to_string()]);
        format!("file://{}", path.display())
    }

    /// Writes a file of the source branch's worktree.
    pub(crate) fn write(&self, path: &str, content: &str) -> &Self {
        let file = self.repo().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
        self
    }

    /// Replaces a text that must be in the file.
    #[track_caller]
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) -> &Self {
        let text = std::fs::read_to_string(self.repo().join(path)).unwrap();
        assert!(text.contains(from), "`{from}` is not in {path}:\n{text}");
        self.write(path, &text.replace(from, to))
    }

    /// Commits all of the worktree; gives the commit.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// The program with no environment but a home, `PATH` and the time zone.
    pub(crate) fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.folder.path()).env("PATH", search_path()).env("TZ", "UTC");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0").env("KUBECONFIG", self.at("no-kubeconfig"));
        command.env("COLUMNS", "100").current_dir(folder).stdin(Stdio::null());
        command
    }

    pub(crate) fn program(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_windlass"), &self.repo())
    }

    pub(crate) fn windlass(&self, args: &[&str]) -> Said {
        said(&self.program().args(args).output().unwrap())
    }

    /// The same with the environment's variables.
    pub(crate) fn windlass_with(&self, args: &[&str], env: &[(&str, &str)]) -> Said {
        said(&self.program().args(args).envs(env.iter().copied()).output().unwrap())
    }

    #[track_caller]
    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.git_in(&self.repo(), args)
    }

    #[track_caller]
    fn git_in(&self, folder: &Path, args: &[&str]) -> String {
        let output = self.command("git", folder).args(args).output().unwrap();
        assert!(output.status.success(), "git {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// What a colleague does to the live branch in a clone of their own: `work` gets the clone's folder with `deploy`
    /// checked out and a way to run git in it; what is committed is pushed.
    #[track_caller]
    pub(crate) fn colleague(&self, work: impl Fn(&Path, &dyn Fn(&[&str]) -> String)) {
        let clone = self.at("colleague");
        if !clone.exists() {
            let (from, to) = (self.repo(), clone.display().to_string());
            self.git(&["clone", "--quiet", &from.display().to_string(), &to]);
            self.git_in(&clone, &["config", "user.name", "Grace"]);
        }
        self.git_in(&clone, &["fetch", "--quiet", "origin"]);
        self.git_in(&clone, &["checkout", "--quiet", "--force", "-B", "deploy", "origin/deploy"]);
        work(&clone, &|args| self.git_in(&clone, args));
        self.git_in(&clone, &["push", "--quiet", "origin", "deploy"]);
    }

    /// The subjects of the live branch's commits, oldest first, from the one after `since` on.
    #[track_caller]
    pub(crate) fn subjects(&self, since: &str) -> Vec<String> {
        let range = if since.is_empty() { "deploy".to_owned() } else { format!("{since}..deploy") };
        self.git(&["log", "--reverse", "--format=%s", &range]).lines().map(str::to_owned).collect()
    }

    pub(crate) fn live(&self) -> String {
        self.git(&["rev-parse", "deploy"])
    }

    /// A file of the live branch.
    #[track_caller]
    pub(crate) fn live_file(&self, path: &str) -> String {
        self.git(&["show", &format!("deploy:{path}")])
    }
}

fn said(output: &Output) -> Said {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Said { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// `PATH`, with the folder where the lab keeps its programs.
fn search_path() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let lab = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/windlass-lab"));
    let lab = lab.filter(|lab| lab.is_dir());
    std::env::join_paths(std::env::split_paths(&path).chain(lab)).unwrap()
}

/// Whether there is a kustomize or helm program; says that a test is left out where not.
pub(crate) fn is_there(program: &str) -> bool {
    let there = std::env::split_paths(&search_path()).any(|folder| folder.join(program).is_file());
    if !there {
        eprintln!("skipped: there is no {program} in PATH");
    }
    there
}

/// `.windlass.yaml`: a commit counts as applied after `settle` seconds.
pub(crate) fn settings(settle: u32) -> String {
    format!("apiVersion: windlass.dev/v1alpha1\nkind: Repository\nobserve: {{timed: {{settle: {settle}}}}}\n")
}

/// The two files of an app in `apps/<name>`: a Deployment of four pods with image `<name>:1`, and a Rollout in two steps of
/// which the first waits for an approval.
pub(crate) fn write_app(desk: &Desk, name: &str) {
    desk.write(&format!("apps/{name}/app.yaml"), &deployment(name, "1", 4));
    desk.write(
        &format!("apps/{name}/rollout.yaml"),
        &rollout(name, "      - {replicas: 1, pause: {}}\n      - {replicas: 100%}\n"),
    );
}

pub(crate) fn deployment(name: &str, tag: &str, replicas: u32) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: prod}}\nspec:\n  replicas: {replicas}\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec:\n      \
         containers:\n      - {{name: app, image: '{name}:{tag}'}}\n"
    )
}

/// A Rollout with these lines as its steps.
pub(crate) fn rollout(name: &str, steps: &str) -> String {
    format!(
        "apiVersion: windlass.dev/v1alpha1\nkind: Rollout\nmetadata: {{name: {name}, namespace: prod}}\nspec:\n  workloadRef: \
         {{apiVersion: apps/v1, kind: Deployment, name: {name}}}\n  strategy:\n    canary:\n      steps:\n{steps}"
    )
}

/// A repository with these apps, adopted.
pub(crate) fn adopted(names: &[&str]) -> Desk {
    let desk = Desk::new();
    desk.write(".windlass.yaml", &settings(0));
    for name in names {
        write_app(&desk, name);
    }
    desk.commit("apps");
    desk.windlass(&["run"]).exits(0);
    desk
}

/// The same with a release of image `2` on its way in each, waiting for the approval of step 1.
pub(crate) fn releasing(names: &[&str]) -> Desk {
    let desk = adopted(names);
    for name in names {
        desk.edit(&format!("apps/{name}/app.yaml"), ":1'", ":2'");
    }
    desk.commit("version 2");
    desk.windlass(&["run"]).exits(0).tells(&["approval"]);
    desk
}
