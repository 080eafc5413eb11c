//! Routes that no provider of ours makes need a Lua script, which is a file of the source.

use crate::api::diagnostic::{Diagnostic, Finding};
use crate::api::model::{SCRIPTS, Style, custom_script, ingress_script};
use crate::api::near;
use crate::api::path::Path;
use crate::api::read::{Document, Meaning};

use super::group;
use super::ours::{CUSTOM_KINDS, INGRESS_CLASSES};

/// The routes of a Rollout, or of a routing that Rollouts share, that nobody can make. `has`: whether the source has a script at this path below [`SCRIPTS`].
pub fn missing_scripts(document: &Document, has: &dyn Fn(&str) -> bool) -> Vec<Diagnostic> {
    let (routings, at) = match document.meaning() {
        Meaning::Rollout(rollout) => {
            let form = if rollout.style == Style::BlueGreen { "blueGreen" } else { "canary" };
            (&rollout.routings, Path::of(&["spec", "strategy", form, "trafficRoutings"]))
        }
        Meaning::TrafficRouting(routing) => (&routing.routings, Path::of(&["spec", "objectRef"])),
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    for (index, routing) in routings.iter().enumerate() {
        let at = at.index(index);
        if let Some(class) = routing.ingress.as_ref().map(|ingress| ingress.class_type.as_str()) {
            let script = ingress_script(class);
            if !INGRESS_CLASSES.contains(&class) && !script.as_deref().is_some_and(has) {
                let at = at.key("ingress").key("classType");
                let mut finding =
                    Finding::error("unknown-provider", &at, unknown(&format!("unknown provider `{class}`"), script.as_deref()));
                finding.hint = near::hint(class, INGRESS_CLASSES).or_else(|| write(script.as_deref()));
                found.push(finding);
            }
        }
        for (index, reference) in routing.custom.iter().enumerate() {
            let (of, kind) = (group(&reference.api_version), reference.kind.as_str());
            let script = custom_script(&reference.api_version, kind);
            if CUSTOM_KINDS.contains(&(of, kind)) || script.as_deref().is_some_and(has) {
                continue;
            }
            let at = at.key("customNetworkRefs").index(index).key("kind");
            let what = format!("no provider for kind `{kind}` of `{}`", reference.api_version);
            let mut finding = Finding::error("unknown-provider", &at, unknown(&what, script.as_deref()));
            finding.hint = match CUSTOM_KINDS.iter().find(|(_, known)| *known == kind) {
                Some((group, kind)) => Some(format!("`apiVersion: {group}/…` goes with `kind: {kind}`")),
                None => near::hint(kind, CUSTOM_KINDS.iter().map(|(_, kind)| *kind)).or_else(|| write(script.as_deref())),
            };
            found.push(finding);
        }
    }
    found.into_iter().map(|finding| document.diagnostic(finding)).collect()
}

fn unknown(what: &str, script: Option<&str>) -> String {
    script.map_or_else(|| what.to_owned(), |script| format!("{what}, and the source has no script {SCRIPTS}/{script}"))
}

fn write(script: Option<&str>) -> Option<String> {
    script.map(|_| {
        "write that script (docs/tasks/lua.md), or name a route of docs/reference/providers.md, which needs none".to_owned()
    })
}
