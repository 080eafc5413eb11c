//! Observers, against small servers on loopback.

mod argocd;
mod argocd_server;
mod daemon_sets;
mod described;
mod flux;
mod kubernetes;
mod lineage;
mod places;
mod revisions;
mod timed;
mod watch;
