//! The live branch in another repository: not named, not this source's, not reached.

use super::super::desk::{Desk, releasing, settings, write_app};
use super::Scene;
use crate::git::server::Server;

#[test]
fn a_live_branch_elsewhere() {
    let desk = Desk::new();
    let url = desk.bare("live.git");
    desk.write(".windlass.yaml", &format!("{}live: {{url: 'https://git.example.com/team/live.git'}}\n", settings(0)));
    write_app(&desk, "web");
    desk.commit("apps");
    let mut scene = Scene::new("live-elsewhere");
    scene.note("only the source names it").windlass(&desk, &["run"]).exits(1);
    scene.windlass(&desk, &["status", "--output", "json"]).exits(1);
    scene.note("named").windlass(&desk, &["run", "--live-repo", &url]).exits(0);
    let other = Desk::new();
    other.write(".windlass.yaml", &settings(0));
    write_app(&other, "api");
    other.commit("apps");
    let mut second = Scene::new("live-elsewhere-other-source");
    second.call(url.trim_start_matches("file://").trim_end_matches("/live.git"), "LIVE");
    second.windlass(&other, &["run", "--live-repo", &url]).exits(1);
    second.end();
    scene.note("gone").windlass(&desk, &["run", "--live-repo", "../gone.git"]).exits(5);
    let server = Server::start(desk.repo().parent().unwrap());
    server.set(|faults| faults.authorization = Some("Basic never".into()));
    scene.note("it wants credentials of its own");
    scene.with(&desk, &["run", "--live-repo", &server.address("live.git")], &[("WINDLASS_TOKEN", "the-source's")]).exits(5);
    scene.note("the source itself is pushed there");
    desk.git(&["push", "--quiet", &url, "main:copy"]);
    scene.windlass(&desk, &["run", "--live-repo", &url, "--branch", "copy"]).exits(5);
    scene.note("what is no address");
    desk.edit(".windlass.yaml", "https://git", "https://token@git").commit("a slip");
    scene.windlass(&desk, &["run", "--live-repo", &url]).exits(1);
    scene.end();
}

#[test]
fn a_live_branch_left_behind() {
    let desk = releasing(&["web"]);
    let url = desk.bare("live.git");
    let mut scene = Scene::new("live-elsewhere-left-behind");
    scene.windlass(&desk, &["run", "--live-repo", &url]).exits(1);
    scene.windlass(&desk, &["doctor", "--live-repo", &url]).exits(1);
    scene.end();
}
