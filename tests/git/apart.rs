//! Two repositories as one: the source's, which is only read, and the live branch's.

use super::server::run;
use super::*;
use windlass::git::{Apart, GitError, Push};

const BOTH: [Way; 4] = [Way::Http, Way::Folder, Way::Hooked, Way::Ssh];

/// An empty repository `live.git` beside the source.
fn two() -> World {
    let world = World::new();
    run(world.folder.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "live.git"], b"");
    world
}

impl World {
    fn live_options(&self, way: Way) -> Options {
        let mut options = self.options(way);
        options.address = windlass::git::Secret::new(options.address.reveal().replace("repo.git", "live.git"));
        options
    }

    fn apart(&self, way: Way) -> Apart {
        let cache = Some(self.folder.path().join(format!("cache-{way:?}")));
        let source = Options { cache: cache.clone(), ..self.options(way) };
        Apart::open(source, Options { cache, ..self.live_options(way) }, None).unwrap()
    }

    fn live(&self, arguments: &[&str]) -> String {
        run(&self.folder.path().join("live.git"), arguments, b"")
    }
}

fn read(repo: &Apart, commit: Oid, path: &str) -> Result<Vec<u8>, GitError> {
    let entry = repo.entry(commit, path)?.expect(path);
    repo.blob(entry.id, 1000)
}

