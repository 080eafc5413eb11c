//! ssh against a real sshd: keys, known hosts, refusals. What the agent does is in `cli/errors`, where it has a process of
//! its own for its environment.

use super::relay::Relay;
use super::server::hook;
use super::sshd::{Sshd, keygen};
use super::*;
use windlass::git::{GitError, Push, Secret};

/// Fetches and gives the refusal's cause and hint.
#[track_caller]
fn refused(options: Options) -> (String, String) {
    match Store::open(options).and_then(|mut store| store.fetch()) {
        Err(GitError::Refused { cause, hint, .. }) => (cause, hint.unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_step_goes_by_key() {
    let Some(sshd) = Sshd::start() else { return };
    let world = World::with(50, 10);
    let cache = tempfile::tempdir().unwrap();
    let mut options = sshd.options(sshd.port, &world.path);
    options.cache = Some(cache.path().to_owned());
    // The machine's agent and the user's own keys have no part in it.
    let mut store = Store::open(options.clone()).unwrap();
    let heads = store.fetch().unwrap();
    assert_eq!((Some(heads.source), heads.live), (world.head("main"), None));
    assert!(store.entry(heads.source, "apps/g0/s0/f0.yaml").unwrap().is_some());
    let first = store.write(None, &file_commit("a", "1")).unwrap();
    assert_eq!(store.push(None, first).unwrap(), Push::Done);
    let second = store.write(Some(first), &file_commit("a", "2")).unwrap();
    assert_eq!(store.push(Some(first), second).unwrap(), Push::Done);
    // Somebody else's commit is brought by the next fetch, also into a mirror that was kept.
    server::import(&world.path, "refs/heads/live", 1, |_| "M 644 inline b\ndata 1\nx\n".into());
    for mut store in [store, Store::open(options).unwrap()] {
        let heads = store.fetch().unwrap();
        assert_eq!((heads.live, heads.rewritten), (world.head("live"), false));
        assert_eq!(store.commit(heads.live.unwrap()).unwrap().parent, Some(second));
        // A push over an older head is no push.
        let late = store.write(Some(second), &file_commit("a", "3")).unwrap();
        assert_eq!(store.push(Some(second), late).unwrap(), Push::Moved);
    }
}

#[test]
fn an_unknown_host_is_refused_with_the_way_out() {
    let Some(sshd) = Sshd::start() else { return };
    let world = World::new();
    let mut options = sshd.options(sshd.port, &world.path);
    std::fs::write(sshd.at("known_hosts"), "").unwrap();
    let (cause, hint) = refused(options.clone());
    assert_eq!(cause, "known_hosts holds no key of 127.0.0.1, and an unknown host is not believed");
    assert!(hint.contains(&format!("ssh-keyscan -p {} 127.0.0.1", sshd.port)) && hint.contains("compare"), "{hint}");
    assert_eq!(std::fs::read_to_string(sshd.at("known_hosts")).unwrap(), "", "nothing is learned by itself");
    // The way out works.
    let scanned = std::process::Command::new("ssh-keyscan").args(["-p", &sshd.port.to_string(), "127.0.0.1"]).output().unwrap();
    std::fs::write(sshd.at("known_hosts"), scanned.stdout).unwrap();
    Store::open(options.clone()).unwrap().fetch().unwrap();

    // Another key than the known one: somebody in between, perhaps.
    keygen(&sshd.at("other"), "");
    sshd.believe("known_hosts", "other", sshd.port);
    let (cause, hint) = refused(options.clone());
    assert!(cause.contains("another key than the one in known_hosts") && hint.contains("ssh-keygen -R"), "{cause}: {hint}");
    assert!(hint.contains(&format!("'[127.0.0.1]:{}'", sshd.port)), "{hint}");

    options.ssh.known_hosts = Some(sshd.at("nowhere"));
    let (cause, hint) = refused(options);
    assert!(cause.contains("nowhere cannot be read") && hint.contains("WINDLASS_SSH_KNOWN_HOSTS"), "{cause}: {hint}");
}

#[test]
fn a_key_that_may_not_log_in_is_refused() {
    let Some(sshd) = Sshd::start() else { return };
    let world = World::new();
    let mut options = sshd.options(sshd.port, &world.path);
    keygen(&sshd.at("wrong key 100%"), "");
    options.ssh.key = Some(sshd.at("wrong key 100%"));
    let (cause, hint) = refused(options.clone());
    assert!(cause.contains("does not take the key") && cause.contains("Permission denied (publickey)"), "{cause}");
    assert!(hint.contains("public half") && hint.contains("WINDLASS_SSH_KEY"), "{hint}");
    // A file whose name has spaces and percent signs is used all the same.
    std::fs::copy(sshd.at("wrong key 100%.pub"), sshd.at("authorized_keys")).unwrap();
    Store::open(options.clone()).unwrap().fetch().unwrap();
    // One with a passphrase, without an agent: nobody is asked, nothing hangs.
    keygen(&sshd.at("locked"), "secret-passphrase");
    options.ssh.key = Some(sshd.at("locked"));
    let (_, hint) = refused(options.clone());
    assert!(hint.contains("ssh-add"), "{hint}");
    options.ssh.key = Some(sshd.at("missing"));
    let (cause, _) = refused(options);
    assert!(cause.contains("missing cannot be read"), "{cause}");
}

#[test]
fn what_is_not_there_or_not_allowed_is_refused() {
    let Some(sshd) = Sshd::start() else { return };
    let world = World::new();
    let mut options = sshd.options(sshd.port, &world.folder.path().join("missing.git"));
    let (cause, hint) = refused(options.clone());
    assert!(cause.contains("does not appear to be a git repository") && !cause.contains("access rights"), "{cause}");
    assert!(hint.contains("check the address"), "{hint}");

    hook(&world.path, "pre-receive", "printf 'no deploys\\033[31m on friday\\nask the locked door\\n' >&2; exit 1");
    options.address = Secret::new(sshd.address(sshd.port, &world.path));
    let mut store = Store::open(options).unwrap();
    store.fetch().unwrap();
    let commit = store.write(None, &file_commit("a", "1")).unwrap();
    let error = store.push(None, commit).unwrap_err();
    let GitError::Refused { cause, hint, .. } = &error else { panic!("{error:?}") };
    assert!(cause.contains("pre-receive hook declined") && cause.contains("on friday; ask the locked door"), "{cause}");
    assert!(!cause.contains('\u{1b}') && hint.as_ref().unwrap().contains("hook"), "{error:?}");
    assert_eq!(world.head("live"), None);
}

#[test]
fn addresses_that_are_options_start_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("started");
    let evil = format!("touch${{IFS}}{}", marker.display());
    for address in [
        format!("ssh://-oProxyCommand={evil}/x"),
        format!("ssh://git@-oProxyCommand={evil}/x"),
        format!("-oProxyCommand={evil}@host:x"),
        format!("git@-oProxyCommand={evil}:x"),
        format!("ssh://-oProxyCommand={evil}@host/x"),
        format!("ssh://host:-oProxyCommand={evil}/x"),
        format!("--upload-pack={evil}"),
        format!("ext::sh -c {evil}"),
        "ssh://git@host/--upload-pack=x".into(),
        format!("ssh://git@host/x%0aProxyCommand={evil}\n"),
    ] {
        let opened = Store::open(Options::new(&address, "live")).and_then(|mut store| store.fetch());
        assert!(matches!(opened, Err(GitError::Refused { .. })), "{address}: {opened:?}");
    }
    assert!(!marker.exists());
}

#[test]
fn a_silent_server_is_given_up_with_everything_that_was_started() {
    let world = World::new();
    let mut options = world.options(Way::Ssh);
    options.network.timeout = std::time::Duration::from_millis(300);
    let pids = world.folder.path().join("pids");
    write_script(
        &PathBuf::from(&options.ssh.program),
        &format!("echo $$ >> {0}; sleep 30 & echo $! >> {0}; wait", pids.display()),
    );
    let error = Store::open(options).unwrap().fetch().unwrap_err();
    assert!(matches!(&error, GitError::Unreachable { cause, .. } if cause.contains("no answer within 0.3 s")), "{error:?}");
    let pids = std::fs::read_to_string(pids).unwrap();
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        // A zombie that init has not yet collected is dead too.
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
        };
        assert!(
            (0..100).any(|_| gone() || {
                std::thread::sleep(std::time::Duration::from_millis(20));
                false
            }),
            "{pid} runs on"
        );
    }
}

