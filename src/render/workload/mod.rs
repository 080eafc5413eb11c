//! What a step writes into the workload; one file a kind.
//!
//! A Deployment is held by its own strategy, so that new pods come before old ones go. A DaemonSet of `apps/v1` is split by nodes
//! (`daemon_set`). All other kinds have a partition field: their controllers replace pods in place, never more at once than the
//! user's own `maxUnavailable`.

mod advanced_daemon_set;
mod advanced_stateful_set;
pub mod autoscaler;
mod clone_set;
pub(crate) mod daemon_set;
pub mod deployment;
mod described;
pub mod extra;
mod partition;
mod stateful_set;

pub use clone_set::stays_old;
pub use described::kept;
pub(super) use described::plainly;

use serde_json::Value;

use super::{PodsPhase, RenderError};
use crate::api::{Amount, DescribedKind, Style, WorkloadRef};
use crate::manifest::Object;

/// A kind of workload that can be released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind<'a> {
    /// `apps/v1`.
    Deployment,
    /// `apps/v1`.
    StatefulSet,
    /// `apps.kruise.io`.
    CloneSet,
    /// `apps.kruise.io`, `StatefulSet`.
    AdvancedStatefulSet,
    /// `apps.kruise.io`, `DaemonSet`.
    AdvancedDaemonSet,
    /// `apps/v1`.
    DaemonSet,
    /// Of whatever group, as the repository describes it.
    Described(&'a DescribedKind),
}

/// How far a step goes, for a workload of `size` pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    pub size: u32,
    /// Updated pods that are there already.
    pub from: u32,
    /// Updated pods that there shall be.
    pub to: u32,
    pub phase: PodsPhase,
    /// The percentage that the step was given in, where it was.
    pub percent: Option<u32>,
}

/// How far a batch of a rollback goes, for a workload of `size` pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WayBack {
    pub size: u32,
    /// Stable pods that the release has never touched.
    pub kept: u32,
    /// Pods of the other version that are there, and those that shall stay.
    pub from: u32,
    pub left: u32,
    pub phase: PodsPhase,
}

impl<'a> Kind<'a> {
    /// The kinds that need no description.
    pub const ALL: [Self; 6] = [
        Self::Deployment,
        Self::StatefulSet,
        Self::CloneSet,
        Self::AdvancedStatefulSet,
        Self::AdvancedDaemonSet,
        Self::DaemonSet,
    ];

    /// The kind that a Rollout's `workloadRef` names.
    ///
    /// # Errors
    /// It cannot be released in batches; the error says what can be done instead.
    pub fn of(reference: &'a WorkloadRef) -> Result<Self, RenderError> {
        if let Some(described) =
            reference.described.as_deref().filter(|known| known.fits(&reference.api_version, &reference.kind))
        {
            return Ok(Self::Described(described));
        }
        let group = reference.api_version.split_once('/').map_or("", |(group, _)| group);
        let found = Self::ALL.into_iter().find(|kind| kind.names() == (group, reference.kind.as_str()));
        found.ok_or_else(|| RenderError::Unsupported {
            provider: format!("{} of {}", reference.kind, reference.api_version),
            what: "a release in batches".to_owned(),
            hint: alternatives(group, &reference.kind).to_owned(),
        })
    }

    /// API group and kind.
    pub fn names(self) -> (&'a str, &'a str) {
        match self {
            Self::Deployment => ("apps", "Deployment"),
            Self::StatefulSet => ("apps", "StatefulSet"),
            Self::CloneSet => ("apps.kruise.io", "CloneSet"),
            Self::AdvancedStatefulSet => ("apps.kruise.io", "StatefulSet"),
            Self::AdvancedDaemonSet => ("apps.kruise.io", "DaemonSet"),
            Self::DaemonSet => ("apps", "DaemonSet"),
            Self::Described(kind) => (&kind.group, &kind.kind),
        }
    }

    /// Pods that the workload shall have (1 where it does not say, the API's default); `None` where only the cluster knows:
    /// a DaemonSet has as many as nodes fit, and nobody knows the default of a kind that is described.
    pub fn size(self, workload: &Object) -> Option<u32> {
        match self {
            Self::AdvancedDaemonSet | Self::DaemonSet => None,
            Self::Described(kind) => described::size(workload, kind),
            _ => Some(deployment::size(workload)),
        }
    }

    /// Whether a step is a choice of nodes, on which a second workload runs the candidate.
    pub fn splits_nodes(self) -> bool {
        self == Self::DaemonSet
    }

    /// The cumulative number of updated pods that a step asks for (Kruise, reference 2.2).
    pub fn target(self, amount: Amount, size: u32) -> u32 {
        match self {
            Self::Deployment => deployment::target(amount, size),
            _ => amount.of(size),
        }
    }

    /// Whether its partition may be a percentage.
    pub fn takes_percent(self) -> bool {
        matches!(self, Self::CloneSet | Self::AdvancedDaemonSet)
    }

