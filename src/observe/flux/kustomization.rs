//! Flux' Kustomization, as far as it is read (`kustomize.toolkit.fluxcd.io/v1`).

use serde::Deserialize;
use serde_json::Value;

/// A Kustomization with its status.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Kustomization {
    pub(super) metadata: Metadata,
    pub(super) spec: Spec,
    pub(super) status: Status,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) generation: Option<i64>,
    pub(super) deletion_timestamp: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) suspend: Option<bool>,
    pub(super) path: Option<String>,
    pub(super) wait: Option<bool>,
    pub(super) health_checks: Option<Vec<Value>>,
    pub(super) source_ref: SourceRef,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SourceRef {
    pub(super) kind: String,
    pub(super) name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Status {
    pub(super) observed_generation: Option<i64>,
    /// Moves only after the health checks, where there are any.
    pub(super) last_applied_revision: Option<String>,
    /// Moves before anything is built.
    pub(super) last_attempted_revision: Option<String>,
    /// The commit that an artifact was made from which is no Git repository itself.
    pub(super) last_applied_origin_revision: Option<String>,
    pub(super) conditions: Option<Vec<Condition>>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
}

impl Kustomization {
    pub(super) fn condition(&self, kind: &str) -> Option<&Condition> {
        self.status.conditions.as_deref().unwrap_or_default().iter().find(|condition| condition.kind == kind)
    }
}

/// The commit in a revision: `deploy@sha1:<id>`, `refs/heads/deploy@sha1:<id>`, `sha1:<id>`, `deploy/<id>` (before Flux 2.0) or the id
/// alone. `None` where it names no commit, as the digest of an artifact does not.
pub(super) fn commit(revision: &str) -> Option<&str> {
    let id = match revision.rsplit_once("sha1:") {
        Some((before, id)) if before.is_empty() || before.ends_with('@') => id,
        Some(_) => return None,
        None if revision.contains(':') => return None,
        None => revision.rsplit('/').next().unwrap_or(revision),
    };
    (id.len() == 40 && id.chars().all(|c| c.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::commit;

    #[test]
    fn a_revision_names_a_commit_or_none() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        for form in ["deploy@sha1:", "refs/heads/team/deploy@sha1:", "sha1:", "deploy/", "team/deploy/", "v1.0.0@sha1:", ""] {
            assert_eq!(commit(&format!("{form}{id}")), Some(id), "{form}");
        }
        for other in ["", "deploy", "deploy@sha1:", "deploy@sha1:0123", "latest@sha256:0123456789abcdef0123456789abcdef01234567"]
        {
            assert_eq!(commit(other), None, "{other}");
        }
        assert_eq!(commit(&format!("xsha1:{id}")), None);
        assert_eq!(commit(&format!("{id}0")), None);
    }
}
