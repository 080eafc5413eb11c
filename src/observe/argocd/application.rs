//! Argo CD's Application, as far as it is read (`pkg/apis/application/v1alpha1/types.go`, v3).

use serde::Deserialize;

/// An Application with its status.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Application {
    pub(super) metadata: Metadata,
    pub(super) spec: Spec,
    pub(super) status: Status,
    /// A sync that was asked for and has not begun.
    pub(super) operation: Option<Operation>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) annotations: Option<std::collections::BTreeMap<String, String>>,
    pub(super) deletion_timestamp: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) source: Option<Source>,
    /// Where it is not empty, `source` does not count.
    pub(super) sources: Option<Vec<Source>>,
    pub(super) source_hydrator: Option<Hydrator>,
    pub(super) sync_policy: Option<SyncPolicy>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Source {
    #[serde(rename = "repoURL")]
    pub(super) repo_url: String,
    pub(super) path: Option<String>,
    pub(super) target_revision: Option<String>,
    /// A Helm chart of a repository that is not Git.
    pub(super) chart: Option<String>,
    /// A name by which other sources take values from this one.
    #[serde(rename = "ref")]
    pub(super) reference: Option<String>,
    pub(super) directory: Option<Directory>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Directory {
    pub(super) recurse: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Hydrator {
    pub(super) dry_source: DrySource,
    pub(super) sync_source: SyncSource,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct DrySource {
    #[serde(rename = "repoURL")]
    pub(super) repo_url: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SyncSource {
    pub(super) target_branch: String,
    pub(super) path: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SyncPolicy {
    pub(super) automated: Option<Automated>,
    pub(super) retry: Option<Retry>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Automated {
    pub(super) enabled: Option<bool>,
    pub(super) self_heal: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Retry {
    pub(super) refresh: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Status {
    pub(super) sync: Option<Sync>,
    pub(super) operation_state: Option<OperationState>,
    pub(super) conditions: Option<Vec<Condition>>,
    /// When the last comparison ended.
    pub(super) reconciled_at: Option<String>,
    pub(super) health: Option<Health>,
    /// `Directory`, `Kustomize`, `Helm`, `Plugin`.
    pub(super) source_type: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Sync {
    /// `Synced`, `OutOfSync`, `Unknown`.
    pub(super) status: String,
    /// What was compared with, which need not be applied.
    pub(super) revision: Option<String>,
    pub(super) revisions: Option<Vec<String>>,
    pub(super) compared_to: Option<ComparedTo>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ComparedTo {
    pub(super) source: Option<Source>,
    pub(super) sources: Option<Vec<Source>>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct OperationState {
    /// `Running`, `Terminating`, `Failed`, `Error`, `Succeeded`.
    pub(super) phase: String,
    pub(super) message: Option<String>,
    pub(super) finished_at: Option<String>,
    pub(super) operation: Option<Operation>,
    pub(super) sync_result: Option<Revisions>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Operation {
    pub(super) sync: Option<Revisions>,
    pub(super) initiated_by: Option<Initiator>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Revisions {
    pub(super) revision: Option<String>,
    pub(super) revisions: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Initiator {
    pub(super) username: Option<String>,
    pub(super) automated: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) message: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Health {
    pub(super) status: Option<String>,
    pub(super) message: Option<String>,
}

impl Application {
    /// What is rendered, in the order of `revisions`.
    pub(super) fn sources(&self) -> Vec<Source> {
        if let Some(hydrator) = &self.spec.source_hydrator {
            return vec![Source {
                repo_url: hydrator.dry_source.repo_url.clone(),
                path: Some(hydrator.sync_source.path.clone()),
                target_revision: Some(hydrator.sync_source.target_branch.clone()),
                ..Source::default()
            }];
        }
        match self.spec.sources.as_deref() {
            Some(sources) if !sources.is_empty() => sources.to_vec(),
            _ => self.spec.source.clone().into_iter().collect(),
        }
    }
}

impl Source {
    /// Whether manifests of a Git repository are rendered from here.
    pub(super) fn is_manifests_of_git(&self) -> bool {
        let empty = |text: &Option<String>| text.as_deref().is_none_or(str::is_empty);
        let only_values = !empty(&self.reference) && empty(&self.path);
        empty(&self.chart) && !only_values && !self.repo_url.starts_with("oci://")
    }

    pub(super) fn path(&self) -> &str {
        self.path.as_deref().unwrap_or_default()
    }
}

/// The revision of a source: one, or by the source's number.
pub(super) fn revision<'a>(one: Option<&'a String>, many: Option<&'a Vec<String>>, index: usize) -> Option<&'a str> {
    let many = many.filter(|many| !many.is_empty()).and_then(|many| many.get(index));
    let one = one.filter(|one| !one.is_empty() && index == 0);
    many.or(one).map(String::as_str).filter(|revision| !revision.is_empty())
}
