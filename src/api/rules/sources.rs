//! What a Rollout says of its source, and a repository of the programs that render it.

use super::is_dns_name;
use crate::api::diagnostic::Finding;
use crate::api::document::repository::Renderers;
use crate::api::document::windlass::Helm;
use crate::api::path::Path;

/// The longest name of a release that helm takes, characters.
const RELEASE_NAME: usize = 53;

pub(super) fn helm(helm: &Helm, at: &Path, found: &mut Vec<Finding>) {
    for (field, name, longest, dots) in
        [("releaseName", &helm.release_name, RELEASE_NAME, true), ("namespace", &helm.namespace, 63, false)]
    {
        if let Some(name) = name.as_deref().filter(|name| !is_dns_name(name, longest, dots)) {
            let what = if field == "namespace" { "namespace" } else { "release" };
            let finding = Finding::error("bad-name", &at.key(field), format!("`{name}` is no {what} name"));
            found.push(finding.hint(format!("lower-case letters, digits and `-`, at most {longest} characters")));
        }
    }
    let chart = helm.chart.iter().map(|chart| (at.key("chart"), chart));
    let values = helm.values.iter().enumerate().map(|(index, path)| (at.key("values").index(index), path));
    for (at, path) in chart.chain(values) {
        if path.is_empty() || path.starts_with('/') || path.contains([',', '"', '\\']) || path.chars().any(char::is_control) {
            let finding = Finding::error("bad-path", &at, format!("`{path}` is no path inside the repository"));
            found.push(finding.hint("relative to the directory of this file, with `/`, without commas and quotation marks"));
        } else if path.contains("://") {
            let finding = Finding::error("bad-path", &at, format!("`{path}` is not in this repository, and nothing is fetched"));
            found.push(finding.hint("put a copy of it here"));
        }
    }
    if let Some(version) = &helm.kube_version {
        self::version(version, &at.key("kubeVersion"), "1.34", found);
    }
    for (index, version) in helm.api_versions.iter().enumerate() {
        let is_part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
        if !version.split('/').all(is_part) || version.split('/').count() > 3 {
            let at = at.key("apiVersions").index(index);
            let finding = Finding::error("bad-version", &at, format!("`{version}` is no API version"));
            found.push(finding.hint("for example `monitoring.coreos.com/v1` or `networking.k8s.io/v1/Ingress`"));
        }
    }
}

pub(super) fn renderers(renderers: &Renderers, at: &Path, found: &mut Vec<Finding>) {
    for (field, version, example) in [("helm", &renderers.helm, "v4.3.0"), ("kustomize", &renderers.kustomize, "v5.8.1")] {
        if let Some(version) = version {
            self::version(version, &at.key(field), example, found);
        }
    }
}

fn version(version: &str, at: &Path, example: &str, found: &mut Vec<Finding>) {
    let bare = version.strip_prefix('v').unwrap_or(version);
    let is_one = bare.starts_with(|first: char| first.is_ascii_digit())
        && bare.contains('.')
        && bare.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'));
    if !is_one {
        let finding = Finding::error("bad-version", at, format!("`{version}` is no version"));
        found.push(finding.hint(format!("for example `{example}`")));
    }
}
