//! The same scenarios with processes that die at every effect, and with faults drawn from seeds. Whatever happens, the same
//! commits must follow on each other.

use windlass::sim::scenario::{Conditions, Crash, Script, play};

use super::{all, each, judge};

type Story = std::collections::BTreeMap<String, Vec<(String, String)>>;

struct Trial<'a> {
    name: &'a str,
    script: &'a Script,
    conditions: Conditions,
    story: &'a Story,
}

impl Trial<'_> {
    /// What differs from the undisturbed play.
    fn run(&self) -> (u64, Option<String>) {
        let name = format!("{}, {:?}, seed {:?}", self.name, self.conditions.crash, self.conditions.chance);
        let played = match play(self.script, &self.conditions) {
            Ok(played) => played,
            Err(failure) => return (0, Some(format!("{name}: {failure}"))),
        };
        let mut wrong = judge(&name, self.script, &played);
        if played.story != *self.story {
            let text =
                |story: &Story| -> String { story.values().flatten().map(|(title, tree)| format!("{title} {tree}\n")).collect() };
            let (should, is) = (text(self.story), text(&played.story));
            let diff = similar::TextDiff::from_lines(&should, &is);
            wrong.push(format!("{name}: other commits\n{}", diff.unified_diff().context_radius(2)));
        }
        (played.faults, (!wrong.is_empty()).then(|| wrong.join("\n")))
    }
}

/// Plays all trials; gives the number of faults that happened.
fn report(trials: &[Trial<'_>], what: &str) -> u64 {
    let results = each(trials, Trial::run);
    let faults: u64 = results.iter().map(|(faults, _)| faults).sum();
    let wrong: Vec<&str> = results.iter().filter_map(|(_, wrong)| wrong.as_deref()).collect();
    eprintln!("{} {what}, {faults} faults, {} with other commits", trials.len(), wrong.len());
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        trials.len(),
        wrong.iter().take(10).copied().collect::<Vec<_>>().join("\n")
    );
    faults
}

/// A process dies before or after an effect (a fetch, a commit, a push), and another one takes its place with an empty
/// memory. Every so many effects of each scenario are tried, other ones in each; `WINDLASS_CRASHES=all` tries them all.
#[test]
fn a_crash_anywhere_changes_no_commit() {
    let stride = if std::env::var("WINDLASS_CRASHES").is_ok_and(|value| value == "all") { 1 } else { 120 };
    let all: Vec<_> = all().into_iter().filter(|(_, script)| script.directive("crash").is_none()).collect();
    let plays = each(&all, |(_, script)| {
        let played = play(script, &Conditions::default()).unwrap();
        // `status` has effects of its own, which a disturbed play leaves out.
        let quiet = Conditions { commits: Some(played.commits.clone()), ..Conditions::default() };
        let effects = play(script, &quiet).unwrap().effects;
        (played, effects)
    });
    let mut trials = Vec::new();
    for (index, ((name, script), (played, effects))) in all.iter().zip(&plays).enumerate() {
        for number in 1..=*effects {
            let place = usize::try_from(number).unwrap() + index;
            for crash in [Crash::Before(number), Crash::After(number)] {
                let side = usize::from(matches!(crash, Crash::After(_))) * stride / 2;
                if (place + side) % stride == 0 {
                    let conditions =
                        Conditions { crash: Some(crash), commits: Some(played.commits.clone()), ..Conditions::default() };
                    trials.push(Trial { name, script, conditions, story: &played.story });
                }
            }
        }
    }
    let crashes = report(&trials, &format!("crash points of {} scenarios", all.len()));
    assert_eq!(crashes, u64::try_from(trials.len()).unwrap(), "every planned crash happens");
}

/// Crashes, failed and lost pushes, failed and stale fetches at random, in two processes that race. `WINDLASS_SEEDS=N`
/// plays so many seeds of each scenario.
#[test]
fn random_faults_change_no_commit() {
    let seeds: u64 = std::env::var("WINDLASS_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(15);
    let chosen = ["20-new-candidate", "25-approvals", "52-two-processes"];
    let all: Vec<_> = all().into_iter().filter(|(name, _)| chosen.contains(&name.as_str())).collect();
    let plays = each(&all, |(_, script)| play(script, &Conditions::default()).unwrap());
    let mut trials = Vec::new();
    for ((name, script), played) in all.iter().zip(&plays) {
        for seed in 1..=seeds {
            let conditions =
                Conditions { chance: Some(seed), processes: 2, commits: Some(played.commits.clone()), ..Conditions::default() };
            trials.push(Trial { name, script, conditions, story: &played.story });
        }
    }
    let faults = report(&trials, &format!("seeds over {} scenarios", all.len()));
    assert!(faults > 0, "the seeds draw faults");
}
