//! Rollout and settings documents, as the loop reads them: usable, or every finding in one text.

use std::collections::BTreeMap;

use super::{Trouble, kinds, scripts};
use crate::api::{
    self, DescribedKind, Diagnostic, Document, Known, Meaning, Metric, ObjectName, Repository, Rollout, SharedRouting, SharedUse,
    WorkloadRef,
};
use crate::manifest::ObjectSet;
use crate::metrics::template;
use crate::render::scope::Member;
use crate::render::{RenderError, traffic};
use crate::source::{self, Chart, Options, RendererKind, Tree};

/// The Rollout of a source directory, judged together with the objects beside it, with the source's scripts for its routes.
/// What was looked for among these is noted in `inputs`.
pub(super) fn the_rollout(
    directory: &str,
    files: &[(String, String)],
    objects: &ObjectSet,
    tree: &dyn Tree,
    inputs: &mut BTreeMap<String, String>,
) -> Result<Rollout, Trouble> {
    let mut documents: Vec<Document> = Vec::new();
    let mut findings: Vec<Diagnostic> = Vec::new();
    for (path, text) in files {
        let (read, _) = kinds::read(tree, path, text, inputs)?;
        findings.extend(read.findings);
        documents.extend(read.documents);
    }
    let known = known(objects);
    let references: Vec<&Document> = documents.iter().collect();
    findings.extend(api::validate_together(&references, &known, None));
    let mut scripts = BTreeMap::new();
    for document in &documents {
        if let Meaning::Rollout(rollout) = document.meaning() {
            scripts.extend(scripts::find(tree, &rollout.wanted_scripts(), inputs)?);
            findings.extend(api::missing_scripts(document, &|path| scripts.contains_key(path)));
        }
    }
    findings.retain(Diagnostic::is_error);
    if !findings.is_empty() {
        return Err(Trouble::Invalid(text(&findings)));
    }
    for (document, metric) in metrics(&documents) {
        if let Err(error) = template::check(&metric.query) {
            return Err(Trouble::Invalid(format!("{}: metric `{}`: {error}", document.file(), metric.name)));
        }
    }
    let rollout = documents.into_iter().find_map(|document| match document.into_meaning() {
        Meaning::Rollout(rollout) => Some(rollout),
        _ => None,
    });
    let rollout = rollout.map(|mut rollout| {
        rollout.give_scripts(&scripts);
        rollout
    });
    rollout.ok_or_else(|| Trouble::Invalid(format!("{directory}: no Rollout file; `windlass init {directory}` writes one")))
}

/// How the Rollouts in a source directory want its chart rendered; `None`: they say nothing, or there is no chart.
pub(super) fn chart(tree: &dyn Tree, directory: &str, options: &Options) -> Result<Option<Chart>, Trouble> {
    let is_chart = source::renderer(tree, directory, options)? == Some(RendererKind::Helm);
    let mut files = source::rollouts_beside(tree, directory, &options.limits)?;
    // Whoever says nothing of helm has no part in it, whatever else is wrong with the file.
    files.retain(|(_, text)| is_chart || text.contains("helm"));
    let mut wanted: Option<(&String, Chart)> = None;
    let mut namespace = None;
    for (path, content) in &files {
        let (mut read, _) = kinds::read(tree, path, content, &mut BTreeMap::new())?;
        read.findings.retain(Diagnostic::is_error);
        if !read.findings.is_empty() {
            return Err(Trouble::Invalid(text(&read.findings)));
        }
        for document in read.documents {
            let Meaning::Rollout(rollout) = document.into_meaning() else { continue };
            namespace = namespace.or_else(|| rollout.namespace.clone());
            match (chart_of(&rollout), &wanted) {
                (Some(chart), Some((before, other))) if chart != *other => {
                    return Err(Trouble::Invalid(format!(
                        "{path}: `source.helm` says something else than that of {before}; a source is rendered once, so it stands in \
                         one Rollout of a directory, or is the same in all"
                    )));
                }
                (Some(chart), _) => wanted = Some((path, chart)),
                (None, _) => {}
            }
        }
    }
    let own = || (is_chart && !files.is_empty()).then(|| Chart { namespace, ..Chart::default() });
    Ok(wanted.map(|(_, chart)| chart).or_else(own))
}

/// What a Rollout says of its chart.
pub(super) fn chart_of(rollout: &Rollout) -> Option<Chart> {
    rollout.helm.clone().map(|helm| Chart {
        path: helm.chart,
        release: helm.release_name,
        namespace: helm.namespace,
        values: helm.values,
        kube_version: helm.kube_version,
        api_versions: helm.api_versions,
        skip_hooks: helm.skip_hooks,
    })
}