    /// Whether new pods may come before old ones go.
    pub fn surges(self, workload: &Object) -> bool {
        match self {
            Self::Deployment => deployment::surges(workload),
            Self::DaemonSet => daemon_set::surges(workload),
            _ => false,
        }
    }

    /// Where they may not: how many pods one move may take away. Controllers with a partition keep to the user's limit
    /// themselves.
    pub fn at_once(self, workload: &Object, size: u32) -> u32 {
        match self {
            Self::Deployment => deployment::at_once(workload, size),
            Self::DaemonSet => daemon_set::at_once(workload, size),
            _ => u32::MAX,
        }
    }

    /// Whether the updated pods are always those with the highest ordinals, so that a change of size adds and takes updated
    /// pods first.
    pub fn is_ordinal(self, workload: &Object) -> bool {
        match self {
            // Of a kind that is described, the documentation asks it.
            Self::StatefulSet | Self::Described(_) => true,
            Self::AdvancedStatefulSet => advanced_stateful_set::is_ordered(workload),
            Self::Deployment | Self::CloneSet | Self::AdvancedDaemonSet | Self::DaemonSet => false,
        }
    }

    /// Whether the controller waits for a pod that never gets Ready, even where another version would mend it: it leaves the
    /// pod in place until somebody deletes it (Kubernetes, "forced rollback" of StatefulSets).
    pub fn leaves_broken_pods(self, workload: &Object) -> bool {
        let known = !matches!(self, Self::Described(_));
        known && self.is_ordinal(workload) && workload.text("/spec/podManagementPolicy") != Some("Parallel")
    }

    /// Whether the workload keeps the size of its release's first step until its own strategy takes over.
    pub fn keeps_size(self, style: Style) -> bool {
        self == Self::CloneSet && style == Style::BlueGreen
    }

    /// Whether the workload's own strategy would keep some pods at an older version for ever.
    pub fn holds_back(self, workload: &Object) -> bool {
        self.partition().is_some_and(|path| partition::holds_back(workload, &path))
    }

    /// The path of the partition field.
    fn partition(self) -> Option<Vec<&'a str>> {
        match self {
            Self::Deployment | Self::DaemonSet => None,
            Self::CloneSet => Some(vec!["spec", "updateStrategy", "partition"]),
            Self::StatefulSet | Self::AdvancedStatefulSet | Self::AdvancedDaemonSet => {
                Some(vec!["spec", "updateStrategy", "rollingUpdate", "partition"])
            }
            Self::Described(kind) => Some(kind.partition.keys()),
        }
    }

    /// What the workload must be for its pods to go in batches.
    ///
    /// # Errors
    /// The field that stands against it, and why.
    pub fn check(self, workload: &Object, style: Style) -> Result<(), RenderError> {
        if !matches!(self, Self::Described(_)) && !workload.get("/spec/template").is_some_and(Value::is_object) {
            return Err(unusable(workload, "`spec.template` is missing"));
        }
        match self {
            Self::Deployment => deployment::check(workload),
            Self::StatefulSet => stateful_set::check(workload),
            Self::CloneSet => clone_set::check(workload, style),
            Self::AdvancedStatefulSet => advanced_stateful_set::check(workload),
            Self::AdvancedDaemonSet => advanced_daemon_set::check(workload),
            Self::DaemonSet => daemon_set::check(workload),
            Self::Described(kind) => described::check(workload, kind, style),
        }
    }

    /// Writes the fields that hold the workload where `reach` wants it.
    pub fn hold(self, workload: &mut Object, reach: Reach) {
        match self {
            Self::Deployment => deployment::hold(workload, reach),
            Self::StatefulSet | Self::AdvancedStatefulSet => {
                workload.set(&["spec", "updateStrategy", "type"], Value::String("RollingUpdate".to_owned()));
                self.set_partition(workload, partition::pods(reach));
            }
            Self::Described(_) => self.set_partition(workload, partition::pods(reach)),
            // Pods that have a partition never surge: this is a blueGreen release.
            Self::CloneSet if reach.phase == PodsPhase::Grow => clone_set::surge(workload, reach),
            Self::CloneSet => self.set_partition(workload, clone_set::partition(reach)),
            Self::AdvancedDaemonSet => {
                let partition = advanced_daemon_set::partition(reach, workload.api_version());
                self.set_partition(workload, partition);
            }
            // Its nodes say how far it goes (`daemon_set::narrow`).
            Self::DaemonSet => {}
        }
    }

    /// Holds a workload that is on its way back to this template: of `from` other pods that are there, `left` stay. Where pods
    /// have ordinals, the `kept` lowest have this template anyway. `elastic`: an autoscaler owns its size.
    ///
    /// With a partition this is what the controllers count by, since the stable revision is the newest one again: with
    /// ordinals, those from the partition on; without, all but as many as the partition says.
    pub fn hold_back(self, workload: &mut Object, back: WayBack, elastic: bool) {
        let WayBack { kept, left, .. } = back;
        match self {
            Self::Deployment => deployment::hold_back(workload, back, elastic),
            Self::StatefulSet | Self::AdvancedStatefulSet => {
                let stay = if self.is_ordinal(workload) { kept.saturating_add(left) } else { left };
                workload.set(&["spec", "updateStrategy", "type"], Value::String("RollingUpdate".to_owned()));
                self.set_partition(workload, Value::from(stay));
            }
            Self::Described(_) => self.set_partition(workload, Value::from(kept.saturating_add(left))),
            Self::CloneSet | Self::AdvancedDaemonSet => self.set_partition(workload, Value::from(left)),
            // It goes back node by node (`engine::nodes`).
            Self::DaemonSet => {}
        }
    }

    /// Lets the stable pods come back: `surge` of them before any other goes, where pods can surge; where the user's own
    /// partition would keep some of the others, without it.
    pub fn come_back(self, workload: &mut Object, surge: u32) {
        match self {
            Self::Deployment => deployment::come_back(workload, surge),
            _ => self.finish(workload),
        }
    }

    /// Lets all pods be updated: the user's own strategy, without a partition that keeps some of them.
    pub fn finish(self, workload: &mut Object) {
        if self.holds_back(workload) {
            self.set_partition(workload, Value::from(0));
        }
    }

    fn set_partition(self, workload: &mut Object, value: Value) {
        if let Some(path) = self.partition() {
            workload.set(&path, value);
        }
    }
}

