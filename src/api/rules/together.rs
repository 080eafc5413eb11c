//! Rules between documents: Rollouts of one directory, the objects beside them, the repository's paths.

use crate::api::diagnostic::{Diagnostic, Finding};
use crate::api::model::{Repository, Rollout, SharedRouting, TrafficRouting};
use crate::api::near;
use crate::api::path::Path;
use crate::api::read::{Document, Meaning};

use super::group;

/// What identifies an object for the rules.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    pub api_version: String,
    pub kind: String,
    pub namespace: Option<String>,
    pub name: String,
}

/// The objects of a source directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// All objects that the directory renders to.
    All(Vec<ObjectName>),
    /// Only a renderer could tell; nothing is said about missing objects.
    Unknown,
}

/// Judges the documents of one source directory together. `metric_sources`: the names that the operator defined, where they are known.
pub fn validate_together(documents: &[&Document], known: &Known, metric_sources: Option<&[String]>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let rollouts: Vec<(&Document, &Rollout)> = documents
        .iter()
        .filter_map(|document| match document.meaning() {
            Meaning::Rollout(rollout) => Some((*document, rollout)),
            _ => None,
        })
        .collect();
    let routings: Vec<(&Document, &SharedRouting)> = documents
        .iter()
        .filter_map(|document| match document.meaning() {
            Meaning::TrafficRouting(routing) => Some((*document, routing)),
            _ => None,
        })
        .collect();
    for (index, (document, routing)) in routings.iter().enumerate() {
        let earlier = routings.get(..index).unwrap_or_default();
        let mut findings = Vec::new();
        if let Some((before, _)) = earlier.iter().find(|(_, other)| other.name == routing.name) {
            let message = format!("two TrafficRoutings are named `{}`; the other is in {}", routing.name, before.file());
            findings.push(Finding::error("duplicate-name", &Path::of(&["metadata", "name"]), message));
        }
        if !rollouts.is_empty() && rollouts.iter().all(|(_, rollout)| !shares(rollout, routing)) {
            let message = "no Rollout of this directory shares it";
            let finding = Finding::warning("no-effect", &Path::of(&["metadata", "name"]), message);
            findings.push(finding.hint("`trafficRoutingRef` in a Rollout's strategy names it"));
        }
        if let Known::All(objects) = known {
            let look = Look { objects, namespace: None };
            look.routes(&routing.routings, &Path::of(&["spec", "objectRef"]), &mut findings);
        }
        found.extend(findings.into_iter().map(|finding| document.diagnostic(finding)));
    }
    for (index, (document, rollout)) in rollouts.iter().enumerate() {
        let earlier = rollouts.get(..index).unwrap_or_default();
        let mut findings = Vec::new();
        if let Some(other) = conflict(rollout, earlier) {
            let name = format!("{}/{}", other.namespace.as_deref().unwrap_or_default(), other.name);
            let message = format!("This rollout conflict with Rollout({name}), one workload only have less than one Rollout");
            findings.push(Finding::error("kruise", &document.workload_path(), message).at_key());
        } else if let Some((before, _)) = earlier.iter().find(|(_, other)| other.name == rollout.name) {
            let at = Path::of(&["metadata", "name"]);
            let message = format!("two Rollouts are named `{}`; the other is in {}", rollout.name, before.file());
            findings.push(Finding::error("duplicate-name", &at, message));
        }
        if let Known::All(objects) = known {
            missing(document, rollout, objects, &mut findings);
            findings.extend(unknown_routing(document, rollout, &routings));
        }
        if let Some(names) = metric_sources {
            for (index, metric) in rollout.metrics.iter().enumerate().filter(|(_, metric)| !names.contains(&metric.source)) {
                let at = Path::of(&["spec", "analysis", "metrics"]).index(index).key("source");
                let message = format!("unknown source `{}`", metric.source);
                let mut finding = Finding::error("metric-source", &at, message);
                finding.hint = near::hint(&metric.source, names.iter().map(String::as_str))
                    .or_else(|| Some("the operator defines sources in `windlass.yaml`".to_owned()));
                findings.push(finding);
            }
        }
        found.extend(findings.into_iter().map(|finding| document.diagnostic(finding)));
    }
    found
}

fn shares(rollout: &Rollout, routing: &SharedRouting) -> bool {
    rollout.shared.as_ref().is_some_and(|shared| shared.name == routing.name)
}

fn conflict<'a>(rollout: &Rollout, earlier: &[(&Document, &'a Rollout)]) -> Option<&'a Rollout> {
    earlier
        .iter()
        .map(|(_, other)| *other)
        .find(|other| other.workload == rollout.workload && other.namespace == rollout.namespace && other.name != rollout.name)
}

/// A Rollout that shares a routing which nobody describes.
fn unknown_routing(document: &Document, rollout: &Rollout, routings: &[(&Document, &SharedRouting)]) -> Option<Finding> {
    let name = &rollout.shared.as_ref()?.name;
    if routings.iter().any(|(_, routing)| routing.name == *name) {
        return None;
    }
    let message = format!("TrafficRouting `{name}` does not exist in this directory");
    let mut finding = Finding::error("unknown-routing", &document.shared_path(), message);
    finding.hint = near::hint(name, routings.iter().map(|(_, routing)| routing.name.as_str()))
        .or_else(|| Some("Rollouts that share a routing stand in one directory with it".to_owned()));
    Some(finding)
}

