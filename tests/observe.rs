//! Observers, against small servers on loopback.

mod argocd;
mod argocd_server;
mod flux;
mod kubernetes;
mod lineage;
mod places;
mod timed;
mod watch;
