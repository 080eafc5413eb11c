//! A release with a kill at each place of the program: the commits that follow must be those of a release that nobody killed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::place::Place;
use super::story::{Referee, faults_of_mirror};
use crate::metrics::server::Server;

const APP: &str = "apps/web";
const STEPS: &str = "      - {replicas: 1, pause: {duration: 0}}\n      - {replicas: 100%}\n";
const JUDGED: &str =
    "  analysis:\n    metrics:\n    - {name: errors, source: main, query: 'errors', max: 0.05, interval: 1, count: 1}\n";

/// A place of the program and how often it is reached before the kill.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    name: String,
    nth: u32,
    /// With an empty cache: there is no mirror yet.
    cold: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) kills: usize,
    pub(crate) releases: u32,
    pub(crate) commits: usize,
    pub(crate) places: usize,
    pub(crate) time: Duration,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kills, releases, commits, places, time } = self;
        let seconds = time.as_secs_f64();
        write!(f, "{kills} kills at {places} places in {releases} releases, {commits} commits, {seconds:.1} s")
    }
}

pub(crate) struct Sweep<'a> {
    place: &'a Place,
    referee: Referee<'a>,
    _metrics: Server,
    version: u32,
    /// The number of the release.
    number: u32,
    head: String,
    /// The story of a release to each of the two versions that take turns.
    stories: BTreeMap<u32, Vec<String>>,
    /// All places of a release, in the order in which they are first reached.
    points: Vec<Point>,
    figures: Figures,
}

