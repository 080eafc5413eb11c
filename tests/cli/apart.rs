//! The live branch in another repository than the source.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::desk::{Desk, Said, releasing, settings, write_app};
use crate::git::server::Server;

/// A source with one app, and a bare repository `live.git` that its settings name.
struct Two {
    desk: Desk,
    url: String,
}

impl Two {
    fn new() -> Self {
        let desk = Desk::new();
        let url = desk.bare("live.git");
        desk.write(".windlass.yaml", &format!("{}live: {{url: '{url}'}}\n", settings(0)));
        write_app(&desk, "web");
        desk.commit("apps");
        Self { desk, url }
    }

    /// The same, adopted, with version 2 waiting for the approval of step 1.
    fn releasing() -> Self {
        let two = Self::new();
        two.windlass(&["run"]).exits(0);
        two.desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
        two.windlass(&["run"]).exits(0).tells(&["approval"]);
        two
    }

    /// The program, by somebody who has named the live repository.
    fn windlass(&self, args: &[&str]) -> Said {
        self.desk.windlass_with(args, &[("WINDLASS_LIVE_REPO", &self.url)])
    }

    fn folder(&self) -> PathBuf {
        PathBuf::from(self.url.strip_prefix("file://").unwrap())
    }

    /// Git in the live repository.
    #[track_caller]
    fn live(&self, args: &[&str]) -> String {
        self.desk.git(&[&["--git-dir", &self.folder().display().to_string()], args].concat())
    }

    #[track_caller]
    fn subjects(&self) -> Vec<String> {
        self.live(&["log", "--reverse", "--format=%s", "deploy"]).lines().map(str::to_owned).collect()
    }

    /// The same without what was only noted.
    #[track_caller]
    fn moves(&self, branch: &str) -> Vec<String> {
        let subjects = self.live(&["log", "--reverse", "--format=%s", branch]);
        let moves = subjects.lines().filter(|subject| !subject.contains("approved by") && !subject.contains("evidence"));
        moves.map(str::to_owned).collect()
    }

    /// A person's commit to the live branch.
    #[track_caller]
    fn colleague(&self, work: impl Fn(&std::path::Path)) {
        let clone = self.desk.repo().join("../clone-of-live");
        let path = clone.display().to_string();
        self.desk.git(&["clone", "--quiet", "--branch", "deploy", &self.url, &path]);
        work(&clone);
        let git = |args: &[&str]| self.desk.git(&[&["-C", &path], args].concat());
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message", "by hand"]);
        git(&["push", "--quiet", "origin", "deploy"]);
        std::fs::remove_dir_all(&clone).unwrap();
    }
}

const WHOLE: [&str; 7] = [
    "web: adopt the source as it is",
    "web: step 1/2, grow to 1 of 4 pods",
    "web: step 1/2, shift to 1 of 4 pods",
    "web: step 2/2, grow to 4 of 4 pods",
    "web: step 2/2, shift to 4 of 4 pods",
    "web: finalise, the workload's own strategy takes over",
    "web: release 1 complete",
];