#[test]
fn what_is_read_of_one_is_written_to_the_other() {
    for way in BOTH {
        let world = two();
        let mut repo = world.apart(way);
        let heads = repo.fetch().unwrap();
        assert_eq!((Some(heads.source), heads.live, heads.rewritten), (world.head("main"), None, false), "{way:?}");
        assert!(repo.is_apart() && !repo.same_branch());
        assert_eq!(repo.source_branch().as_deref(), Some("main"));
        assert!(repo.address().ends_with("repo.git") && repo.live_address().ends_with("live.git"));

        let first = repo.write(None, &file_commit("apps/shop/all.yaml", "replicas: 1\n")).unwrap();
        assert_eq!(repo.push(None, first).unwrap(), Push::Done, "{way:?}");
        repo.may_push().unwrap();
        // The same file as the source has: it is nevertheless brought.
        let counter = String::from_utf8(read(&repo, heads.source, "counter").unwrap()).unwrap();
        let second = repo.write(Some(first), &file_commit("counter", &counter)).unwrap();
        assert_eq!(repo.push(Some(first), second).unwrap(), Push::Done, "{way:?}");
        world.live(&["fsck", "--strict", "--full"]);
        assert_eq!(world.live(&["for-each-ref", "--format=%(refname)"]), "refs/heads/live");
        assert_eq!(world.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main");

        // Another process, with nothing and with these mirrors.
        for mut other in [world.apart(way), Apart::open(world.options(way), world.live_options(way), None).unwrap()] {
            let heads = other.fetch().unwrap();
            assert_eq!((heads.live, heads.rewritten), (Some(second), false), "{way:?}");
            assert_eq!(read(&other, second, "apps/shop/all.yaml").unwrap(), b"replicas: 1\n");
            assert_eq!(read(&other, heads.source, "apps/g0/s0/f0.yaml").unwrap(), b"file: 0\n");
            assert_eq!(other.commit(second).unwrap().parent, Some(first));
            assert_eq!(other.commit(heads.source).unwrap().author.name, "Ada");
            let root = other.commit(heads.source).unwrap().tree;
            assert_eq!(other.list(root).unwrap().len(), 2);
            assert!(other.entry_in(root, "apps/g0").unwrap().is_some());
            assert_eq!(other.resolve("main").unwrap(), Some(heads.source));
            assert_eq!(other.resolve_live("live").unwrap(), Some(second));
            assert_eq!((other.resolve("live").unwrap(), other.resolve_live("main").unwrap()), (None, None), "{way:?}");
            // What neither holds.
            let nowhere: Oid = "1".repeat(40).parse().unwrap();
            assert!(matches!(other.commit(nowhere), Err(GitError::Content { .. })));
        }
    }
}

#[test]
fn the_live_branch_is_asked_before_the_source() {
    let world = two();
    let mut repo = world.apart(Way::Http);
    world.server.requests();
    repo.fetch().unwrap();
    let asked = |requests: Vec<String>| {
        let which = |request: &String| request.contains("/live.git/").then_some("live").or(Some("source"));
        let mut names: Vec<&str> = requests.iter().filter_map(which).collect();
        names.dedup();
        names
    };
    assert_eq!(asked(world.server.requests()), ["live", "source"]);
    let first = repo.write(None, &file_commit("a", "1")).unwrap();
    repo.push(None, first).unwrap();
    assert_eq!(asked(world.server.requests()), ["live"]);
    repo.fetch().unwrap();
    assert_eq!(asked(world.server.requests()), ["live", "source"]);
}

#[test]
fn of_two_who_race_there_one_is_told() {
    for way in BOTH {
        let world = two();
        let (mut ours, mut theirs) = (world.apart(way), world.apart(way));
        ours.fetch().unwrap();
        theirs.fetch().unwrap();
        let (a, b) = (ours.write(None, &file_commit("a", "1")).unwrap(), theirs.write(None, &file_commit("b", "1")).unwrap());
        assert_eq!(ours.push(None, a).unwrap(), Push::Done, "{way:?}");
        assert_eq!(theirs.push(None, b).unwrap(), Push::Moved, "{way:?}");
        assert_eq!(theirs.fetch().unwrap().live, Some(a));
        let b2 = theirs.write(Some(a), &file_commit("b", "1")).unwrap();
        assert_eq!(theirs.push(Some(a), b2).unwrap(), Push::Done, "{way:?}");
        // Rewritten there, which the source's repository has no part in.
        world.live(&["update-ref", "refs/heads/live", &a.to_string()]);
        let heads = theirs.fetch().unwrap();
        assert_eq!((heads.live, heads.rewritten), (Some(a), true), "{way:?}");
    }
}

#[test]
fn a_rewritten_branch_is_told_though_the_source_was_away() {
    let world = two();
    let mut repo = world.apart(Way::Http);
    repo.fetch().unwrap();
    let first = repo.write(None, &file_commit("a", "1")).unwrap();
    let second = repo.write(Some(first), &file_commit("a", "2")).unwrap();
    repo.push(None, second).unwrap();
    world.live(&["update-ref", "refs/heads/live", &first.to_string()]);
    let away = world.folder.path().join("away.git");
    std::fs::rename(&world.path, &away).unwrap();
    repo.fetch().unwrap_err();
    drop(repo);
    // Nor does it depend on the process.
    let mut repo = world.apart(Way::Http);
    repo.fetch().unwrap_err();
    std::fs::rename(&away, &world.path).unwrap();
    let heads = repo.fetch().unwrap();
    assert_eq!((heads.live, heads.rewritten), (Some(first), true));
    assert!(!repo.fetch().unwrap().rewritten);
}

#[test]
fn a_lost_reply_is_found_out_at_the_live_repository() {
    let world = two();
    let mut repo = world.apart(Way::Http);
    repo.fetch().unwrap();
    let first = repo.write(None, &file_commit("a", "1")).unwrap();
    world.server.set(|faults| faults.lost_replies = 1);
    assert_eq!(repo.push(None, first).unwrap(), Push::Done);
}

#[test]
fn either_mirror_can_be_lost() {
    for lost in ["repo", "live"] {
        let world = two();
        let mut repo = world.apart(Way::Http);
        repo.fetch().unwrap();
        let first = repo.write(None, &file_commit("apps/shop/all.yaml", "replicas: 1\n")).unwrap();
        repo.push(None, first).unwrap();
        drop(repo);
        std::fs::remove_dir_all(world.folder.path().join("cache-Http")).unwrap();
        let mut repo = world.apart(Way::Http);
        let heads = repo.fetch().unwrap();
        let cache = std::fs::read_dir(world.folder.path().join("cache-Http")).unwrap();
        let is_lost = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(lost);
        let folder = cache.map(|entry| entry.unwrap().path()).find(is_lost).unwrap();
        let (commit, path) = if lost == "repo" { (heads.source, "counter") } else { (first, "apps/shop/all.yaml") };
        let blob = repo.entry(commit, path).unwrap().unwrap().id.to_string();
        // All that a fetch looks at stays, this one object goes.
        let git = folder.join("git");
        let pack = std::fs::read_dir(git.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
        let pack = pack.filter(|path| path.extension().is_some_and(|end| end == "pack")).collect::<Vec<_>>();
        let aside = folder.join("aside.pack");
        for pack in &pack {
            std::fs::rename(pack, &aside).unwrap();
            std::fs::remove_file(pack.with_extension("idx")).unwrap();
            run(&git, &["unpack-objects", "-q"], &std::fs::read(&aside).unwrap());
        }
        std::fs::remove_file(git.join("objects").join(&blob[..2]).join(&blob[2..])).unwrap();
        drop(repo);
        let mut repo = world.apart(Way::Http);
        repo.fetch().unwrap();
        assert!(matches!(read(&repo, commit, path), Err(GitError::Mirror { .. })), "{lost}");
        repo.fetch().unwrap();
        assert!(read(&repo, commit, path).is_ok(), "{lost}");
    }
}

#[test]
fn who_cannot_be_reached_is_named() {
    let world = two();
    let away = |name: &str| Options::new(format!("http://127.0.0.1:1/{name}.git"), "live");
    let told = |source: Options, live: Options| Apart::open(source, live, None).unwrap().fetch().unwrap_err();
    let error = told(world.options(Way::Http), away("live"));
    assert!(matches!(&error, GitError::Unreachable { address, .. } if address.ends_with("/live.git")), "{error}");
    let error = told(away("repo"), world.live_options(Way::Http));
    assert!(matches!(&error, GitError::Unreachable { address, .. } if address.ends_with("/repo.git")), "{error}");
    world.server.set(|faults| faults.authorization = Some("Basic never".into()));
    let error = told(world.options(Way::Folder), world.live_options(Way::Http));
    assert!(error.hint().unwrap().contains("WINDLASS_LIVE_TOKEN"), "{error:?}");
}
