//! Rules of our own: names, what cannot be carried out yet, the repository's and the operator's settings.

use super::{described, group, is_dns_name, kruise, metrics};
use crate::api::diagnostic::Finding;
use crate::api::document::Metadata;
use crate::api::document::config::Config;
use crate::api::document::kruise::{Strategy, TrafficRouting, WorkloadRef};
use crate::api::document::repository::Repository;
use crate::api::document::windlass::{Delivery, Observe, Rollout, Step};
use crate::api::model::Style;
use crate::api::path::Path;

/// Ingress classes of Kruise's and our own tables.
pub(super) const INGRESS_CLASSES: [&str; 6] = ["nginx", "aliyun-alb", "alb", "higress", "mse", "traefik"];

/// What `customNetworkRefs` can name without a script: group and kind.
pub const CUSTOM_KINDS: [(&str, &str); 17] = [
    ("networking.istio.io", "VirtualService"),
    ("networking.istio.io", "DestinationRule"),
    ("apisix.apache.org", "ApisixRoute"),
    ("traefik.io", "TraefikService"),
    ("traefik.containo.us", "TraefikService"),
    ("projectcontour.io", "HTTPProxy"),
    ("split.smi-spec.io", "TrafficSplit"),
    ("policy.linkerd.io", "HTTPRoute"),
    ("gateway.solo.io", "RouteTable"),
    ("kuma.io", "MeshHTTPRoute"),
    ("kuma.io", "MeshTCPRoute"),
    ("kuma.io", "TrafficRoute"),
    ("getambassador.io", "Mapping"),
    ("gateway.networking.k8s.io", "HTTPRoute"),
    ("gateway.networking.k8s.io", "GRPCRoute"),
    ("gateway.networking.k8s.io", "TLSRoute"),
    ("gateway.networking.k8s.io", "TCPRoute"),
];

fn not_yet(at: &Path, what: &str) -> Finding {
    Finding::error("not-supported-yet", at, format!("{what} is not supported yet"))
}

/// The rules for a `windlass.dev/v1alpha1` Rollout.
pub(crate) fn windlass_rollout(document: &Rollout) -> Vec<Finding> {
    let spec = &document.spec;
    let mut found = metadata(&document.metadata, &Path::of(&["metadata"]));
    kruise::strategy(&spec.workload_ref, &spec.strategy, false, &mut found);
    found.extend(super::shared::reference(&document.metadata, &spec.strategy));
    delivery(spec.delivery, &Path::of(&["spec", "delivery"]), &mut found);
    observe(spec.observe.as_ref(), &Path::of(&["spec", "observe"]), &mut found);
    if let Some(analysis) = &spec.analysis {
        metrics::metrics(&analysis.metrics, &Path::of(&["spec", "analysis", "metrics"]), &mut found);
    }
    if let Some(helm) = spec.source.as_ref().and_then(|source| source.helm.as_ref()) {
        super::sources::helm(helm, &Path::of(&["spec", "source", "helm"]), &mut found);
    }
    let canary = spec.strategy.canary.iter().map(|canary| ("canary", &canary.steps));
    let blue_green = spec.strategy.blue_green.iter().map(|blue_green| ("blueGreen", &blue_green.steps));
    for (form, steps) in canary.chain(blue_green) {
        step_names(steps, &Path::of(&["spec", "strategy", form, "steps"]), &mut found);
    }
    found
}

fn step_names(steps: &[Step], at: &Path, found: &mut Vec<Finding>) {
    for (index, step) in steps.iter().enumerate() {
        let at = at.index(index);
        if let Some(name) = &step.name {
            // A step's name stands in commit subjects and trailers.
            if name.is_empty() || name.chars().count() > 60 || name.chars().any(char::is_control) {
                let message = "a step's name has 1 to 60 characters on one line";
                found.push(Finding::error("bad-name", &at.key("name"), message));
            } else if steps.iter().take(index).any(|before| before.name.as_ref() == Some(name)) {
                found.push(Finding::error("duplicate-name", &at.key("name"), format!("two steps are named `{name}`")));
            }
        }
        if step.timeout.is_some_and(|timeout| timeout.seconds() == 0) {
            let message = "with a timeout of 0 the step fails before it can begin";
            found.push(Finding::error("bad-duration", &at.key("timeout"), message));
        }
    }
}

