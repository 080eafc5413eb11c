//! Kubernetes objects as values.

mod digest;
mod object;

pub use digest::digest;
pub use object::*;