fn missing(document: &Document, rollout: &Rollout, objects: &[ObjectName], findings: &mut Vec<Finding>) {
    let look = Look { objects, namespace: rollout.namespace.as_deref() };
    let workload = &rollout.workload;
    let at = document.workload_path().key("name");
    look.at((group(&workload.api_version), &workload.kind, &workload.name), at, "workload", findings);
    let form = if rollout.style == crate::api::model::Style::BlueGreen { "blueGreen" } else { "canary" };
    look.routes(&rollout.routings, &Path::of(&["spec", "strategy", form, "trafficRoutings"]), findings);
}

/// Looks for what is named among the objects of a source.
struct Look<'a> {
    objects: &'a [ObjectName],
    /// Where the names mean something; `None`: anywhere.
    namespace: Option<&'a str>,
}

impl Look<'_> {
    fn at(&self, (in_group, kind, name): (&str, &str, &str), at: Path, what: &str, findings: &mut Vec<Finding>) {
        let of_kind = || self.objects.iter().filter(|object| group(&object.api_version) == in_group && object.kind == kind);
        let here = |object: &&ObjectName| self.namespace.zip(object.namespace.as_deref()).is_none_or(|(one, other)| one == other);
        if of_kind().filter(here).any(|object| object.name == name) {
            return;
        }
        let message = format!("{what} {kind} `{name}` does not exist in the source");
        let mut finding = Finding::error("missing-object", &at, message);
        finding.hint = match of_kind().find(|object| object.name == name) {
            Some(object) => object.namespace.as_ref().map(|namespace| format!("there is one in namespace `{namespace}`")),
            None => near::hint(name, of_kind().map(|object| object.name.as_str())),
        };
        findings.push(finding);
    }

    /// The Services and routes that routings name, which stand at a path of their document.
    fn routes(&self, routings: &[TrafficRouting], at: &Path, findings: &mut Vec<Finding>) {
        for (index, routing) in routings.iter().enumerate() {
            let at = at.index(index);
            self.at(("", "Service", &routing.service), at.key("service"), "the stable", findings);
            let mut routed = |named: (&str, &str, &str), at: Path| self.at(named, at, "the routing's", findings);
            if let Some(ingress) = &routing.ingress {
                let (of, kind) = match ingress.class_type.as_str() {
                    "traefik" => ("traefik.io", "TraefikService"),
                    _ => ("networking.k8s.io", "Ingress"),
                };
                routed((of, kind, &ingress.name), at.key("ingress").key("name"));
            }
            for (index, custom) in routing.custom.iter().enumerate() {
                let at = at.key("customNetworkRefs").index(index).key("name");
                routed((group(&custom.api_version), &custom.kind, &custom.name), at);
            }
            for (field, kind, name) in routing.gateway.iter().flat_map(crate::api::model::GatewayRouting::routes) {
                routed(("gateway.networking.k8s.io", kind, name), at.key("gateway").key(field));
            }
        }
    }
}

/// Why this source directory cannot be released with these settings: its live path is the source itself, or inside it, on
/// the branch that the source is read from. Windlass would read what it wrote.
pub fn path_conflict(repository: &Repository, source_branch: &str, source: &str) -> Option<String> {
    if repository.live_branch != source_branch || repository.live_url.is_some() {
        return None;
    }
    let live = repository.live_path(source);
    let inside = source.is_empty() || live == source || live.starts_with(&format!("{source}/"));
    let shown = |path: &str| if path.is_empty() { "the root".to_owned() } else { format!("`{path}`") };
    inside.then(|| {
        let relation = if live == source { "equal to" } else { "inside" };
        format!(
            "the live path {} is {relation} the source path {} on the same branch `{source_branch}`",
            shown(&live),
            shown(source)
        )
    })
}

/// Judges a repository's settings against the source directories that hold apps (relative to its root).
/// `source_branch`: the branch that the sources are read from, where it is known.
pub fn validate_repository(document: &Document, source_branch: Option<&str>, sources: &[String]) -> Vec<Diagnostic> {
    let Meaning::Repository(repository) = document.meaning() else { return Vec::new() };
    let mut found = Vec::new();
    if let Some(branch) = repository.source_branch.as_deref().or(source_branch) {
        let mut seen = Vec::new();
        for source in sources {
            let Some(message) = path_conflict(repository, branch, source) else { continue };
            let prefix =
                repository.paths.iter().map(|(from, _)| from).filter(|from| fits(from, source)).max_by_key(|from| from.len());
            let at = prefix.map_or(Path::of(&["liveBranch"]), |from| Path::of(&["paths", from]));
            if !seen.contains(&message) {
                let hint = "give another `liveBranch`, or map the path to one beside the source with `paths`";
                found.push(document.diagnostic(Finding::error("live-path", &at, message.clone()).hint(hint)));
                seen.push(message);
            }
        }
    }
    found
}

fn fits(prefix: &str, source: &str) -> bool {
    prefix.is_empty() || source == prefix || source.starts_with(&format!("{prefix}/"))
}
