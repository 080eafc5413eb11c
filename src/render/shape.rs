//! The shape of a live tree: everything that a step decides about it.

use serde::{Deserialize, Serialize};

use crate::api::{HeaderModifier, HttpMatch};

/// What a live tree looks like, beside the objects themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shape {
    pub pods: Pods,
    /// Pods of the second Deployment, which runs the candidate beside the stable one; `None`: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<u32>,
    /// The size that those were counted from, where the cluster alone knows it: an autoscaler owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_for: Option<u32>,
    /// The nodes that a second DaemonSet runs the candidate on, in the order in which they were chosen; empty: there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// Whether the stable pod template carries the revision label.
    pub stable_labelled: bool,
    /// The label that the stable Services' selectors are narrowed to; `None`: as the user wrote them.
    pub stable_selector: Option<Selector>,
    /// Whether the canary Services exist.
    pub canary_services: bool,
    pub routes: Routes,
    /// The routing that it shares with other Rollouts and needs now. What that changes is no part of this tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<String>,
    /// Whether objects that only the other version has are kept.
    pub union: bool,
}

/// A label that a Service selects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    pub key: String,
    pub value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pods {
    /// The stable slot's workload as it is.
    Stable,
    /// The candidate's template, held on the way from `from` to `to` updated pods of `size`.
    Held {
        size: u32,
        from: u32,
        to: u32,
        phase: PodsPhase,
        /// The percentage that the step was given in, where the workload can be told one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        percent: Option<u32>,
    },
    /// The stable slot's workload on its way back. Where pods can surge, with room for as many as are to come: none of the
    /// others goes before. Where the user's own partition would keep some of the others, without it.
    Returning { surge: u32 },
    /// The stable slot's workload, held on its way back: of `from` new pods that are there, `left` stay.
    Back {
        size: u32,
        /// Stable pods that the release has never touched; where pods have ordinals, those below it.
        kept: u32,
        from: u32,
        left: u32,
        phase: PodsPhase,
    },
    /// The candidate's workload as it is.
    Candidate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PodsPhase {
    /// New pods come, no old pod goes.
    Grow,
    /// As many old pods go as new ones came.
    Shift,
}

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Routes {
    /// As the user wrote them.
    Stable,
    /// Part of them to the canary Services.
    Split {
        /// Percent; `None` where only `matches` count.
        weight: Option<u32>,
        matches: Vec<HttpMatch>,
        request_header_modifier: Option<HeaderModifier>,
        /// Percent of the requests that the canary Services get a copy of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mirror: Option<u32>,
    },
}

impl Shape {
    /// The name of the workload whose pods say whether this shape has come about.
    pub fn shown_by(&self, workload: &str) -> String {
        match (self.extra, self.pods) {
            (Some(_), Pods::Stable) => super::workload::extra::name(workload),
            _ => workload.to_owned(),
        }
    }

    /// Everything as the stable slot has it.
    pub fn stable(labelled: bool) -> Self {
        Self {
            pods: Pods::Stable,
            extra: None,
            extra_for: None,
            nodes: Vec::new(),
            stable_labelled: labelled,
            stable_selector: None,
            canary_services: false,
            routes: Routes::Stable,
            shared: None,
            union: false,
        }
    }
}
