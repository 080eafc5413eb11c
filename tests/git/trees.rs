//! Reading and writing trees: only what is named changes, and nothing leads out of a tree.

use super::server::run;
use super::*;
use windlass::git::{EntryKind, GitError};

/// A folder store whose source branch holds one of everything: files, a link, a submodule, odd modes.
fn zoo() -> (World, Store, Oid) {
    let world = World::new();
    let blob = run(&world.path, &["hash-object", "-w", "--stdin"], b"content\n");
    let link = run(&world.path, &["hash-object", "-w", "--stdin"], b"../../etc/passwd");
    let submodule = world.head("main").unwrap();
    let inner = run(&world.path, &["mktree"], format!("100644 blob {blob}\tdeep.yaml\n").as_bytes());
    let app = format!(
        "100644 blob {blob}\ta.yaml\n100755 blob {blob}\trun.sh\n040000 tree {inner}\tinner\n160000 commit {submodule}\tmodule\n"
    );
    let app = run(&world.path, &["mktree", "--missing"], app.as_bytes());
    let root = format!(
        "040000 tree {app}\tapp\n120000 blob {link}\tlink\n160000 commit {submodule}\tmodule\n100644 blob {blob}\tfile\n"
    );
    let root = run(&world.path, &["mktree", "--missing"], root.as_bytes());
    let commit = run(&world.path, &["commit-tree", &root, "-m", "zoo"], b"");
    run(&world.path, &["update-ref", "refs/heads/main", &commit], b"");
    let mut store = world.store(Way::Folder);
    let head = store.fetch().unwrap().source;
    (world, store, head)
}

/// What `git ls-tree -r -t` says of a commit made by `changes`.
fn listing(world: &World, store: &mut Store, parent: Option<Oid>, changes: Vec<Change>) -> Vec<String> {
    let commit = store.write(parent, &new_commit(changes, "x\n")).unwrap();
    let _ = world.git(&["update-ref", "-d", "refs/heads/live"]);
    store.push(None, commit).unwrap();
    let text = world.git(&["ls-tree", "-r", "-t", "--format=%(objectmode) %(path)", &commit.to_string()]);
    text.lines().map(str::to_owned).collect()
}

#[test]
fn entries_are_told_apart_and_links_are_not_followed() {
    let (_world, store, head) = zoo();
    let kinds = |path: &str| store.entry(head, path).unwrap().map(|entry| entry.kind);
    assert_eq!(kinds(""), Some(EntryKind::Directory));
    assert_eq!(kinds("app/a.yaml"), Some(EntryKind::File));
    assert_eq!(kinds("app/run.sh"), Some(EntryKind::Executable));
    assert_eq!(kinds("link"), Some(EntryKind::Symlink));
    assert_eq!(kinds("module"), Some(EntryKind::Submodule));
    assert_eq!(kinds("nothing/at/all"), None);
    assert_eq!(kinds("file/below"), None);
    for path in ["link/passwd", "module/file"] {
        let error = store.entry(head, path).unwrap_err();
        assert!(matches!(&error, GitError::Content { path: named, .. } if named == path), "{error:?}");
        assert!(!error.to_string().contains("etc"), "{error}");
    }
    let root = store.entry(head, "").unwrap().unwrap();
    let names: Vec<String> = store.list(root.id).unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["app", "file", "link", "module"]);
    let file = store.entry(head, "file").unwrap().unwrap();
    assert_eq!(store.blob(file.id, 8).unwrap(), b"content\n");
    assert!(matches!(store.blob(file.id, 7), Err(GitError::Content { .. })));
    assert!(matches!(store.blob(root.id, 1_000), Err(GitError::Content { .. })));
    assert!(matches!(store.commit(root.id), Err(GitError::Content { .. })));
    assert!(matches!(store.list(Oid::ZERO_SHA1), Err(GitError::Mirror { .. })));
}

