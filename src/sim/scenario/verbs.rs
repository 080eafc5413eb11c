//! The commands of a scenario.

use super::app::App;
use super::script::Block;
use super::stage::{LIVE, Stage};
use super::time;
use crate::engine::Command;
use crate::git::trailers::Message;
use crate::git::{Oid, Repo as _};
use crate::manifest::ObjectSet;
use crate::reconcile::layout;
use crate::render;
use crate::sim::metrics::{Behaviour, Silence};
use crate::sim::world::EPOCH;

/// Far behind the end of every scenario, milliseconds.
const EVER: u64 = u64::MAX;

impl Stage<'_> {
    pub(super) fn command(&mut self, block: &Block, wanted: Option<usize>) -> Result<(), String> {
        let (verb, rest) = block.command.split_once(' ').unwrap_or((&block.command, ""));
        let rest = rest.trim();
        match verb {
            "app" => {
                self.apps.push(App::new(rest)?);
                self.current = self.apps.len() - 1;
            }
            "use" => {
                let place = self.apps.iter().position(|app| app.name == rest);
                self.current = place.ok_or_else(|| format!("no app `{rest}`"))?;
            }
            "set" => self.app()?.set(rest)?,
            "steps" => self.app()?.steps = rest.split_whitespace().map(str::to_owned).collect(),
            "metric" => self.app()?.metric(rest)?,
            "image" => {
                let app = self.app()?;
                app.set("never-ready=none crash=none")?;
                let (image, more) = rest.split_once(' ').unwrap_or((rest, ""));
                app.set(&format!("image={image} {more}"))?;
            }
            "file" => {
                let text: String = block.input.iter().map(|line| format!("{line}\n")).collect();
                self.raw.insert(rest.to_owned(), Some(text));
            }
            "delete" => drop(self.raw.insert(rest.to_owned(), None)),
            "restore" => drop(self.raw.remove(rest)),
            "commit" => self.commit_source(rest)?,
            "run" => self.run(time::read(rest)?, wanted)?,
            "until" => match rest.split_once(' ') {
                None if rest == "rest" => self.until(None, wanted)?,
                Some(("hold", code)) => self.until(Some(code), wanted)?,
                _ => return Err("`until rest` or `until hold CODE`".to_owned()),
            },
            "status" if self.is_disturbed() => {}
            "status" => self.status()?,
            "restart" => self.restart(),
            "processes" => self.staff(rest.parse().map_err(|_| format!("`{rest}` is no number"))?),
            _ => {
                return self
                    .word(verb, rest, wanted)
                    .and_then(|known| if known { Ok(()) } else { self.happen(verb, rest, block) });
            }
        }
        Ok(())
    }

    fn app(&mut self) -> Result<&mut App, String> {
        self.apps.get_mut(self.current).ok_or_else(|| "no app yet: `app` makes one".to_owned())
    }

    fn hands(&mut self) -> i64 {
        self.hands += 1;
        EPOCH - 86_400 + self.hands * 60
    }

    fn commit_source(&mut self, message: &str) -> Result<(), String> {
        let mut files = std::collections::BTreeMap::new();
        for app in &self.apps {
            files.extend(app.files()?);
        }
        for (path, content) in &self.raw {
            match content {
                Some(content) => drop(files.insert(path.clone(), content.clone())),
                None => drop(files.remove(path)),
            }
        }
        let mut changes: Vec<(&str, Option<&str>)> = Vec::new();
        for (path, content) in &files {
            if self.committed.get(path) != Some(content) {
                changes.push((path, Some(content)));
            }
        }
        changes.extend(self.committed.keys().filter(|path| !files.contains_key(*path)).map(|path| (path.as_str(), None)));
        if changes.is_empty() {
            return Err("nothing to commit".to_owned());
        }
        self.hands += 1;
        let time = EPOCH - 86_400 + self.hands * 60;
        let message = if message.is_empty() { "change" } else { message };
        self.remote.commit_source(&changes, message, time).map_err(|error| error.to_string())?;
        self.committed = files;
        Ok(())
    }

    /// Words that people say to Windlass. Says whether `verb` is one.
    fn word(&mut self, verb: &str, rest: &str, wanted: Option<usize>) -> Result<bool, String> {
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
        let name = self.app()?.name.clone();
        match verb {
            "eject" => self.say(wanted, |process| process.eject(Some(&name), &by))?,
            "accept-history" => self.say(wanted, |process| process.accept_history(Some(&name), &by))?,
            _ => self.say(wanted, |process| process.say(Some(&name), &command, &by))?,
        }
        Ok(true)
    }

    /// What the world does, and what others do to Git.
    fn happen(&mut self, verb: &str, rest: &str, block: &Block) -> Result<(), String> {
        match (verb, rest) {
            ("foreign", _) => self.foreign(rest, block)?,
            ("revert", _) => {
                let commit = self.at(rest)?;
                let time = self.hands();
                self.remote.revert(LIVE, commit, time).map_err(|error| error.to_string())?;
            }
            ("force-push", _) => {
                let commit = self.at(rest)?;
                self.remote.force_push(LIVE, commit).map_err(|error| error.to_string())?;
            }
            ("git", "down") => self.weather.down.set(true),
            ("git", "up") => self.weather.down.set(false),
            ("stale", _) => {
                let numbers: Vec<usize> = rest.split_whitespace().filter_map(|word| word.parse().ok()).collect();
                let [fetches, behind] = numbers.as_slice() else { return Err("`stale FETCHES BEHIND`".to_owned()) };
                self.weather.stale.set((u32::try_from(*fetches).unwrap_or(1), *behind));
            }
            ("lose", _) => self.weather.lose.set(rest.parse().map_err(|_| format!("`{rest}` is no number"))?),
            ("cluster", "down") => self.world.lock().cluster_down = true,
            ("cluster", "up") => self.world.lock().cluster_down = false,
            ("applier", "suspend") => self.world.lock().applier.suspended = true,
            ("applier", "resume") => self.world.lock().applier.suspended = false,
            ("applier", _) => {
                let count = rest.strip_prefix("partial ").and_then(|count| count.parse().ok());
                self.world.lock().applier.break_after = Some(count.ok_or("`applier suspend`, `resume` or `partial N`")?);
            }
            ("sicken" | "scale-live", _) => {
                let key = crate::sim::cluster::Cluster::workload(super::NAMESPACE, &self.app()?.workload());
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
            ("delete-broken", _) => {
                let key = crate::sim::cluster::Cluster::workload(super::NAMESPACE, &self.app()?.workload());
                self.world.lock().cluster.delete_broken(&key);
            }
            ("prometheus", _) => self.silence(rest)?,
            ("errors", _) => self.errors(rest)?,
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
        let back = match text.strip_prefix("HEAD") {
            Some("") => Some(0),
            Some(rest) => rest.strip_prefix('~').and_then(|number| number.parse().ok()),
            None => None,
        };
        let back: usize = back.ok_or_else(|| format!("`{text}` is neither HEAD nor HEAD~N"))?;
        self.log()?.get(back).map(|commit| commit.id).ok_or_else(|| format!("{text}: the live branch is not that long"))
    }

    /// `foreign PATH old => new`, or `foreign PATH` with the content as input.
    fn foreign(&mut self, rest: &str, block: &Block) -> Result<(), String> {
        let (path, change) = rest.split_once(' ').unwrap_or((rest, ""));
        let head = self.head().ok_or("the live branch does not exist yet")?;
        let content = match change.split_once(" => ") {
            None => block.input.iter().map(|line| format!("{line}\n")).collect(),
            Some((old, new)) => {
                let files = self.remote.files(head, "").map_err(|error| error.to_string())?;
                let text = files.get(path).map(|content| String::from_utf8_lossy(content).into_owned());
                let text = text.ok_or_else(|| format!("{path} is not on the live branch"))?;
                if !text.contains(old) {
                    return Err(format!("{path} does not hold `{old}`"));
                }
                text.replacen(old, new, 1)
            }
        };
        let time = self.hands();
        let message = format!("change {path}");
        self.remote.commit_live(&[(path, Some(&content))], &message, time).map_err(|error| error.to_string())?;
        Ok(())
    }

    fn silence(&mut self, what: &str) -> Result<(), String> {
        let mut state = self.world.lock();
        let now = state.cluster.now();
        let silence = match what {
            "down" => Silence::Outage,
            "nodata" => Silence::NoData,
            "nan" => Silence::NaN,
            "up" => {
                state.model.end_silence(now);
                return Ok(());
            }
            _ => return Err("`prometheus down`, `nodata`, `nan` or `up`".to_owned()),
        };
        state.model.silence(now, EVER, silence);
        Ok(())
    }

    /// `errors 2=0.2`: this part of the requests to version 2 fails from now on. A name that stands for the app's image.
    fn errors(&mut self, rest: &str) -> Result<(), String> {
        for word in rest.split_whitespace() {
            let (image, rate) = word.split_once('=').ok_or("`errors IMAGE=RATE`")?;
            let rate: f64 = rate.parse().map_err(|_| format!("`{rate}` is no part of 1"))?;
            let mut app = self.app()?.clone();
            app.set(&format!("image={image}"))?;
            let documents = crate::manifest::read("workload.yaml", &app.manifest()?).map_err(|error| error.to_string())?;
            let objects: ObjectSet = documents.into_iter().map(|document| document.object).collect();
            let revision = render::revision(&objects, &app.workload()).map_err(|error| error.to_string())?;
            let mut state = self.world.lock();
            let now = state.cluster.now();
            state.model.set_behaviour(&revision, now, Behaviour { error_rate: rate, latency_ms: 50.0 });
        }
        Ok(())
    }

    /// `request x-canary:yes`: who answers a request with this header.
    fn request(&mut self, rest: &str) -> Result<(), String> {
        let host = self.app()?.host();
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
