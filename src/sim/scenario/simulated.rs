//! The simulated world as the ground of a scenario.

use super::desk::Desk;
use super::ground::Ground;
use super::script::Block;
use super::stage::{LIVE, Stage};
use super::{NAMESPACE, rests};
use crate::sim::metrics::{Behaviour, Silence};
use crate::sim::world::EPOCH;

impl Stage<'_> {
    /// The time of the next commit by hand.
    fn hands(&mut self) -> i64 {
        self.hands += 1;
        EPOCH - 86_400 + self.hands * 60
    }
}

impl Ground for Stage<'_> {
    fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }

    fn commit(&mut self, changes: &[(String, Option<String>)], message: &str) -> Result<(), String> {
        let time = self.hands();
        let changes: Vec<(&str, Option<&str>)> =
            changes.iter().map(|(path, content)| (path.as_str(), content.as_deref())).collect();
        self.remote.commit_source(&changes, message, time).map_err(|error| error.to_string()).map(drop)
    }

    fn run(&mut self, ms: u64) -> Result<(), String> {
        self.live_on(ms)
    }

    fn until(&mut self, code: Option<&str>) -> Result<(), String> {
        self.live_until(code)
    }

    fn status(&mut self) -> Result<(), String> {
        match (self.is_disturbed(), self.plain) {
            (true, _) => Ok(()),
            (false, true) => self.plain_status(),
            (false, false) => self.full_status(),
        }
    }

    fn restart(&mut self) -> Result<(), String> {
        self.revive_all();
        Ok(())
    }

    fn say(&mut self, verb: &str, rest: &str) -> Result<bool, String> {
        self.word(verb, rest)
    }

    fn foreign(&mut self, path: &str, change: &dyn Fn(Option<String>) -> Result<String, String>) -> Result<(), String> {
        let head = self.head().ok_or("the live branch does not exist yet")?;
        let files = self.remote.files(head, "").map_err(|error| error.to_string())?;
        let content = change(files.get(path).map(|content| String::from_utf8_lossy(content).into_owned()))?;
        let time = self.hands();
        let message = format!("change {path}");
        self.remote.commit_live(&[(path, Some(&content))], &message, time).map_err(|error| error.to_string()).map(drop)
    }

    fn revert(&mut self, back: usize) -> Result<(), String> {
        let commit = self.ancestor(back)?;
        let time = self.hands();
        self.remote.revert(LIVE, commit, time).map_err(|error| error.to_string()).map(drop)
    }

    fn git(&mut self, up: bool) -> Result<(), String> {
        self.weather.down.set(!up);
        Ok(())
    }

    fn applier(&mut self, up: bool) -> Result<(), String> {
        self.world.lock().applier.suspended = !up;
        Ok(())
    }

    fn prometheus(&mut self, up: bool) -> Result<(), String> {
        self.silence((!up).then_some(Silence::Outage));
        Ok(())
    }

    fn new_cluster(&mut self) -> Result<(), String> {
        let mut state = self.world.lock();
        self.findings.extend(rests::capacity(&self.desk.apps, self.spare.as_deref(), &state));
        state.new_cluster(NAMESPACE);
        self.submitted = None;
        Ok(())
    }

    fn errors(&mut self, revision: &str, rate: f64) -> Result<(), String> {
        let mut state = self.world.lock();
        let now = state.cluster.now();
        state.model.set_behaviour(revision, now, Behaviour { error_rate: rate, latency_ms: 50.0 });
        Ok(())
    }

    fn other(&mut self, verb: &str, rest: &str, _block: &Block) -> Result<(), String> {
        self.happen(verb, rest)
    }

    fn told(&mut self) -> Result<Vec<String>, String> {
        self.news()?;
        Ok(std::mem::take(&mut self.out))
    }
}
