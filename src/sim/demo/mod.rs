//! The demo: a real Git repository and a real HTTP server around a simulated cluster. It runs the real loop and shows
//! nothing by itself; the command line draws what each [`Frame`] holds.

mod manifests;
mod prometheus;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::metrics::Behaviour;
use super::world::World;
use crate::api::Observe;
use crate::git::{Change, NewCommit, Oid, Options, Person, Repo as _, Store};
use crate::metrics::{MetricsError, Prometheus, PrometheusOptions, Sample, Source as _};
use crate::observe::{Live, ObserveError, Sighting, Target};
use crate::reconcile::{AppReport, Made, Overrides, Pass, Reconciler, Surroundings, Trouble};

const SOURCE_BRANCH: &str = "main";
const LIVE_BRANCH: &str = "deploy";

/// The simulated world, but for its metrics: those come over HTTP.
pub struct DemoWorld {
    pub world: World,
    prometheus: Prometheus,
    _server: prometheus::Server,
}

impl DemoWorld {
    /// Starts the metrics server.
    ///
    /// # Errors
    /// No port can be had.
    pub fn start() -> Result<Self, Trouble> {
        let world = World::new(manifests::NAMESPACE, manifests::HOST, 800, 7);
        let server =
            prometheus::Server::start(world.clone()).map_err(|error| Trouble::Defect(format!("no port on loopback: {error}")))?;
        let prometheus = Prometheus::new(PrometheusOptions::new("prometheus", format!("http://{}", server.address)))?;
        Ok(Self { world, prometheus, _server: server })
    }
}

impl Surroundings for DemoWorld {
    fn now(&self) -> Timestamp {
        self.world.now()
    }

    fn observe(&self, how: &Observe, target: &Target, live: &Live<'_>) -> Result<Sighting, ObserveError> {
        self.world.observe(how, target, live)
    }

    fn query(&self, _source: &str, query: &str, now: Timestamp) -> Result<Vec<Sample>, MetricsError> {
        self.prometheus.query(query, now.as_second())
    }

    fn default_namespace(&self) -> String {
        manifests::NAMESPACE.to_owned()
    }

    fn back_off(&self, attempt: u32) {
        self.world.back_off(attempt);
    }

    fn render_options(&self) -> crate::source::Options {
        self.world.render_options()
    }
}

/// Which part of the story is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// Windlass meets the app.
    Adopt,
    /// A good release.
    Good,
    /// A release whose new version answers with errors.
    Bad,
    End,
}

impl Scene {
    /// What happens, in a sentence.
    pub fn tells(self) -> &'static str {
        match self {
            Self::Adopt => "Windlass meets the app and takes it over as it is",
            Self::Good => "version 2 is good: four steps, each judged by Prometheus",
            Self::Bad => "version 3 answers one request in four with an error",
            Self::End => "the end",
        }
    }
}

/// What there is to see at a moment.
#[derive(Debug, Clone)]
pub struct Frame {
    pub scene: Scene,
    pub report: Option<AppReport>,
    /// Pods of the stable and of the new version, and how many of all are Ready.
    pub old_pods: u32,
    pub new_pods: u32,
    pub ready: u32,
    /// Part of the requests that the new version answers, 0 to 1.
    pub traffic: f64,
    /// Published at this tick.
    pub commits: Vec<Made>,
    pub now: Timestamp,
}

/// The story with its repository.
pub struct Demo<'a> {
    world: &'a DemoWorld,
    reconciler: Reconciler<'a>,
    folder: PathBuf,
    scene: Scene,
    /// When the present scene began, milliseconds.
    since: u64,
    quiet_since: Option<u64>,
}

impl<'a> Demo<'a> {
    /// Makes the repository at `folder`, which must not exist, with the first version of the app.
    ///
    /// # Errors
    /// The repository cannot be made.
    pub fn new(world: &'a DemoWorld, folder: &Path) -> Result<Self, Trouble> {
        let fail = |error: git2::Error| Trouble::Defect(format!("{}: {}", folder.display(), error.message()));
        let repository = git2::Repository::init_bare(folder).map_err(fail)?;
        repository.set_head(&format!("refs/heads/{SOURCE_BRANCH}")).map_err(fail)?;
        let mut demo = Self {
            world,
            reconciler: Reconciler::new(Box::new(store(folder, LIVE_BRANCH)?), world, Overrides::default()),
            folder: folder.to_path_buf(),
            scene: Scene::Adopt,
            since: 0,
            quiet_since: None,
        };
        demo.release(1, "The shop's checkout")?;
        demo.reconciler.repo = Box::new(store(folder, LIVE_BRANCH)?);
        Ok(demo)
    }

