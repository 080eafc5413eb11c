//! What a step writes into the workload; one file a kind.

pub mod deployment;
