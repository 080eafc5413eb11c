//! What goes wrong between us and a server, and what is said about it.

use super::server::{hook, import};
use super::*;
use windlass::git::{Credentials, GitError, Push, Secret};

/// Never to be seen in anything that we say.
const CANARY: &str = "canary-7f3a-token";
/// `x-access-token:canary-7f3a-token`
const CANARY_ENCODED: &str = "eC1hY2Nlc3MtdG9rZW46Y2FuYXJ5LTdmM2EtdG9rZW4=";

fn assert_clean(error: &GitError) {
    let text = format!("{error} {error:?}");
    assert!(!text.contains(CANARY) && !text.contains(CANARY_ENCODED), "{text}");
}

#[test]
fn a_lost_reply_is_found_out() {
    let world = World::new();
    let mut store = world.store(Way::Http);
    store.fetch().unwrap();
    let first = store.write(None, &file_commit("a", "1")).unwrap();
    world.server.set(|faults| faults.lost_replies = 1);
    assert_eq!(store.push(None, first).unwrap(), Push::Done);
    assert_eq!(world.head("live"), Some(first));
    let second = store.write(Some(first), &file_commit("a", "2")).unwrap();
    world.server.set(|faults| faults.bad_gateways = 1);
    assert_eq!(store.push(Some(first), second).unwrap(), Push::Done);
    assert_eq!(world.head("live"), Some(second));
}

#[test]
fn a_push_that_did_not_arrive_can_be_tried_again() {
    let world = World::new();
    let mut store = world.store(Way::Http);
    store.fetch().unwrap();
    let first = store.write(None, &file_commit("a", "1")).unwrap();
    world.server.set(|faults| faults.errors = 1);
    let error = store.push(None, first).unwrap_err();
    assert!(
        matches!(&error, GitError::Unreachable { cause, .. } if cause.contains("500") && cause.contains("out of order")),
        "{error}"
    );
    assert_eq!(world.head("live"), None);
    assert_eq!(store.push(None, first).unwrap(), Push::Done);
}

#[test]
fn a_branch_that_moves_during_the_push_is_not_overwritten() {
    let world = World::new();
    let mut store = world.store(Way::Http);
    store.fetch().unwrap();
    let first = store.write(None, &file_commit("a", "1")).unwrap();
    store.push(None, first).unwrap();
    let second = store.write(Some(first), &file_commit("a", "2")).unwrap();
    // After every check that we could make, just before Git looks: somebody puts the branch elsewhere.
    let script = world.folder.path().join("before");
    write_script(&script, &format!("git --git-dir='{}' update-ref refs/heads/live main", world.path.display()));
    world.server.set(|faults| faults.before_push = Some(script));
    assert_eq!(store.push(Some(first), second).unwrap(), Push::Moved);
    assert_eq!(world.head("live"), world.head("main"));
}

#[test]
fn a_branch_moved_back_is_not_overwritten() {
    // A plain fast-forward push would go through here, since the older head is an ancestor too.
    for way in WAYS {
        let world = World::new();
        let mut store = world.store(way);
        store.fetch().unwrap();
        let first = store.write(None, &file_commit("a", "1")).unwrap();
        let second = store.write(Some(first), &file_commit("a", "2")).unwrap();
        store.push(None, second).unwrap();
        let third = store.write(Some(second), &file_commit("a", "3")).unwrap();
        world.git(&["update-ref", "refs/heads/live", &first.to_string()]);
        assert_eq!(store.push(Some(second), third).unwrap(), Push::Moved, "{way:?}");
        assert_eq!(world.head("live"), Some(first));
    }
}

#[test]
fn only_descendants_are_pushed() {
    let world = World::new();
    let mut store = world.store(Way::Http);
    store.fetch().unwrap();
    let first = store.write(None, &file_commit("a", "1")).unwrap();
    store.push(None, first).unwrap();
    let other = store.write(None, &file_commit("b", "1")).unwrap();
    assert!(matches!(store.push(Some(first), other), Err(GitError::Refused { .. })));
    assert_eq!(world.head("live"), Some(first));
}

