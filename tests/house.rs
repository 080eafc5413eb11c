//! The house rules: who may use whom, what the pure rooms must not touch, and how long a file may be.

mod paths;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use paths::paths;

/// Who may use whom (ARCHITECTURE.md). A room may always use itself.
const ROOMS: [(&str, &[&str]); 14] = [
    ("api", &[]),
    ("manifest", &[]),
    ("lua", &[]),
    ("render", &["api", "manifest", "lua"]),
    ("engine", &["api", "manifest", "render"]),
    ("source", &["manifest"]),
    ("git", &[]),
    ("forge", &[]),
    ("observe", &[]),
    ("metrics", &[]),
    ("reconcile", &["api", "manifest", "lua", "render", "engine", "source", "git", "forge", "observe", "metrics"]),
    ("serve", &["reconcile"]),
    ("sim", &["api", "manifest", "render", "engine", "source", "git", "forge", "observe", "metrics", "reconcile", "serve"]),
    (
        "cli",
        &[
            "api",
            "manifest",
            "lua",
            "render",
            "engine",
            "source",
            "git",
            "forge",
            "observe",
            "metrics",
            "reconcile",
            "serve",
            "sim",
        ],
    ),
];

/// A file that may use a room which its own room may not: (file, room, why). One that is no longer needed fails too.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Rooms whose answers depend on their arguments alone.
const PURE: [&str; 5] = ["api", "manifest", "lua", "render", "engine"];

/// What a pure room does not mention. clippy.toml forbids single functions, such as the clock's; this is about everything else.
const IMPURE: [&str; 15] = [
    "crate::failpoint",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
    "std::io",
    "tokio",
    "kube",
    "git2",
    "ureq",
    "axum",
    "tempfile",
    "tracing",
    "rustls",
];

const LONGEST_FILE: usize = 600;

#[test]
fn every_room_uses_only_what_it_may() {
    let mut found = Vec::new();
    let mut excused = BTreeSet::new();
    for file in files("src") {
        let Some(room) = room(&file) else { continue };
        let allowed = ROOMS.iter().find(|(name, _)| *name == room).map(|(_, allowed)| *allowed);
        let Some(allowed) = allowed else {
            found.push(format!("{}: room `{room}` is not in the table of tests/house.rs", file.name));
            continue;
        };
        for used in rooms_used(&file) {
            if used == room || allowed.contains(&used.as_str()) {
                continue;
            }
            match EXCEPTIONS.iter().find(|(name, other, _)| *name == file.name && *other == used) {
                Some(exception) => {
                    excused.insert(exception);
                }
                None => found.push(format!("{}: `{room}` may not use `{used}`", file.name)),
            }
        }
    }
    for exception in EXCEPTIONS {
        if !excused.contains(exception) {
            found.push(format!("{}: the exception for `{}` is not needed; remove it", exception.0, exception.1));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn pure_rooms_touch_nothing_outside_their_arguments() {
    let mut found = Vec::new();
    for file in files("src") {
        if !room(&file).is_some_and(|room| PURE.contains(&room)) {
            continue;
        }
        for path in paths(&file.text) {
            for impure in IMPURE {
                if path == impure || path.starts_with(&format!("{impure}::")) {
                    found.push(format!("{}: `{path}` in a pure room", file.name));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn files_are_short_enough_to_read() {
    let long: Vec<String> = ["src", "tests", "benches"]
        .iter()
        .flat_map(|directory| files(directory))
        .map(|file| (file.text.lines().count(), file.name))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .map(|(lines, name)| format!("{name}: {lines} lines, {LONGEST_FILE} is the most; give each idea its own file"))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn the_table_is_about_rooms_that_can_be_built_in_order() {
    // Nobody may use a room that comes later in the table, so there is no circle.
    for (index, (room, allowed)) in ROOMS.iter().enumerate() {
        for used in *allowed {
            assert!(ROOMS[..index].iter().any(|(earlier, _)| earlier == used), "`{room}` uses `{used}`, which comes later");
        }
    }
    let library = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for line in library.lines() {
        if let Some(name) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            assert!(ROOMS.iter().any(|(room, _)| *room == name), "`{name}` in src/lib.rs is not in the table");
        }
    }
}

#[test]
fn a_use_of_a_room_is_seen_however_it_is_written() {
    let seen = |name: &str, text: &str| -> Vec<String> {
        let file = File { name: name.to_owned(), text: text.to_owned() };
        rooms_used(&file).into_iter().collect()
    };
    assert_eq!(seen("src/api/model.rs", "use crate::git::Oid;"), ["git"]);
    assert_eq!(seen("src/api/model.rs", "use crate::{engine::{self, State}, git};"), ["engine", "git"]);
    assert_eq!(seen("src/api/model.rs", "fn f() -> crate::git::Oid { todo!() }"), ["git"]);
    assert_eq!(seen("src/api/model.rs", "use super::super::git::Oid;"), ["git"]);
    assert_eq!(seen("src/api/mod.rs", "use super::git::Oid;"), ["git"]);
    assert_eq!(seen("src/api/model.rs", "use windlass::git::Oid;"), ["git"]);
    assert_eq!(seen("src/forge/github/pull.rs", "use super::git::Thing;"), Vec::<String>::new());
    assert_eq!(seen("src/api/model.rs", "/// See [`crate::git::Oid`].\nconst A: &str = \"crate::git\";"), Vec::<String>::new());
    assert_eq!(seen("src/api/model.rs", "pub(crate) struct A; use git2::Oid;"), Vec::<String>::new());
}

struct File {
    /// From the repository's root, with `/`.
    name: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a directory of the repository, in order.
fn files(directory: &str) -> Vec<File> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(directory), &mut found);
    found.sort();
    assert!(!found.is_empty(), "{directory} has no Rust files");
    let file = |path: PathBuf| File {
        name: path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/"),
        text: std::fs::read_to_string(&path).unwrap(),
    };
    found.into_iter().map(file).collect()
}

/// The room of a file; `None` for lib.rs and main.rs, which belong to none.
fn room(file: &File) -> Option<&str> {
    let rest = file.name.strip_prefix("src/")?;
    let (room, _) = rest.split_once('/')?;
    Some(room)
}

/// How many modules lie between a file and the crate's root.
fn depth(file: &File) -> usize {
    let parts = file.name.split('/').count() - 1;
    if file.name.ends_with("/mod.rs") { parts - 1 } else { parts }
}

fn rooms_used(file: &File) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in paths(&file.text) {
        let parts: Vec<&str> = path.split("::").collect();
        let climbs = parts.iter().take_while(|part| **part == "super").count();
        let first = match parts.first() {
            Some(&("crate" | "windlass")) => parts.get(1),
            Some(&"super") if climbs >= depth(file) => parts.get(climbs),
            _ => None,
        };
        if let Some(name) = first.filter(|name| ROOMS.iter().any(|(room, _)| room == *name)) {
            found.insert((*name).to_owned());
        }
    }
    found
}
