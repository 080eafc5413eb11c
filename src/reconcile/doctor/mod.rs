//! `windlass doctor`: what would go wrong, before a release finds out.
//!
//! Rules are functions from values (an applier's objects, a forge's answers, a live workload) to findings, one file for each area.
//! `examine` brings the values together. What could not be looked at is a finding too, of level `unknown`; nothing is taken for
//! good because it could not be seen. Nothing is written anywhere.

pub mod appliers;
pub mod argocd;
pub mod argocd_settings;
mod described;
mod examine;
pub mod finding;
pub mod flux;
pub mod forge;
pub mod objects;
pub mod repository;
mod settings;
pub mod workload;

pub use examine::Means;
pub use finding::{Area, Finding, Level, Mend, Report};