#[test]
fn files_of_a_directory_become_exactly_these() {
    let (world, mut store, head) = zoo();
    let changes =
        vec![Change::Files { directory: "app".into(), files: files(&[("b.yaml", "b"), ("run.sh", "now a plain file")]) }];
    let expected = [
        "040000 app",
        "100644 app/b.yaml",
        "040000 app/inner",
        "100644 app/inner/deep.yaml",
        "160000 app/module",
        "100644 app/run.sh",
        "100644 file",
        "120000 link",
        "160000 module",
    ];
    assert_eq!(listing(&world, &mut store, Some(head), changes), expected);
    // A directory that is left empty goes, and those above it that held nothing else.
    let changes = vec![
        Change::File { path: "x/y/z".into(), content: b"1".to_vec() },
        Change::Files { directory: "x/y".into(), files: BTreeMap::new() },
    ];
    let unchanged = store.tree_of(Some(head), &changes).unwrap();
    assert_eq!(unchanged, store.commit(head).unwrap().tree);
}

#[test]
fn a_directory_becomes_exactly_this_tree() {
    let (world, mut store, head) = zoo();
    let changes =
        vec![Change::Directory { directory: "app".into(), files: files(&[("x/y.yaml", "1"), ("x/z.yaml", "2"), ("w", "3")]) }];
    let expected = [
        "040000 app",
        "100644 app/w",
        "040000 app/x",
        "100644 app/x/y.yaml",
        "100644 app/x/z.yaml",
        "100644 file",
        "120000 link",
        "160000 module",
    ];
    assert_eq!(listing(&world, &mut store, Some(head), changes), expected);
    let changes = vec![Change::Directory { directory: String::new(), files: files(&[("only", "this")]) }];
    assert_eq!(listing(&world, &mut store, Some(head), changes), ["100644 only"]);
    let gone = vec![Change::Directory { directory: "app".into(), files: BTreeMap::new() }];
    assert_eq!(listing(&world, &mut store, Some(head), gone), ["100644 file", "120000 link", "160000 module"]);
}

#[test]
fn removing_is_exact_and_may_be_repeated() {
    let (world, mut store, head) = zoo();
    let changes = ["app/inner", "app/nothing", "link", "nothing/below"].map(|path| Change::Remove { path: path.into() }).to_vec();
    let expected = ["040000 app", "100644 app/a.yaml", "160000 app/module", "100755 app/run.sh", "100644 file", "160000 module"];
    assert_eq!(listing(&world, &mut store, Some(head), changes), expected);
    let everything = ["app", "link", "file", "module"].map(|path| Change::Remove { path: path.into() }).to_vec();
    assert_eq!(listing(&world, &mut store, Some(head), everything), Vec::<String>::new());
}

#[test]
fn changes_are_made_in_their_order() {
    let (world, mut store, head) = zoo();
    let changes = vec![
        Change::Remove { path: "file".into() },
        Change::File { path: "file/now/a/directory".into(), content: b"1".to_vec() },
        Change::Remove { path: "link".into() },
        Change::File { path: "link".into(), content: b"a file".to_vec() },
        Change::Directory { directory: "app".into(), files: files(&[("one", "1")]) },
        Change::File { path: "app/two".into(), content: b"2".to_vec() },
        Change::Remove { path: "app/one".into() },
    ];
    let expected = [
        "040000 app",
        "100644 app/two",
        "040000 file",
        "040000 file/now",
        "040000 file/now/a",
        "100644 file/now/a/directory",
        "100644 link",
        "160000 module",
    ];
    assert_eq!(listing(&world, &mut store, Some(head), changes), expected);
}

#[test]
fn what_stands_in_the_way_is_named() {
    let (_world, mut store, head) = zoo();
    let file = |path: &str| Change::File { path: path.into(), content: b"x".to_vec() };
    let cases = [
        (file("link/x"), "link/x", "symbolic link"),
        (file("module/x"), "module/x", "submodule"),
        (file("file/x"), "file/x", "is a file"),
        (file("link"), "link", "symbolic link"),
        (file("module"), "module", "submodule"),
        (file("app"), "app", "a directory stands"),
        (Change::Files { directory: String::new(), files: BTreeMap::new() }, "link", "symbolic link"),
        (Change::Files { directory: "app".into(), files: files(&[("inner", "x")]) }, "app/inner", "a directory stands"),
        (Change::Files { directory: "app".into(), files: files(&[("x/y", "x")]) }, "app/x/y", "/"),
        (Change::Directory { directory: "link".into(), files: files(&[("y", "x")]) }, "link", "symbolic link"),
        (Change::Directory { directory: "new".into(), files: files(&[("y", "x"), ("y/z", "x")]) }, "y/z", "is a file"),
        (Change::Remove { path: "link/x".into() }, "link/x", "symbolic link"),
        (Change::Remove { path: String::new() }, "", "root"),
        (file(""), "", "name"),
    ];
    for (change, path, word) in cases {
        let error = store.tree_of(Some(head), &[change]).unwrap_err();
        let GitError::Content { path: named, cause } = &error else { panic!("{error:?}") };
        assert!(named == path && cause.contains(word), "{error}");
    }
}

