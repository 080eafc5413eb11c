//! What a Rollout means, whatever version of the document it was written in.
//!
//! The parser, the schema and the documentation work on the documents; everything behind `api/` works on these types.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::described::DescribedKind;
use super::routing::give;
pub use super::routing::{
    GatewayRouting, HeaderModifier, HttpMatch, IngressRouting, MatchKind, NamedMatch, SCRIPTS, SharedRouting, SharedUse,
    StringMatch, TrafficRouting, custom_script, ingress_script,
};

/// A whole number of pods, or a percentage of the workload's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Amount {
    /// Pods.
    Pods(u32),
    /// Percent of the workload's size, 0 to 100.
    Percent(u32),
}

impl Amount {
    /// The number of pods for a workload of `size` pods: percent is rounded up, the result is clamped to `size`
    /// (Kruise, `batchrelease/control/util.go`).
    pub fn of(self, size: u32) -> u32 {
        let pods = match self {
            Self::Pods(pods) => pods,
            Self::Percent(percent) => u32::try_from((u64::from(percent) * u64::from(size)).div_ceil(100)).unwrap_or(u32::MAX),
        };
        pods.min(size)
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pods(pods) => write!(f, "{pods}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// One app: a Rollout with its strategy, in the meaning that all document versions share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    pub name: String,
    /// The namespace of the workload; `None` where the document names none.
    pub namespace: Option<String>,
    pub workload: WorkloadRef,
    /// Freeze the app where it stands.
    pub disabled: bool,
    /// Hold every move except rollback.
    pub paused: bool,
    pub style: Style,
    pub steps: Vec<Step>,
    pub routings: Vec<TrafficRouting>,
    /// A routing that it shares with other Rollouts of its directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedUse>,
    /// How many updated pods of a batch may be unready (percent of the updated pods, rounded up).
    pub failure_threshold: Option<Amount>,
    /// Labels and annotations for the pods of the second Deployment (canary style).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_metadata: Option<PodMetadata>,
    /// How convergence is observed; `None` takes the repository's default.
    pub observe: Option<Observe>,
    /// Metrics that every step is judged by, after its shift.
    pub metrics: Vec<Metric>,
    pub on_failure: OnFailure,
    /// How pods go back in a rollback.
    #[serde(default, skip_serializing_if = "Rollback::is_default")]
    pub rollback: Rollback,
    /// Let a renderer's own Secret data into Git.
    pub allow_secrets: bool,
    /// Name ConfigMaps and Secrets by their content.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub track_config: bool,
    /// How `helm template` renders the source; `None`: nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm: Option<Helm>,
}

/// What `helm template` is told. Paths are relative to the Rollout's directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Helm {
    /// The chart's directory; `None`: the Rollout's.
    pub chart: Option<String>,
    /// `None`: the chart's name.
    pub release_name: Option<String>,
    pub namespace: Option<String>,
    /// Values files; later ones win.
    pub values: Vec<String>,
    pub kube_version: Option<String>,
    pub api_versions: Vec<String>,
    /// Leave hooks out, instead of refusing them.
    pub skip_hooks: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodMetadata {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadRef {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    /// What the repository says of the kind, where Windlass does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described: Option<Box<DescribedKind>>,
}

/// Kruise's rolling styles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Style {
    /// The workload's own pods are replaced in batches.
    Partition,
    /// A second Deployment carries the new version.
    Canary,
    BlueGreen,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    pub name: Option<String>,
    /// Updated pods at the end of this step, counted from the release's start.
    pub replicas: Amount,
    /// Share of requests for the new version, percent.
    pub traffic: Option<u32>,
    /// Requests for the new version by what they carry; any one of them suffices.
    pub matches: Vec<HttpMatch>,
    pub request_header_modifier: Option<HeaderModifier>,
    /// Share of requests that the new version gets a copy of, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<u32>,
    pub pause: Pause,
    /// Longest wait of this step before `onFailure` decides, seconds; pauses and approvals are not counted.
    pub timeout: u32,
    pub gates: Vec<Gate>,
}

impl Step {
    /// Whether this step says anything about routing.
    pub fn routes(&self) -> bool {
        self.traffic.is_some() || !self.matches.is_empty() || self.mirror.is_some()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pause {
    /// Until somebody approves (`pause: {}`, or none at all).
    Approval,
    /// At least this many seconds after the step has converged.
    Seconds(u32),
}

/// A condition that a step waits for beside its pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Gate {
    /// This many different people must approve exactly this step's tree.
    Approval { count: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    Rollback,
    Pause,
}

/// How pods go back in a rollback.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rollback {
    /// By the workload's own strategy.
    #[default]
    AtOnce,
    /// In the steps' batches (Kruise's `rollback-in-batch`, for every kind).
    InBatches,
}

impl Rollback {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How Windlass learns that a commit was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Observe {
    /// Reads the live workload.
    Kubernetes,
    /// Looks at nothing: a commit counts as applied after this many seconds.
    Timed { settle: u32 },
    /// Reads Argo CD's Application and the live workload.
    #[serde(rename = "argocd")]
    ArgoCd {
        /// `None`: named like the Rollout.
        application: Option<String>,
        namespace: String,
    },
    /// Reads Flux' Kustomization and the live workload.
    Flux {
        /// `None`: named like the Rollout.
        kustomization: Option<String>,
        namespace: String,
    },
}

impl Observe {
    /// Whether anything that runs is looked at.
    pub fn is_sight(&self) -> bool {
        !matches!(self, Self::Timed { .. })
    }
}

/// A threshold metric; limits mean what Argo Rollouts' AnalysisTemplate means by them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metric {
    pub name: String,
    /// Name of a source that the operator has defined.
    pub source: String,
    /// Query template (minijinja) in the source's language.
    pub query: String,
    pub reducer: Reducer,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Seconds between looks; `None`: one look.
    pub interval: Option<u32>,
    /// Looks that must be taken; `None`: one without an interval, with one the step's whole soak.
    pub count: Option<u32>,
    /// Seconds after convergence before the first look.
    pub initial_delay: u32,
    /// Fails when more looks than this failed.
    pub failure_limit: u32,
    /// Inconclusive when more looks than this were.
    pub inconclusive_limit: u32,
    /// Errors when more looks than this in a row could not be taken.
    pub consecutive_error_limit: u32,
    /// Passes early after this many good looks in a row; 0: never.
    pub consecutive_success_limit: u32,
    pub no_data: NoData,
    /// Length of the query's `{{ window }}`, seconds.
    pub window: u32,
}

/// How several samples of one answer become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reducer {
    Last,
    Mean,
    Min,
    Max,
    Sum,
}

/// What an empty or undefined answer means. It never passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NoData {
    Hold,
    Fail,
}

impl Rollout {
    /// Where scripts for its routes would be, below [`SCRIPTS`], each once.
    pub fn wanted_scripts(&self) -> BTreeSet<String> {
        self.routings.iter().flat_map(TrafficRouting::wanted_scripts).collect()
    }

