//! Looks at everything, as far as it can be reached, and lets the rules judge it.

use std::collections::BTreeSet;

use super::finding::{Area, Finding, Report};
use super::objects::{Item, Judged, Remote, Wanted};
use super::{appliers, argocd, flux, forge, repository, settings, workload};
use crate::api::{Observe, Repository, Rollout};
use crate::forge::Told;
use crate::git::{EntryKind, Heads};
use crate::manifest::ObjectSet;
use crate::observe::{Action, ClusterReader, Kind, ObserveError};
use crate::reconcile::discover::{self, App, Origin};
use crate::reconcile::layout::{self, join};
use crate::reconcile::{GitTree, Reconciler, Trouble};
use crate::render;

/// What `doctor` may use beside the repository.
pub struct Means<'a> {
    pub cluster: Result<ClusterReader, ObserveError>,
    /// Asks the forge about a branch; `None` where the repository is a folder, which has none.
    pub forge: &'a dyn Fn(&str) -> Option<Result<Told, String>>,
    /// The names of the operator's metric sources.
    pub metric_sources: Vec<String>,
    /// Told what is looked at next.
    pub progress: &'a mut dyn FnMut(&str),
}

const AUTOSCALERS: [Kind; 2] = [
    Kind { group: "autoscaling", version: "v2", kind: "HorizontalPodAutoscaler", plural: "horizontalpodautoscalers" },
    Kind { group: "keda.sh", version: "v1alpha1", kind: "ScaledObject", plural: "scaledobjects" },
];