#[test]
fn a_hook_that_declines_is_a_refusal_with_its_words() {
    for way in [Way::Http, Way::HttpZero, Way::Folder, Way::Ssh] {
        let world = World::new();
        let mut store = world.store(way);
        store.fetch().unwrap();
        let commit = store.write(None, &file_commit("a", "1")).unwrap();
        hook(&world.path, "pre-receive", "echo 'change freeze until monday' >&2; exit 1");
        let error = store.push(None, commit).unwrap_err();
        let GitError::Refused { cause, hint, .. } = &error else { panic!("{way:?}: {error:?}") };
        assert!(cause.contains("hook declined") && cause.contains("change freeze until monday"), "{way:?}: {cause}");
        assert!(hint.as_ref().unwrap().contains("hook"), "{way:?}");
        assert_eq!(world.head("live"), None);
        // What a hook of ours would say does not matter, what one after the push does happens.
        std::fs::remove_file(world.path.join("hooks/pre-receive")).unwrap();
        hook(&world.path, "post-receive", "touch was-told");
        assert_eq!(store.push(None, commit).unwrap(), Push::Done, "{way:?}");
        assert!(world.path.join("was-told").exists(), "{way:?}");
    }
}

#[test]
fn a_lock_left_behind_is_told_and_not_removed() {
    for way in WAYS {
        let world = World::new();
        let mut store = world.store(way);
        store.fetch().unwrap();
        let commit = store.write(None, &file_commit("a", "1")).unwrap();
        let lock = world.path.join("refs/heads/live.lock");
        std::fs::write(&lock, "").unwrap();
        let error = store.push(None, commit).unwrap_err();
        assert!(matches!(&error, GitError::Unreachable { .. }), "{way:?}: {error:?}");
        assert!(lock.exists());
        std::fs::remove_file(lock).unwrap();
        assert_eq!(store.push(None, commit).unwrap(), Push::Done, "{way:?}");
    }
}

#[test]
fn credentials_are_sent_and_never_shown() {
    let world = World::new();
    world.server.set(|faults| faults.authorization = Some(format!("Basic {CANARY_ENCODED}")));
    let port = world.server.port;
    // As a setting and inside the address.
    let mut options = world.options(Way::Http);
    options.credentials = Some(Credentials::Token(Secret::new(CANARY)));
    let in_address = Options::new(format!("http://{CANARY}@127.0.0.1:{port}/repo.git"), "live");
    for options in [options, in_address] {
        assert!(!format!("{options:?}").contains(CANARY));
        let mut store = Store::open(options).unwrap();
        assert!(!store.address().contains(CANARY));
        store.fetch().unwrap();
    }
    let mut failing = Vec::new();
    let wrong = Options::new(format!("http://user:{CANARY}@127.0.0.1:{port}/repo.git"), "live");
    failing.push(Store::open(wrong).unwrap().fetch().unwrap_err());
    let GitError::Refused { cause, hint, .. } = &failing[0] else { panic!("{:?}", failing[0]) };
    assert!(cause.contains("401") && cause.contains("***") && hint.is_some(), "{cause}");

    let token = |path: &str| Options::new(format!("http://{CANARY}@127.0.0.1:{port}/{path}"), "live");
    failing.push(Store::open(token("missing.git")).unwrap().fetch().unwrap_err());
    assert!(matches!(&failing[1], GitError::Refused { cause, .. } if cause.contains("404")), "{:?}", failing[1]);
    world.server.set(|faults| faults.errors = 1);
    failing.push(Store::open(token("repo.git")).unwrap().fetch().unwrap_err());
    failing.push(Store::open(Options::new(format!("http://{CANARY}@example.com/x"), "live")).err().unwrap());
    assert!(failing[3].to_string().contains("plain http"), "{}", failing[3]);
    failing.push(Store::open(Options::new(format!("https://{CANARY}@h o s t/x"), "live")).err().unwrap());
    failing.push(Store::open(Options::new(format!("http://{CANARY}@127.0.0.1:1/x"), "live")).unwrap().fetch().unwrap_err());
    hook(&world.path, "pre-receive", &format!("echo leaked {CANARY} >&2; exit 1"));
    let mut store = Store::open(token("repo.git")).unwrap();
    store.fetch().unwrap();
    let commit = store.write(None, &file_commit("a", "1")).unwrap();
    failing.push(store.push(None, commit).unwrap_err());
    assert!(failing[6].to_string().contains("leaked ***"), "{}", failing[6]);
    failing.iter().for_each(assert_clean);
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_host() {
    let (world, other) = (World::new(), World::new());
    let mut options = world.options(Way::Http);
    options.credentials = Some(Credentials::Token(Secret::new(CANARY)));
    for target in [
        other.server.address("repo.git"),
        world.server.address("repo.git").replace("http://", "https://"),
        "//evil.example.com/x".into(),
    ] {
        world.server.set(|faults| faults.redirect = Some(target.clone()));
        let error = Store::open(options.clone()).unwrap().fetch().unwrap_err();
        assert!(matches!(&error, GitError::Refused { cause, .. } if cause.contains("another host")), "{error:?}");
        assert_clean(&error);
    }
    assert_eq!(other.server.requests(), Vec::<String>::new());
}

#[test]
fn a_redirect_within_the_host_is_followed() {
    let world = World::new();
    std::os::unix::fs::symlink(&world.path, world.folder.path().join("old.git")).unwrap();
    let mut options = Options::new(world.server.address("old.git"), "live");
    options.cache = None;
    let base = world.server.address("repo.git");
    // The server redirects the new address too: that is a circle, and ends.
    world.server.set(|faults| faults.redirect = Some(base));
    let error = Store::open(options).unwrap().fetch().unwrap_err();
    assert!(error.to_string().contains("too many redirects"), "{error}");
    let asked = world.server.requests();
    assert!(asked[1].starts_with("GET /repo.git/info/refs"), "{asked:?}");
}

#[test]
fn what_cannot_be_reached_is_unreachable() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut store = Store::open(Options::new(format!("http://127.0.0.1:{port}/x.git"), "live")).unwrap();
    assert!(matches!(store.fetch(), Err(GitError::Unreachable { .. })));
    let world = World::new();
    let mut options = world.options(Way::Http);
    options.network.timeout = std::time::Duration::from_millis(200);
    world.server.set(|faults| faults.silent = true);
    let error = Store::open(options).unwrap().fetch().unwrap_err();
    assert!(matches!(&error, GitError::Unreachable { cause, .. } if cause.contains("timeout")), "{error:?}");
    world.server.set(|faults| faults.silent = false);
    let mut options = world.options(Way::Ssh);
    options.network.timeout = std::time::Duration::from_millis(200);
    write_script(&PathBuf::from(&options.ssh.program), "exec sleep 3");
    let error = Store::open(options).unwrap().fetch().unwrap_err();
    assert!(matches!(&error, GitError::Unreachable { .. }), "{error:?}");
}

