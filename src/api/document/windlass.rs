//! `windlass.dev/v1alpha1` Rollout: Kruise's v1beta1 `spec` with more fields.

use schemars::JsonSchema;
use serde::Deserialize;

use super::kruise::{HeaderModifier, HttpMatch, Strategy, WorkloadRef};
use super::{Duration, IntOrString, Metadata, NotYet, Status};
use crate::api::model;

/// One app: a workload and the steps by which its new versions are released.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(title = "Windlass Rollout")]
#[allow(dead_code, reason = "apiVersion, kind and status are part of the schema")]
pub(crate) struct Rollout {
    /// `windlass.dev/v1alpha1`.
    pub(crate) api_version: String,
    /// `Rollout`.
    pub(crate) kind: String,
    pub(crate) metadata: Metadata,
    pub(crate) spec: Spec,
    #[serde(default)]
    pub(crate) status: Option<Status>,
}

/// What is rolled out, how, and what judges it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(dead_code, reason = "what is not supported yet is refused before this type is made")]
pub(crate) struct Spec {
    pub(crate) workload_ref: WorkloadRef,
    /// Freeze the app where it stands. Default false.
    #[serde(default)]
    pub(crate) disabled: bool,
    pub(crate) strategy: Strategy<Step>,
    /// How the manifests are made. Default: by what is in the directory of this file.
    #[serde(default)]
    pub(crate) source: Option<Source>,
    /// Where the live manifests go. Not supported yet: `paths` in `.windlass.yaml` maps them.
    #[serde(default)]
    pub(crate) target: Option<NotYet>,
    /// How convergence is observed. Default: as the repository says.
    #[serde(default)]
    pub(crate) observe: Option<Observe>,
    /// How moves reach the live branch. Default `commit`.
    #[serde(default)]
    pub(crate) delivery: Option<Delivery>,
    /// Metrics that judge every step.
    #[serde(default)]
    pub(crate) analysis: Option<Analysis>,
    /// What happens when a gate fails or a deadline passes. Default `rollback`.
    #[serde(default)]
    pub(crate) on_failure: Option<OnFailure>,
    /// How pods go back in a rollback. Default: as the annotation `rollouts.kruise.io/rollback-in-batch` says, else `atOnce`.
    #[serde(default)]
    pub(crate) rollback: Option<Rollback>,
    /// What happens to the source of a rejected candidate. Not supported yet.
    #[serde(default)]
    pub(crate) revert_source: Option<NotYet>,
    /// When moves are allowed. Not supported yet.
    #[serde(default)]
    pub(crate) windows: Option<NotYet>,
    /// Let Secret data that a renderer made up into Git. Default false.
    #[serde(default)]
    pub(crate) allow_secrets: bool,
    /// Give the ConfigMaps and Secrets that the workload's pods read names with a digest of their content, so that old pods keep
    /// the configuration of their version. For plain sources; kustomize's generators do it by themselves. Default false.
    #[serde(default)]
    pub(crate) track_config: bool,
}

/// How the manifests are made. The source is the directory of this file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(dead_code, reason = "what is not supported yet is refused before this type is made")]
pub(crate) struct Source {
    /// Another directory. Not supported yet.
    #[serde(default)]
    pub(crate) path: Option<NotYet>,
    /// How `helm template` renders the chart. Default, where there is a `Chart.yaml`: with the chart's own values.
    #[serde(default)]
    pub(crate) helm: Option<Helm>,
}

/// What `helm template` is told. Paths are relative to the directory of this file and may lead to others of the repository.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Helm {
    /// The chart's directory. Default: the directory of this file.
    #[serde(default)]
    pub(crate) chart: Option<String>,
    /// `.Release.Name`. Default: the chart's name.
    #[serde(default)]
    pub(crate) release_name: Option<String>,
    /// `.Release.Namespace`. Default: the Rollout's namespace, else `default`.
    #[serde(default)]
    pub(crate) namespace: Option<String>,
    /// Values files, beside the chart's own `values.yaml`; later ones win.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub(crate) values: Vec<String>,
    /// The Kubernetes version that templates are told, for example `1.34`. Default: the one that helm was built for.
    #[serde(default)]
    pub(crate) kube_version: Option<String>,
    /// API versions that templates find in the cluster beside Kubernetes' own, for example `monitoring.coreos.com/v1`.
    #[serde(default)]
    #[schemars(length(max = 200))]
    pub(crate) api_versions: Vec<String>,
    /// What becomes of objects that are hooks. Default `refuse`. Tests are always left out.
    #[serde(default)]
    pub(crate) hooks: Option<Hooks>,
}

