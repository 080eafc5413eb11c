//! Kinds of workloads that a repository describes.

use super::{WORKLOADS, is_dns_name};
use crate::api::described::{DescribedKind, FieldPath};
use crate::api::diagnostic::Finding;
use crate::api::document::repository::Workload;
use crate::api::path::Path;

/// Kruise's words for a kind that nobody knows.
pub(crate) const UNKNOWN_KIND: &str = "WorkloadRef kind is not supported";

/// The rules for `workloads` of a Repository.
pub(super) fn workloads(entries: &[Workload], found: &mut Vec<Finding>) {
    for (index, entry) in entries.iter().enumerate() {
        let at = Path::of(&["workloads"]).index(index);
        names(entry, &at, found);
        let named = |entry: &Workload| (entry.group.clone(), entry.kind.clone());
        if WORKLOADS.contains(&(entry.group.as_str(), entry.kind.as_str())) {
            let message = format!("Windlass knows {} of {}: it cannot be described anew", entry.kind, entry.group);
            found.push(Finding::error("duplicate-name", &at.key("kind"), message).hint("leave this entry out"));
        } else if entries.iter().take(index).any(|before| named(before) == named(entry)) {
            let message = format!("{} of {} is described twice", shown(&entry.kind), shown(&entry.group));
            found.push(Finding::error("duplicate-name", &at.key("kind"), message).hint("leave one of the two out"));
        }
        paths(entry, &at.key("paths"), found);
        status(entry, &at.key("status"), found);
    }
}

fn names(entry: &Workload, at: &Path, found: &mut Vec<Finding>) {
    let mut wrong = |field: &str, what: String, hint: &str| {
        found.push(Finding::error("bad-name", &at.key(field), what).hint(hint));
    };
    if !is_dns_name(&entry.group, 253, true) {
        let message = format!("`{}` is no API group", shown(&entry.group));
        wrong("group", message, "what stands before `/` in the object's `apiVersion`, without the version");
    }
    if !is_kind(&entry.kind) {
        wrong("kind", format!("`{}` is no kind", shown(&entry.kind)), "as `kind` of the object has it, for example `GameSet`");
    }
    if let Some(plural) = entry.plural.as_ref().filter(|plural| !is_dns_name(plural, 63, false)) {
        wrong("plural", format!("`{}` is no plural of a kind", shown(plural)), "`kubectl api-resources` shows it under NAME");
    }
}

fn paths(entry: &Workload, at: &Path, found: &mut Vec<Finding>) {
    let mut good: Vec<(&str, FieldPath)> = Vec::new();
    for (field, text) in entry.paths.all() {
        match FieldPath::below("spec", text) {
            Err(why) => {
                let message = format!("`{}` is no path to the {field}: {why}", shown(text));
                let hint = "keys with dots between them, from the object's root: `spec.updateStrategy.rollingUpdate.partition`";
                found.push(Finding::error("bad-path", &at.key(field), message).hint(hint));
            }
            Ok(path) => {
                if let Some((other, before)) = good.iter().find(|(_, before)| path.overlaps(before)) {
                    let message =
                        format!("`{field}` cannot be at `{path}`: `{other}` is at `{before}`, and one would overwrite the other");
                    found.push(Finding::error("bad-path", &at.key(field), message).hint("each has a field of its own"));
                }
                good.push((field, path));
            }
        }
    }
}

fn status(entry: &Workload, at: &Path, found: &mut Vec<Finding>) {
    for (field, text) in entry.status.iter().flat_map(|status| status.given()) {
        if let Err(why) = FieldPath::below("status", text) {
            let message = format!("`{}` is no path to {field}: {why}", shown(text));
            let hint = "keys with dots between them, from the object's root: `status.updatedReplicas`";
            found.push(Finding::error("bad-path", &at.key(field), message).hint(hint));
        }
    }
}

fn is_kind(kind: &str) -> bool {
    kind.len() <= 63
        && kind.starts_with(|first: char| first.is_ascii_uppercase())
        && kind.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What somebody wrote, short enough for one line.
fn shown(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let short: String = text.chars().take(60).map(plain).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

/// What a Rollout of a kind that the repository describes cannot ask for. `blue_green`: where its `blueGreen` is, if it has one.
pub(crate) fn described_rollout(kind: &DescribedKind, blue_green: Option<Path>) -> Option<Finding> {
    let message = "WorkloadRef kind is not supported for bluegreen style";
    let hint = format!("only Deployment and CloneSet are; `canary` updates a {} in batches", kind.kind);
    Some(Finding::error("kruise", &blue_green?, message).at_key().hint(hint))
}
