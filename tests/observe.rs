//! Observers, against a small API server on loopback.

mod kubernetes;
mod revisions;
mod timed;