    /// Gives each routing those of the scripts that it wants.
    pub fn give_scripts(&mut self, scripts: &BTreeMap<String, String>) {
        give(&mut self.routings, scripts);
    }

    /// Takes the scripts out of it.
    pub fn take_scripts(&mut self) -> BTreeMap<String, String> {
        self.routings.iter_mut().flat_map(|routing| std::mem::take(&mut routing.scripts)).collect()
    }
}

/// A repository's own settings (`.windlass.yaml`), with the defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Repository {
    /// `None`: the branch that the remote's HEAD names.
    pub source_branch: Option<String>,
    pub live_branch: String,
    /// The repository with the live branch; `None`: the source's.
    #[serde(default)]
    pub live_url: Option<String>,
    /// Source directories that hold apps; `None`: every directory with a Rollout file.
    pub sources: Option<Vec<String>>,
    /// Source path prefix → live path prefix; the longest prefix that fits is replaced.
    pub paths: Vec<(String, String)>,
    pub observe: Observe,
    /// Author and committer of Windlass' commits.
    pub author: Author,
    /// The only versions of the external renderers that may render.
    #[serde(default)]
    pub renderers: Renderers,
    /// Kinds of workloads that Windlass does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workloads: Vec<DescribedKind>,
}

/// Versions of external renderers; `None`: whatever is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Renderers {
    pub helm: Option<String>,
    pub kustomize: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Author {
    pub name: String,
    pub email: String,
}

impl Default for Repository {
    fn default() -> Self {
        Self {
            source_branch: None,
            live_branch: "deploy".to_owned(),
            live_url: None,
            sources: None,
            paths: Vec::new(),
            observe: Observe::Kubernetes,
            author: Author { name: "Windlass".to_owned(), email: "windlass@users.noreply.invalid".to_owned() },
            renderers: Renderers::default(),
            workloads: Vec::new(),
        }
    }
}

/// What the operator gives to every repository (`windlass.yaml`), with the defaults filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    pub sources: Vec<MetricSource>,
    pub cluster: Cluster,
    /// Argo CD's own API, where the observer `argocd` asks that instead of the cluster.
    pub argocd: Option<ArgoCdServer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArgoCdServer {
    /// What stands before `/api/v1`, without a slash at its end.
    pub server: String,
    /// A file with the token, read for each look.
    pub token_file: Option<String>,
    /// A file of certificate authorities, believed instead of the system's.
    pub ca_file: Option<String>,
}

/// A metric source by the name that Rollouts know it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricSource {
    pub name: String,
    pub provider: MetricProvider,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MetricProvider {
    Prometheus {
        /// `http` or `https`; what stands before `/api/v1/query`, without a slash at its end.
        url: String,
        /// A file with the token, read anew for each query.
        bearer_token_file: Option<String>,
        headers: Vec<(String, String)>,
    },
}

/// The cluster that is read; `None`: as kubectl finds it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    pub kubeconfig: Option<String>,
    pub context: Option<String>,
}

/// What a metric's query template may use. `stable` and `candidate` have a `revision` each.
pub const QUERY_VARIABLES: [&str; 6] = ["namespace", "workload", "stable", "candidate", "step", "window"];

impl Repository {
    /// The live path of a source directory (both relative to their branch's root, `""` for the root itself).
    pub fn live_path(&self, source: &str) -> String {
        let fits = |prefix: &str| prefix.is_empty() || source == prefix || source.starts_with(&format!("{prefix}/"));
        match self.paths.iter().filter(|(from, _)| fits(from)).max_by_key(|(from, _)| from.len()) {
            None => source.to_owned(),
            Some((from, to)) => {
                let rest = source[from.len()..].trim_start_matches('/');
                [to.as_str(), rest].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/")
            }
        }
    }
}