impl Reconciler<'_> {
    /// Everything that would go wrong. Nothing is written, in the repository, the cluster or elsewhere. `already`: what the
    /// caller has found out by itself.
    pub fn examine(&mut self, means: &mut Means<'_>, already: Vec<Finding>) -> Report {
        let mut found = already;
        (means.progress)("the repository");
        let (apps, remote) = match self.of_repository(means, &mut found) {
            Ok(read) => read,
            Err(trouble) => {
                found.push(repository::unreadable(&self.repo.address(), &self.repo.live_address(), &trouble));
                (Vec::new(), None)
            }
        };
        (means.progress)("the cluster");
        let (rollouts, wanted): (Vec<Rollout>, Vec<Wanted>) = apps.into_iter().unzip();
        self.of_cluster(means, remote.as_ref(), &wanted, &mut found);
        (means.progress)("the metrics");
        self.of_metrics(means, &rollouts, &mut found);
        Report::new(found)
    }

    fn of_repository(&mut self, means: &Means<'_>, found: &mut Vec<Finding>) -> Result<(Apps, Option<Seen>), Trouble> {
        let (heads, settings) = self.read_settings()?;
        let source = self.repo.source_branch().unwrap_or_else(|| "HEAD".to_owned());
        let seen = format!("read; the source branch is `{source}`");
        found.push(Finding::fine("repository", Area::Repository, self.repo.address(), seen));
        let address = self.repo.live_address();
        if self.repo.is_apart() {
            found.push(repository::apart(&address, settings.live_url.as_deref()));
        }
        let push = repository::push(&address, &settings.live_branch, &self.repo.may_push());
        let may_push = push.level;
        found.push(push);
        if let Some(told) = (means.forge)(&settings.live_branch) {
            found.extend(forge::judge(&told, &settings.live_branch, heads.live.is_some(), may_push));
        }
        let live = format!("branch {}", settings.live_branch);
        match heads.live {
            Some(head) => {
                found.push(Finding::fine("live-branch", Area::Repository, live, "it is there"));
                let text = layout::read_file(&*self.repo, head, ".gitattributes")?;
                let is_ours = !layout::recorded_apps(&*self.repo, head)?.is_empty();
                let text = text.map(|text| String::from_utf8_lossy(&text).into_owned());
                found.extend(repository::attributes(&settings.live_branch, text.as_deref()).filter(|_| is_ours));
            }
            None => found.push(Finding::fine(
                "live-branch",
                Area::Repository,
                live,
                "not there yet: the first `windlass run` makes it",
            )),
        }
        let options = self.render_options(&settings);
        let apps = discover::apps(&*self.repo, &heads, &settings, &options, &mut self.memory)?;
        let mut wanted = Vec::new();
        for app in apps.iter().filter(|app| self.is_chosen(&app.id)) {
            match self.wanted(&heads, &settings, app) {
                Ok(Some(one)) => wanted.push(one),
                Ok(None) => {}
                Err(trouble) => found.push(repository::broken(&app.id.to_string(), &directory(app), &trouble)),
            }
        }
        if !apps.is_empty() && !apps.iter().any(|app| self.is_chosen(&app.id)) {
            found.push(repository::not_there(&self.only, apps.iter().map(|app| app.id.to_string()).collect()));
        }
        if !wanted.is_empty() || apps.is_empty() {
            found.push(repository::count(wanted.len()));
        }
        let tree = GitTree::new(&*self.repo, heads.source);
        found.extend(renderers(&tree, &options, &apps));
        let files = settings::from_source(&tree)?;
        let remote =
            Remote { address, live_branch: settings.live_branch.clone(), kustomizations: self.kustomizations(&heads, &wanted)? };
        Ok((wanted, Some(Seen { remote, files })))
    }

    fn wanted(&self, heads: &Heads, settings: &Repository, app: &App) -> Result<Option<(Rollout, Wanted)>, Trouble> {
        let slot = || -> Result<(Option<Rollout>, Option<ObjectSet>), Trouble> {
            let Some(live) = heads.live else { return Ok((None, None)) };
            Ok((layout::read_rollout(&*self.repo, live, &app.id)?, layout::read_slot(&*self.repo, live, &app.id, "stable")?))
        };
        let (rollout, objects) = match &app.origin {
            Origin::Broken(trouble) => return Err(trouble.clone()),
            Origin::Fresh(fresh) => {
                render::check(&fresh.rollout, &fresh.objects)?;
                (Some(fresh.rollout.clone()), Some(fresh.objects.clone()))
            }
            Origin::Unchanged | Origin::Gone => slot()?,
        };
        let Some(rollout) = rollout else { return Ok(None) };
        let workload = objects.as_ref().and_then(|objects| render::find_workload(objects, &rollout.workload).ok());
        let namespace =
            workload.and_then(|workload| workload.namespace().map(str::to_owned)).or_else(|| rollout.namespace.clone());
        let wanted = Wanted {
            app: app.id.to_string(),
            source_path: directory(app),
            live_path: app.id.path.clone(),
            namespace_is_written: namespace.is_some(),
            namespace: namespace.unwrap_or_else(|| self.around.default_namespace()),
            workload: rollout.workload.clone(),
            routes: rollout.steps.iter().any(crate::api::Step::routes),
            observe: rollout.observe.clone().unwrap_or_else(|| settings.observe.clone()),
            is_adopted: app.state.is_some(),
            is_scaled: workload
                .zip(objects.as_ref())
                .is_some_and(|(workload, objects)| render::workload::autoscaler::of(objects, workload).is_some()),
        };
        Ok(Some((rollout, wanted)))
    }

    /// Directories of the live branch, at or above a live path, with a kustomization file in them.
    fn kustomizations(&self, heads: &Heads, wanted: &[(Rollout, Wanted)]) -> Result<Vec<String>, Trouble> {
        let Some(live) = heads.live else { return Ok(Vec::new()) };
        let mut folders: BTreeSet<&str> = BTreeSet::from([""]);
        for (_, app) in wanted {
            let path = app.live_path.as_str();
            folders.extend(path.match_indices('/').filter_map(|(at, _)| path.get(..at)).chain([path]));
        }
        let mut found = Vec::new();
        for folder in folders {
            for name in ["kustomization.yaml", "kustomization.yml", "Kustomization"] {
                if self.repo.entry(live, &join(folder, name))?.is_some_and(|entry| entry.kind == EntryKind::File) {
                    found.push(folder.to_owned());
                }
            }
        }
        Ok(found)
    }

    fn of_cluster(&self, means: &Means<'_>, seen: Option<&Seen>, wanted: &[Wanted], found: &mut Vec<Finding>) {
        let is_needed = wanted.iter().any(|app| !matches!(app.observe, Observe::Timed { .. }));
        let mut read = settings::FromCluster::default();
        let reader = match &means.cluster {
            Ok(reader) => {
                read = settings::from_cluster(reader);
                match read.unreachable.take() {
                    None => Some(reader),
                    Some(error) => {
                        found.push(away(&error, is_needed));
                        None
                    }
                }
            }
            Err(error) => {
                found.push(away(error, is_needed));
                None
            }
        };
        found.append(&mut read.findings);
        // Of an app that nobody applies it is no news that its workload is missing.
        let mut unapplied: Vec<String> = Vec::new();
        if let Some(Seen { remote, files }) = seen {
            let items = settings::together(read.items, files.clone());
            let mut judged: Judged = flux::judge(remote, wanted, &items);
            let other = argocd::judge(remote, wanted, &items, &read.argocd);
            judged.findings.extend(other.findings);
            judged.applied.extend(other.applied);
            judged.nearly.extend(other.nearly);
            found.extend(appliers::judge(remote, wanted, &judged, reader.is_some() && read.is_complete, !items.is_empty()));
            found.append(&mut judged.findings);
            let is_applied = |app: &Wanted| judged.applied.iter().any(|one| one.in_cluster && one.app == app.app);
            if read.is_complete && !items.is_empty() {
                unapplied.extend(wanted.iter().filter(|app| !is_applied(app)).map(|app| app.app.clone()));
            }
        }
        if let Some(reader) = reader {
            of_workloads(reader, wanted, &unapplied, found);
        }
    }

    fn of_metrics(&self, means: &Means<'_>, rollouts: &[Rollout], found: &mut Vec<Finding>) {
        for name in &means.metric_sources {
            let subject = format!("source {name}");
            let answer = self.around.query(name, "vector(1)", self.around.now());
            found.push(match answer {
                #[expect(clippy::float_cmp, reason = "the query asks for exactly this number")]
                Ok(samples) if samples.iter().any(|sample| sample.value == 1.0) => {
                    Finding::fine("metrics", Area::Metrics, subject, "it answers")
                }
                Ok(_) => Finding::error("metrics", Area::Metrics, subject, "it answers `vector(1)` with something else than 1")
                    .so("gates that ask it never pass: at the deadline of the step the release is rolled back")
                    .mend("give the address of Prometheus itself (what stands before `/api/v1/query`) in windlass.yaml"),
                Err(error) => Finding::error("metrics", Area::Metrics, subject, error.to_string())
                    .so("gates that ask it never pass: at the deadline of the step the release is rolled back")
                    .mend("check the source's address, token and network in windlass.yaml"),
            });
        }
        for rollout in rollouts {
            for metric in rollout.metrics.iter().filter(|metric| !means.metric_sources.contains(&metric.source)) {
                let source = serde_json::json!({"sources": [{"name": metric.source, "prometheus": {"url": "https://HOST"}}]});
                found.push(
                    Finding::error(
                        "metrics-undefined",
                        Area::Metrics,
                        format!("metric {} of {}", metric.name, rollout.name),
                        format!("its source `{}` is not defined", metric.source),
                    )
                    .so("the gate never passes: at the deadline of the step the release is rolled back")
                    .mend_exactly(
                        "define it in the operator's windlass.yaml (`--config`)",
                        format!("apiVersion: windlass.dev/v1alpha1\nkind: Config\n{}", crate::manifest::write_value(&source)),
                    ),
                );
            }
        }
    }
}