impl<'a> Sweep<'a> {
    /// Adopts an app, and looks twice how a release goes: with a mirror and without one.
    pub(crate) fn begin(place: &'a Place) -> Self {
        let answer = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"0.01"]}]}}"#;
        let metrics = Server::fixed("200 OK", answer);
        let config = format!(
            "apiVersion: windlass.dev/v1alpha1\nkind: Config\nsources:\n- {{name: main, prometheus: {{url: \"{}\"}}}}\n",
            metrics.url()
        );
        std::fs::write(place.folder.join("windlass.yaml"), config).unwrap();
        place.app("web", 1, STEPS, JUDGED);
        place.publish("The first version");
        place.windlass("cache", &["run"]).well();
        let referee = Referee::new(place, "referee");
        let head = referee.head();
        let mut sweep = Self {
            place,
            referee,
            _metrics: metrics,
            version: 1,
            number: 0,
            head,
            stories: BTreeMap::new(),
            points: Vec::new(),
            figures: Figures::default(),
        };
        for cold in [false, true] {
            let record = place.folder.join(format!("points-{cold}"));
            if cold {
                sweep.drop_mirror();
            }
            sweep.release();
            place.windlass_at("cache", &format!("record:{}", record.display()), &["run"]).well();
            sweep.end();
            let mut seen: BTreeMap<String, u32> = BTreeMap::new();
            for name in std::fs::read_to_string(record).unwrap().lines() {
                let nth = seen.entry(name.to_owned()).or_default();
                *nth += 1;
                let point = Point { name: name.to_owned(), nth: *nth, cold };
                // With an empty cache only that differs which has to do with the mirror's making.
                if !cold || name.starts_with("mirror-") || (*nth <= 2 && (name.contains("pack") || name.contains("noted"))) {
                    sweep.points.push(point);
                }
            }
        }
        sweep.figures = Figures::default();
        sweep
    }

    pub(crate) fn points(&self) -> Vec<Point> {
        self.points.clone()
    }

    /// So many of all places: first each name once, then others at even distances.
    pub(crate) fn some(&self, count: usize) -> Vec<Point> {
        let mut names = BTreeSet::new();
        let (mut chosen, rest): (Vec<Point>, Vec<Point>) =
            self.points.iter().cloned().partition(|point| names.insert((point.name.clone(), point.cold)));
        let wanted = count.saturating_sub(chosen.len());
        if wanted > 0 {
            let stride = rest.len().div_ceil(wanted).max(1);
            chosen.extend(rest.into_iter().step_by(stride));
        }
        chosen
    }

    fn drop_mirror(&self) {
        std::fs::remove_dir_all(self.place.folder.join("cache")).unwrap();
    }

    /// A person changes the version.
    fn release(&mut self) {
        self.version = 3 - self.version;
        self.number += 1;
        self.place.version("web", self.version);
        self.place.publish(&format!("Version {}", self.version));
    }

    /// What stands on the live branch since the last end must be the story of this release.
    fn end(&mut self) {
        let head = self.referee.head();
        let number = format!("release {} ", self.number);
        let story = self.referee.story(&self.head, APP);
        let story: Vec<String> = story.iter().map(|line| line.replace(&number, "release N ")).collect();
        self.figures.commits += story.len();
        self.figures.releases += 1;
        let expected = self.stories.entry(self.version).or_insert_with(|| story.clone());
        assert_eq!(story, *expected);
        assert!(story.last().is_some_and(|last| last.contains("complete")), "{story:?}");
        self.head = head;
    }

    /// One release with these kills one after the other, then a run to the end that must not complain. The first place is
    /// always reached, a later one unless the release has gone past it. Gives those where a kill happened.
    fn trial(&mut self, points: &[Point]) -> Vec<Point> {
        if points.first().is_some_and(|point| point.cold) {
            self.drop_mirror();
        }
        self.release();
        let mut killed = Vec::new();
        for (index, point) in points.iter().enumerate() {
            let ended = self.place.windlass_at("cache", &format!("kill:{}:{}", point.name, point.nth), &["run"]);
            assert!(ended.is_killed() || (index > 0 && ended.code == Some(0)), "{point:?} was not reached: {ended:?}");
            assert_eq!(ended.err, "", "{point:?}");
            if ended.is_killed() {
                killed.push(point.clone());
            }
        }
        let ended = self.place.windlass("cache", &["run"]);
        assert!(ended.code == Some(0) && ended.err.is_empty(), "after {points:?}: {ended:?}");
        let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.end()));
        assert!(end.is_ok(), "after {points:?}: another story, see above");
        self.figures.kills += killed.len();
        killed
    }

    /// A kill at each of these places, at most five in one release; then five and five drawn by the seed until there were so
    /// many kills. Then everything is checked.
    pub(crate) fn run(mut self, points: Vec<Point>, kills: usize, seed: u64) -> Figures {
        const TOGETHER: usize = 5;
        let start = Instant::now();
        let names: BTreeSet<String> = points.iter().map(|point| point.name.clone()).collect();
        let mut left = points;
        while !left.is_empty() {
            // A place that is reached late must come first; one without a mirror can only do so.
            let first = left.remove(0);
            let mut group = vec![first];
            group.extend(left.iter().filter(|point| !point.cold).take(TOGETHER - 1).cloned());
            let killed = self.trial(&group);
            left.retain(|point| !killed.contains(point));
        }
        let warm: Vec<Point> = self.points.iter().filter(|point| !point.cold).cloned().collect();
        let mut random = super::race::Random::new(seed);
        while self.figures.kills < kills {
            let group: Vec<Point> = (0..TOGETHER).map(|_| warm[random.below(warm.len())].clone()).collect();
            self.trial(&group);
        }
        self.referee.check();
        assert_eq!(faults_of_mirror(self.place, "cache"), Vec::<String>::new());
        self.figures.places = names.len();
        self.figures.time = start.elapsed();
        println!("places: {}", names.iter().map(String::as_str).collect::<Vec<_>>().join(" "));
        self.figures
    }
}

/// `WINDLASS_KILLS`, or what is enough for a quick look.
pub(crate) fn wanted_kills(short: usize) -> usize {
    std::env::var("WINDLASS_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(short)
}

#[test]
fn a_kill_anywhere_changes_no_commit() {
    let place = Place::local();
    let sweep = Sweep::begin(&place);
    let points = sweep.some(30);
    println!("{}", sweep.run(points, wanted_kills(0), 1));
}

#[test]
fn nor_with_the_live_branch_in_another_repository() {
    let place = Place::apart();
    let sweep = Sweep::begin(&place);
    let points = sweep.some(20);
    println!("{}", sweep.run(points, wanted_kills(0), 2));
}