/// What becomes of a chart's hooks, which a branch of manifests cannot run before or after others.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Hooks {
    /// An error that names them.
    Refuse,
    /// They are left out of the live tree.
    Skip,
}

/// One step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(dead_code, reason = "what is not supported yet is refused before this type is made")]
pub(crate) struct Step {
    /// Shown wherever the step is; for example `canary`.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Updated pods at the end of this step, counted from the release's start: pods, or percent (rounded up).
    #[serde(default)]
    pub(crate) replicas: Option<IntOrString>,
    /// Share of requests for the new version, for example `20%`.
    #[serde(default)]
    pub(crate) traffic: Option<String>,
    /// Requests for the new version by what they carry; any one of them suffices.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) matches: Vec<HttpMatch>,
    /// Changes to the headers of the requests for the new version.
    #[serde(default)]
    pub(crate) request_header_modifier: Option<HeaderModifier>,
    /// Share of requests to the stable version that the new version gets a copy of, for example `10%`.
    #[serde(default)]
    pub(crate) mirror: Option<String>,
    /// What to wait for after the step. Without a duration, and without `pause`: until somebody approves.
    #[serde(default)]
    pub(crate) pause: Option<Pause>,
    /// Longest wait of this step before `onFailure` decides; pauses and approvals are not counted. Default `10m`.
    #[serde(default)]
    pub(crate) timeout: Option<Duration>,
    /// What else must hold before the next step.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub(crate) gates: Vec<Gate>,
}

/// A pause after a step.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Pause {
    /// At least this long after the step has converged: seconds, or for example `5m`.
    #[serde(default)]
    pub(crate) duration: Option<Duration>,
}

/// A condition that a step waits for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(dead_code, reason = "what is not supported yet is refused before this type is made")]
pub(crate) enum Gate {
    /// This many different people must approve exactly this step's tree.
    Approval(Approval),
    /// An endpoint of the operator says so. Not supported yet.
    Webhook(NotYet),
    /// A Job completed. Not supported yet.
    Job(NotYet),
    /// Now is inside an allowed window. Not supported yet.
    Window(NotYet),
    /// Named checks on the move's commit are green. Not supported yet.
    CommitStatus(NotYet),
    /// Another Rollout reached a step. Not supported yet.
    Rollout(NotYet),
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Approval {
    /// Default 1.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub(crate) count: Option<u32>,
}

/// How Windlass learns that a commit was applied.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(dead_code, reason = "what is not supported yet is refused before this type is made")]
pub(crate) enum Observe {
    /// Reads the live workload.
    Kubernetes(Kubernetes),
    /// Looks at nothing: a commit counts as applied after a fixed time.
    Timed(Timed),
    /// Reads Argo CD's Application, and the live workload.
    #[serde(rename = "argocd")]
    ArgoCd(ArgoCd),
    /// Reads Flux' Kustomization, and the live workload.
    Flux(Flux),
    /// Reads the applier's status on the commit. Not supported yet.
    CommitStatus(NotYet),
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Kubernetes {}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Timed {
    /// The fixed time.
    pub(crate) settle: Duration,
}

/// The Application that applies the live path.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ArgoCd {
    /// Its name. Default: the Rollout's.
    #[serde(default)]
    pub(crate) application: Option<String>,
    /// Its namespace. Default `argocd`.
    #[serde(default)]
    pub(crate) namespace: Option<String>,
}

/// The Kustomization that applies the live path.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Flux {
    /// Its name. Default: the Rollout's.
    #[serde(default)]
    pub(crate) kustomization: Option<String>,
    /// Its namespace. Default `flux-system`.
    #[serde(default)]
    pub(crate) namespace: Option<String>,
}