type Apps = Vec<(Rollout, Wanted)>;

/// What the rules about appliers need of the repository.
struct Seen {
    remote: Remote,
    files: Vec<Item>,
}

fn directory(app: &App) -> String {
    match (&app.origin, &app.state) {
        (Origin::Fresh(fresh), _) => fresh.directory.clone(),
        (_, Some(state)) => state.source.path.clone(),
        _ => app.id.path.clone(),
    }
}

fn away(error: &ObserveError, is_needed: bool) -> Finding {
    let hint = match error {
        ObserveError::Refused { hint: Some(hint), .. } => hint.clone(),
        _ => "check the kubeconfig (`cluster` of windlass.yaml, `KUBECONFIG`) and the way to the API server".to_owned(),
    };
    let finding = if is_needed {
        Finding::error("cluster", Area::Cluster, "the cluster", error.to_string())
            .so("apps with `observe: {kubernetes: {}}` hold with `unreachable` until the deadline of the step; the applier's settings are not known")
    } else {
        Finding::unknown("cluster", Area::Cluster, "the cluster", format!("not looked at: {error}"))
    };
    finding.mend(hint)
}

/// The external renderers that sources need: whether they are there, in the version that the repository names.
fn renderers(tree: &GitTree<'_>, options: &crate::source::Options, apps: &[App]) -> Vec<Finding> {
    use crate::source::{RendererKind, renderer, renderer_version};
    let mut found = Vec::new();
    for kind in [RendererKind::Kustomize, RendererKind::Helm] {
        let needs = |app: &&App| {
            let directory = directory(app);
            // What is broken already has a finding of its own.
            let chart = super::super::spec::chart(tree, &directory, options).ok().flatten();
            let options = crate::source::Options { chart, ..options.clone() };
            renderer(tree, &directory, &options).ok().flatten() == Some(kind)
        };
        let Some(app) = apps.iter().find(needs) else { continue };
        let (name, wanted, install) = match kind {
            RendererKind::Kustomize => (
                "kustomize",
                &options.kustomize_version,
                "kustomize 5 (https://kubectl.docs.kubernetes.io/installation/kustomize)",
            ),
            RendererKind::Helm => ("helm", &options.helm_version, "helm 3 or 4 (https://helm.sh/docs/intro/install)"),
        };
        let so = format!("the source of {} cannot be rendered", app.id);
        found.push(match renderer_version(kind, options) {
            Ok(version) => match wanted {
                Some(wanted) if !crate::source::is_version(&version, wanted) => Finding::error(
                    "renderer",
                    Area::Environment,
                    name,
                    format!("{version}; `renderers` in .windlass.yaml wants {wanted}"),
                )
                .so(so)
                .mend(format!("install {name} {wanted} where Windlass runs, or change `renderers`")),
                _ => Finding::fine("renderer", Area::Environment, name, version),
            },
            Err(error) => Finding::error("renderer", Area::Environment, name, error.to_string())
                .so(so)
                .mend(format!("install {install} where Windlass runs, on its PATH")),
        });
    }
    found
}

