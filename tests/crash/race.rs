//! Five watching processes and three people on one repository, while processes are stopped, killed and started again.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Child;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use windlass::engine::{Phase, State};

use super::people;
use super::place::Place;
use super::story::Referee;

/// Numbers drawn from a seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`, by xorshift.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % end
    }
}

/// Every second app waits for an approval in its second step.
pub(super) const APPS: [&str; 6] = ["ant", "bee", "cat", "dog", "eel", "fox"];
const FREE: &str =
    "      - {replicas: 1, pause: {duration: 0}}\n      - {replicas: 2, pause: {duration: 0}}\n      - {replicas: 100%}\n";
const ASKING: &str = "      - {replicas: 1, pause: {duration: 0}}\n      - {replicas: 2, pause: {}}\n      - {replicas: 100%}\n";

/// What everybody shares.
pub(super) struct Scene<'a> {
    pub(super) place: &'a Place,
    /// No more new releases, pauses and notes.
    pub(super) over: AtomicBool,
    /// All is at rest.
    pub(super) done: AtomicBool,
    /// Who was told which commits are on the live branch, by their ids.
    pub(super) acknowledged: Mutex<BTreeSet<(String, String)>>,
    pub(super) commits: AtomicUsize,
    /// The newest version of each app on the source branch.
    pub(super) versions: Mutex<BTreeMap<&'static str, u32>>,
    /// Why words were refused, and how often.
    pub(super) refusals: Mutex<BTreeMap<String, usize>>,
    /// How often a person's own push was too late.
    pub(super) rejected: AtomicUsize,
}

impl Scene<'_> {
    /// Nobody is told the same commit twice. Two may be told of one: a commit is made of what is decided and of the second
    /// it is decided in, so that two processes can make the very same one, and then both have pushed it.
    pub(super) fn acknowledge(&self, who: &str, id: &str) {
        let new = self.acknowledged.lock().unwrap().insert((who.to_owned(), id[..10].to_owned()));
        assert!(new, "{who} was told twice of {id}");
    }

    pub(super) fn state(&self, referee: &Referee<'_>, app: &str) -> State {
        serde_json::from_str(&referee.git(&["show", &format!("deploy:.windlass/apps/{app}/{app}/state")])).unwrap()
    }
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Figures {
    commits: usize,
    moves: usize,
    words: usize,
    notes: usize,
    kills: usize,
    stops: usize,
    lost_races: usize,
    rejected: usize,
    gave_up: usize,
    mirrors: usize,
    /// Commits that two processes made alike.
    alike: usize,
    refusals: BTreeMap<String, usize>,
    time: Duration,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { commits, moves, words, notes, kills, stops, lost_races, rejected, gave_up, mirrors, alike, refusals, time } =
            self;
        write!(
            f,
            "{commits} commits: {moves} moves, {words} words, {notes} beside; {kills} kills, {stops} stops; {lost_races} races lost \
             and decided again by windlass, {rejected} by people's git; {gave_up} times all tries were used up; {mirrors} mirrors \
             made anew; {alike} commits made alike by two; words that came too late: {refusals:?}; {:.1} s",
            time.as_secs_f64()
        )
    }
}

/// One of the five.
struct Watcher<'a> {
    place: &'a Place,
    number: usize,
    child: Child,
}

impl<'a> Watcher<'a> {
    fn start(place: &'a Place, number: usize) -> Self {
        // The first two share their mirrors.
        let cache = format!("cache-{}", number.max(1));
        let command = place.windlass_command(&cache, &["-vv", "run", "--watch", "--interval", "1s", "--config", "none.yaml"]);
        Self { place, number, child: place.start(&Self::name(number), command) }
    }

    fn name(number: usize) -> String {
        format!("watcher-{number}")
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn kill(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "watcher {} has ended by itself", self.number);
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        *self = Self::start(self.place, self.number);
    }