fn known(objects: &ObjectSet) -> Known {
    let name = |object: &crate::manifest::Object| ObjectName {
        api_version: object.api_version().to_owned(),
        kind: object.kind().to_owned(),
        namespace: object.namespace().map(str::to_owned),
        name: object.name().to_owned(),
    };
    Known::All(objects.values().map(name).collect())
}

/// One of several Rollouts of a source directory.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub name: String,
    /// Which workload is its own; `None` where the document is too broken to tell.
    pub member: Option<Member>,
    /// The Rollout, or everything that is wrong with it.
    pub rollout: Result<Rollout, Trouble>,
}

/// The Rollouts of a directory that is shared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Several {
    pub found: Vec<Found>,
    /// What they share beside the objects, by name.
    pub routings: Vec<SharedRouting>,
}

/// The Rollouts of a directory, each judged by itself together with the objects beside it; `None` where there are not several,
/// and no routing that more could share.
///
/// # Errors
/// One has no name, or two have the same: nobody can tell whose the objects are. A shared routing cannot be used.
pub(super) fn several(
    files: &[(String, String)],
    objects: &ObjectSet,
    tree: &dyn Tree,
    inputs: &mut BTreeMap<String, String>,
) -> Result<Option<Several>, Trouble> {
    let known = known(objects);
    let (shared, routings) = shared_routings(files, objects, tree, inputs)?;
    let mut found: Vec<Found> = Vec::new();
    let mut unnamed = None;
    for (path, text) in files {
        let (read, described) = kinds::read(tree, path, text, inputs)?;
        let mut lines: Vec<u32> = read.documents.iter().map(|document| document.place().line).collect();
        lines.extend(read.broken.iter().map(|broken| broken.line));
        for document in &read.documents {
            let Meaning::Rollout(rollout) = document.meaning() else { continue };
            let together: Vec<&Document> = shared.iter().chain([document]).collect();
            let mut findings = api::validate_together(&together, &known, None);
            let scripts = scripts::find(tree, &rollout.wanted_scripts(), inputs)?;
            findings.extend(api::missing_scripts(document, &|path| scripts.contains_key(path)));
            findings.retain(Diagnostic::is_error);
            let mut rollout = rollout.clone();
            rollout.give_scripts(&scripts);
            rollout.shared = rollout.shared.map(|shared| told(&shared.name, &routings));
            let query = |metric: &Metric| {
                let error = template::check(&metric.query).err()?;
                Some(Trouble::Invalid(format!("{path}: metric `{}`: {error}", metric.name)))
            };
            let usable = match findings.is_empty() {
                false => Err(Trouble::Invalid(self::text(&findings))),
                true => rollout.metrics.iter().find_map(query).map_or_else(|| Ok(rollout.clone()), Err),
            };
            found.push(Found { name: rollout.name.clone(), member: Some(Member::of(&rollout)), rollout: usable });
        }
        for broken in read.broken.iter().filter(|broken| broken.kind == "Rollout") {
            let end = lines.iter().copied().filter(|line| *line > broken.line).min().unwrap_or(u32::MAX);
            let within = |finding: &&Diagnostic| (broken.line..end).contains(&finding.line) && finding.is_error();
            let findings: Vec<Diagnostic> = read.findings.iter().filter(within).cloned().collect();
            let trouble = Trouble::Invalid(self::text(&findings));
            match &broken.name {
                Some(name) => {
                    let member = roughly(path, text, name, &described);
                    found.push(Found { name: name.clone(), member, rollout: Err(trouble) });
                }
                None => {
                    unnamed.get_or_insert(trouble);
                }
            }
        }
    }
    if routings.is_empty() && found.len() + usize::from(unnamed.is_some()) < 2 {
        return Ok(None);
    }
    if let Some(trouble) = unnamed {
        return Err(trouble);
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    if let Some(twice) = found.windows(2).find(|pair| pair.first().map(|one| &one.name) == pair.last().map(|other| &other.name)) {
        let name = twice.first().map(|found| found.name.as_str()).unwrap_or_default();
        return Err(Trouble::Invalid(format!("two Rollouts of one directory are named `{name}`")));
    }
    Ok(Some(Several { found, routings }))
}

/// The routings of a directory that Rollouts can share, with their scripts.
///
/// # Errors
/// Everything that is wrong with them.
fn shared_routings(
    files: &[(String, String)],
    objects: &ObjectSet,
    tree: &dyn Tree,
    inputs: &mut BTreeMap<String, String>,
) -> Result<(Vec<Document>, Vec<SharedRouting>), Trouble> {
    let (mut documents, mut routings, mut findings) = (Vec::new(), Vec::new(), Vec::new());
    for (path, text) in files.iter().filter(|(_, text)| text.contains("TrafficRouting")) {
        let (read, _) = kinds::read(tree, path, text, inputs)?;
        let is_broken = read.broken.iter().any(|broken| broken.kind == "TrafficRouting");
        findings.extend(read.findings.into_iter().filter(|_| is_broken));
        for document in read.documents {
            let Meaning::TrafficRouting(routing) = document.meaning() else { continue };
            let mut routing = routing.clone();
            let scripts = scripts::find(tree, &routing.wanted_scripts(), inputs)?;
            findings.extend(api::missing_scripts(&document, &|path| scripts.contains_key(path)));
            routing.give_scripts(&scripts);
            routings.push(routing);
            documents.push(document);
        }
    }
    let references: Vec<&Document> = documents.iter().collect();
    findings.extend(api::validate_together(&references, &known(objects), None));
    findings.retain(Diagnostic::is_error);
    if !findings.is_empty() {
        return Err(Trouble::Invalid(text(&findings)));
    }
    for routing in &routings {
        if let Some(error) = traffic::check_shared(objects, routing).into_iter().next() {
            let help = match error {
                RenderError::Script { .. } => format!("\n    = help: {}", scripts::MEND),
                _ => String::new(),
            };
            return Err(Trouble::Invalid(format!("TrafficRouting `{}`: {error}{help}", routing.name)));
        }
    }
    if let Err(error) = traffic::share(objects, &routings) {
        return Err(Trouble::Invalid(format!("TrafficRoutings that are in force together: {error}")));
    }
    routings.sort_by(|one, other| one.name.cmp(&other.name));
    Ok((documents, routings))
}

/// What a Rollout is told of the routing that it shares.
fn told(name: &str, routings: &[SharedRouting]) -> SharedUse {
    let routing = routings.iter().find(|routing| routing.name == name).map(|routing| {
        let mut routing = routing.clone();
        routing.give_scripts(&BTreeMap::new());
        Box::new(routing)
    });
    SharedUse { name: name.to_owned(), routing }
}

/// What a Rollout with errors says of its workload, so that it can be told which objects are its own.
fn roughly(path: &str, text: &str, name: &str, kinds: &[DescribedKind]) -> Option<Member> {
    let values = crate::manifest::values(path, text).ok()?;
    let is_it = |value: &&serde_json::Value| {
        let text = |pointer: &str| value.pointer(pointer).and_then(serde_json::Value::as_str);
        text("/kind") == Some("Rollout") && text("/metadata/name") == Some(name)
    };
    let value = values.iter().map(|raw| &raw.value).find(is_it)?;
    let text = |pointer: &str| value.pointer(pointer).and_then(serde_json::Value::as_str).map(str::to_owned);
    let workload = ["/spec/workloadRef", "/spec/objectRef/workloadRef"].into_iter().find_map(|at| {
        Some(WorkloadRef::new(text(&format!("{at}/apiVersion"))?, text(&format!("{at}/kind"))?, text(&format!("{at}/name"))?))
    })?;
    let described = kinds.iter().find(|kind| kind.fits(&workload.api_version, &workload.kind)).cloned().map(Box::new);
    let workload = WorkloadRef { described, ..workload };
    Some(Member { name: name.to_owned(), namespace: text("/metadata/namespace"), workload, routed: Vec::new(), shared: None })
}

fn metrics(documents: &[Document]) -> impl Iterator<Item = (&Document, &Metric)> {
    documents.iter().flat_map(|document| match document.meaning() {
        Meaning::Rollout(rollout) => rollout.metrics.iter().map(|metric| (document, metric)).collect::<Vec<_>>(),
        _ => Vec::new(),
    })
}

/// The repository's settings.
pub(super) fn repository(path: &str, content: &[u8]) -> Result<Repository, Trouble> {
    let mut read = api::read_bytes(path, content);
    read.findings.retain(Diagnostic::is_error);
    if !read.findings.is_empty() {
        return Err(Trouble::Invalid(text(&read.findings)));
    }
    let settings = read.documents.into_iter().find_map(|document| match document.into_meaning() {
        Meaning::Repository(repository) => Some(repository),
        _ => None,
    });
    settings.ok_or_else(|| Trouble::Invalid(format!("{path}: holds no document of kind `Repository`")))
}

/// All findings, a paragraph each: place, message, line, hint.
fn text(findings: &[Diagnostic]) -> String {
    let mut findings: Vec<&Diagnostic> = findings.iter().collect();
    findings.sort_by(|a, b| a.order().cmp(&b.order()));
    let shown: Vec<String> = findings
        .iter()
        .map(|finding| {
            let mut lines = vec![format!("{}:{}:{}: {}", finding.file, finding.line, finding.column, finding.message)];
            lines.extend(finding.snippet.as_ref().map(|snippet| format!("    {}", snippet.trim())));
            lines.extend(finding.hint.as_ref().map(|hint| format!("    = help: {hint}")));
            lines.join("\n")
        })
        .collect();
    shown.join("\n")
}
