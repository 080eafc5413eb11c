//! Metric sources, against small servers on loopback.

mod prometheus;
pub(crate) mod server;
mod template;
