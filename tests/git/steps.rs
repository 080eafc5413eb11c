//! What a rollout does with a repository, on every way to it.

use super::server::{import, run};
use super::*;
use windlass::git::Push;

#[test]
fn the_live_branch_is_made_and_moved() {
    for way in WAYS {
        let world = World::new();
        let mut store = world.store(way);
        let heads = store.fetch().unwrap();
        assert_eq!((Some(heads.source), heads.live, heads.rewritten), (world.head("main"), None, false), "{way:?}");

        let first = store.write(None, &file_commit("apps/shop/all.yaml", "replicas: 1\n")).unwrap();
        assert_eq!(store.push(None, first).unwrap(), Push::Done, "{way:?}");
        assert_eq!(world.head("live"), Some(first), "{way:?}");

        let second = store.write(Some(first), &file_commit("apps/shop/all.yaml", "replicas: 2\n")).unwrap();
        let third = store.write(Some(second), &file_commit("apps/bank/all.yaml", "replicas: 3\n")).unwrap();
        assert_eq!(store.push(Some(first), third).unwrap(), Push::Done, "{way:?}");
        assert_eq!(world.git(&["show", "live:apps/shop/all.yaml"]), "replicas: 2");
        assert_eq!(world.git(&["rev-list", "--count", "live"]), "3");
        world.git(&["fsck", "--strict", "--full"]);

        let heads = store.fetch().unwrap();
        assert_eq!((heads.live, heads.rewritten), (Some(third), false), "{way:?}");
    }
}

#[test]
fn of_two_who_race_one_is_told_that_the_branch_moved() {
    for way in WAYS {
        let world = World::new();
        let (mut ours, mut theirs) = (world.store(way), world.store(way));
        ours.fetch().unwrap();
        theirs.fetch().unwrap();
        // Both want to make the branch.
        let a = ours.write(None, &file_commit("a", "1")).unwrap();
        let b = theirs.write(None, &file_commit("b", "1")).unwrap();
        assert_eq!(ours.push(None, a).unwrap(), Push::Done, "{way:?}");
        assert_eq!(theirs.push(None, b).unwrap(), Push::Moved, "{way:?}");
        // Both want to move it.
        assert_eq!(theirs.fetch().unwrap().live, Some(a));
        let a2 = ours.write(Some(a), &file_commit("a", "2")).unwrap();
        let b2 = theirs.write(Some(a), &file_commit("b", "2")).unwrap();
        assert_eq!(theirs.push(Some(a), b2).unwrap(), Push::Done, "{way:?}");
        assert_eq!(ours.push(Some(a), a2).unwrap(), Push::Moved, "{way:?}");
        assert_eq!(world.head("live"), Some(b2));
        // The loser decides again, and nothing is lost.
        assert_eq!(ours.fetch().unwrap().live, Some(b2));
        let a3 = ours.write(Some(b2), &file_commit("a", "2")).unwrap();
        assert_eq!(ours.push(Some(b2), a3).unwrap(), Push::Done, "{way:?}");
        assert_eq!(world.git(&["show", "live:b"]), "2", "{way:?}");
        assert_eq!(world.git(&["rev-list", "--count", "live"]), "3");
    }
}

#[test]
fn many_who_race_lose_no_commit() {
    for way in [Way::Http, Way::Folder] {
        let world = World::new();
        let mut first = world.store(way);
        let root = first.write(None, &file_commit("start", "0")).unwrap();
        first.push(None, root).unwrap();
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let mut store = world.store(way);
                scope.spawn(move || {
                    for number in 0..5 {
                        let path = format!("workers/{worker}/{number}");
                        loop {
                            let live = store.fetch().unwrap().live;
                            let commit = store.write(live, &file_commit(&path, "x")).unwrap();
                            match store.push(live, commit) {
                                Ok(Push::Done) => break,
                                Ok(Push::Moved) | Err(windlass::git::GitError::Unreachable { .. }) => {}
                                Err(error) => panic!("{error}"),
                            }
                        }
                    }
                });
            }
        });
        assert_eq!(world.git(&["rev-list", "--count", "live"]), "21", "{way:?}");
        assert_eq!(world.git(&["ls-tree", "-r", "--name-only", "live", "workers"]).lines().count(), 20);
        world.git(&["fsck", "--strict"]);
    }
}

