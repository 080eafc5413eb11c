//! The one integration test binary; a module for each room's public face.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that fails may panic, and says why"
)]
#![allow(clippy::disallowed_methods, reason = "tests may read the clock and the environment")]

mod api;
mod cli;
mod crash;
mod doctor;
mod examples;
mod git;
mod house;
mod lab;
mod lua;
mod manifest;
mod metrics;
mod observe;
mod obstacles;
mod proxy;
mod reconcile;
mod scenarios;
mod scopes;
mod source;
mod tracked;
mod traffic;
mod workloads;
mod world;
