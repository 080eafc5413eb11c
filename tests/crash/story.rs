//! What the live branch tells, read by Git's own program and by the checker of the invariants.

use std::collections::BTreeSet;
use std::path::PathBuf;

use windlass::git::{Options, Repo as _, Store};
use windlass::sim::invariants;

use super::place::Place;

/// A commit of the live branch.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) id: String,
    pub(crate) parents: Vec<String>,
    pub(crate) subject: String,
    /// `path:name#release`
    pub(crate) release: String,
    /// `2/5 grow`
    pub(crate) step: String,
    /// Whether a person ordered it.
    pub(crate) by: bool,
    pub(crate) author: String,
}

/// A copy of the remote that nobody else uses.
pub(crate) struct Referee<'a> {
    place: &'a Place,
    copy: PathBuf,
}

impl<'a> Referee<'a> {
    pub(crate) fn new(place: &'a Place, name: &str) -> Self {
        let copy = place.folder.join(name);
        std::fs::create_dir_all(&copy).unwrap();
        place.git_in(&copy, &["init", "--quiet", "--bare", "--initial-branch=main"]);
        Self { place, copy }
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        self.place.git_in(&self.copy, args)
    }

    /// Fetches and gives the live head. A live branch that did not move forward fails the test.
    #[track_caller]
    pub(crate) fn head(&self) -> String {
        for from in [&self.place.url, &self.place.live] {
            self.git(&["fetch", "--quiet", from, "refs/heads/*:refs/heads/*"]);
        }
        self.git(&["rev-parse", "--quiet", "--verify", "refs/heads/deploy"])
    }

    /// The commits after `since` (empty: all), oldest first, as of the last `head`.
    pub(crate) fn commits(&self, since: &str) -> Vec<Told> {
        let range = if since.is_empty() { "deploy".to_owned() } else { format!("{since}..deploy") };
        let trailer = |key: &str| format!("%(trailers:key=Windlass-{key},valueonly,separator=%x20)");
        let format =
            format!("--format=%H%x1f%P%x1f%s%x1f{}%x1f{}%x1f{}%x1f%an", trailer("Release"), trailer("Step"), trailer("By"));
        let log = self.git(&["log", "--reverse", "--topo-order", &format, &range]);
        let told = |line: &str| {
            let part: Vec<&str> = line.split('\x1f').collect();
            Told {
                id: part[0].to_owned(),
                parents: part[1].split_whitespace().map(str::to_owned).collect(),
                subject: part[2].to_owned(),
                release: part[3].to_owned(),
                step: part[4].to_owned(),
                by: !part[5].is_empty(),
                author: part[6].to_owned(),
            }
        };
        log.lines().map(told).collect()
    }

    /// The manifests below a live path at a commit: their names and contents' ids, without the note of the source commit.
    pub(crate) fn manifests(&self, commit: &str, path: &str) -> String {
        let list = self.git(&["ls-tree", commit, &format!("{path}/")]);
        list.lines().filter(|line| !line.ends_with("hydrator.metadata")).map(|line| format!("{line}\n")).collect()
    }

    /// The subjects, moves and live trees since a commit, which are the same whoever made them and when.
    pub(crate) fn story(&self, since: &str, path: &str) -> Vec<String> {
        let release = |told: &Told| format!("{} | {}\n{}", told.subject, told.step, self.manifests(&told.id, path));
        self.commits(since).iter().map(release).collect()
    }

    /// Everything that must hold of any live branch: Git finds nothing wrong, one parent each, no invariant is broken.
    #[track_caller]
    pub(crate) fn check(&self) {
        self.head();
        self.git(&["fsck", "--strict", "--no-dangling"]);
        assert_eq!(self.git(&["rev-list", "--min-parents=2", "deploy"]), "", "the live branch is a line");
        let mut options = Options::new(self.copy.display().to_string(), "deploy");
        options.source = Some("main".into());
        let mut store = Store::open(options).unwrap();
        let head = store.fetch().unwrap().live.unwrap();
        let broken: Vec<String> = invariants::check(&store, head).unwrap().iter().map(ToString::to_string).collect();
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }

    /// Every one of these commits (10 or more characters of their ids) is on the live branch.
    #[track_caller]
    pub(crate) fn holds_all(&self, ids: &BTreeSet<String>) {
        let list = self.git(&["rev-list", "deploy"]);
        let present: BTreeSet<&str> = list.lines().filter_map(|id| id.get(..10)).collect();
        let lost: Vec<&String> = ids.iter().filter(|id| !present.contains(&id[..10])).collect();
        assert!(lost.is_empty(), "{} of {} acknowledged commits are lost: {lost:?}", lost.len(), ids.len());
    }
}

/// What Git finds wrong in a mirror, which holds commits with their whole trees but not all their parents.
pub(crate) fn faults_of_mirror(place: &Place, cache: &str) -> Vec<String> {
    let mut text = String::new();
    for mirror in place.mirrors(cache) {
        let output = place.git_command(&mirror.join("git"), &["fsck", "--no-dangling"]).output().unwrap();
        text.push_str(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    }
    let border = |line: &str| {
        line.starts_with("broken link from  commit") || line.starts_with("to  commit") || line.starts_with("missing commit")
    };
    let wrong = |line: &&str| !border(line.trim()) && !line.contains("Checking object") && !line.contains("notice:");
    text.lines().filter(wrong).map(str::to_owned).collect()
}