    /// Asked to end, as a service manager does.
    fn end(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "watcher {} has ended by itself", self.number);
        self.signal(Signal::TERM);
        assert!(self.child.wait().unwrap().success(), "watcher {}", self.number);
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Races until the live branch has so many commits and all apps are at rest, then checks everything.
pub(crate) fn race(place: &Place, commits: usize, seed: u64) -> Figures {
    let config = "apiVersion: windlass.dev/v1alpha1\nkind: Config\n";
    std::fs::write(place.folder.join("none.yaml"), config).unwrap();
    for (index, app) in APPS.iter().enumerate() {
        place.app(app, 1, if index % 2 == 0 { FREE } else { ASKING }, "");
    }
    place.publish("All apps");
    place.windlass("cache-first", &["run"]).well();
    let referee = Referee::new(place, "referee");
    let before = referee.head();
    let start = Instant::now();
    let scene = Scene {
        place,
        over: AtomicBool::new(false),
        done: AtomicBool::new(false),
        acknowledged: Mutex::default(),
        commits: AtomicUsize::new(0),
        versions: Mutex::new(APPS.iter().map(|app| (*app, 1)).collect()),
        refusals: Mutex::default(),
        rejected: AtomicUsize::new(0),
    };
    let mut watchers: Vec<Watcher<'_>> = (0..5).map(|number| Watcher::start(place, number)).collect();
    let (mut kills, mut stops) = (0, 0);
    let failed = AtomicBool::new(false);
    // Who fails ends the race for all.
    let guard = |work: &dyn Fn()| {
        if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
            scene.over.store(true, Ordering::SeqCst);
            scene.done.store(true, Ordering::SeqCst);
            std::panic::resume_unwind(panic);
        }
    };
    std::thread::scope(|scope| {
        let people = [
            scope.spawn(|| guard(&|| people::says_words(&scene, seed))),
            scope.spawn(|| guard(&|| people::writes_versions(&scene, seed))),
            scope.spawn(|| guard(&|| people::commits_beside(&scene))),
        ];
        let mut random = Random::new(seed);
        let longest = Duration::from_secs(100) + Duration::from_secs(2) * u32::try_from(commits).unwrap();
        while !scene.done.load(Ordering::SeqCst) {
            if scene.commits.load(Ordering::SeqCst) >= commits {
                scene.over.store(true, Ordering::SeqCst);
            }
            let number = random.below(watchers.len());
            if random.below(3) == 0 {
                watchers[number].kill();
                kills += 1;
            } else {
                watchers[number].signal(Signal::STOP);
                std::thread::sleep(Duration::from_millis(100 + 10 * random.below(90) as u64));
                watchers[number].signal(Signal::CONT);
                stops += 1;
            }
            std::thread::sleep(Duration::from_millis(50 * random.below(12) as u64));
            if start.elapsed() > longest {
                scene.over.store(true, Ordering::SeqCst);
                scene.done.store(true, Ordering::SeqCst);
                failed.store(true, Ordering::SeqCst);
            }
        }
        for person in people {
            person.join().unwrap();
        }
        referee.head();
        let standing: Vec<String> = APPS.iter().map(|app| format!("{app}: {:?}", scene.state(&referee, app))).collect();
        assert!(!failed.load(Ordering::SeqCst), "not at rest after {longest:?}: {}", standing.join("\n"));
    });
    watchers.iter_mut().for_each(Watcher::end);
    let time = start.elapsed();
    let mut figures = judge(&scene, &referee, &before);
    (figures.kills, figures.stops, figures.time) = (kills, stops, time);
    figures
}

