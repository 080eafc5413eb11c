//! A person's word, and a look into the future: both for one app.

use super::discover::{self, Origin};
use super::layout::{self, AppId};
use super::tree::GitTree;
use super::{App, Made, Reconciler, Trouble, history, publish};
use crate::api::Repository;
use crate::engine::{self, Command, Planned, Refusal};
use crate::git::{Heads, Oid, Push};
use crate::manifest::ObjectKey;
use crate::render;
use crate::render::scope::Scopes;

/// How often a person's word that came too late is tried again: more often than a pass, and sooner, since nobody should have
/// to say it twice while processes race.
const TRIES: u32 = 40;

/// Whether a person means `id` by `name`: its live path, its Rollout's name, or `path:name`.
pub(super) fn is_called(id: &AppId, name: &str) -> bool {
    let name = name.trim_matches('/');
    id.path == name || id.name == name || id.to_string() == name
}

/// The app that a person means. With one app it need not be named.
///
/// # Errors
/// There is none, or several.
pub fn pick<'a>(apps: &'a [App], name: Option<&str>) -> Result<&'a App, Trouble> {
    let list = || apps.iter().map(|app| app.id.to_string()).collect::<Vec<_>>().join(", ");
    let refuse = |code, text| Err(Trouble::Refused { code, text });
    let mut fitting: Vec<&App> = apps.iter().filter(|app| name.is_none_or(|name| is_called(&app.id, name))).collect();
    if fitting.len() > 1 {
        // `shop` in `prod/shop` is called like the path that it shares with others.
        let exactly = |app: &&App| name.is_some_and(|name| app.id.to_string() == name.trim_matches('/'));
        if let Some(app) = fitting.iter().copied().find(exactly) {
            fitting = vec![app];
        }
    }
    match (fitting.as_slice(), name) {
        ([app], _) => Ok(app),
        ([], None) => refuse(
            "no-app",
            "no app: no directory of the source branch holds a Rollout file (`windlass init` writes one)".to_owned(),
        ),
        ([], Some(name)) => refuse("no-app", format!("no app is called `{name}`; there are: {}", list())),
        (_, None) => refuse("which-app", format!("several apps, name one: {}", list())),
        (_, Some(name)) => refuse("which-app", format!("`{name}` fits several apps, give one of these: {}", list())),
    }
}

