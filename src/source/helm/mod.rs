//! Renders a chart by helm's own program (`helm template`), in a throw-away folder with nothing in it but the chart and the
//! values files. Nothing is fetched: the charts that it depends on must be in its `charts/`.

mod chart;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::collect::Reader;
use super::own::{Sorted, beside};
use super::renderer::Renderer;
use super::secrets;
use super::{Files, ItemKind, Options, Rendered, SourceError, Tree, paths};

const RENDERER: Renderer =
    Renderer { name: "helm", install: "install helm (https://helm.sh/docs/intro/install) where Windlass runs, on its PATH" };

/// How a chart is rendered. Paths are relative to the source directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chart {
    /// The chart's directory; `None`: the source directory itself.
    pub path: Option<String>,
    /// `.Release.Name`; `None`: the chart's name.
    pub release: Option<String>,
    /// `.Release.Namespace`; `None`: helm's own, `default`.
    pub namespace: Option<String>,
    /// Values files; later ones win.
    pub values: Vec<String>,
    /// `.Capabilities.KubeVersion`; `None`: the one that helm was built for.
    pub kube_version: Option<String>,
    /// What `.Capabilities.APIVersions` has beside Kubernetes' own.
    pub api_versions: Vec<String>,
    /// Leave objects out that are hooks, instead of refusing them.
    pub skip_hooks: bool,
}

fn failed(directory: &str, cause: impl Into<String>, hint: Option<&str>) -> SourceError {
    RENDERER.failed(directory, cause, hint)
}

pub(super) fn render(tree: &dyn Tree, directory: &str, wanted: &Chart, options: &Options) -> Result<Rendered, SourceError> {
    let mut reader = Reader::new(tree, &options.limits);
    let place = paths::join(directory, wanted.path.as_deref().unwrap_or_default())?;
    if reader.kind(&place)? != Some(ItemKind::Directory) {
        return Err(SourceError::Refused { path: place, cause: "there is no such directory; `chart` names it".to_owned() });
    }
    reader.everything(&place)?;
    let values = wanted.values.iter().map(|path| values_file(&mut reader, directory, path)).collect::<Result<Vec<_>, _>>()?;
    let name = chart::check(&mut reader, &place)?;
    if let Some(pinned) = &options.helm_version {
        RENDERER.pinned(directory, &version(options)?, pinned)?;
    }

    let template = Template { place: &place, values: &values, release: wanted.release.as_deref().unwrap_or(&name), wanted };
    let files = &reader.files;
    let run = || {
        RENDERER.run(&options.helm, |root| template.arguments(root), files, directory, options).map_err(|error| match error {
            SourceError::Renderer { renderer, path, cause, hint } => {
                let of_version = cause.contains("incompatible with Kubernetes");
                let hint = hint.or_else(|| of_version.then(|| "`source.helm.kubeVersion` tells it your cluster's".to_owned()));
                SourceError::Renderer { renderer, path, cause: chart::in_repository(&cause, &name, &place), hint }
            }
            other => other,
        })
    };
    let first = run()?;
    if chart::may_read_the_time(files) {
        // Two runs within a second would print one and the same time.
        std::thread::sleep(Duration::from_secs(1));
    }
    let second = run()?;
    if first != second
        && let Some(differing) = RENDERER.difference(directory, &first, &second)?
    {
        return Err(RENDERER.not_repeatable(directory, &differing));
    }

    let mut sorted = Sorted::new(options.limits.objects);
    let origin = paths::entry(&place, "Chart.yaml")?;
    let documents = RENDERER.parse(directory, &first)?;
    for document in chart::without_hooks(&place, documents, wanted.skip_hooks)? {
        sorted.document(&origin, document)?;
    }
    if !options.allow_secrets {
        let written = secrets::Texts::of(files);
        secrets::refuse_made(&place, &sorted.objects, "the chart made", |field, text| written.holds(field, text))?;
    }
    // The Rollouts beside the chart are no templates: helm does not print them.
    for (path, text) in beside(&mut reader, directory)? {
        let mut beside = Sorted::new(options.limits.objects);
        beside.file(&path, &text)?;
        sorted.rollouts.extend(beside.rollouts);
    }
    if sorted.objects.is_empty() {
        return Err(failed(directory, "it made no objects", Some("look at what `helm template` prints for these values")));
    }
    let mut inputs = BTreeMap::new();
    for path in [directory, place.as_str()].into_iter().chain(values.iter().map(String::as_str)) {
        if let Some(identity) = tree.identity(path)? {
            inputs.insert(path.to_owned(), identity);
        }
    }
    Ok(Rendered { objects: sorted.objects, rollouts: sorted.rollouts, inputs, command: Some(template.command()) })
}

/// Reads a values file; gives its path.
fn values_file(reader: &mut Reader<'_>, directory: &str, relative: &str) -> Result<String, SourceError> {
    let path = paths::join(directory, relative)?;
    let refused = |cause: &str| Err(SourceError::Refused { path: path.clone(), cause: cause.to_owned() });
    if reader.kind(&path)? != Some(ItemKind::File) {
        return refused("there is no such file; `values` names it, relative to the Rollout's directory");
    }
    if path.contains([',', '"']) {
        // helm takes it for the end of the file's name.
        return refused("helm reads no values file with a comma or a quotation mark in its path");
    }
    reader.read(&path)?;
    Ok(path)
}

/// One call of `helm template`.
struct Template<'a> {
    place: &'a str,
    values: &'a [String],
    release: &'a str,
    wanted: &'a Chart,
}

impl Template<'_> {
    fn options(&self) -> Vec<String> {
        let mut options = vec!["--include-crds".to_owned()];
        options.extend(self.wanted.namespace.as_ref().map(|namespace| format!("--namespace={namespace}")));
        options.extend(self.wanted.kube_version.as_ref().map(|version| format!("--kube-version={version}")));
        options.extend(self.wanted.api_versions.iter().map(|version| format!("--api-versions={version}")));
        options
    }

    fn arguments(&self, root: &Path) -> Vec<OsString> {
        let mut arguments = vec![OsString::from("template")];
        arguments.extend(self.options().into_iter().map(OsString::from));
        for path in self.values {
            let mut argument = OsString::from("--values=");
            argument.push(root.join(path));
            arguments.push(argument);
        }
        arguments.extend(["--".into(), self.release.into(), root.join(self.place).into()]);
        arguments
    }

    /// As a person would type it in the repository's root.
    fn command(&self) -> String {
        let mut words = vec![format!("helm template {} {}", self.release, if self.place.is_empty() { "." } else { self.place })];
        words.extend(self.options());
        words.extend(self.values.iter().map(|path| format!("--values={path}")));
        words.join(" ")
    }
}

/// The version that the program tells, for example `v4.3.0`.
pub fn version(options: &Options) -> Result<String, SourceError> {
    let arguments = |_: &Path| vec!["version".into(), "--template".into(), "{{.Version}}".into()];
    let output = RENDERER.run(&options.helm, arguments, &Files::new(), "", options)?;
    let text = output.trim();
    let is_version = text.strip_prefix('v').unwrap_or(text).starts_with(|first: char| first.is_ascii_digit());
    if is_version && text.contains('.') && text.len() < 100 {
        return Ok(text.to_owned());
    }
    Err(failed("", "it does not tell its version", None))
}