#[test]
fn a_slow_transfer_that_goes_on_is_not_given_up() {
    let Some(sshd) = Sshd::start() else { return };
    let world = World::new();
    let noise: String = (0..60_000u32).map(|n| format!("{:08x}", n.wrapping_mul(2_654_435_761))).collect();
    server::import(&world.path, "refs/heads/main", 1, |_| format!("M 644 inline noise\ndata {}\n{noise}\n", noise.len()));
    let relay = Relay::start(sshd.port);
    sshd.believe("known_hosts", "host_key", relay.port);
    let mut options = sshd.options(relay.port, &world.path);
    // Long enough for the handshake on a busy machine, shorter than the transfer.
    options.network.timeout = std::time::Duration::from_secs(8);
    relay.pace(4 << 10, std::time::Duration::from_millis(170));
    let start = std::time::Instant::now();
    Store::open(options).unwrap().fetch().unwrap();
    assert!(start.elapsed().as_secs_f64() > 8.5, "{:?}: too quick to tell", start.elapsed());
}

#[test]
fn a_lock_that_a_killed_fetch_left_is_no_hindrance() {
    let Some(sshd) = Sshd::start() else { return };
    let world = World::new();
    server::import(&world.path, "refs/heads/live", 2, |number| format!("M 644 inline n\ndata 1\n{number}\n"));
    let cache = tempfile::tempdir().unwrap();
    let mut options = sshd.options(sshd.port, &world.path);
    options.cache = Some(cache.path().to_owned());
    drop(Store::open(options.clone()).unwrap());
    let mirror = std::fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap().path().join("git");
    std::fs::create_dir_all(mirror.join("refs/windlass/incoming/refs/heads")).unwrap();
    for left in
        ["shallow.lock", "refs/windlass/incoming/refs/heads/live.lock", "objects/pack/tmp_pack_x", "objects/pack/pack_git2_x"]
    {
        std::fs::write(mirror.join(left), "half").unwrap();
    }
    let heads = Store::open(options).unwrap().fetch().unwrap();
    assert_eq!(heads.live, world.head("live"));
    assert!(!mirror.join("objects/pack/tmp_pack_x").exists() && !mirror.join("objects/pack/pack_git2_x").exists());
}