    /// Commits a version of the app to the source branch, as a developer would.
    fn release(&mut self, version: u32, message: &str) -> Result<(), Trouble> {
        let mut source = store(&self.folder, SOURCE_BRANCH)?;
        let head = source.resolve(SOURCE_BRANCH).ok().flatten();
        let files =
            manifests::files(version).into_iter().map(|(path, text)| Change::File { path, content: text.into_bytes() }).collect();
        let commit = NewCommit {
            changes: files,
            message: format!("{message}\n"),
            author: Person { name: "Ada".to_owned(), email: "ada@shop.example".to_owned() },
            time: self.world.now().as_second(),
        };
        let id = source.write(head, &commit)?;
        source.push(head, id)?;
        Ok(())
    }

    /// Lets `ms` milliseconds of the demo's time pass, and the loop do what is due.
    ///
    /// # Errors
    /// The repository cannot be read or written.
    pub fn tick(&mut self, ms: u64) -> Result<Frame, Trouble> {
        self.world.world.advance(ms);
        let pass = self.reconciler.pass()?;
        let head: Option<Oid> = self.reconciler.repo.resolve(LIVE_BRANCH)?;
        self.world.world.publish(&*self.reconciler.repo, head)?;
        self.turn(&pass)?;
        Ok(self.frame(pass))
    }

    /// Goes on to the next scene once the present one has come to rest for a moment.
    fn turn(&mut self, pass: &Pass) -> Result<(), Trouble> {
        let now = self.world.world.elapsed();
        let at_rest = pass.commits.is_empty() && pass.apps.iter().all(|app| app.phase == "Healthy") && now > self.since + 3_000;
        if !at_rest {
            self.quiet_since = None;
            return Ok(());
        }
        let quiet = *self.quiet_since.get_or_insert(now);
        if now < quiet + 3_000 {
            return Ok(());
        }
        self.quiet_since = None;
        self.since = now;
        match self.scene {
            Scene::Adopt => {
                self.scene = Scene::Good;
                self.release(2, "Faster totals")?;
            }
            Scene::Good => {
                self.scene = Scene::Bad;
                let behaviour = Behaviour { error_rate: 0.25, latency_ms: 80.0 };
                self.world.world.lock().model.set_behaviour(&manifests::revision(3)?, now, behaviour);
                self.release(3, "New payment provider")?;
            }
            Scene::Bad | Scene::End => self.scene = Scene::End,
        }
        Ok(())
    }

    fn frame(&self, pass: Pass) -> Frame {
        let state = self.world.world.lock();
        let deployment = super::cluster::Cluster::deployment(manifests::NAMESPACE, manifests::NAME);
        let by_image = state.cluster.pods_by(&deployment, "/spec/containers/0/image");
        let newest = manifests::image(match self.scene {
            Scene::Adopt => 1,
            Scene::Good => 2,
            Scene::Bad | Scene::End => 3,
        });
        let (mut old_pods, mut new_pods, mut ready) = (0, 0, 0);
        for (image, counts) in by_image {
            ready += counts.ready;
            if image == newest && self.scene != Scene::Adopt { new_pods += counts.pods } else { old_pods += counts.pods }
        }
        let candidate = match self.scene {
            Scene::Good => manifests::revision(2).ok(),
            Scene::Bad => manifests::revision(3).ok(),
            Scene::Adopt | Scene::End => None,
        };
        let traffic = candidate.map_or(0.0, |revision| state.shares().of(&revision));
        drop(state);
        let now = self.world.now();
        Frame {
            scene: self.scene,
            report: pass.apps.into_iter().next(),
            old_pods,
            new_pods,
            ready,
            traffic,
            commits: pass.commits,
            now,
        }
    }
}

fn store(folder: &Path, live_branch: &str) -> Result<Store, Trouble> {
    let mut options = Options::new(folder.display().to_string(), live_branch);
    options.source = Some(SOURCE_BRANCH.to_owned());
    Ok(Store::open(options)?)
}
