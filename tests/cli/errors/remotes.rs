//! Final errors of a remote over http: what the server says, what the network does, and the way out.

use super::super::desk::{Desk, settings, write_app};
use super::Scene;
use crate::git::https::{authority, https};
use crate::git::server::{Server, hook};

/// A person's repository with one app, and a bare copy of it behind a server.
pub(super) struct Remote {
    pub(super) desk: Desk,
    pub(super) server: Server,
    pub(super) path: std::path::PathBuf,
}

impl Remote {
    pub(super) fn new() -> Self {
        let desk = Desk::new();
        desk.write(".windlass.yaml", &settings(0));
        write_app(&desk, "web");
        desk.commit("apps");
        let root = desk.repo().parent().unwrap().join("served");
        let path = root.join("repo.git");
        desk.git(&["clone", "--quiet", "--bare", &desk.repo().display().to_string(), &path.display().to_string()]);
        Self { desk, server: Server::start(&root), path }
    }

    /// `run` against the server, in a scene of this name.
    #[track_caller]
    fn refuses(&self, name: &'static str, env: &[(&str, &str)]) {
        let mut scene = Scene::new(name);
        scene.with(&self.desk, &["run", "--repo", &self.server.address("repo.git")], env).exits(5);
        scene.with(&self.desk, &["run", "--output", "json", "--repo", &self.server.address("repo.git")], env).exits(5);
        scene.end();
    }

    pub(super) fn live(&self) -> String {
        self.desk.git(&["--git-dir", &self.path.display().to_string(), "for-each-ref", "refs/heads/deploy"])
    }
}

#[test]
fn credentials_are_missing_or_wrong() {
    let remote = Remote::new();
    remote.server.set(|faults| faults.authorization = Some("Basic never".into()));
    remote.refuses("http-401-without-credentials", &[]);
    remote.refuses("http-401-wrong-credentials", &[("WINDLASS_TOKEN", "wrong-token")]);
    let remote = Remote::new();
    remote.server.set(|faults| faults.refuse = Some((403, "Write access to repository not granted.")));
    remote.refuses("http-403", &[("WINDLASS_TOKEN", "weak-token")]);
    let mut scene = Scene::new("http-404");
    remote.server.set(|faults| faults.refuse = None);
    scene.windlass(&remote.desk, &["run", "--repo", &remote.server.address("other.git")]).exits(5);
    let env = [("WINDLASS_TOKEN", "a-token")];
    scene.with(&remote.desk, &["run", "--repo", &remote.server.address("other.git")], &env).exits(5);
    scene.with(&remote.desk, &["run", "--repo", "http://git.example.com/x.git"], &env).exits(5);
    scene.end();
}

#[test]
fn a_push_is_refused() {
    let remote = Remote::new();
    for (name, words) in [
        ("push-protected-gitea", "echo 'Gitea: Not allowed to push to protected branch deploy' >&2; exit 1"),
        (
            "push-protected-gitlab",
            "echo 'GitLab: You are not allowed to push code to protected branches on this project.' >&2; exit 1",
        ),
        ("push-hook", "printf '\\033[31mchange freeze\\033[0m until monday: the locks stay\\n' >&2; exit 1"),
        ("push-hook-silent", "exit 1"),
    ] {
        hook(&remote.path, "pre-receive", words);
        remote.refuses(name, &[]);
        assert_eq!(remote.live(), "");
    }
    std::fs::remove_file(remote.path.join("hooks/pre-receive")).unwrap();
    remote.desk.git(&["--git-dir", &remote.path.display().to_string(), "config", "receive.maxInputSize", "10"]);
    remote.refuses("push-not-kept", &[]);
    remote.server.set(|faults| faults.refuse_push = Some((413, "too large")));
    remote.refuses("push-too-large", &[]);
    remote.server.set(|faults| faults.refuse_push = Some((403, "You do not have permission to push")));
    remote.refuses("push-403", &[]);
    std::fs::write(remote.path.join("refs/heads/deploy.lock"), "").unwrap();
    remote.desk.git(&["--git-dir", &remote.path.display().to_string(), "config", "--unset", "receive.maxInputSize"]);
    remote.server.set(|faults| faults.refuse_push = None);
    remote.refuses("push-locked", &[]);
    // The same commit goes through once nothing is in the way.
    std::fs::remove_file(remote.path.join("refs/heads/deploy.lock")).unwrap();
    remote.desk.windlass(&["run", "--repo", &remote.server.address("repo.git")]).exits(0);
    assert!(remote.live().contains("refs/heads/deploy"));
}