#[test]
fn paths_that_lead_out_are_refused_everywhere() {
    let (_world, mut store, head) = zoo();
    for path in ["../x", "/abs", "a/../b", "a//b", "./a", "a/", ".git/config", ".GIT/x", "git~1", "a\\b", "a\0b", "a\nb"] {
        let refused = |result: Result<Oid, GitError>| assert!(matches!(result, Err(GitError::Content { .. })), "{path:?}");
        refused(store.tree_of(Some(head), &[Change::File { path: path.into(), content: vec![] }]));
        refused(store.tree_of(Some(head), &[Change::Remove { path: path.into() }]));
        refused(store.tree_of(Some(head), &[Change::Files { directory: path.into(), files: BTreeMap::new() }]));
        refused(store.tree_of(Some(head), &[Change::Files { directory: "d".into(), files: files(&[(path, "x")]) }]));
        refused(store.tree_of(Some(head), &[Change::Directory { directory: "d".into(), files: files(&[(path, "x")]) }]));
        assert!(matches!(store.entry(head, path), Err(GitError::Content { .. })), "{path:?}");
    }
}

#[test]
fn a_tree_that_breaks_gits_rules_is_refused() {
    let (world, mut store, _head) = zoo();
    let blob = world.git(&["rev-parse", "main:file"]);
    let raw = |entries: &[&str]| {
        let mut bytes = Vec::new();
        for name in entries {
            bytes.extend_from_slice(format!("100644 {name}\0").as_bytes());
            bytes.extend_from_slice(blob.parse::<Oid>().unwrap().as_bytes());
        }
        bytes
    };
    for entries in [&[".."][..], &[".git"], &["a", "a"], &["."], &[".GIT"]] {
        let tree = run(&world.path, &["hash-object", "-t", "tree", "-w", "--literally", "--stdin"], &raw(entries));
        let commit = run(&world.path, &["commit-tree", &tree, "-m", "evil"], b"").parse().unwrap();
        assert!(matches!(store.list(tree.parse().unwrap()), Err(GitError::Content { .. })), "{entries:?}");
        let written = store.write(Some(commit), &file_commit("x", "y"));
        assert!(matches!(written, Err(GitError::Content { .. })), "{entries:?}");
    }
}

#[test]
fn the_same_commit_has_the_same_id() {
    let (_world, mut store, head) = zoo();
    let other = World::new();
    let mut elsewhere = other.store(Way::Http);
    let commit = file_commit("a/b/c.yaml", "x: 1\n");
    let id = store.write(None, &commit).unwrap();
    assert_eq!(elsewhere.write(None, &commit).unwrap(), id);
    assert_eq!(id.to_string(), "2f6a6572a84e5546f18d6d0f5f2bba0e9f50fec6");
    let mut later = commit.clone();
    later.time += 1;
    assert_ne!(store.write(None, &later).unwrap(), id);
    assert_ne!(store.write(Some(head), &commit).unwrap(), id);
    let info = store.commit(id).unwrap();
    assert_eq!((info.parent, info.time, info.message.as_str()), (None, 1_800_000_000, "one file\n"));
    assert_eq!(info.author, commit.author);
    assert_eq!(store.entry_in(info.tree, "a/b").unwrap().map(|entry| entry.kind), Some(EntryKind::Directory));
}

#[test]
fn an_author_that_git_would_change_is_refused() {
    let (_world, mut store, _head) = zoo();
    for name in ["", " ", "a\nb", "a <b>", "a\0"] {
        let mut commit = file_commit("a", "b");
        commit.author.name = name.into();
        assert!(matches!(store.write(None, &commit), Err(GitError::Content { .. })), "{name:?}");
    }
    let mut commit = file_commit("a", "b");
    commit.message = "a\0b".into();
    assert!(matches!(store.write(None, &commit), Err(GitError::Content { .. })));
}
