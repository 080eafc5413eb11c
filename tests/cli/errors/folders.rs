//! Final errors of a folder, of addresses and branches, and of the mirror.

use super::super::desk::{Desk, adopted};
use super::Scene;

#[test]
fn addresses_and_branches_that_cannot_be_used() {
    let desk = Desk::new();
    desk.commit("nothing");
    let mut scene = Scene::new("addresses");
    for address in [
        "--upload-pack=canary",
        "ext::sh -c canary",
        "git://host/canary",
        "ssh://-oProxyCommand=canary/x",
        "https://user:canary@/x",
        "https://host/x?token=canary",
        "ssh://user:canary@host/x",
    ] {
        let said = scene.windlass(&desk, &["status", &format!("--repo={address}")]).exits(5);
        assert!(!format!("{}{}", said.out, said.err).contains("canary"), "{said:?}");
    }
    scene.windlass(&desk, &["status", "--repo", "missing"]).exits(5);
    std::fs::create_dir(desk.repo().join("empty")).unwrap();
    scene.windlass(&desk, &["status", "--repo", "empty"]).exits(5);
    for branch in ["--force", "a..b", "refs/heads/x", "x.lock"] {
        scene.windlass(&desk, &["status", &format!("--branch={branch}")]).exits(5);
    }
    scene.windlass(&desk, &["status", "--source-branch", "nowhere"]).exits(5);
    scene.end();
}

#[test]
fn a_folder_that_takes_no_push() {
    let desk = adopted(&["web"]);
    let mut scene = Scene::new("folder-refuses");
    desk.git(&["checkout", "--quiet", "deploy"]);
    desk.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    desk.git(&["checkout", "--quiet", "--force", "main"]);
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    desk.git(&["checkout", "--quiet", "deploy"]);
    scene.note("the live branch is checked out").windlass(&desk, &["run", "--source-branch", "main"]).exits(5);
    desk.git(&["checkout", "--quiet", "main"]);
    std::fs::write(desk.repo().join(".git/refs/heads/deploy.lock"), "").unwrap();
    scene.note("a lock is left").windlass(&desk, &["run"]).exits(5);
    std::fs::remove_file(desk.repo().join(".git/refs/heads/deploy.lock")).unwrap();
    crate::git::server::hook(&desk.repo().join(".git"), "pre-receive", "echo 'not on friday' >&2; exit 1");
    scene.note("a hook says no").windlass(&desk, &["run"]).exits(5);
    scene.end();
}

#[test]
fn the_mirror_cannot_be_kept() {
    let desk = adopted(&["web"]);
    let mut scene = Scene::new("mirror");
    std::fs::write(desk.repo().join("../file"), "").unwrap();
    scene.windlass(&desk, &["run", "--cache", "../file"]).exits(1);
    scene.windlass(&desk, &["run", "--cache", "../file", "--output", "json"]).exits(1);
    scene.end();
}
