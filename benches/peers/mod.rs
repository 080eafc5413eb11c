//! The same change by others: two files of one directory, a commit, and the branch moved from the head that was read.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use git2::{FileMode, ObjectType, Oid, Repository, Signature, Time};

use crate::ground::server::{git, run};

const DIRECTORIES: [&str; 3] = ["apps", "g0", "s1"];
const BRANCH: &str = "refs/heads/peers";
const STEPS: usize = 30;

pub(crate) fn content(step: usize, file: usize) -> Vec<u8> {
    format!("step: {step}\nfile: {file}\n").into_bytes()
}

fn files(step: usize) -> [(String, Vec<u8>); 2] {
    [0, 1].map(|file| (format!("f{file}.yaml"), content(step, file)))
}

/// What the server itself costs: two blobs, four trees and a commit packed in memory, posted with the old id on a
/// connection that stays; and the same with the branch read before, as everybody must who wants to see news.
pub(crate) struct Bare<'a> {
    path: &'a Path,
    address: &'a str,
    agent: ureq::Agent,
    head: Oid,
    number: usize,
}

impl<'a> Bare<'a> {
    pub(crate) fn new(path: &'a Path, address: &'a str) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let head = Oid::from_str(&run(path, &["rev-parse", BRANCH], b"")).unwrap();
        Self { path, address, agent, head, number: 1_000 }
    }

    fn post(&self, service: &str, body: &[u8]) -> String {
        let answer = self
            .agent
            .post(format!("{}/git-{service}", self.address))
            .header("Content-Type", format!("application/x-git-{service}-request"))
            .header("Git-Protocol", "version=2")
            .send(body)
            .unwrap();
        answer.into_body().read_to_string().unwrap()
    }

    pub(crate) fn step(&mut self, read: bool) -> Duration {
        self.number += 1;
        let start = Instant::now();
        if read {
            let prefix = packet(&format!("ref-prefix {BRANCH}\n"));
            let body = format!("{}0001{prefix}0000", packet("command=ls-refs\n"));
            let text = self.post("upload-pack", body.as_bytes());
            assert!(text.contains(&self.head.to_string()), "{text}");
        }
        let (new, pack) = pack(self.path, self.head, self.number);
        let mut body = packet(&format!("{} {new} {BRANCH}\0 report-status", self.head)).into_bytes();
        body.extend_from_slice(b"0000");
        body.extend_from_slice(&pack);
        let text = self.post("receive-pack", &body);
        assert!(text.contains(&format!("ok {BRANCH}")), "{text}");
        self.head = new;
        start.elapsed()
    }
}

fn packet(text: &str) -> String {
    format!("{:04x}{text}", text.len() + 4)
}

/// The pack and the new commit's id.
fn pack(path: &Path, head: Oid, number: usize) -> (Oid, Vec<u8>) {
    let repo = Repository::open_bare(path).unwrap();
    let odb = repo.odb().unwrap();
    // What is new stays in memory.
    let _memory = odb.add_new_mempack_backend(1_000).unwrap();
    let mut new = Vec::new();
    let parent = repo.find_commit(head).unwrap();
    let mut trees = vec![parent.tree().unwrap()];
    for name in DIRECTORIES {
        let id = trees[trees.len() - 1].get_name(name).unwrap().id();
        trees.push(repo.find_tree(id).unwrap());
    }
    let mut inner = None;
    for (depth, tree) in trees.iter().enumerate().rev() {
        let mut builder = repo.treebuilder(Some(tree)).unwrap();
        match inner {
            None => {
                for (name, bytes) in files(number) {
                    let blob = repo.odb().unwrap().write(ObjectType::Blob, &bytes).unwrap();
                    builder.insert(name, blob, FileMode::Blob.into()).unwrap();
                    new.push(blob);
                }
            }
            Some(id) => drop(builder.insert(DIRECTORIES[depth], id, FileMode::Tree.into()).unwrap()),
        }
        let id = builder.write().unwrap();
        new.push(id);
        inner = Some(id);
    }
    let person = Signature::new("Ada", "ada@example.com", &Time::new(1_800_000_000, 0)).unwrap();
    let root = repo.find_tree(inner.unwrap()).unwrap();
    let id = repo.commit(None, &person, &person, &format!("step {number}\n"), &root, &[&parent]).unwrap();
    let mut pack = git2::Buf::new();
    new.push(id);
    let mut packing = repo.packbuilder().unwrap();
    for id in new {
        packing.insert_object(id, None).unwrap();
    }
    packing.write_buf(&mut pack).unwrap();
    assert_eq!(pack[8..12], 7u32.to_be_bytes(), "seven objects");
    (id, pack.to_vec())
}

