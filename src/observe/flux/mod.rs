//! Flux: what its Kustomization says of a commit.

mod judge;
mod kustomization;

pub use judge::missing;
pub use kustomization::Kustomization;

/// Where Kustomizations live, unless somebody says otherwise.
pub const NAMESPACE: &str = "flux-system";