/// A name and a namespace.
pub(crate) fn metadata(metadata: &Metadata, at: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    if !is_dns_name(&metadata.name, 253, true) {
        let message = format!("`{}` is no Kubernetes name", metadata.name);
        found.push(Finding::error("bad-name", &at.key("name"), message).hint("lower-case letters, digits, `-` and `.`"));
    }
    if metadata.namespace.as_deref().is_some_and(|namespace| !is_dns_name(namespace, 63, false)) {
        let message = format!("`{}` is no namespace name", metadata.namespace.as_deref().unwrap_or_default());
        found.push(Finding::error("bad-name", &at.key("namespace"), message).hint("lower-case letters, digits and `-`"));
    }
    found
}

fn routes(strategy: &Strategy<Step>) -> bool {
    strategy.canary.as_ref().is_some_and(|canary| !canary.traffic_routings.is_empty())
}

/// What of Kruise's language cannot be carried out yet, and what has no effect.
pub(super) fn capabilities(
    workload: &WorkloadRef,
    at_workload: &Path,
    strategy: &Strategy<Step>,
    style: Style,
    at: &Path,
    found: &mut Vec<Finding>,
) {
    match (group(&workload.api_version), workload.kind.as_str()) {
        ("apps", "DaemonSet") if routes(strategy) => {
            let what = "traffic routing of a DaemonSet of apps/v1, which goes by nodes,";
            found.push(not_yet(&at_workload.key("kind"), what).hint(
                "leave out `trafficRoutings`: its Services reach the pods of both versions; or make it a DaemonSet of \
                 apps.kruise.io (Advanced DaemonSet)",
            ));
        }
        ("apps", "ReplicaSet") => {
            let what = "a ReplicaSet, which does not replace its pods when its template changes,";
            found.push(not_yet(&at_workload.key("kind"), what).hint("make it a Deployment"));
        }
        _ => {}
    }
    if style == Style::BlueGreen && workload.kind == "CloneSet" {
        whole_steps(strategy, at, found);
    }
    if style == Style::Partition && strategy.canary.as_ref().is_some_and(|canary| canary.patch_pod_template_metadata.is_some()) {
        let message = "`patchPodTemplateMetadata` has no effect without a second Deployment";
        found.push(Finding::warning("no-effect", &at.key("patchPodTemplateMetadata"), message).at_key());
    }
}

/// A CloneSet's controller makes all surge pods at once, and of a larger surge later only some (Kruise's documentation wants every
/// step of such a release to be 100 %).
fn whole_steps(strategy: &Strategy<Step>, at: &Path, found: &mut Vec<Finding>) {
    let steps = strategy.blue_green.iter().flat_map(|blue_green| &blue_green.steps);
    for (index, step) in steps.enumerate() {
        if step.replicas.as_ref().is_some_and(|amount| amount.percent() != Some(100)) {
            let message = "every step of a CloneSet's blueGreen release takes all pods: `replicas: 100%`";
            let hint = "its steps differ in `traffic`; `canary` updates a CloneSet in batches";
            found.push(Finding::error("kruise", &at.key("steps").index(index).key("replicas"), message).hint(hint));
        }
    }
}

/// What a routing names. Who carries it out is judged with the scripts of the source: [`super::missing_scripts`].
pub(super) fn providers(routing: &TrafficRouting, at: &Path, found: &mut Vec<Finding>) {
    for (index, reference) in routing.custom_network_refs.iter().flatten().enumerate() {
        if reference.name.is_empty() {
            let at = at.key("customNetworkRefs").index(index).key("name");
            found.push(Finding::error("empty", &at, "the name of the object is empty"));
        }
    }
}