/// As a script with a clone would make it, which is kept for the next step.
pub(crate) fn clone_that_stays(folder: &Path, address: &str) -> Vec<Duration> {
    let clone = cloned(folder, address, "stays");
    let steps = (0..STEPS / 3).map(|number| {
        let start = Instant::now();
        run(&clone, &["fetch", "--quiet", "origin", "peers"], b"");
        run(&clone, &["reset", "--quiet", "--hard", "FETCH_HEAD"], b"");
        commit_and_push(&clone, 2_000 + number);
        start.elapsed()
    });
    steps.collect()
}

/// As a pipeline makes it: a shallow clone for each step.
pub(crate) fn shallow(folder: &Path, address: &str, steps: usize) -> Vec<Duration> {
    let steps = (0..steps).map(|number| {
        let start = Instant::now();
        let clone = cloned(folder, address, &format!("shallow-{number}"));
        commit_and_push(&clone, 3_000 + number);
        let took = start.elapsed();
        std::fs::remove_dir_all(clone).unwrap();
        took
    });
    steps.collect()
}

fn cloned(folder: &Path, address: &str, name: &str) -> PathBuf {
    run(folder, &["clone", "--quiet", "--depth=1", "--branch=peers", address, name], b"");
    folder.join(name)
}

fn commit_and_push(clone: &Path, number: usize) {
    let directory = clone.join(DIRECTORIES.join("/"));
    for (name, bytes) in files(number) {
        std::fs::write(directory.join(name), bytes).unwrap();
    }
    run(clone, &["commit", "--quiet", "--all", "-m", "step"], b"");
    run(clone, &["push", "--quiet", "origin", "HEAD:peers"], b"");
}

/// The fastest way with the `git` program: no working tree, one `ls-tree` and one `mktree` for each directory on the path.
pub(crate) fn plumbing(folder: &Path, address: &str) -> Vec<Duration> {
    let bare = folder.join("plumbing");
    run(folder, &["clone", "--quiet", "--bare", "--depth=1", "--branch=peers", address, "plumbing"], b"");
    let steps = (0..STEPS / 2).map(|number| {
        let start = Instant::now();
        run(&bare, &["fetch", "--quiet", "origin", "peers"], b"");
        let head = run(&bare, &["rev-parse", "FETCH_HEAD"], b"");
        let mut inner: Vec<(String, String)> = Vec::new();
        for (name, bytes) in files(4_000 + number) {
            let blob = run(&bare, &["hash-object", "-w", "--stdin"], &bytes);
            inner.push((format!("100644 blob {blob}"), name));
        }
        let mut root = String::new();
        for depth in (0..=DIRECTORIES.len()).rev() {
            let tree = format!("{head}:{}", DIRECTORIES[..depth].join("/"));
            let mut lines: Vec<String> = run(&bare, &["ls-tree", &tree], b"").lines().map(str::to_owned).collect();
            lines.retain(|line| !inner.iter().any(|(_, name)| line.ends_with(&format!("\t{name}"))));
            lines.extend(inner.iter().map(|(entry, name)| format!("{entry}\t{name}")));
            root = run(&bare, &["mktree"], lines.join("\n").as_bytes());
            let name = depth.checked_sub(1).map(|depth| DIRECTORIES[depth].to_owned()).unwrap_or_default();
            inner = vec![(format!("040000 tree {root}"), name)];
        }
        let commit = run(&bare, &["commit-tree", &root, "-p", &head, "-m", "step"], b"");
        let push = git()
            .current_dir(&bare)
            .args(["push", "--quiet", "origin", &format!("{commit}:{BRANCH}")])
            .stderr(Stdio::inherit())
            .status()
            .unwrap();
        assert!(push.success());
        start.elapsed()
    });
    steps.collect()
}
