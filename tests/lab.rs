//! End-to-end tests on real servers (Kubernetes' control plane, Flux, Gitea, Prometheus), and what such tests need.
//!
//! They run where `WINDLASS_LAB_TESTS=1` is set and the lab's folder is found (`WINDLASS_LAB`, else `../shared/lab` beside the
//! repository); elsewhere each says that it is skipped. Only one lab is up at a time.

pub(crate) mod app;
pub(crate) mod argo;
pub(crate) mod files;
pub(crate) mod flux;
pub(crate) mod gauges;
pub(crate) mod program;
pub(crate) mod repository;
pub(crate) mod rests;
pub(crate) mod servers;
pub(crate) mod watch;

mod controllers;
mod daemon_sets;
mod doctor;
mod ground;
mod kills;
mod kinds;
mod observers;
mod race;
mod releases;
mod rivals;
mod routes;
mod sharing;
mod trials;