fn delivery(delivery: Option<Delivery>, at: &Path, found: &mut Vec<Finding>) {
    if delivery == Some(Delivery::PullRequest) {
        found.push(not_yet(at, "delivery by pull request").hint("`commit` is, which is the default"));
    }
}

/// Names of an applier's object become part of a request's path.
fn observe(observe: Option<&Observe>, at: &Path, found: &mut Vec<Finding>) {
    let (kind, name, namespace) = match observe {
        Some(Observe::ArgoCd(argocd)) => (["argocd", "application"], &argocd.application, &argocd.namespace),
        Some(Observe::Flux(flux)) => (["flux", "kustomization"], &flux.kustomization, &flux.namespace),
        _ => return,
    };
    let [kind, field] = kind;
    for (field, value, longest, dots) in [(field, name, 253, true), ("namespace", namespace, 63, false)] {
        if let Some(value) = value.as_deref().filter(|value| !is_dns_name(value, longest, dots)) {
            let message = format!("`{value}` is no Kubernetes name");
            let finding = Finding::error("bad-name", &at.key(kind).key(field), message);
            found.push(finding.hint(if dots {
                "lower-case letters, digits, `-` and `.`"
            } else {
                "lower-case letters, digits and `-`"
            }));
        }
    }
}

/// The rules for a Repository.
pub(crate) fn repository(document: &Repository) -> Vec<Finding> {
    let mut found = Vec::new();
    for (field, branch) in [("sourceBranch", &document.source_branch), ("liveBranch", &document.live_branch)] {
        if let Some(branch) = branch
            && !is_branch(branch)
        {
            let message = format!("`{branch}` is no branch name");
            let hint = "write it as `git branch` shows it, without `refs/heads/`";
            found.push(Finding::error("bad-branch", &Path::of(&[field]), message).hint(hint));
        }
    }
    if let Some(url) = document.live.as_ref().and_then(|live| live.url.as_deref()) {
        found.extend(live_url(url));
    }
    let path = |at: &Path, path: &str, found: &mut Vec<Finding>| {
        if clean(path).is_none() {
            let message = format!("`{path}` is no path inside the repository");
            found.push(Finding::error("bad-path", at, message).hint("relative to the repository's root, with `/`, without `..`"));
        }
    };
    for (index, source) in document.sources.iter().flatten().enumerate() {
        path(&Path::of(&["sources"]).index(index), source, &mut found);
    }
    for (from, to) in &document.paths {
        let at = Path::of(&["paths", from]);
        path(&at, from, &mut found);
        path(&at, to, &mut found);
    }
    if let Some(author) = &document.author {
        for (field, value) in [("name", &author.name), ("email", &author.email)] {
            if value.trim().is_empty() || value.chars().any(|c| matches!(c, '<' | '>') || c.is_control()) {
                let message = format!("`{field}` must be one line without `<` and `>`");
                found.push(Finding::error("bad-author", &Path::of(&["author", field]), message));
            }
        }
    }
    if let Some(renderers) = &document.renderers {
        super::sources::renderers(renderers, &Path::of(&["renderers"]), &mut found);
    }
    described::workloads(&document.workloads, &mut found);
    delivery(document.delivery, &Path::of(&["delivery"]), &mut found);
    observe(document.observe.as_ref(), &Path::of(&["observe"]), &mut found);
    found
}