#[test]
fn what_was_done_already_is_done_and_may_be_built_upon() {
    for way in WAYS {
        let world = World::new();
        let mut store = world.store(way);
        store.fetch().unwrap();
        let first = store.write(None, &file_commit("a", "1")).unwrap();
        let second = store.write(Some(first), &file_commit("a", "2")).unwrap();
        store.push(None, first).unwrap();
        // Another process has carried out the same decision, and somebody went on from there.
        let mut other = world.store(way);
        other.fetch().unwrap();
        let same = other.write(Some(first), &file_commit("a", "2")).unwrap();
        assert_eq!(same, second, "the same commit has the same id");
        other.push(Some(first), same).unwrap();
        let later = other.write(Some(same), &file_commit("c", "3")).unwrap();
        other.push(Some(same), later).unwrap();
        assert_eq!(store.push(Some(first), second).unwrap(), Push::Done, "{way:?}");
        assert_eq!(world.head("live"), Some(later));
        let heads = store.fetch().unwrap();
        assert_eq!((heads.live, heads.rewritten), (Some(later), false), "{way:?}");
    }
}

#[test]
fn a_rewritten_live_branch_is_told_once() {
    for way in WAYS {
        let world = World::new();
        import(&world.path, "refs/heads/live", 5, |number| format!("M 644 inline n\ndata 1\n{number}\n"));
        let mut store = world.store(way);
        assert!(!store.fetch().unwrap().rewritten);
        world.git(&["update-ref", "refs/heads/live", "live~2"]);
        assert!(store.fetch().unwrap().rewritten, "{way:?}: moved back");
        assert!(!store.fetch().unwrap().rewritten);
        world.git(&["update-ref", "refs/heads/live", "main"]);
        assert!(store.fetch().unwrap().rewritten, "{way:?}: replaced");
        import(&world.path, "refs/heads/live", 2, |number| format!("M 644 inline n\ndata 1\n{number}\n"));
        assert!(!store.fetch().unwrap().rewritten, "{way:?}: moved on");
        world.git(&["update-ref", "-d", "refs/heads/live"]);
        let heads = store.fetch().unwrap();
        assert_eq!((heads.live, heads.rewritten), (None, true), "{way:?}: deleted");
    }
}

#[test]
fn a_mirror_that_stays_knows_what_it_saw() {
    let world = World::new();
    let cache = tempfile::tempdir().unwrap();
    import(&world.path, "refs/heads/live", 3, |number| format!("M 644 inline n\ndata 1\n{number}\n"));
    let mut options = world.options(Way::Http);
    options.cache = Some(cache.path().to_owned());
    Store::open(options.clone()).unwrap().fetch().unwrap();
    world.git(&["update-ref", "refs/heads/live", "live~1"]);
    let mut store = Store::open(options).unwrap();
    assert!(store.fetch().unwrap().rewritten);
}

#[test]
fn history_is_fetched_to_a_depth_and_then_as_it_grows() {
    for way in [Way::Http, Way::HttpZero, Way::Ssh] {
        let world = World::with(10, 150);
        import(&world.path, "refs/heads/live", 150, |number| format!("M 644 inline n\ndata 3\n{number:03}\n"));
        let mut store = world.store(way);
        let heads = store.fetch().unwrap();
        let length = |store: &Store, mut id: Oid| {
            let mut length = 1;
            while let Some(parent) = store.commit(id).unwrap().parent {
                id = parent;
                length += 1;
            }
            length
        };
        assert_eq!((length(&store, heads.source), length(&store, heads.live.unwrap())), (1, 100), "{way:?}");
        // More commits than the depth come at once, and the chain holds.
        import(&world.path, "refs/heads/live", 130, |number| format!("M 644 inline n\ndata 3\n{number:03}\n"));
        import(&world.path, "refs/heads/main", 3, |number| format!("M 644 inline counter\ndata 1\n{number}\n"));
        let heads = store.fetch().unwrap();
        assert!(!heads.rewritten, "{way:?}");
        assert_eq!((Some(heads.source), heads.live), (world.head("main"), world.head("live")));
        assert_eq!(length(&store, heads.live.unwrap()), 230, "{way:?}");
        assert_eq!(store.entry(heads.source, "apps/g0/s1/f4.yaml").unwrap().map(|entry| entry.name), Some("f4.yaml".into()));
        let commit = store.write(heads.live, &file_commit("after", "x")).unwrap();
        assert_eq!(store.push(heads.live, commit).unwrap(), Push::Done, "{way:?}");
        // A source branch that is rewritten is no trouble.
        world.git(&["update-ref", "refs/heads/main", "main~10"]);
        assert_eq!(Some(store.fetch().unwrap().source), world.head("main"), "{way:?}");
    }
}

#[test]
fn the_live_branch_may_begin_at_a_commit_of_the_source() {
    for way in WAYS {
        let world = World::with(50, 3);
        let mut store = world.store(way);
        let heads = store.fetch().unwrap();
        let commit = store.write(Some(heads.source), &file_commit("live/all.yaml", "x")).unwrap();
        assert_eq!(store.push(None, commit).unwrap(), Push::Done, "{way:?}");
        assert_eq!(world.git(&["rev-list", "--count", "live"]), "4");
    }
}

