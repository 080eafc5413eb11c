//! One repository at a server, the people who work on it, and the windlass processes that release from it.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::cli::desk::{deployment, rollout, settings};
use crate::git::server::{Server, run};
use crate::lab::repository::Repository;

pub(crate) struct Place {
    /// Where everything of this test is.
    pub(crate) folder: PathBuf,
    pub(crate) url: String,
    /// Where the live branch is.
    pub(crate) live: String,
    /// What windlass needs to get in.
    windlass: Vec<(String, String)>,
    /// What git needs to get in.
    git: Vec<(String, String)>,
    /// Ended with the value.
    _local: Option<(Server, tempfile::TempDir)>,
}

/// What a program said, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None`: by a signal.
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (code, signal) = (output.status.code(), output.status.signal());
        Self { code, signal, out: text(&output.stdout), err: text(&output.stderr) }
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.signal == Some(9)
    }

    /// Fails the test unless it has ended well and has not complained.
    #[track_caller]
    pub(crate) fn well(self) -> Self {
        assert!(self.code == Some(0) && self.err.is_empty(), "{self:?}");
        self
    }
}

impl Place {
    /// A bare repository behind `git http-backend`.
    pub(crate) fn local() -> Self {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("remote");
        std::fs::create_dir(&root).unwrap();
        run(&root, &["init", "--quiet", "--bare", "--initial-branch=main", "repo.git"], b"");
        // No collection of garbage goes on behind the test's back.
        run(&root.join("repo.git"), &["config", "receive.autogc", "false"], b"");
        let server = Server::start(&root);
        let url = server.address("repo.git");
        let live = url.clone();
        let place = Self {
            folder: home.path().to_owned(),
            url,
            live,
            windlass: Vec::new(),
            git: Vec::new(),
            _local: Some((server, home)),
        };
        place.begin()
    }

    /// The same with a second repository at the server, for the live branch.
    pub(crate) fn apart() -> Self {
        let mut place = Self::local();
        let root = place.folder.join("remote");
        run(&root, &["init", "--quiet", "--bare", "--initial-branch=main", "live.git"], b"");
        run(&root.join("live.git"), &["config", "receive.autogc", "false"], b"");
        place.live = place.url.replace("repo.git", "live.git");
        place.windlass.push(("WINDLASS_LIVE_REPO".into(), place.live.clone()));
        place
    }

    /// A repository at the lab's Gitea.
    pub(crate) fn gitea(repository: &Repository, folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let header = format!("Authorization: token {}", repository.token);
        let windlass = [("WINDLASS_USERNAME", "windlass"), ("WINDLASS_TOKEN", &repository.token)];
        let git = [
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", &format!("http.{}.extraHeader", repository.url)),
            ("GIT_CONFIG_VALUE_0", &header),
        ];
        let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let (url, live) = (repository.url.clone(), repository.url.clone());
        Self { folder: folder.to_owned(), url, live, windlass: owned(&windlass), git: owned(&git), _local: None }.begin()
    }

    /// The first commit of the source branch.
    fn begin(self) -> Self {
        let clone = self.folder.join("source");
        std::fs::create_dir(&clone).unwrap();
        self.git_in(&clone, &["init", "--quiet", "--initial-branch=main"]);
        self.git_in(&clone, &["remote", "add", "origin", &self.url]);
        self.write(".windlass.yaml", &settings(0));
        self
    }

    /// The bare repository's folder on the server, where that is ours.
    pub(crate) fn remote(&self) -> PathBuf {
        self.folder.join("remote/repo.git")
    }

