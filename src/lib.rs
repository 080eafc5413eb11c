//! Windlass turns a release into a short series of Git commits. See ARCHITECTURE.md for the rooms.
#![deny(unsafe_code)]

pub mod api;
pub mod cli;
pub mod engine;
mod failpoint;
pub mod forge;
pub mod git;
pub mod lua;
pub mod manifest;
pub mod metrics;
pub mod observe;
pub mod reconcile;
pub mod render;
pub mod sim;
pub mod source;