impl Reconciler<'_> {
    /// Follows a person's word: one commit on the live branch.
    ///
    /// # Errors
    /// The word does not fit where the app stands ([`Trouble::Refused`]), or the repository cannot be reached.
    pub fn say(&mut self, name: Option<&str>, command: &Command, by: &str) -> Result<Made, Trouble> {
        self.mended(|this, _| this.try_say(name, command, by))
    }

    fn try_say(&mut self, name: Option<&str>, command: &Command, by: &str) -> Result<Made, Trouble> {
        for attempt in 1..=TRIES {
            let (heads, settings, apps) = self.look_at_all()?;
            let app = pick(&apps, name)?.clone();
            let gathered = self.gather(&heads, &settings, &app, true)?;
            let command = match (command, heads.live) {
                (Command::Adopt(_), Some(live)) => {
                    Command::Adopt(layout::adoptable(&*self.repo, live, &app.id, &gathered.rollout, gathered.files())?)
                }
                _ => command.clone(),
            };
            let step = match engine::command(&gathered.input(gathered.now), &command, by) {
                Ok(step) => step,
                Err(Refusal::No { code, text }) => return Err(Trouble::Refused { code, text }),
                Err(Refusal::Render(error)) => return Err(error.into()),
            };
            let (commit, subject) = self.write(&gathered, &step, heads.live, &settings)?;
            match self.repo.push(heads.live, commit)? {
                Push::Done => {
                    self.memory.rewritten.remove(&app.id);
                    self.memory.head = Some(commit);
                    return Ok(Made { app: app.id.to_string(), commit: commit.to_string(), subject });
                }
                Push::Moved => self.around.back_off(attempt.min(2)),
            }
        }
        Err(Trouble::Busy(TRIES))
    }

    /// Stops managing an app: its live path becomes the plain stable objects, its state and slots go.
    ///
    /// # Errors
    /// A release is on its way, or somebody changed the live path by hand.
    pub fn eject(&mut self, name: Option<&str>, by: &str) -> Result<Made, Trouble> {
        self.mended(|this, _| this.try_eject(name, by))
    }

    fn try_eject(&mut self, name: Option<&str>, by: &str) -> Result<Made, Trouble> {
        let refuse = |code, text: &str| Err(Trouble::Refused { code, text: text.to_owned() });
        for attempt in 1..=TRIES {
            let (heads, settings, apps) = self.look_at_all()?;
            let app = pick(&apps, name)?.clone();
            let (Some(live), Some(state)) = (heads.live, &app.state) else {
                return refuse("unknown-app", "Windlass has not taken this app over: there is nothing to eject");
            };
            if state.phase.is_busy() {
                return refuse("busy", "a release is on its way: `windlass promote` or `windlass rollback` ends it first");
            }
            let shares = app.parts.is_some() || !state.files.is_empty();
            if shares {
                match &app.origin {
                    Origin::Gone => {}
                    Origin::Broken(trouble) if app.parts.is_none() => return Err(trouble.clone()),
                    _ => {
                        return refuse(
                            "rollout-there",
                            "its Rollout file is still in the source, and the next pass would take its objects over again, as the \
                             source has them: remove the file there first",
                        );
                    }
                }
            }
            if shares && history::of(&*self.repo, &heads, &app.id, Some(state), &mut self.memory)? != engine::History::Ours {
                let text = "what people committed to its files must be settled first: `windlass status` says how";
                return refuse("foreign-change", text);
            }
            let objects = layout::read_slot(&*self.repo, live, &app.id, "stable")?.unwrap_or_default();
            let beside = |other: &App| other.id.path == app.id.path && other.id.name != app.id.name;
            let others = app.parts.is_some() && apps.iter().any(beside);
            let part = (&objects, state, others);
            let now = self.around.now().as_second();
            let (commit, subject) = publish::eject(&mut *self.repo, live, &app.id, part, &settings.author, now, by)?;
            match self.repo.push(heads.live, commit)? {
                Push::Done => {
                    self.memory.head = Some(commit);
                    return Ok(Made { app: app.id.to_string(), commit: commit.to_string(), subject });
                }
                Push::Moved => self.around.back_off(attempt.min(2)),
            }
        }
        Err(Trouble::Busy(TRIES))
    }

    /// Accepts a live branch that was rewritten.
    pub fn accept_history(&mut self, name: Option<&str>, by: &str) -> Result<Made, Trouble> {
        let (_, _, apps) = self.look_at_all()?;
        let app = pick(&apps, name)?.clone();
        if let Some(state) = app.state {
            self.memory.rewritten.insert(app.id, state);
        }
        self.say(name, &Command::Resume, by)
    }

    /// Every future commit of an app, from where it stands to where `source` (a commit; `None`: the source branch) leads.
    ///
    /// # Errors
    /// The app is not there, or its source cannot be read.
    pub fn forecast(&mut self, name: Option<&str>, source: Option<Oid>) -> Result<Forecast, Trouble> {
        let (mut heads, settings, mut apps) = self.look_at_all()?;
        if let Some(source) = source.filter(|source| *source != heads.source) {
            heads.source = source;
            let options = self.render_options(&settings);
            self.memory.rest.forget();
            apps = discover::apps(&*self.repo, &heads, &settings, &options, &mut self.memory)?;
        }
        let app = pick(&apps, name)?.clone();
        if let Origin::Broken(trouble) = &app.origin {
            return Err(trouble.clone());
        }
        let counted = self.counted(&heads, &settings, &app)?;
        let now = self.around.now();
        let repo = &*self.repo;
        let fresh = match &app.origin {
            Origin::Fresh(fresh) => Some(fresh.clone()),
            Origin::Gone | Origin::Broken(_) => None,
            Origin::Unchanged => {
                let directory = app.state.as_ref().map(|state| state.source.path.clone()).unwrap_or_default();
                let tree = GitTree::new(repo, heads.source);
                let options = self.render_options(&settings);
                let reading = discover::reading(&tree, &directory, &options, &mut self.memory.renders)?;
                // `run` keeps to what is recorded while the files are the same, whatever their renderer makes of them now.
                reading.one(&directory).filter(|fresh| {
                    let digest = render::set_digest(&fresh.objects);
                    app.state.as_ref().is_none_or(|state| {
                        state.candidate.as_ref().unwrap_or(&state.stable).digest == digest || state.rejected.contains(&digest)
                    })
                })
            }
        };
        let mut state = app.state.clone();
        let (mut stable, mut candidate, rollout) = match (heads.live, &app.state) {
            (Some(live), Some(_)) => (
                layout::read_slot(repo, live, &app.id, "stable")?,
                layout::read_slot(repo, live, &app.id, "candidate")?,
                layout::read_rollout(repo, live, &app.id)?,
            ),
            _ => (None, None, None),
        };
        let mut shared = None;
        if let Some(directory) = &app.parts {
            let (sharing, slots) = self.sharing(directory, heads.live, &app.id.name)?;
            if let (Some((newer, next)), Some(state)) = (slots, &mut state) {
                // What changes hands does so before.
                state.stable.digest = render::set_digest(&newer);
                if let (Some(facts), Some(next)) = (&mut state.candidate, &next) {
                    facts.digest = render::set_digest(next);
                }
                (stable, candidate) = (Some(newer), next);
            }
            shared = Some(sharing);
        }
        let rollout = fresh.as_ref().map(|fresh| fresh.rollout.clone()).or(rollout);
        let Some(rollout) = rollout else {
            return Err(Trouble::Refused { code: "no-rollout", text: format!("{} has no Rollout", app.id) });
        };
        let commit = heads.source.to_string();
        let input = fresh.as_ref().map(|fresh| engine::Source {
            path: &fresh.directory,
            commit: &commit,
            inputs: &fresh.inputs,
            objects: &fresh.objects,
        });
        let observe = rollout.observe.clone().unwrap_or_else(|| settings.observe.clone());
        let observed = observe.is_sight();
        let (planned, hold) = engine::forecast(
            &rollout,
            state.as_ref(),
            (stable.as_ref(), candidate.as_ref()),
            input.as_ref(),
            (observed, counted),
            now,
        )?;
        let live = match heads.live {
            Some(live) if app.state.is_some() || app.parts.is_none() => {
                let files = app.state.as_ref().map(|state| state.files.as_slice()).unwrap_or_default();
                layout::read_part(repo, live, &app.id.path, files)?
            }
            _ => None,
        };
        Ok(Forecast { app: app.id, rollout, planned, hold, observed, live: live.unwrap_or_default(), source: commit, shared })
    }
}

