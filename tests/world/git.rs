//! Git in memory: real ids, races decided by the ref, faults by number.

use std::collections::BTreeMap;

use windlass::git::{Change, EntryKind, GitError, NewCommit, Oid, Person, Push, Repo};
use windlass::sim::git::{Fault, MemoryGit, Remote, is_crash};

fn remote() -> Remote {
    let remote = Remote::new("shop", "main", "deploy");
    let files = [("apps/shop/deployment.yaml", Some("a: 1\n")), ("apps/shop-b/x.yaml", Some("b\n")), ("README.md", Some("hi\n"))];
    remote.commit_source(&files, "first", 1_700_000_000).unwrap();
    remote.commit_live(&[("apps/shop/live.yaml", Some("live: 1\n"))], "adopt", 1_700_000_001).unwrap();
    remote
}

fn file(path: &str, content: &str) -> NewCommit {
    NewCommit {
        changes: vec![Change::File { path: path.to_owned(), content: content.as_bytes().to_vec() }],
        message: format!("write {path}\n"),
        author: Person { name: "Windlass".to_owned(), email: "w@example.com".to_owned() },
        time: 1_700_000_100,
    }
}

#[test]
fn ids_are_git_s_own() {
    let remote = remote();
    let main = remote.log("main").unwrap().remove(0);
    let folder = tempfile::tempdir().unwrap();
    let repo = git2::Repository::init_bare(folder.path()).unwrap();
    let tree = |entries: &[(&str, Oid, i32)]| {
        let mut builder = repo.treebuilder(None).unwrap();
        for (name, id, mode) in entries {
            builder.insert(name, *id, *mode).unwrap();
        }
        builder.write().unwrap()
    };
    let blob = |text: &str| repo.blob(text.as_bytes()).unwrap();
    let shop = tree(&[("deployment.yaml", blob("a: 1\n"), 0o100_644)]);
    let other = tree(&[("x.yaml", blob("b\n"), 0o100_644)]);
    // `shop` and `shop-b` sort as Git sorts them only when a directory's name counts with its slash.
    let apps = tree(&[("shop", shop, 0o040_000), ("shop-b", other, 0o040_000)]);
    let root = tree(&[("apps", apps, 0o040_000), ("README.md", blob("hi\n"), 0o100_644)]);
    assert_eq!(main.tree, root);
    let time = git2::Time::new(1_700_000_000, 0);
    let alice = git2::Signature::new("Alice", "alice@example.com", &time).unwrap();
    let id = repo.commit(None, &alice, &alice, "first", &repo.find_tree(root).unwrap(), &[]).unwrap();
    assert_eq!(main.id, id);
}

#[test]
fn of_two_processes_one_moves_the_branch_and_the_other_is_told() {
    let remote = remote();
    let (mut one, mut two) = (MemoryGit::open(&remote), MemoryGit::open(&remote));
    let head = one.fetch().unwrap().live;
    assert_eq!(two.fetch().unwrap().live, head);
    let first = one.write(head, &file("apps/shop/live.yaml", "one")).unwrap();
    let second = two.write(head, &file("apps/shop/live.yaml", "two")).unwrap();
    assert_eq!(one.push(head, first).unwrap(), Push::Done);
    assert_eq!(two.push(head, second).unwrap(), Push::Moved);
    assert!(matches!(two.commit(first), Err(GitError::Content { .. })), "what was not fetched is not there");
    let heads = two.fetch().unwrap();
    assert_eq!((heads.live, heads.rewritten), (Some(first), false));
    let third = two.write(Some(first), &file("apps/shop/live.yaml", "two")).unwrap();
    assert_eq!(two.push(Some(first), third).unwrap(), Push::Done);
    assert_eq!(one.push(head, first).unwrap(), Push::Done, "somebody has built on it since");
    let log: Vec<Oid> = remote.log("deploy").unwrap().into_iter().map(|commit| commit.id).take(2).collect();
    assert_eq!(log, [third, first]);
}

#[test]
fn a_lost_answer_leaves_the_commit_and_the_same_commit_again_is_done() {
    let remote = remote();
    let mut git = MemoryGit::open(&remote);
    git.plan([Fault::LosePushReply(1), Fault::FailFetch(2)]);
    let head = git.fetch().unwrap().live;
    let id = git.write(head, &file("a", "1")).unwrap();
    assert!(matches!(git.push(head, id), Err(GitError::Unreachable { .. })));
    assert!(matches!(git.fetch(), Err(GitError::Unreachable { .. })));
    assert_eq!(git.fetch().unwrap().live, Some(id));
    assert_eq!(git.write(head, &file("a", "1")).unwrap(), id);
    assert_eq!(git.push(head, id).unwrap(), Push::Done);
}

