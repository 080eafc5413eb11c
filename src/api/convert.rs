//! From documents without errors to what they mean, with the defaults filled in.

use super::described::{DescribedKind, FieldPath, StatusPaths};
use super::document::kruise::{self, HeaderModifier, HttpMatch, NamedMatchKind, PathMatchKind, Strategy, TrafficRouting};
use super::document::windlass::{self, Gate, NoData, Observe, OnFailure, Step};
use super::document::{IntOrString, Metadata, alpha, config, repository, shared};
use super::model;
use super::rules;

/// Kruise's CRD default, seconds.
const GRACE_PERIOD: u32 = 3;
/// A step's deadline where the document names none, seconds.
const TIMEOUT: u32 = 600;
/// Argo's default of `consecutiveErrorLimit`.
const CONSECUTIVE_ERRORS: u32 = 4;
/// The shortest default of a query's window, seconds.
const WINDOW: u32 = 60;

/// A value that a rule should have refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be used, though no rule says why; please report this")]
pub(crate) struct Unusable(&'static str);

pub(crate) fn windlass_rollout(document: windlass::Rollout) -> Result<model::Rollout, Unusable> {
    let spec = document.spec;
    let style = rules::style(&spec.workload_ref, &spec.strategy);
    let mut rollout = rollout(document.metadata, spec.workload_ref, spec.strategy, style)?;
    rollout.disabled = spec.disabled;
    rollout.observe = spec.observe.map(observe).transpose()?;
    let metrics = spec.analysis.map(|analysis| analysis.metrics).unwrap_or_default();
    rollout.metrics = metrics.into_iter().map(metric).collect::<Result<_, _>>()?;
    rollout.on_failure = match spec.on_failure {
        None | Some(OnFailure::Rollback) => model::OnFailure::Rollback,
        Some(OnFailure::Pause) => model::OnFailure::Pause,
    };
    match spec.rollback {
        None => {}
        Some(windlass::Rollback::AtOnce) => rollout.rollback = model::Rollback::AtOnce,
        Some(windlass::Rollback::InBatches) => rollout.rollback = model::Rollback::InBatches,
    }
    rollout.allow_secrets = spec.allow_secrets;
    rollout.track_config = spec.track_config;
    let namespace = rollout.namespace.clone();
    rollout.helm = spec.source.and_then(|source| source.helm).map(|helm| model::Helm {
        chart: helm.chart,
        release_name: helm.release_name,
        namespace: helm.namespace.or(namespace),
        values: helm.values,
        kube_version: helm.kube_version,
        api_versions: helm.api_versions,
        skip_hooks: matches!(helm.hooks, Some(windlass::Hooks::Skip)),
    });
    Ok(rollout)
}

pub(crate) fn kruise_rollout(document: kruise::Rollout) -> Result<model::Rollout, Unusable> {
    let strategy = document.spec.strategy.widen();
    let style = rules::style(&document.spec.workload_ref, &strategy);
    let mut rollout = rollout(document.metadata, document.spec.workload_ref, strategy, style)?;
    rollout.disabled = document.spec.disabled;
    Ok(rollout)
}

pub(crate) fn alpha_rollout(document: alpha::Rollout) -> Result<model::Rollout, Unusable> {
    let (workload, strategy, style) = rules::newer(&document).ok_or(Unusable("spec"))?;
    let mut rollout = rollout(document.metadata, workload, strategy, style)?;
    rollout.disabled = document.spec.disabled;
    Ok(rollout)
}

fn rollout(
    metadata: Metadata,
    workload: kruise::WorkloadRef,
    strategy: Strategy<Step>,
    style: model::Style,
) -> Result<model::Rollout, Unusable> {
    let paused = strategy.paused;
    let shared = rules::named(&metadata, &strategy).map(|name| model::SharedUse { name: name.to_owned(), routing: None });
    let metadata_of_extra = strategy.canary.as_ref().and_then(|canary| canary.patch_pod_template_metadata.clone());
    let (steps, routings, threshold, single) = match (strategy.canary, strategy.blue_green) {
        (Some(canary), None) => {
            (canary.steps, canary.traffic_routings, canary.failure_threshold, canary.disable_generate_canary_service)
        }
        (None, Some(form)) => (form.steps, form.traffic_routings, form.failure_threshold, form.disable_generate_canary_service),
        _ => return Err(Unusable("strategy")),
    };
    let in_batches = metadata.annotations.get(rules::IN_BATCHES).is_some_and(|value| value == "true");
    Ok(model::Rollout {
        name: metadata.name,
        namespace: metadata.namespace,
        workload: reference(workload),
        disabled: false,
        paused,
        style,
        steps: steps.into_iter().map(step).collect::<Result<_, _>>()?,
        routings: routings.into_iter().map(|one| routing(one, single)).collect::<Result<_, _>>()?,
        shared,
        extra_metadata: metadata_of_extra
            .filter(|_| style == model::Style::Canary)
            .map(|patch| model::PodMetadata { labels: patch.labels, annotations: patch.annotations }),
        failure_threshold: threshold.map(|threshold| amount(&threshold, "failureThreshold")).transpose()?,
        observe: None,
        metrics: Vec::new(),
        on_failure: model::OnFailure::Rollback,
        rollback: if in_batches { model::Rollback::InBatches } else { model::Rollback::AtOnce },
        allow_secrets: false,
        track_config: false,
        helm: None,
    })
}

fn reference(workload: kruise::WorkloadRef) -> model::WorkloadRef {
    model::WorkloadRef::new(workload.api_version, workload.kind, workload.name)
}

fn amount(amount: &IntOrString, field: &'static str) -> Result<model::Amount, Unusable> {
    let bad = Unusable(field);
    match amount {
        IntOrString::Int(pods) => u32::try_from(*pods).map(model::Amount::Pods).map_err(|_| bad),
        IntOrString::Text(_) => match amount.percent().map(u32::try_from) {
            Some(Ok(percent)) if percent <= 100 => Ok(model::Amount::Percent(percent)),
            _ => Err(bad),
        },
    }
}

fn step(step: Step) -> Result<model::Step, Unusable> {
    let traffic = match step.traffic {
        None => None,
        Some(traffic) => match amount(&IntOrString::Text(traffic), "traffic")? {
            model::Amount::Percent(percent) => Some(percent),
            model::Amount::Pods(_) => return Err(Unusable("traffic")),
        },
    };
    let gate = |gate: Gate| match gate {
        Gate::Approval(approval) => Ok(model::Gate::Approval { count: approval.count.unwrap_or(1) }),
        _ => Err(Unusable("gates")),
    };
    Ok(model::Step {
        name: step.name,
        replicas: amount(step.replicas.as_ref().ok_or(Unusable("replicas"))?, "replicas")?,
        traffic,
        matches: step.matches.into_iter().map(http_match).collect(),
        request_header_modifier: step.request_header_modifier.map(header_modifier),
        mirror: match step.mirror {
            None => None,
            Some(mirror) => match amount(&IntOrString::Text(mirror), "mirror")? {
                model::Amount::Percent(percent) => Some(percent),
                model::Amount::Pods(_) => return Err(Unusable("mirror")),
            },
        },
        pause: match step.pause.and_then(|pause| pause.duration) {
            None => model::Pause::Approval,
            Some(duration) => model::Pause::Seconds(duration.seconds()),
        },
        timeout: step.timeout.map_or(TIMEOUT, super::document::Duration::seconds),
        gates: step.gates.into_iter().map(gate).collect::<Result<_, _>>()?,
    })
}

fn routing(routing: TrafficRouting, disable_generate_canary_service: bool) -> Result<model::TrafficRouting, Unusable> {
    let grace = routing.grace_period_seconds.map(u32::try_from).transpose().map_err(|_| Unusable("gracePeriodSeconds"))?;
    Ok(model::TrafficRouting {
        service: routing.service,
        grace_period_seconds: grace.unwrap_or(GRACE_PERIOD),
        ingress: routing.ingress.map(|ingress| model::IngressRouting {
            class_type: ingress.class_type.filter(|class| !class.is_empty()).unwrap_or_else(|| "nginx".to_owned()),
            name: ingress.name,
        }),
        gateway: routing.gateway.map(|gateway| model::GatewayRouting {
            http_route_name: gateway.http_route_name,
            grpc_route_name: gateway.grpc_route_name,
            tls_route_name: gateway.tls_route_name,
            tcp_route_name: gateway.tcp_route_name,
        }),
        custom: routing.custom_network_refs.into_iter().flatten().map(reference).collect(),
        disable_generate_canary_service,
        scripts: std::collections::BTreeMap::new(),
    })
}

pub(crate) fn shared_routing(document: shared::TrafficRouting) -> Result<model::SharedRouting, Unusable> {
    let strategy = document.spec.strategy;
    Ok(model::SharedRouting {
        name: document.metadata.name,
        routings: document.spec.object_ref.into_iter().map(|one| routing(one, false)).collect::<Result<_, _>>()?,
        traffic: strategy.weight.map(u32::try_from).transpose().map_err(|_| Unusable("weight"))?,
        matches: strategy.matches.into_iter().map(http_match).collect(),
        request_header_modifier: strategy.request_header_modifier.map(header_modifier),
    })
}

fn http_match(one: HttpMatch) -> model::HttpMatch {
    let named = |one: kruise::NamedMatch| model::NamedMatch {
        kind: match one.kind {
            None | Some(NamedMatchKind::Exact) => model::MatchKind::Exact,
            Some(NamedMatchKind::RegularExpression) => model::MatchKind::RegularExpression,
        },
        name: one.name,
        value: one.value,
    };
    model::HttpMatch {
        path: one.path.map(|path| model::StringMatch {
            kind: match path.kind {
                Some(PathMatchKind::Exact) => model::MatchKind::Exact,
                None | Some(PathMatchKind::PathPrefix) => model::MatchKind::PathPrefix,
                Some(PathMatchKind::RegularExpression) => model::MatchKind::RegularExpression,
            },
            value: path.value.unwrap_or_else(|| "/".to_owned()),
        }),
        headers: one.headers.into_iter().map(named).collect(),
        query_params: one.query_params.into_iter().map(named).collect(),
    }
}

fn header_modifier(modifier: HeaderModifier) -> model::HeaderModifier {
    let pairs = |headers: Vec<kruise::Header>| headers.into_iter().map(|header| (header.name, header.value)).collect();
    model::HeaderModifier { set: pairs(modifier.set), add: pairs(modifier.add), remove: modifier.remove }
}

fn observe(observe: Observe) -> Result<model::Observe, Unusable> {
    match observe {
        Observe::Kubernetes(_) => Ok(model::Observe::Kubernetes),
        Observe::Timed(timed) => Ok(model::Observe::Timed { settle: timed.settle.seconds() }),
        Observe::ArgoCd(argocd) => Ok(model::Observe::ArgoCd {
            application: argocd.application,
            namespace: argocd.namespace.unwrap_or_else(|| "argocd".to_owned()),
        }),
        Observe::Flux(flux) => Ok(model::Observe::Flux {
            kustomization: flux.kustomization,
            namespace: flux.namespace.unwrap_or_else(|| "flux-system".to_owned()),
        }),
        Observe::CommitStatus(_) => Err(Unusable("observe")),
    }
}

fn metric(metric: windlass::Metric) -> Result<model::Metric, Unusable> {
    let number = |value: Option<i32>, default: u32, field: &'static str| match value {
        None => Ok(default),
        Some(value) => u32::try_from(value).map_err(|_| Unusable(field)),
    };
    let interval = metric.interval.map(super::document::Duration::seconds);
    let count = metric.count.map(|count| u32::try_from(count).map_err(|_| Unusable("count"))).transpose()?;
    Ok(model::Metric {
        name: metric.name,
        source: metric.source.ok_or(Unusable("source"))?,
        query: metric.query.ok_or(Unusable("query"))?,
        reducer: metric.reducer.map_or(model::Reducer::Last, windlass::Reducer::model),
        min: metric.min,
        max: metric.max,
        interval,
        count,
        initial_delay: metric.initial_delay.map_or(0, super::document::Duration::seconds),
        failure_limit: number(metric.failure_limit, 0, "failureLimit")?,
        inconclusive_limit: number(metric.inconclusive_limit, 0, "inconclusiveLimit")?,
        consecutive_error_limit: number(metric.consecutive_error_limit, CONSECUTIVE_ERRORS, "consecutiveErrorLimit")?,
        consecutive_success_limit: number(metric.consecutive_success_limit, 0, "consecutiveSuccessLimit")?,
        no_data: match metric.no_data {
            None | Some(NoData::Hold) => model::NoData::Hold,
            Some(NoData::Fail) => model::NoData::Fail,
        },
        window: metric.window.map_or(interval.unwrap_or(0).max(WINDOW), super::document::Duration::seconds),
    })
}

