//! How an app stands, in words that are the same in every world.

use std::collections::BTreeMap;
use std::fmt;

use crate::engine::State;

/// What a cluster shows of an app.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Picture {
    /// By version: Ready pods, and all that are not on their way out.
    pub pods: BTreeMap<String, (u32, u32)>,
    /// The part of plain requests that each version answers.
    pub shares: BTreeMap<String, f64>,
    /// The part that nobody answers.
    pub nobody: f64,
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pods: Vec<String> =
            self.pods.iter().map(|(version, (ready, all))| format!("{version}: {ready} of {all} ready")).collect();
        let mut shares: Vec<String> =
            self.shares.iter().map(|(version, share)| format!("{version}: {:.0} %", share * 100.0)).collect();
        if self.nobody > 0.0 {
            shares.push(format!("nobody: {:.0} %", self.nobody * 100.0));
        }
        write!(f, "pods {}; requests {}", pods.join(", "), shares.join(", "))
    }
}

/// Where the live branch says that an app stands, and the code of what it waits for: without times, commit ids and measured
/// numbers, which are others in every play.
pub fn standing(path: &str, state: &State, steps: usize, hold: Option<&str>) -> Vec<String> {
    let mut first = format!("{path} {:?}", state.phase);
    if state.step > 0 {
        first.push_str(&format!(", release {}, step {}/{steps}", state.release, state.step));
    }
    if let Some(code) = hold {
        first.push_str(&format!(", holds: {code}"));
    }
    let mut lines = vec![first];
    if let Some(outcome) = state.outcome.as_ref().filter(|_| state.step == 0) {
        let how = if outcome.completed { "completed" } else { "undone" };
        lines.push(format!("  release {} {how}: {}", outcome.release, masked(&outcome.why)));
    }
    lines
}

/// Commit ids and measured numbers become `…`.
fn masked(text: &str) -> String {
    let word = |word: &str| {
        let id = word.len() >= 10 && word.chars().all(|letter| letter.is_ascii_hexdigit());
        let number = word.contains('.') && word.parse::<f64>().is_ok();
        if id || number { "…".to_owned() } else { word.to_owned() }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_plays_is_masked() {
        assert_eq!(masked("Alice reverted a step with commit 2ab24343f5"), "Alice reverted a step with commit …");
        assert_eq!(masked("1 of 1 looks failed, 0 allowed; 0.1833 > max 0.05"), "1 of 1 looks failed, 0 allowed; … > max …");
        assert_eq!(masked("step 1: not done within 20s."), "step 1: not done within 20s.");
    }

    #[test]
    fn a_picture_says_who_answers() {
        let mut picture = Picture { nobody: 0.6, ..Picture::default() };
        picture.pods.insert("2".to_owned(), (3, 5));
        picture.shares.insert("2".to_owned(), 0.4);
        assert_eq!(picture.to_string(), "pods 2: 3 of 5 ready; requests 2: 40 %, nobody: 60 %");
    }
}