#[test]
fn a_process_can_die_at_each_of_its_effects() {
    let run = |git: &mut MemoryGit| -> Result<(), GitError> {
        let head = git.fetch()?.live;
        let id = git.write(head, &file("a", "1"))?;
        git.push(head, id).map(|_| ())
    };
    let mut whole = MemoryGit::open(&remote());
    run(&mut whole).unwrap();
    assert_eq!(whole.effects(), 3);
    for effect in 1..=whole.effects() {
        for (fault, done) in [(Fault::CrashBefore(effect), false), (Fault::CrashAfter(effect), effect == 3)] {
            let remote = remote();
            let before = remote.head("deploy");
            let mut git = MemoryGit::open(&remote);
            git.plan([fault]);
            assert!(is_crash(&run(&mut git).unwrap_err()), "{fault:?}");
            assert!(is_crash(&git.fetch().unwrap_err()), "the dead do nothing more");
            assert_eq!(remote.head("deploy") != before, done, "{fault:?}");
            let mut next = git.restart();
            assert!(next.fetch().unwrap().live.is_some());
        }
    }
}

#[test]
fn a_rewritten_branch_is_told_once_and_a_replica_may_be_behind() {
    let remote = remote();
    let first = remote.head("deploy").unwrap();
    let second = remote.commit_live(&[("x", Some("1"))], "by hand", 1_700_000_200).unwrap();
    let mut git = MemoryGit::open(&remote);
    git.plan([Fault::StaleFetch { fetch: 1, behind: 1 }]);
    assert_eq!(git.fetch().unwrap().live, Some(first));
    let heads = git.fetch().unwrap();
    assert_eq!((heads.live, heads.rewritten), (Some(second), false));
    remote.force_push("deploy", first).unwrap();
    assert!(git.fetch().unwrap().rewritten);
    assert!(!git.fetch().unwrap().rewritten);
}

#[test]
fn changes_touch_what_they_name_and_nothing_else() {
    let remote = remote();
    let mut git = MemoryGit::open(&remote);
    let source = git.fetch().unwrap().source;
    let files = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), b"new".to_vec())).collect::<BTreeMap<_, _>>();
    let changes = [
        Change::Files { directory: "apps".to_owned(), files: files(&["index.yaml"]) },
        Change::Directory { directory: "apps/shop".to_owned(), files: files(&["deep/er/file"]) },
        Change::Remove { path: "README.md".to_owned() },
        Change::Remove { path: "not/there".to_owned() },
    ];
    let tree = git.tree_of(Some(source), &changes).unwrap();
    let names = |path: &str| -> Vec<String> {
        let entry = git.entry_in(tree, path).unwrap().unwrap();
        git.list(entry.id).unwrap().into_iter().map(|entry| entry.name).collect()
    };
    assert_eq!(names(""), ["apps"]);
    assert_eq!(names("apps"), ["index.yaml", "shop-b", "shop"]);
    assert_eq!(git.entry_in(tree, "apps/shop/deep/er/file").unwrap().unwrap().kind, EntryKind::File);
    let other = git.entry(source, "apps/shop-b").unwrap();
    assert_eq!(git.entry_in(tree, "apps/shop-b").unwrap(), other);
    assert_eq!(git.entry_in(tree, "apps/index.yaml/x").unwrap(), None);
    let emptied = git.tree_of(Some(source), &[Change::Remove { path: "apps/shop/deployment.yaml".to_owned() }]).unwrap();
    assert_eq!(git.entry_in(emptied, "apps/shop").unwrap(), None, "Git keeps no empty directory");
    for path in ["../x", "a//b", ".git/config", "/a"] {
        let change = Change::File { path: path.to_owned(), content: Vec::new() };
        assert!(matches!(git.tree_of(Some(source), &[change]), Err(GitError::Content { .. })), "{path}");
    }
    let blob = git.entry(source, "README.md").unwrap().unwrap();
    assert_eq!(git.blob(blob.id, 3).unwrap(), b"hi\n");
    assert!(git.blob(blob.id, 2).is_err());
}

#[test]
fn a_revert_takes_back_one_commit_or_is_in_conflict() {
    let remote = remote();
    let before = remote.files(remote.head("deploy").unwrap(), "").unwrap();
    let changed = [("apps/shop/live.yaml", Some("live: 2\n")), ("new", Some("1"))];
    let commit = remote.commit_live(&changed, "step 1\n\nbody", 1_700_000_300).unwrap();
    let revert = remote.revert("deploy", commit, 1_700_000_400).unwrap();
    assert_eq!(remote.files(revert, "").unwrap(), before);
    let head = remote.log("deploy").unwrap().remove(0);
    assert_eq!(head.message, format!("Revert \"step 1\"\n\nThis reverts commit {commit}.\n"));
    assert!(matches!(remote.revert("deploy", commit, 1_700_000_500), Err(GitError::Content { .. })));
}
