//! Argo CD: what its Application says of a commit. The object is read by the Kubernetes API or by Argo CD's own.

mod application;
mod judge;
mod server;

pub use application::Application;
pub use judge::missing;
pub use server::{ArgoCdOptions, ArgoCdServer, MAX_ANSWER};

/// Where Applications live, unless somebody says otherwise.
pub const NAMESPACE: &str = "argocd";