/// Everything that must hold in the end.
fn judge(scene: &Scene<'_>, referee: &Referee<'_>, before: &str) -> Figures {
    referee.check();
    let (mut lost_races, mut gave_up, mut mirrors) = (0, 0, 0);
    for number in 0..5 {
        let read = |end: &str| {
            std::fs::read_to_string(scene.place.folder.join(format!("{}.{end}", Watcher::name(number)))).unwrap_or_default()
        };
        for line in read("out").lines() {
            // A line that a kill has cut off tells nothing.
            if let Some((id, _)) = line.split_once(' ').filter(|(id, _)| id.len() == 10) {
                scene.acknowledge(&Watcher::name(number), id);
            }
        }
        for line in read("err").lines() {
            match allowed(line) {
                Some(Said::Wait) => {}
                Some(Said::Lost) => lost_races += 1,
                Some(Said::GaveUp) => gave_up += 1,
                Some(Said::Mirror) => mirrors += 1,
                None => panic!("watcher {number} said: {line}"),
            }
        }
    }
    let told_of = scene.acknowledged.lock().unwrap().clone();
    let acknowledged: BTreeSet<String> = told_of.iter().map(|(_, id)| id.clone()).collect();
    referee.holds_all(&acknowledged);
    let told = referee.commits(before);
    let (mut moves, mut words, mut notes) = (BTreeMap::new(), 0, 0);
    for commit in &told {
        assert_eq!(commit.parents.len(), 1, "{commit:?}");
        if commit.author == "Grace" {
            notes += 1;
        } else if commit.by {
            words += 1;
        } else {
            *moves.entry((commit.release.clone(), commit.step.clone())).or_insert(0) += 1;
        }
    }
    let twice: Vec<_> = moves.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "moves that were made twice: {twice:?}");
    // Nobody's release was forgotten.
    for (app, version) in scene.versions.lock().unwrap().iter() {
        let state = scene.state(referee, app);
        assert_eq!(state.phase, Phase::Healthy, "{app}");
        let live = referee.git(&["show", &format!("deploy:apps/{app}/deployment-{app}.yaml")]);
        assert!(live.contains(&format!("{app}:{version}")), "{app} is not at version {version}:\n{live}");
    }
    let rejected = scene.rejected.load(Ordering::SeqCst);
    let refusals = scene.refusals.lock().unwrap().clone();
    let (commits, moves, alike) = (told.len(), moves.len(), told_of.len() - acknowledged.len());
    let (kills, stops, time) = (0, 0, Duration::ZERO);
    Figures { commits, moves, words, notes, kills, stops, lost_races, rejected, gave_up, mirrors, alike, refusals, time }
}

enum Said {
    Wait,
    Lost,
    GaveUp,
    Mirror,
}

/// All that a watching process may say on stderr: its log of what it does (asked for by `-vv`), and what an app waits for.
fn allowed(line: &str) -> Option<Said> {
    let logged = |level: &str| line.contains(&format!(" {level} windlass::"));
    if line.contains("the live branch moved: decide again") {
        return Some(Said::Lost);
    }
    if logged("DEBUG") || logged("INFO") || line.contains(" DEBUG ") || line.contains(" INFO ") {
        return Some(Said::Wait);
    }
    if line.starts_with("waiting: the live branch moved 10 times in a row") {
        return Some(Said::GaveUp);
    }
    // A server that is slow to let go of its lock is waited for, too. Each of these two comes with a hint.
    let waits = line.starts_with("waiting: ") && line.contains("the branch is locked: ");
    let hints = ["hint: somebody else writes to this branch very often", "hint: another push may be at work"];
    if waits || hints.iter().any(|hint| line.starts_with(hint)) {
        return Some(Said::Wait);
    }
    if logged("WARN") && line.contains("the mirror") && line.contains("is made anew") {
        return Some(Said::Mirror);
    }
    let waits = ["approval ", "paused ", "not-applied ", "not-ready ", "soak ", "grace "];
    let (app, rest) = line.split_once(": ")?;
    (app.starts_with("apps/") && waits.iter().any(|wait| rest.starts_with(wait))).then_some(Said::Wait)
}

/// `WINDLASS_COMMITS`, or what is enough for a quick look.
pub(crate) fn wanted_commits(short: usize) -> usize {
    std::env::var("WINDLASS_COMMITS").ok().and_then(|text| text.parse().ok()).unwrap_or(short)
}

#[test]
fn a_watcher_may_wait_and_say_why_and_nothing_else() {
    let lines = [
        "waiting: the live branch moved 10 times in a row while deciding",
        "hint: somebody else writes to this branch very often; nothing is lost, run it again",
        "waiting: http://127.0.0.1:3000/w/race.git cannot be reached: the branch is locked: cannot lock ref",
        "hint: another push may be at work: the next try goes on from here",
        "apps/ant: approval of step 2 is missing",
    ];
    for line in lines {
        assert!(allowed(line).is_some(), "{line}");
    }
    for line in
        ["error: the branch is locked: cannot lock ref", "hint: check host and port", "waiting: the server has gone", "panicked"]
    {
        assert!(allowed(line).is_none(), "{line}");
    }
}

#[test]
fn five_processes_and_three_people_lose_nothing() {
    println!("{}", race(&Place::local(), wanted_commits(30), 1));
}

#[test]
fn nor_where_the_live_branch_has_a_repository_of_its_own() {
    println!("{}", race(&Place::apart(), wanted_commits(30), 2));
}