fn of_workloads(reader: &ClusterReader, wanted: &[Wanted], unapplied: &[String], found: &mut Vec<Finding>) {
    let namespaces: BTreeSet<&str> = wanted.iter().map(|app| app.namespace.as_str()).collect();
    for namespace in namespaces {
        let observed = wanted.iter().filter(|app| app.namespace == namespace && app.observe == Observe::Kubernetes);
        let needed = workload::needed(observed.map(|app| &app.workload));
        if !needed.is_empty() {
            let ask = |(verb, group, resource)| {
                let action = Action { verb, group, resource, namespace: namespace.to_owned() };
                reader.may(&action).map(|may| ((verb, group, resource), may))
            };
            found.push(match needed.into_iter().map(ask).collect::<Result<Vec<_>, _>>() {
                Ok(asked) => workload::rights(namespace, &asked),
                Err(error) => Finding::unknown(
                    "rights",
                    Area::Cluster,
                    format!("rights in namespace {namespace}"),
                    format!("cannot be asked for: {error}"),
                ),
            });
        }
        for kind in AUTOSCALERS {
            match reader.list(kind, Some(namespace)) {
                Ok(list) => {
                    let items: Vec<Item> =
                        list.into_iter().flatten().map(|value| Item { value, file: None, in_cluster: true }).collect();
                    for app in wanted.iter().filter(|app| app.namespace == namespace) {
                        found.extend(workload::autoscalers(app, &items));
                    }
                }
                Err(error) => {
                    let subject = format!("{}s in namespace {namespace}", kind.kind);
                    let seen = format!("whether one scales a workload is not known: {error}");
                    found.push(Finding::unknown("autoscaler", Area::Cluster, subject, seen));
                }
            }
        }
    }
    for (app, kind) in wanted.iter().filter_map(|app| Some((app, workload::kind(&app.workload)?))) {
        if !app.namespace_is_written {
            found.push(
                Finding::warning(
                    "namespace",
                    Area::Cluster,
                    format!("app {}", app.app),
                    format!(
                        "neither the workload's manifest nor the Rollout names a namespace; Windlass looks in `{}`",
                        app.namespace
                    ),
                )
                .so("where the applier puts it elsewhere, Windlass never sees the commits arrive")
                .mend_exactly("write it into the Rollout, or the workload's manifest", "metadata:\n  namespace: NAMESPACE"),
            );
        }
        match reader.get(kind, &app.namespace, &app.workload.name) {
            Ok(None) if unapplied.contains(&app.app) => {}
            Ok(live) => found.extend(workload::judge(app, live.as_ref())),
            Err(error) => {
                let subject = format!("{} {}/{}", kind.kind, app.namespace, app.workload.name);
                found.push(Finding::unknown("workload", Area::Cluster, subject, error.to_string()));
            }
        }
    }
}