impl Reconciler<'_> {
    /// How many pods the workload has, where the cluster alone knows and a release is on its way or about to begin.
    fn counted(&mut self, heads: &Heads, settings: &Repository, app: &App) -> Result<Option<u32>, Trouble> {
        let size = match (&app.origin, heads.live, &app.state) {
            (_, _, None) => return Ok(None),
            (Origin::Fresh(fresh), _, _) => render::size(&fresh.rollout, &fresh.objects),
            (_, Some(live), Some(_)) => {
                let rollout = layout::read_rollout(&*self.repo, live, &app.id)?;
                let objects = layout::read_slot(&*self.repo, live, &app.id, "stable")?;
                rollout.zip(objects).map_or(Ok(Some(0)), |(rollout, objects)| render::size(&rollout, &objects))
            }
            _ => Ok(Some(0)),
        };
        if size != Ok(None) {
            return Ok(None);
        }
        Ok(self.gather(heads, settings, app, true)?.counts().map(|counts| counts.size))
    }
}

/// The future of one app.
#[derive(Debug, Clone)]
pub struct Forecast {
    pub app: AppId,
    pub rollout: crate::api::Rollout,
    pub planned: Vec<Planned>,
    /// What keeps the app from any further commit, whatever the gates say.
    pub hold: Option<engine::Hold>,
    pub observed: bool,
    /// What is live now.
    pub live: crate::manifest::ObjectSet,
    /// The source commit that it leads to.
    pub source: String,
    /// Where several Rollouts share the source directory: whose its objects are.
    pub shared: Option<Sharing>,
}

/// What the Rollouts of one directory share, and what becomes of it before any of them moves.
#[derive(Debug, Clone)]
pub struct Sharing {
    pub directory: String,
    pub scopes: Scopes,
    /// Objects of the rest that follow the source at once.
    pub changes: Vec<ObjectKey>,
    /// Objects that get another owner.
    pub hands: Vec<ObjectKey>,
}