#[test]
fn a_release_goes_to_the_other_repository() {
    let two = Two::releasing();
    two.windlass(&["status"]).exits(0).tells(&["apps/web", "1/2"]);
    two.windlass(&["plan"]).exits(0).tells(&["step 2/2, grow to 4 of 4 pods"]);
    two.windlass(&["approve", "web"]).exits(0).tells(&["approved by Ada"]);
    two.windlass(&["run", "--until-done"]).exits(0).tells(&["web: release 1 complete"]);
    assert_eq!(two.moves("deploy"), WHOLE);
    // Nothing in the source's repository, and all of the story in the other one.
    assert_eq!(two.desk.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
    two.windlass(&["log"]).exits(0).tells(&["web: release 1 complete", "approved by Ada"]);
    let range = two.windlass(&["log", "deploy~2..deploy", "--output", "json"]).exits(0).json();
    assert_eq!(range.as_array().unwrap().len(), 2, "{range}");
    // Whose commit the manifests are made from can be told from the live branch alone.
    let source = two.desk.git(&["rev-parse", "main"]);
    let metadata: serde_json::Value = serde_json::from_str(&two.live(&["show", "deploy:apps/web/hydrator.metadata"])).unwrap();
    let name = two.desk.repo().display().to_string();
    let repository = format!("{name}/");
    assert_eq!((&metadata["drySha"], &metadata["repoURL"]), (&source.clone().into(), &repository.clone().into()));
    let trailer = |key: &str| two.live(&["log", "-1", &format!("--format=%(trailers:key={key},valueonly)"), "deploy"]);
    assert_eq!(trailer("Windlass-Source"), source);
    assert_eq!(trailer("Windlass-Source-Repository"), format!("\"{repository}\""));
    assert_eq!(two.live(&["show", "deploy:.windlass/_source"]), name);
    two.live(&["fsck", "--strict"]);
    // At rest nothing is written.
    let head = two.live(&["rev-parse", "deploy"]);
    two.windlass(&["run"]).exits(0).tells(&["Healthy"]);
    assert_eq!(two.live(&["rev-parse", "deploy"]), head);
}

#[test]
fn words_and_hands_work_there_too() {
    let two = Two::releasing();
    two.windlass(&["pause", "web"]).exits(0);
    two.windlass(&["resume", "web"]).exits(0);
    two.windlass(&["rollback", "web", "--now"]).exits(0);
    two.windlass(&["run", "--until-done"]).exits(3);
    two.windlass(&["retry", "web"]).exits(0);
    two.windlass(&["run"]).exits(0).tells(&["approval"]);
    two.windlass(&["goto", "2"]).exits(0);
    two.windlass(&["promote", "web"]).exits(0);
    two.windlass(&["run", "--until-done"]).exits(0);
    two.colleague(|clone| {
        let file = clone.join("apps/web/deployment-web.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("replicas: 4", "replicas: 5")).unwrap();
    });
    two.windlass(&["run"]).exits(0).tells(&["foreign-change"]);
    two.windlass(&["adopt", "web"]).exits(0);
    two.windlass(&["eject", "web"]).exits(0);
    assert!(!two.live(&["ls-tree", "-r", "--name-only", "deploy"]).contains(".windlass/apps/web"));
    two.live(&["fsck", "--strict"]);
}

#[test]
fn a_release_is_reverted_and_the_branch_rewritten() {
    let two = Two::releasing();
    let cache = two.desk.repo().join("../cache").display().to_string();
    two.windlass(&["status", "--cache", &cache]).exits(0);
    two.live(&["update-ref", "refs/heads/deploy", "deploy~1"]);
    two.windlass(&["run", "--cache", &cache]).exits(0).tells(&["history-rewritten", "--rewritten"]);
    two.windlass(&["resume", "--rewritten", "--cache", &cache]).exits(0);
    two.windlass(&["run", "--cache", &cache]).exits(0).tells(&["approval"]);
    // Two repositories, two mirrors.
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 2);
}

#[test]
fn a_rewritten_branch_is_noticed_where_the_settings_name_the_source_branch() {
    let two = Two::releasing();
    two.desk.edit(".windlass.yaml", "live:", "sourceBranch: main\nlive:").commit("the source branch");
    // The repository's HEAD names another one, with the same settings.
    two.desk.git(&["checkout", "--quiet", "-b", "other"]);
    let cache = two.desk.repo().join("../cache").display().to_string();
    two.windlass(&["run", "--cache", &cache]).exits(0);
    two.live(&["update-ref", "refs/heads/deploy", "deploy~2"]);
    two.windlass(&["run", "--cache", &cache]).exits(0).tells(&["history-rewritten"]);
}

#[test]
fn nothing_goes_to_a_repository_that_only_the_source_names() {
    let two = Two::new();
    for args in [&["run"][..], &["run", "--watch"], &["status"], &["plan"], &["log"], &["approve"], &["eject"]] {
        let said = two.desk.windlass(args).exits(1);
        said.tells(&["only the source names", &format!("--live-repo {}", two.url), "WINDLASS_LIVE_REPO"]);
    }
    two.desk.windlass(&["doctor"]).exits(1).tells(&["[live-repository]"]);
    assert_eq!(two.live(&["for-each-ref"]), "");
    // The source's own address says nothing new.
    let desk = Desk::new();
    desk.write(".windlass.yaml", &format!("{}live: {{url: 'file://{}'}}\n", settings(0), desk.repo().display()));
    write_app(&desk, "web");
    desk.commit("apps");
    desk.windlass(&["run"]).exits(0);
    assert_eq!(desk.subjects(""), [WHOLE[0]]);
    // An address that runs a program is refused wherever it comes from, and not repeated.
    let said = two.desk.windlass(&["run", "--live-repo", "ext::sh -c evil-canary"]).exits(5);
    assert!(!said.err.contains("evil-canary"), "{}", said.err);
}

#[test]
fn the_one_who_runs_it_decides() {
    let two = Two::new();
    let other = two.desk.bare("other.git");
    two.desk.windlass(&["run", "--live-repo", &other]).exits(0);
    assert_eq!(two.live(&["for-each-ref"]), "");
    two.desk.windlass(&["doctor", "--live-repo", &other]).tells(&["names file://", "[live-repository]"]);
    // And needs no word of the source.
    let desk = Desk::new();
    let url = desk.bare("live.git");
    desk.write(".windlass.yaml", &settings(0));
    write_app(&desk, "web");
    desk.commit("apps");
    desk.windlass(&["run", "--live-repo", &url]).exits(0);
    assert_eq!(desk.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
    let said = desk.windlass(&["doctor", "--live-repo", &url, "--output", "json"]);
    let findings = said.json()["findings"].clone();
    let about = |code: &str| {
        let found = findings.as_array().unwrap().iter().find(|finding| finding["code"] == code);
        found.map(|found| (found["level"].as_str().unwrap().to_owned(), found["subject"].as_str().unwrap().to_owned()))
    };
    let path = url.strip_prefix("file://").unwrap().to_owned();
    assert_eq!(about("live-repository"), Some(("ok".to_owned(), path.clone())));
    assert_eq!(about("push"), Some(("ok".to_owned(), path)));
}

#[test]
fn doctor_wants_the_applier_to_follow_the_live_repository() {
    let two = Two::new();
    let server = Server::start(two.folder().parent().unwrap());
    let (source, live) = (server.address("repo/.git"), server.address("live.git"));
    let application = |address: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{name: web, namespace: argocd}}\nspec:\n  source: {{repoURL: \
             '{address}', targetRevision: deploy, path: apps/web}}\n  destination: {{server: https://kubernetes.default.svc}}\n"
        )
    };
    two.desk.write("argocd/web.yaml", &application(&source)).commit("an Application");
    let doctor = || two.desk.windlass(&["doctor", "--repo", &source, "--live-repo", &live]);
    doctor().tells(&[&format!("Windlass writes to {live}"), "[argo-repo]", &format!("repoURL: {live}")]);
    two.desk.write("argocd/web.yaml", &application(&live)).commit("the other repository");
    let said = doctor();
    assert!(!said.out.contains("[argo-repo]") && said.out.contains(&live), "{}", said.out);
}

#[test]
fn one_that_cannot_be_reached_is_told_and_nothing_is_lost() {
    let two = Two::releasing();
    let away = two.desk.repo().join("../away.git");
    std::fs::rename(two.folder(), &away).unwrap();
    two.windlass(&["run"]).exits(5).tells(&[&two.folder().display().to_string()]);
    std::fs::rename(&away, two.folder()).unwrap();
    // A server that is gone.
    let said = two.desk.windlass(&["run", "--live-repo", "http://127.0.0.1:1/live.git"]).exits(5);
    said.tells(&["cannot reach http://127.0.0.1:1/live.git"]);
    two.windlass(&["approve"]).exits(0);
    two.windlass(&["run", "--until-done"]).exits(0).tells(&["web: release 1 complete"]);
}

#[test]
fn a_watcher_waits_for_the_live_repository() {
    let two = Two::releasing();
    let away = two.desk.repo().join("../away.git");
    let mut program = two.desk.program();
    program.args(["run", "--watch", "--interval", "1s"]).env("WINDLASS_LIVE_REPO", &two.url);
    let watcher = program.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    std::fs::rename(two.folder(), &away).unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    std::fs::rename(&away, two.folder()).unwrap();
    two.windlass(&["approve"]).exits(0);
    let start = Instant::now();
    while two.subjects().last().unwrap() != WHOLE[6] && start.elapsed() < Duration::from_secs(40) {
        std::thread::sleep(Duration::from_millis(200));
    }
    let pid = rustix::process::Pid::from_child(&watcher);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = watcher.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && err.contains("waiting:") && !err.contains("panicked"), "{err}");
    assert_eq!(two.subjects().last().unwrap(), WHOLE[6], "{err}");
}