#[test]
fn an_unreachable_server_after_a_push_is_said_plainly() {
    let world = World::new();
    let mut store = world.store(Way::Http);
    store.fetch().unwrap();
    let commit = store.write(None, &file_commit("a", "1")).unwrap();
    world.server.set(|faults| faults.errors = 2);
    let error = store.push(None, commit).unwrap_err();
    assert!(matches!(&error, GitError::Unreachable { cause, .. } if cause.contains("is not known")), "{error:?}");
}

#[test]
fn what_is_not_there_is_refused_with_a_hint() {
    let world = World::new();
    let missing = world.folder.path().join("nothing").display().to_string();
    assert!(matches!(Store::open(Options::new(missing, "live")), Err(GitError::Refused { hint: Some(_), .. })));
    for way in WAYS {
        let mut options = world.options(way);
        options.source = Some("no-such-branch".into());
        let error = Store::open(options).unwrap().fetch().unwrap_err();
        assert!(matches!(&error, GitError::Refused { cause, .. } if cause.contains("no-such-branch")), "{way:?}: {error:?}");
    }
    let mut options = world.options(Way::Ssh);
    options.address = Secret::new("git@example.com:/no/such/repository.git");
    let error = Store::open(options).unwrap().fetch().unwrap_err();
    assert!(matches!(&error, GitError::Refused { hint: Some(_), .. }), "{error:?}");
    // An empty repository.
    make(world.folder.path(), "empty.git", 0, 0);
    for address in [world.server.address("empty.git"), world.folder.path().join("empty.git").display().to_string()] {
        let error = Store::open(Options::new(address, "live")).unwrap().fetch().unwrap_err();
        assert!(matches!(&error, GitError::Refused { .. }), "{error:?}");
    }
}

#[test]
fn names_that_are_no_branches_are_refused() {
    let world = World::new();
    for name in [
        "--force",
        "a..b",
        "@{",
        "refs/heads/../../x",
        "HEAD",
        "x.lock",
        "x.",
        "a b",
        "",
        "-x",
        "a//b",
        "a\n",
        "refs/heads/x",
        "a:b",
        "*",
    ] {
        let mut options = world.options(Way::Http);
        options.live = name.into();
        assert!(matches!(Store::open(options), Err(GitError::Refused { .. })), "{name:?}");
    }
}

#[test]
fn an_answer_that_is_too_large_is_not_read() {
    let world = World::with(2_000, 1);
    let mut options = world.options(Way::Http);
    options.network.largest_answer = 20_000;
    let error = Store::open(options).unwrap().fetch().unwrap_err();
    assert!(matches!(&error, GitError::Refused { cause, .. } if cause.contains("20000 bytes")), "{error:?}");
}

