//! The world in memory: its controllers against the figures that were seen on real ones, its Git, its metrics.

mod clones;
pub(crate) mod daemon_sets;
mod figures;
mod git;
pub(crate) mod kit;
mod sizes;
mod traffic;