#[test]
fn what_is_looked_after_already_does_not_begin_anew() {
    let desk = releasing(&["web"]);
    let url = desk.bare("live.git");
    desk.windlass(&["run", "--live-repo", &url]).exits(1).tells(&["has no branch `deploy` yet", "git push"]);
    // The branch is the state: pushed over, the release goes on where it stood.
    desk.git(&["push", "--quiet", &url, "deploy"]);
    desk.git(&["branch", "--quiet", "-D", "deploy"]);
    desk.windlass(&["approve", "--live-repo", &url]).exits(0).tells(&["step 1/2, approved"]);
    desk.windlass(&["run", "--until-done", "--live-repo", &url]).exits(0).tells(&["web: release 1 complete"]);
    assert_eq!(desk.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
}

#[test]
fn a_copy_of_the_source_is_no_live_branch() {
    let two = Two::new();
    two.desk.git(&["push", "--quiet", &two.url, "main:deploy"]);
    two.windlass(&["run"]).exits(5).tells(&["stands at the source's own commit"]);
    // Nor one that was left behind by the source since.
    two.desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    two.windlass(&["run"]).exits(1).tells(&["files stand here that Windlass did not write"]);
    assert_eq!(two.subjects(), ["apps"]);
}

#[test]
fn both_branches_may_have_the_same_name() {
    let two = Two::new();
    two.desk.edit(".windlass.yaml", "live:", "liveBranch: main\nlive:").commit("the live branch is main there");
    two.desk.windlass(&["validate"]).exits(0);
    two.windlass(&["run"]).exits(0);
    two.desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    two.windlass(&["run"]).exits(0).tells(&["approval"]);
    assert_eq!(two.moves("main"), WHOLE[..3]);
    assert_eq!(two.desk.git(&["log", "-1", "--format=%s", "main"]), "version 2");
}

#[test]
fn each_source_has_a_live_branch_of_its_own() {
    let one = Two::new();
    one.windlass(&["run"]).exits(0);
    let other = Desk::new();
    other.write(".windlass.yaml", &settings(0));
    write_app(&other, "api");
    other.commit("apps");
    let said = other.windlass(&["run", "--live-repo", &one.url]).exits(1);
    said.tells(&["is made from", "liveBranch", ".windlass/_source"]);
    assert_eq!(one.subjects(), [WHOLE[0]]);
    other.windlass(&["run", "--live-repo", &one.url, "--branch", "deploy-api"]).exits(0);
    assert_eq!(one.live(&["log", "--format=%s", "deploy-api"]), "api: adopt the source as it is");
    // A source that has moved is told so on the live branch, by hand.
    let moved = one.desk.repo().join("../moved");
    std::fs::rename(one.desk.repo(), &moved).unwrap();
    std::fs::create_dir(one.desk.repo()).unwrap();
    one.desk.git(&["init", "--quiet"]);
    let repo = moved.canonicalize().unwrap().display().to_string();
    one.windlass(&["run", "--repo", &repo]).exits(1).tells(&["if the source was only renamed"]);
    one.colleague(|clone| std::fs::write(clone.join(".windlass/_source"), format!("{repo}\n")).unwrap());
    one.windlass(&["run", "--repo", &repo]).exits(0).tells(&["Healthy"]);
    // However the folder is written.
    one.windlass(&["run", "--repo", "../moved"]).exits(0).tells(&["Healthy"]);
    one.windlass(&["run", "--repo", &format!("file://{repo}")]).exits(0).tells(&["Healthy"]);
}

#[test]
fn a_clone_asks_the_live_repository_or_a_clone_of_it() {
    let two = Two::releasing();
    let clone = two.desk.repo().join("../clone");
    let path = clone.display().to_string();
    two.desk.git(&["clone", "--quiet", &two.desk.repo().display().to_string(), &path]);
    let within = |args: &[&str], live: &str| {
        let mut program = two.desk.command(env!("CARGO_BIN_EXE_windlass"), &clone);
        let output = program.args(args).env("WINDLASS_LIVE_REPO", live).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Said { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
    };
    within(&["plan"], &two.url).exits(0).tells(&["step 2/2, grow to 4 of 4 pods"]);
    within(&["log"], &two.url).exits(0).tells(&[WHOLE[2]]);
    let copy = two.desk.repo().join("../copy-of-live").display().to_string();
    two.desk.git(&["clone", "--quiet", "--branch", "deploy", &two.url, &copy]);
    within(&["plan"], &copy).exits(0).tells(&["step 2/2, grow to 4 of 4 pods"]);
    within(&["plan"], "http://127.0.0.1:1/live.git").exits(5).tells(&["cannot reach http://127.0.0.1:1/live.git"]);
    // A person in the clone speaks to the remotes of both.
    within(&["approve"], &two.url).exits(0);
    assert!(two.subjects().last().unwrap().contains("approved by Ada"));
}

/// Two servers, each of which wants a token of its own.
#[test]
fn each_repository_gets_its_own_credentials_and_no_other() {
    let two = Two::new();
    let root = two.desk.repo().parent().unwrap().join("served");
    let served = root.join("repo.git").display().to_string();
    two.desk.git(&["clone", "--quiet", "--bare", &two.desk.repo().display().to_string(), &served]);
    let (source, live) = (Server::start(&root), Server::start(two.folder().parent().unwrap()));
    // x-access-token:read-token, x-access-token:write-token
    source.set(|faults| faults.authorization = Some("Basic eC1hY2Nlc3MtdG9rZW46cmVhZC10b2tlbg==".into()));
    live.set(|faults| faults.authorization = Some("Basic eC1hY2Nlc3MtdG9rZW46d3JpdGUtdG9rZW4=".into()));
    // The source may be read and no more.
    source.set(|faults| faults.refuse_push = Some((403, "read only")));
    let (repo, url) = (source.address("repo.git"), live.address("live.git"));
    let run = |args: &[&str], env: &[(&str, &str)]| {
        two.desk.windlass_with(&[args, &["-vvv", "--repo", &repo, "--live-repo", &url]].concat(), env)
    };
    let both = [("WINDLASS_TOKEN", "read-token"), ("WINDLASS_LIVE_TOKEN", "write-token")];
    // The source's token is not sent to the other server: it repeats what it was sent.
    let said = run(&["run"], &both[..1]).exits(5);
    assert!(said.err.contains("WINDLASS_LIVE_TOKEN") && said.err.contains(&url), "{}", said.err);
    let said = run(&["run"], &[("WINDLASS_TOKEN", "wrong"), both[1]]).exits(5);
    assert!(said.err.contains("(WINDLASS_TOKEN)") && said.err.contains(&repo), "{}", said.err);
    let said = run(&["run"], &both).exits(0);
    for secret in ["read-token", "write-token", "eC1hY2Nlc3M"] {
        assert!(!said.err.contains(secret) && !said.out.contains(secret), "{secret}: {}", said.err);
    }
    assert_eq!(two.subjects(), [WHOLE[0]]);
    run(&["doctor"], &both).tells(&["the server lets us push"]);
    // In the address it is for that repository alone.
    let with = url.replace("http://", "http://write-token@");
    let args = ["status", "--repo", &repo, "--live-repo", &with];
    two.desk.windlass_with(&args, &both[..1]).exits(0).tells(&["Healthy"]);
    // At one server one token is enough.
    let (here, there) = (source.address("repo.git"), source.address("live.git"));
    two.desk.git(&["clone", "--quiet", "--bare", &two.url, &root.join("live.git").display().to_string()]);
    two.desk.windlass_with(&["status", "--repo", &here, "--live-repo", &there], &both[..1]).exits(0).tells(&["Healthy"]);
}

#[test]
fn each_repository_gets_its_own_key() {
    use std::os::unix::fs::PermissionsExt;
    let two = Two::new();
    let folder = two.desk.repo().parent().unwrap().to_owned();
    let (tools, seen) = (folder.join("tools"), folder.join("seen"));
    std::fs::create_dir(&tools).unwrap();
    // A stand-in that notes how it was called and does what it was asked for here.
    let script = format!("#!/bin/sh\necho \"$@\" >> {}\nfor last; do :; done\nexec sh -c \"$last\"\n", seen.display());
    std::fs::write(tools.join("ssh"), script).unwrap();
    std::fs::set_permissions(tools.join("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    for key in ["one.key", "other.key"] {
        std::fs::write(folder.join(key), "").unwrap();
    }
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let (one, other) = (folder.join("one.key").display().to_string(), folder.join("other.key").display().to_string());
    let (source, live) = (
        format!("ssh://git@source.example{}", two.desk.repo().display()),
        format!("ssh://git@live.example{}", two.folder().display()),
    );
    let run = |env: &[(&str, &str)]| {
        let _ = std::fs::remove_file(&seen);
        two.desk.windlass_with(&["run", "--repo", &source, "--live-repo", &live], env).exits(0);
        std::fs::read_to_string(&seen).unwrap()
    };
    let calls = run(&[("PATH", &path), ("WINDLASS_SSH_KEY", &one), ("WINDLASS_LIVE_SSH_KEY", &other)]);
    assert!(calls.contains("source.example") && calls.contains("live.example"), "{calls}");
    for call in calls.lines() {
        let (own, foreign) = if call.contains("live.example") { ("other.key", "one.key") } else { ("one.key", "other.key") };
        assert!(call.contains(own) && !call.contains(foreign), "{call}");
    }
    assert_eq!(two.subjects(), [WHOLE[0]]);
    let calls = run(&[("PATH", &path), ("WINDLASS_SSH_KEY", &one)]);
    assert!(calls.lines().all(|call| call.contains("one.key")), "{calls}");
}