/// Answers every request with these bytes and this content type.
fn answering(kind: &'static str, body: &'static [u8]) -> String {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/x.git", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().take(3) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 8_192]);
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    address
}

#[test]
fn a_server_that_talks_nonsense_is_an_error() {
    const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
    let cases: [(&str, &[u8]); 12] = [
        (ADVERTISEMENT, b""),
        (ADVERTISEMENT, b"0000"),
        (ADVERTISEMENT, b"00000000"),
        (ADVERTISEMENT, b"zzzz"),
        (ADVERTISEMENT, b"ffff"),
        (ADVERTISEMENT, b"0003"),
        (ADVERTISEMENT, b"001e# service=git-upload-pack\n0000"),
        (ADVERTISEMENT, b"000eversion 2\n0000"),
        (ADVERTISEMENT, b"000eversion 2\n0018object-format=sha2560000"),
        (ADVERTISEMENT, b"000dERR gone\x1b\n0000"),
        // HEAD names something that is no branch.
        (
            ADVERTISEMENT,
            b"0062aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HEAD\0symref=HEAD:refs/heads/../../x side-band-64k shallow0000",
        ),
        ("text/html", b"<html>log in</html>"),
    ];
    for (kind, body) in cases {
        let error = Store::open(Options::new(answering(kind, body), "live")).unwrap().fetch().unwrap_err();
        assert!(matches!(&error, GitError::Unreachable { .. } | GitError::Refused { .. }), "{body:?}: {error:?}");
        assert!(!error.to_string().contains('\u{1b}'), "{error:?}");
    }
}

#[test]
fn a_broken_mirror_is_made_anew() {
    for damage in ["packs", "everything", "config", "note"] {
        let world = World::new();
        import(&world.path, "refs/heads/live", 3, |number| format!("M 644 inline n\ndata 1\n{number}\n"));
        let cache = tempfile::tempdir().unwrap();
        let mut options = world.options(Way::Http);
        options.cache = Some(cache.path().to_owned());
        let mut store = Store::open(options.clone()).unwrap();
        let heads = store.fetch().unwrap();
        let mirror = std::fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap().path().join("git");
        match damage {
            "packs" => {
                for entry in std::fs::read_dir(mirror.join("objects/pack")).unwrap() {
                    let path = entry.unwrap().path();
                    let _ = std::fs::remove_file(&path);
                    std::fs::write(path, "nonsense").unwrap();
                }
            }
            "everything" => std::fs::remove_dir_all(&mirror).unwrap(),
            "config" => std::fs::write(mirror.join("HEAD"), "nonsense").unwrap(),
            _ => std::fs::write(mirror.join("refs/windlass/remote/heads/live"), "nonsense").unwrap(),
        }
        // The one that has it open, and one that comes later.
        for mut store in [store, Store::open(options).unwrap()] {
            assert_eq!(store.fetch().map(|again| (again.source, again.live)), Ok((heads.source, heads.live)), "{damage}");
            assert!(store.entry(heads.source, "counter").unwrap().is_some(), "{damage}");
        }
    }
}

#[test]
fn what_is_found_broken_while_reading_is_mended_by_the_next_fetch() {
    let world = World::new();
    let cache = tempfile::tempdir().unwrap();
    let mut options = world.options(Way::Http);
    options.cache = Some(cache.path().to_owned());
    let mut store = Store::open(options).unwrap();
    let heads = store.fetch().unwrap();
    let commit = store.write(None, &file_commit("a/b", "1")).unwrap();
    store.push(None, commit).unwrap();
    let tree = store.entry(commit, "a").unwrap().unwrap().id.to_string();
    let mirror = std::fs::read_dir(cache.path()).unwrap().next().unwrap().unwrap().path().join("git");
    std::fs::remove_file(mirror.join("objects").join(&tree[..2]).join(&tree[2..])).unwrap();
    // A store without anything in memory.
    drop(store);
    let mut options = world.options(Way::Http);
    options.cache = Some(cache.path().to_owned());
    let mut store = Store::open(options).unwrap();
    assert_eq!(store.fetch().unwrap().live, Some(commit));
    assert!(matches!(store.entry(commit, "a/b"), Err(GitError::Mirror { .. })));
    assert_eq!(store.fetch().unwrap().source, heads.source);
    assert!(store.entry(commit, "a/b").unwrap().is_some());
}