/// How moves reach the live branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Delivery {
    /// Straight to the live branch.
    Commit,
    /// One pull request per move. Not supported yet.
    PullRequest,
}

/// What happens when a gate fails or a deadline passes.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum OnFailure {
    /// Back to the last stable version.
    Rollback,
    /// Wait for a person.
    Pause,
}

/// How pods go back in a rollback.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Rollback {
    /// By the workload's own strategy.
    AtOnce,
    /// In the steps' batches, each with its `pause`.
    InBatches,
}

/// What judges the steps.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Analysis {
    #[serde(default)]
    #[schemars(length(max = 50))]
    pub(crate) metrics: Vec<Metric>,
}

/// A number with limits. `interval`, `count` and the limits mean what Argo Rollouts' AnalysisTemplate means by them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(dead_code, reason = "what is not supported yet is refused before this type is made")]
pub(crate) struct Metric {
    #[schemars(length(min = 1))]
    pub(crate) name: String,
    /// A source by the name that the operator gave it (`windlass.yaml`).
    #[serde(default)]
    pub(crate) source: Option<String>,
    /// The query in the source's language; a template that knows `namespace`, `workload`, `stable.revision`,
    /// `candidate.revision`, `step` and `window`.
    #[serde(default)]
    pub(crate) query: Option<String>,
    /// How several samples of one answer become one number. Default `last`.
    #[serde(default)]
    pub(crate) reducer: Option<Reducer>,
    /// A look is good at this number or above.
    #[serde(default)]
    pub(crate) min: Option<f64>,
    /// A look is good at this number or below.
    #[serde(default)]
    pub(crate) max: Option<f64>,
    /// Time between looks. Default: one look only.
    #[serde(default)]
    pub(crate) interval: Option<Duration>,
    /// Looks that must be taken. Default 1 without an interval, with one as many as the step is long.
    #[serde(default)]
    pub(crate) count: Option<i32>,
    /// Time after convergence before the first look. Default 0.
    #[serde(default)]
    pub(crate) initial_delay: Option<Duration>,
    /// Fails when more looks than this failed. Default 0.
    #[serde(default)]
    pub(crate) failure_limit: Option<i32>,
    /// Inconclusive when more looks than this were. Default 0.
    #[serde(default)]
    pub(crate) inconclusive_limit: Option<i32>,
    /// Errors when more looks than this in a row could not be taken. Default 4.
    #[serde(default)]
    pub(crate) consecutive_error_limit: Option<i32>,
    /// Passes early after this many good looks in a row. Default 0: never.
    #[serde(default)]
    pub(crate) consecutive_success_limit: Option<i32>,
    /// What an empty answer means; it never passes. Default `hold`.
    #[serde(default)]
    pub(crate) no_data: Option<NoData>,
    /// Length of the query's `{{ window }}`. Default: the interval, at least `1m`.
    #[serde(default)]
    pub(crate) window: Option<Duration>,
    /// Canary against stable, by a sequential test. Not supported yet.
    #[serde(default)]
    pub(crate) compare: Option<NotYet>,
    /// Canary against stable, by Netflix's test. Not supported yet.
    #[serde(default)]
    pub(crate) kayenta: Option<NotYet>,
    /// How fast the error budget is spent. Not supported yet.
    #[serde(default)]
    pub(crate) burn_rate: Option<NotYet>,
}

/// How several samples become one number.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Reducer {
    Last,
    Mean,
    Min,
    Max,
    Sum,
}

/// What an empty or undefined answer means.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum NoData {
    /// Wait, until the step's deadline.
    Hold,
    Fail,
}

impl Reducer {
    pub(crate) fn model(self) -> model::Reducer {
        match self {
            Self::Last => model::Reducer::Last,
            Self::Mean => model::Reducer::Mean,
            Self::Min => model::Reducer::Min,
            Self::Max => model::Reducer::Max,
            Self::Sum => model::Reducer::Sum,
        }
    }
}
