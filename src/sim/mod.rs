//! The world in memory: a cluster with the real controllers' arithmetic, Git with compare-and-swap, and metrics. Nothing
//! here reads a clock or draws chance from outside: the caller moves the time and gives the seeds, so every run can be
//! played again.

pub mod cluster;
pub mod demo;
pub mod git;
pub mod invariants;
pub mod metrics;
mod rng;
pub mod scenario;
pub mod world;

pub use rng::Rng;
