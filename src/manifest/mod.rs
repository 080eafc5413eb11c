//! Kubernetes objects as plain values: read as Kubernetes reads them, written in one canonical form.

mod compose;
mod diff;
mod digest;
mod error;
mod object;
mod read;
mod scalar;
mod stems;
mod views;
mod write;

pub use diff::{FieldChange, diff, diff_shown};
pub use digest::digest;
pub use error::ReadError;
pub use object::*;
pub use read::{Document, Limits, Raw, read, read_with, values};
pub use views::{images, pod_template, replicas};
pub use write::{write, write_value};