#[test]
fn source_and_live_may_be_one_branch() {
    for way in WAYS {
        let world = World::new();
        let mut options = world.options(way);
        options.live = "main".into();
        let mut store = Store::open(options).unwrap();
        let heads = store.fetch().unwrap();
        assert_eq!(Some(heads.source), heads.live, "{way:?}");
        let commit = store.write(heads.live, &file_commit("x", "y")).unwrap();
        assert_eq!(store.push(heads.live, commit).unwrap(), Push::Done, "{way:?}");
        let heads = store.fetch().unwrap();
        assert_eq!((heads.source, heads.live), (commit, Some(commit)));
    }
}

#[test]
fn nothing_is_fetched_where_nothing_changed() {
    let world = World::new();
    import(&world.path, "refs/heads/live", 2, |number| format!("M 644 inline n\ndata 1\n{number}\n"));
    let mut store = world.store(Way::Http);
    let heads = store.fetch().unwrap();
    world.server.requests();
    store.fetch().unwrap();
    assert_eq!(world.server.requests(), ["POST /repo.git/git-upload-pack"], "one request asks for both branches");
    let commit = store.write(heads.live, &file_commit("a", "1")).unwrap();
    store.push(heads.live, commit).unwrap();
    let pushed = world.server.requests();
    assert_eq!(pushed, ["GET /repo.git/info/refs?service=git-receive-pack", "POST /repo.git/git-receive-pack"]);
    store.fetch().unwrap();
    assert_eq!(world.server.requests().len(), 1, "our own push needs no fetch");
}

#[test]
fn a_step_does_not_grow_with_the_repository() {
    let objects = |files: usize| {
        let world = World::with(files, 1);
        let mut store = world.store(Way::Http);
        let source = store.fetch().unwrap().source;
        let seed = store.write(Some(source), &file_commit(".windlass/state", "0")).unwrap();
        store.push(None, seed).unwrap();
        let before: u64 = objects_of(&world);
        let commit = store.write(Some(seed), &file_commit("apps/g0/s1/f1.yaml", "changed\n")).unwrap();
        store.push(Some(seed), commit).unwrap();
        world.git(&["fsck", "--strict"]);
        objects_of(&world) - before
    };
    // The file, four trees above it, the commit.
    assert_eq!((objects(100), objects(10_000)), (6, 6));
}

fn objects_of(world: &World) -> u64 {
    let count = world.git(&["count-objects", "-v"]);
    let number = |name: &str| -> u64 { count.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().parse().unwrap() };
    number("count:") + number("in-pack:")
}

#[test]
fn a_checked_out_branch_is_not_moved() {
    let world = World::new();
    let clone = world.folder.path().join("clone");
    world.git(&["clone", "--quiet", ".", clone.to_str().unwrap()]);
    let mut options = Options::new(clone.to_str().unwrap(), "main");
    let mut store = Store::open(options.clone()).unwrap();
    let heads = store.fetch().unwrap();
    let commit = store.write(heads.live, &file_commit("x", "y")).unwrap();
    let error = store.push(heads.live, commit).unwrap_err();
    assert!(error.to_string().contains("checked out"), "{error}");
    assert_eq!(run(&clone, &["rev-parse", "main"], b""), heads.source.to_string());
    // Another branch of it may be written, unless a second worktree has it.
    options.live = "live".into();
    let mut store = Store::open(options).unwrap();
    assert_eq!(store.push(None, heads.source).unwrap(), Push::Done);
    run(&clone, &["worktree", "add", "--quiet", "../second", "live"], b"");
    let commit = store.write(Some(heads.source), &file_commit("x", "y")).unwrap();
    assert!(store.push(Some(heads.source), commit).is_err());
}

#[test]
fn two_processes_may_share_a_mirror() {
    let world = World::new();
    let cache = tempfile::tempdir().unwrap();
    let mut options = world.options(Way::Http);
    options.cache = Some(cache.path().to_owned());
    let mut first = Store::open(options.clone()).unwrap();
    let root = first.write(None, &file_commit("start", "0")).unwrap();
    first.push(None, root).unwrap();
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let mut store = Store::open(options.clone()).unwrap();
            scope.spawn(move || {
                for number in 0..5 {
                    loop {
                        let live = store.fetch().unwrap().live;
                        let commit = store.write(live, &file_commit(&format!("{worker}/{number}"), "x")).unwrap();
                        match store.push(live, commit) {
                            Ok(Push::Done) => break,
                            Ok(Push::Moved) | Err(windlass::git::GitError::Unreachable { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
            });
        }
    });
    assert_eq!(world.git(&["rev-list", "--count", "live"]), "16");
}