/// What is wrong with the address of the live branch's repository. Whether it can be used is said by the one that opens it; it is not
/// repeated here, since it may hold credentials.
fn live_url(url: &str) -> Option<Finding> {
    let at = Path::of(&["live", "url"]);
    let bad = |message: &str, hint: &str| Some(Finding::error("bad-url", &at, message).hint(hint));
    let (user, host) = match url.split_once("://") {
        Some(("https" | "http" | "ssh", rest)) => {
            let authority = rest.split('/').next().unwrap_or_default();
            authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host))
        }
        Some(("file", rest)) => (None, rest.strip_prefix("localhost").unwrap_or(rest)),
        // `user@host:path`; `name::address` would run a program.
        None if !url.contains("::") => {
            let authority = url.split_once(':').map_or("", |(authority, _)| authority);
            authority.rsplit_once('@').map_or((None, ""), |(user, host)| (Some(user), host))
        }
        _ => (None, ""),
    };
    let is_file = url.starts_with("file://");
    // It is shown in commands to copy: nothing that a shell takes for its own.
    let is_plain = url.chars().all(|one| one.is_ascii_alphanumeric() || "._~:/@%+-[]".contains(one)) && !url.starts_with('-');
    if !is_plain || host.is_empty() || host.starts_with('-') || host.starts_with('/') != is_file {
        return bad(
            "`url` is no address of a repository",
            "https://host/path, ssh://user@host/path, user@host:path or file:///folder",
        );
    }
    if user.is_some_and(|user| user.contains(':') || url.starts_with("http")) {
        return bad("a URL with a user or password in it", "the environment gives credentials: WINDLASS_LIVE_TOKEN");
    }
    None
}

/// A path inside a repository in its plain form (`""` for the root); `None` where it leads out, or into Git's or our own
/// directories.
pub(crate) fn clean(path: &str) -> Option<String> {
    if path.starts_with('/') || path.contains('\\') || path.chars().any(char::is_control) {
        return None;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let forbidden = |part: &&str| *part == ".." || part.eq_ignore_ascii_case(".git") || *part == ".windlass";
    if parts.iter().any(forbidden) { None } else { Some(parts.join("/")) }
}

/// The rules of `git check-ref-format --branch`.
fn is_branch(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    let forbidden = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    !name.starts_with('-')
        && !name.starts_with("refs/")
        && !name.ends_with('.')
        && name != "@"
        && name != "HEAD"
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(forbidden)
        && name.split('/').all(part)
}

/// The rules for an operator's Config.
pub(crate) fn config(document: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, source) in document.sources.iter().enumerate() {
        let at = Path::of(&["sources"]).index(index);
        if document.sources.iter().take(index).any(|before| before.name == source.name) {
            let message = format!("two sources are named `{}`", source.name);
            found.push(Finding::error("duplicate-name", &at.key("name"), message));
        }
        let Some(prometheus) = &source.prometheus else {
            let message = format!("source `{}` has no provider", source.name);
            found.push(Finding::error("no-provider", &at, message).hint("add `prometheus: {url: …}`"));
            continue;
        };
        let at = at.key("prometheus");
        url(&prometheus.url, &at, "url", "use `bearerTokenFile` or `headers`", &mut found);
        for (name, value) in &prometheus.headers {
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if name.is_empty() || !name.bytes().all(token) || value.chars().any(char::is_control) {
                let message = format!("`{name}` cannot be sent as a header");
                found.push(Finding::error("bad-header", &at.key("headers").key(name), message));
            }
        }
        if prometheus.bearer_token_file.as_deref() == Some("") {
            found.push(Finding::error("empty", &at.key("bearerTokenFile"), "`bearerTokenFile` is empty"));
        }
    }
    if let Some(argocd) = &document.argocd {
        let at = Path::of(&["argocd"]);
        url(&argocd.server, &at, "server", "use `tokenFile`", &mut found);
        for (field, file) in [("tokenFile", &argocd.token_file), ("caFile", &argocd.ca_file)] {
            if file.as_deref() == Some("") {
                found.push(Finding::error("empty", &at.key(field), format!("`{field}` is empty")));
            }
        }
    }
    found
}

fn url(url: &str, at: &Path, field: &str, instead: &str, found: &mut Vec<Finding>) {
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) || url.contains(char::is_whitespace) {
        let message = format!("`{field}` must begin with http:// or https:// and a host");
        found.push(Finding::error("bad-url", &at.key(field), message));
    } else if host.is_some_and(|host| host.split('/').next().unwrap_or_default().contains('@')) {
        let message = "a URL with a user or password in it";
        found.push(Finding::error("bad-url", &at.key(field), message).hint(instead));
    }
}
