//! What people say to Windlass, and what only the simulated world can do.

use super::stage::{LIVE, Stage};
use super::{ground, time};
use crate::engine::Command;
use crate::git::trailers::Message;
use crate::git::{Oid, Repo as _};
use crate::manifest::ObjectSet;
use crate::reconcile::layout;
use crate::sim::metrics::Silence;

/// Far behind the end of every scenario, milliseconds.
const EVER: u64 = u64::MAX;

impl Stage<'_> {
    /// Words that people say to Windlass. Says whether `verb` is one.
    pub(super) fn word(&mut self, verb: &str, rest: &str) -> Result<bool, String> {
        let why = |rest: &str| (!rest.is_empty()).then(|| rest.to_owned());
        let (command, by) = match verb {
            "approve" => (Command::Approve, rest),
            "pause" => {
                let (by, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                (Command::Pause { why: why(reason) }, by)
            }
            "resume" => (Command::Resume, rest),
            "rollback" => (Command::Rollback { now: rest == "now" }, ""),
            "goto" => (Command::Goto(rest.parse().map_err(|_| format!("`{rest}` is no step"))?), ""),
            "promote" => (Command::Promote, rest),
            "retry" => (Command::Retry, rest),
            "adopt" => (Command::Adopt(ObjectSet::default()), rest),
            "accept-history" | "eject" => (Command::Resume, rest),
            _ => return Ok(false),
        };
        let by = if by.is_empty() { "alice" } else { by }.to_owned();
        let name = self.desk.app()?.name.clone();
        match verb {
            "eject" => self.speak(|process| process.eject(Some(&name), &by))?,
            "accept-history" => self.speak(|process| process.accept_history(Some(&name), &by))?,
            _ => self.speak(|process| process.say(Some(&name), &command, &by))?,
        }
        Ok(true)
    }

    /// What this world alone can do.
    pub(super) fn happen(&mut self, verb: &str, rest: &str) -> Result<(), String> {
        match (verb, rest) {
            ("processes", _) => self.staff(rest.parse().map_err(|_| format!("`{rest}` is no number"))?),
            ("force-push", _) => {
                let commit = self.at(rest)?;
                self.remote.force_push(LIVE, commit).map_err(|error| error.to_string())?;
            }
            ("stale", _) => {
                let numbers: Vec<usize> = rest.split_whitespace().filter_map(|word| word.parse().ok()).collect();
                let [fetches, behind] = numbers.as_slice() else { return Err("`stale FETCHES BEHIND`".to_owned()) };
                self.weather.stale.set((u32::try_from(*fetches).unwrap_or(1), *behind));
            }
            ("lose", _) => self.weather.lose.set(rest.parse().map_err(|_| format!("`{rest}` is no number"))?),
            ("cluster", "down") => self.world.lock().cluster_down = true,
            ("cluster", "up") => self.world.lock().cluster_down = false,
            ("applier", _) => {
                let count = rest.strip_prefix("partial ").and_then(|count| count.parse().ok());
                self.world.lock().applier.break_after = Some(count.ok_or("`applier suspend`, `resume` or `partial N`")?);
            }
            ("sicken" | "scale-live", _) => {
                let key = crate::sim::cluster::Cluster::workload(super::NAMESPACE, &self.desk.app()?.workload());
                let count: u32 = rest.parse().map_err(|_| format!("`{rest}` is no number"))?;
                let cluster = &mut self.world.lock().cluster;
                if verb == "sicken" {
                    cluster.sicken_newest(&key, usize::try_from(count).unwrap_or(usize::MAX));
                } else {
                    cluster.scale(&key, count).map_err(|rejected| rejected.to_string())?;
                }
            }
            ("nodes", _) => {
                let nodes = rest.parse().map_err(|_| format!("`{rest}` is no number"))?;
                self.world.lock().cluster.set_nodes(nodes);
            }
            ("lose-node", _) => {
                let number: u32 =
                    rest.strip_prefix("node-").and_then(|number| number.parse().ok()).ok_or("`lose-node node-N`")?;
                self.world.lock().cluster.lose_node(number.saturating_sub(1));
            }
            ("delete-broken", _) => {
                let key = crate::sim::cluster::Cluster::workload(super::NAMESPACE, &self.desk.app()?.workload());
                self.world.lock().cluster.delete_broken(&key);
            }
            ("prometheus", "nodata") => self.silence(Some(Silence::NoData)),
            ("prometheus", "nan") => self.silence(Some(Silence::NaN)),
            ("clock", _) => {
                let (back, text) = rest.strip_prefix('-').map_or((1, rest), |text| (-1, text));
                let ms = i64::try_from(time::read(text)?).unwrap_or(i64::MAX);
                self.around.offset_ms.set(self.around.offset_ms.get() + back * ms);
            }
            ("request", _) => self.request(rest)?,
            ("trailers" | "message", _) => {
                let commit = self.at(if rest.is_empty() { "HEAD" } else { rest })?;
                let log = self.log()?;
                let text = log.iter().find(|info| info.id == commit).map(|info| info.message.clone()).unwrap_or_default();
                let message = Message::parse(&text);
                if verb == "message" {
                    self.out.push(message.subject().to_owned());
                    self.out.extend(message.body().lines().filter(|line| !line.is_empty()).map(str::to_owned));
                } else {
                    let ids = ["Windlass-Tree", "Windlass-Stable", "Windlass-Candidate", "Windlass-Source"];
                    let told = message.trailers().iter().filter(|trailer| !ids.contains(&trailer.key.as_str()));
                    self.out.extend(told.map(|trailer| format!("{}: {}", trailer.key, trailer.value)));
                }
            }
            ("live", _) => self.live(rest)?,
            _ => return Err(format!("`{verb}` is no command")),
        }
        Ok(())
    }

    /// `HEAD`, or `HEAD~N` of the live branch.
    fn at(&self, text: &str) -> Result<Oid, String> {
        self.ancestor(ground::back(text)?)
    }

    /// The commit of the live branch that lies so many behind its head.
    pub(super) fn ancestor(&self, back: usize) -> Result<Oid, String> {
        let commit = self.log()?.get(back).map(|commit| commit.id);
        commit.ok_or_else(|| format!("HEAD~{back}: the live branch is not that long"))
    }

    /// From now on Prometheus is silent in this way, or not any more.
    pub(super) fn silence(&mut self, silence: Option<Silence>) {
        let mut state = self.world.lock();
        let now = state.cluster.now();
        match silence {
            None => state.model.end_silence(now),
            Some(silence) => state.model.silence(now, EVER, silence),
        }
    }

    /// `request x-canary:yes`: who answers a request with this header.
    fn request(&mut self, rest: &str) -> Result<(), String> {
        let host = self.desk.app()?.host();
        let mut request = crate::sim::cluster::Request::to(&host);
        if let Some((name, value)) = rest.split_once(':') {
            request = request.header(name, value);
        }
        let answer = self.world.lock().cluster.traffic(&request, "version").map_err(|error| error.to_string())?;
        let parts: Vec<String> =
            answer.by_label.iter().map(|(version, share)| format!("{version}: {:.0} %", share * 100.0)).collect();
        self.out.push(format!("requests {}", parts.join(", ")));
        Ok(())
    }

    /// `live PATH`: a file of the live branch; of a directory, the names of its files.
    fn live(&mut self, path: &str) -> Result<(), String> {
        let head = self.head().ok_or("the live branch does not exist yet")?;
        self.reader.fetch().map_err(|error| error.to_string())?;
        let files = self.remote.files(head, path).map_err(|error| error.to_string())?;
        if files.is_empty() {
            let content = layout::read_file(&self.reader, head, path).map_err(|trouble| trouble.to_string())?;
            let content = content.ok_or_else(|| format!("{path} is not on the live branch"))?;
            self.out.extend(String::from_utf8_lossy(&content).lines().map(str::to_owned));
        } else {
            self.out.extend(files.into_keys());
        }
        Ok(())
    }
}