#[test]
fn the_network_is_in_the_way() {
    let remote = Remote::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut scene = Scene::new("network");
    scene.windlass(&remote.desk, &["run", "--repo", &format!("http://127.0.0.1:{closed}/repo.git")]).exits(5);
    scene.windlass(&remote.desk, &["run", "--repo", "https://no-such-host.invalid/repo.git"]).exits(5);
    let proxy = format!("http://ada:canary@127.0.0.1:{closed}");
    scene.call("ada:canary", "ada:PASSWORD");
    let env = [("HTTPS_PROXY", proxy.as_str())];
    scene.with(&remote.desk, &["run", "--repo", "https://git.example.com/repo.git"], &env).exits(5);
    let env = [("HTTPS_PROXY", "socks9://x")];
    scene.with(&remote.desk, &["run", "--repo", "https://git.example.com/repo.git"], &env).exits(5);
    remote.server.set(|faults| faults.redirect = Some("http://169.254.169.254/repo.git".into()));
    scene.windlass(&remote.desk, &["run", "--repo", &remote.server.address("repo.git")]).exits(5);
    remote.server.set(|faults| {
        faults.redirect = None;
        faults.refuse = Some((200, "welcome, please log in"));
    });
    scene.windlass(&remote.desk, &["run", "--repo", &remote.server.address("repo.git")]).exits(5);
    remote.server.set(|faults| {
        faults.refuse = None;
        faults.errors = 9;
    });
    scene.windlass(&remote.desk, &["run", "--repo", &remote.server.address("repo.git")]).exits(5);
    scene.end();
}

#[test]
fn a_certificate_is_not_believed() {
    let remote = Remote::new();
    let port = https(remote.server.port, 20);
    let address = format!("https://localhost:{port}/repo.git");
    let mut scene = Scene::new("certificates");
    scene.call(env!("CARGO_MANIFEST_DIR"), "HERE");
    scene.windlass(&remote.desk, &["run", "--repo", &address]).exits(5);
    let key = authority().with_file_name("server-key.der").display().to_string();
    scene.with(&remote.desk, &["run", "--repo", &address], &[("WINDLASS_CA_FILE", &key)]).exits(5);
    scene.with(&remote.desk, &["run", "--repo", &address], &[("WINDLASS_CA_FILE", "nowhere.pem")]).exits(5);
    let named = authority().display().to_string();
    scene.with(&remote.desk, &["run", "--repo", &address], &[("WINDLASS_CA_FILE", &named)]).exits(0);
    scene.end();
}

#[test]
fn a_watcher_ends_at_a_refusal_from_the_start_and_stays_at_a_later_one() {
    let remote = Remote::new();
    remote.server.set(|faults| faults.refuse = Some((403, "no")));
    let address = remote.server.address("repo.git");
    let mut scene = Scene::new("watch-refused");
    scene.windlass(&remote.desk, &["run", "--watch", "--repo", &address]).exits(5);
    scene.end();
    remote.server.set(|faults| faults.refuse = None);
    let log = remote.desk.repo().join("../watch.txt");
    let file = std::fs::File::create(&log).unwrap();
    let mut command = remote.desk.program();
    command.args(["run", "--watch", "--interval", "1s", "--repo", &address]).stdout(file.try_clone().unwrap()).stderr(file);
    let mut child = command.spawn().unwrap();
    let said = |text: &str| {
        (0..150).any(|_| {
            let found = std::fs::read_to_string(&log).unwrap().contains(text);
            if !found {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            found
        })
    };
    let adopted = said("web: adopt the source");
    remote.server.set(|faults| faults.refuse = Some((403, "the token has expired")));
    let (waiting, hint) = (said("waiting:"), said("hint: the token needs the right"));
    let runs = child.try_wait().unwrap().is_none();
    let _ = child.kill();
    let _ = child.wait();
    assert!(adopted && waiting && hint && runs, "{}", std::fs::read_to_string(&log).unwrap());
}