pub(crate) fn repository(document: repository::Repository) -> Result<model::Repository, Unusable> {
    let default = model::Repository::default();
    let clean = |path: &str| rules::clean(path).ok_or(Unusable("paths"));
    let sources = document.sources.map(|sources| sources.iter().map(|source| clean(source)).collect()).transpose()?;
    let paths = document.paths.iter().map(|(from, to)| Ok((clean(from)?, clean(to)?))).collect::<Result<_, _>>()?;
    let workloads = document.workloads.into_iter().map(workload).collect::<Result<_, _>>()?;
    Ok(model::Repository {
        source_branch: document.source_branch,
        live_branch: document.live_branch.unwrap_or(default.live_branch),
        live_url: document.live.and_then(|live| live.url),
        sources,
        paths,
        observe: document.observe.map(observe).transpose()?.unwrap_or(default.observe),
        author: document.author.map_or(default.author, |author| model::Author { name: author.name, email: author.email }),
        renderers: document
            .renderers
            .map_or(default.renderers, |versions| model::Renderers { helm: versions.helm, kustomize: versions.kustomize }),
        workloads,
    })
}

fn workload(entry: repository::Workload) -> Result<DescribedKind, Unusable> {
    let path = |root: &str, path: &str| FieldPath::below(root, path).map_err(|_| Unusable("workloads"));
    let [replicas, template, partition] = entry.paths.all().map(|(_, text)| path("spec", text));
    let given = entry.status.unwrap_or_default();
    let counted = |given: Option<String>, default: &str| path("status", &given.unwrap_or_else(|| format!("status.{default}")));
    let status = StatusPaths {
        observed_generation: counted(given.observed_generation, "observedGeneration")?,
        replicas: counted(given.replicas, "replicas")?,
        updated_replicas: counted(given.updated_replicas, "updatedReplicas")?,
        ready_replicas: counted(given.ready_replicas, "readyReplicas")?,
        updated_ready_replicas: counted(given.updated_ready_replicas, "updatedReadyReplicas")?,
    };
    let (replicas, template, partition) = (replicas?, template?, partition?);
    let plural = entry.plural.unwrap_or_else(|| DescribedKind::plural_of(&entry.kind));
    Ok(DescribedKind { group: entry.group, kind: entry.kind, plural, replicas, template, partition, status })
}

pub(crate) fn config(document: config::Config) -> Result<model::Config, Unusable> {
    let source = |source: config::Source| {
        let prometheus = source.prometheus.ok_or(Unusable("prometheus"))?;
        let provider = model::MetricProvider::Prometheus {
            url: prometheus.url.trim_end_matches('/').to_owned(),
            bearer_token_file: prometheus.bearer_token_file,
            headers: prometheus.headers.into_iter().collect(),
        };
        Ok(model::MetricSource { name: source.name, provider })
    };
    let cluster = document.cluster.map(|cluster| model::Cluster { kubeconfig: cluster.kubeconfig, context: cluster.context });
    Ok(model::Config {
        sources: document.sources.into_iter().map(source).collect::<Result<_, _>>()?,
        cluster: cluster.unwrap_or_default(),
        argocd: document.argocd.map(|argocd| model::ArgoCdServer {
            server: argocd.server.trim_end_matches('/').to_owned(),
            token_file: argocd.token_file,
            ca_file: argocd.ca_file,
        }),
    })
}