/// What else can be done with a DaemonSet of `apps/v1`, where its nodes cannot be split.
pub const ALTERNATIVES: &str = "or make it a DaemonSet of apps.kruise.io (Advanced DaemonSet), or one DaemonSet for each group of \
                                       nodes, or leave its batches to its own `maxUnavailable`";

/// What to do with a kind that cannot be released in batches.
fn alternatives(group: &str, kind: &str) -> &'static str {
    match (group, kind) {
        ("apps", "ReplicaSet") => "a ReplicaSet does not replace its pods when its template changes; make it a Deployment",
        _ => {
            "Deployment, StatefulSet and DaemonSet of apps, CloneSet, StatefulSet and DaemonSet of apps.kruise.io can be, and kinds \
             that `workloads` in .windlass.yaml describes"
        }
    }
}

fn unusable(workload: &Object, cause: impl Into<String>) -> RenderError {
    RenderError::Unusable { what: workload.kind().to_owned(), name: workload.name().to_owned(), cause: cause.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(kind: Kind, spec: Value) -> Object {
        let (group, name) = kind.names();
        let version = if group == "apps" { "v1" } else { "v1beta1" };
        let api_version = format!("{group}/{version}");
        Object::new(json!({"apiVersion": api_version, "kind": name, "metadata": {"name": "shop"}, "spec": spec})).unwrap()
    }

    fn held(kind: Kind, spec: Value, size: u32, to: u32, percent: Option<u32>) -> Value {
        let mut workload = object(kind, spec);
        kind.hold(&mut workload, Reach { size, from: 0, to, phase: PodsPhase::Shift, percent });
        workload.get("/spec/updateStrategy").unwrap().clone()
    }

    #[test]
    fn ordinals_are_updated_from_the_top() {
        let own = json!({"updateStrategy": {"rollingUpdate": {"maxUnavailable": 2}}});
        let partition = |to| held(Kind::StatefulSet, own.clone(), 5, to, Some(20))["rollingUpdate"]["partition"].clone();
        assert_eq!([partition(1), partition(3), partition(5)], [json!(4), json!(2), json!(0)]);
        let strategy = held(
            Kind::AdvancedStatefulSet,
            json!({"updateStrategy": {"rollingUpdate": {
            "podUpdatePolicy": "InPlaceIfPossible", "unorderedUpdate": {}}}}),
            10,
            3,
            Some(30),
        );
        let wanted = json!({"type": "RollingUpdate", "rollingUpdate": {
            "partition": 7, "podUpdatePolicy": "InPlaceIfPossible", "unorderedUpdate": {}}});
        assert_eq!(strategy, wanted, "the user's other fields stay");
    }

    /// Kruise's rounding (reference 2.2): percent up, without a cap for kinds that have a partition of their own.
    #[test]
    fn only_a_deployment_keeps_its_last_stable_pod() {
        for kind in Kind::ALL {
            let got = [20, 25, 40, 50, 90, 100].map(|percent| kind.target(Amount::Percent(percent), 3));
            let wanted = if kind == Kind::Deployment { [1, 1, 2, 2, 2, 3] } else { [1, 1, 2, 2, 3, 3] };
            assert_eq!(got, wanted, "{kind:?}");
        }
    }

    #[test]
    fn the_users_own_partition_does_not_keep_pods_from_a_finished_release() {
        for kind in Kind::ALL.into_iter().filter(|kind| kind.partition().is_some()) {
            let mut workload = object(kind, json!({}));
            kind.finish(&mut workload);
            assert_eq!(workload.get("/spec/updateStrategy"), None, "{kind:?}: nothing to undo");
            let mut workload = object(kind, json!({}));
            kind.set_partition(&mut workload, json!(3));
            assert!(kind.holds_back(&workload));
            kind.finish(&mut workload);
            assert!(!kind.holds_back(&workload), "{kind:?}");
        }
    }
}
