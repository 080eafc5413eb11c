//! ssh as a person meets it, with a real sshd: keys, the agent, known hosts, and what is said when they do not fit.

use std::process::{Command, Stdio};

use super::Scene;
use super::remotes::Remote;
use crate::git::server::hook;
use crate::git::sshd::{Sshd, keygen};

#[test]
fn ssh_says_what_is_wrong() {
    let Some(sshd) = Sshd::start() else { return };
    let remote = Remote::new();
    let desk = &remote.desk;
    let address = sshd.address(sshd.port, &remote.path);
    let file = |name: &str| sshd.at(name).display().to_string();
    let (key, known) = (file("key"), file("known_hosts"));
    let run = ["run", "--repo", &address];
    let env = |key: &str, known: &str| [("WINDLASS_SSH_KEY", key.to_owned()), ("WINDLASS_SSH_KNOWN_HOSTS", known.to_owned())];
    let mut scene = Scene::new("ssh");
    scene.call(sshd.folder.path().display().to_string(), "KEYS").call(format!("ssh://{}@", sshd.user), "ssh://USER@");
    scene.call(format!("{}@127", sshd.user), "USER@127");
    let mut play = |note: &str, arguments: &[&str], env: &[(&str, String)], code: i32| {
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        scene.note(note).with(desk, arguments, &env).exits(code);
    };
    std::fs::write(sshd.at("empty"), "").unwrap();
    play("an unknown host", &run, &env(&key, &file("empty")), 5);
    keygen(&sshd.at("other"), "");
    sshd.believe("changed", "other", sshd.port);
    play("a host with another key", &run, &env(&key, &file("changed")), 5);
    play("a key that the server does not know", &run, &env(&file("other"), &known), 5);
    play("a key that is not there", &run, &env(&file("nowhere"), &known), 5);
    let missing = sshd.address(sshd.port, &remote.path.with_file_name("missing.git"));
    play("no such repository", &["run", "--repo", &missing], &env(&key, &known), 5);
    hook(&remote.path, "pre-receive", "echo 'not on friday' >&2; exit 1");
    play("a hook says no", &run, &env(&key, &known), 5);
    std::fs::remove_file(remote.path.join("hooks/pre-receive")).unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    play("nobody listens", &["run", "--repo", &sshd.address(closed, &remote.path)], &env(&key, &known), 5);
    play("all is well", &run, &env(&key, &known), 0);
    scene.end();
}

#[test]
fn the_agent_is_asked() {
    let Some(sshd) = Sshd::start() else { return };
    let remote = Remote::new();
    // Only the agent holds the key: its file has a passphrase, and is gone when it is used.
    keygen(&sshd.at("locked"), "canary-passphrase");
    std::fs::copy(sshd.at("locked.pub"), sshd.at("authorized_keys")).unwrap();
    let socket = sshd.at("agent").display().to_string();
    let mut agent =
        Command::new("ssh-agent").args(["-D", "-a", &socket]).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let there = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::path::Path::new(&socket).exists()
    });
    let ask = sshd.at("ask");
    std::fs::write(&ask, "#!/bin/sh\necho canary-passphrase\n").unwrap();
    std::fs::set_permissions(&ask, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let added = Command::new("ssh-add")
        .arg(sshd.at("locked"))
        .env("SSH_AUTH_SOCK", &socket)
        .env("SSH_ASKPASS", &ask)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    std::fs::remove_file(sshd.at("locked")).unwrap();
    let known = sshd.at("known_hosts").display().to_string();
    let address = sshd.address(sshd.port, &remote.path);
    let env = [("SSH_AUTH_SOCK", socket.as_str()), ("WINDLASS_SSH_KNOWN_HOSTS", &known)];
    let said = remote.desk.windlass_with(&["-vvv", "run", "--repo", &address], &env);
    let live = remote.live();
    let without = remote.desk.windlass_with(&["run", "--repo", &address], &env[1..]);
    let _ = agent.kill();
    let _ = agent.wait();
    assert!(there && added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let said = said.exits(0).tells(&["web: adopt the source as it is"]);
    assert!(live.contains("refs/heads/deploy"), "{live}");
    assert!(!format!("{}{}", said.out, said.err).contains("canary"), "{said:?}");
    without.exits(5).tells(&["does not take any of our keys", "ssh-add"]);
}