    fn write(&self, path: &str, content: &str) {
        let file = self.folder.join("source").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    /// Writes an app of four pods with these lines as its steps; `extra` comes behind them in the Rollout.
    pub(crate) fn app(&self, name: &str, version: u32, steps: &str, extra: &str) {
        self.write(&format!("apps/{name}/app.yaml"), &deployment(name, &version.to_string(), 4));
        self.write(&format!("apps/{name}/rollout.yaml"), &format!("{}{extra}", rollout(name, steps)));
    }

    /// Changes an app's version in the source's worktree.
    pub(crate) fn version(&self, name: &str, version: u32) {
        self.write(&format!("apps/{name}/app.yaml"), &deployment(name, &version.to_string(), 4));
    }

    /// Commits the source's worktree and pushes it.
    pub(crate) fn publish(&self, message: &str) {
        let clone = self.folder.join("source");
        self.git_in(&clone, &["add", "--all"]);
        self.git_in(&clone, &["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git_in(&clone, &["push", "--quiet", "origin", "main"]);
    }

    /// `git` with nobody's settings and the repository's credentials.
    pub(crate) fn git_command(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = self.bare_command("git", folder);
        // What git tidies up in the background is in the way of the next command ("shallow file has changed since we read it").
        command.args(["-c", "maintenance.auto=false", "-c", "gc.auto=0"]).args(args);
        command.envs(self.git.iter().map(|(name, value)| (name, value)));
        for (name, value) in [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_AUTHOR_NAME", "Grace"),
            ("GIT_AUTHOR_EMAIL", "grace@example.com"),
            ("GIT_COMMITTER_NAME", "Grace"),
            ("GIT_COMMITTER_EMAIL", "grace@example.com"),
        ] {
            command.env(name, value);
        }
        command
    }

    #[track_caller]
    pub(crate) fn git_in(&self, folder: &Path, args: &[&str]) -> String {
        let output = self.git_command(folder, args).output().unwrap();
        assert!(output.status.success(), "git {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn bare_command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", &self.folder).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("TZ", "UTC").env("LC_ALL", "C").current_dir(folder).stdin(Stdio::null());
        command
    }

    /// windlass on this repository, with its mirrors in the folder `cache` of the place.
    pub(crate) fn windlass_command(&self, cache: &str, args: &[&str]) -> Command {
        let mut command = self.bare_command(env!("CARGO_BIN_EXE_windlass"), &self.folder);
        command.args(args).env("WINDLASS_REPO", &self.url).env("WINDLASS_CACHE", self.folder.join(cache));
        command.env("WINDLASS_ACTOR", "ada").envs(self.windlass.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn windlass(&self, cache: &str, args: &[&str]) -> Ended {
        Ended::of(&self.windlass_command(cache, args).output().unwrap())
    }

    /// The same, to be killed, stopped or recorded at a place of the program.
    pub(crate) fn windlass_at(&self, cache: &str, point: &str, args: &[&str]) -> Ended {
        Ended::of(&self.windlass_command(cache, args).env("WINDLASS_FAILPOINT", point).output().unwrap())
    }

    /// Starts it with its output in pipes.
    pub(crate) fn start_piped(&self, mut command: Command) -> Child {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Starts it with its output in files `NAME.out` and `NAME.err`, which are added to.
    pub(crate) fn start(&self, name: &str, mut command: Command) -> Child {
        let file = |end: &str| {
            let path = self.folder.join(format!("{name}.{end}"));
            std::fs::File::options().create(true).append(true).open(path).unwrap()
        };
        command.stdout(file("out")).stderr(file("err")).spawn().unwrap()
    }

    /// The mirrors below a cache, the live branch's last.
    pub(crate) fn mirrors(&self, cache: &str) -> Vec<PathBuf> {
        let mirrors = std::fs::read_dir(self.folder.join(cache)).unwrap();
        let mut mirrors: Vec<PathBuf> = mirrors.map(|mirror| mirror.unwrap().path()).collect();
        mirrors.sort_by_key(|mirror| mirror.display().to_string().contains("livegit"));
        mirrors
    }

    /// The only mirror below a cache.
    pub(crate) fn mirror(&self, cache: &str) -> PathBuf {
        self.mirrors(cache).remove(0)
    }
}
