//! The documents that a user writes: what they may say, where they are wrong, and what they mean.
//!
//! [`read`] is the way in: text to [`model`] and findings. [`validate_together`] judges what one document cannot know.

mod check;
mod convert;
mod described;
mod diagnostic;
mod document;
pub mod model;
mod near;
mod path;
mod read;
mod routing;
mod rules;
mod schema;
mod yaml;

pub use described::{DescribedKind, FieldPath, NoPath, StatusPaths};
pub use diagnostic::{Diagnostic, Place, Severity};
pub use model::*;
pub use read::{Broken, Document, Meaning, ReadResult, read, read_bytes, read_bytes_with, read_with};
pub use rules::{CUSTOM_KINDS, Known, ObjectName, missing_scripts, path_conflict, validate_repository, validate_together};
pub use schema::{SchemaKind, schema};
pub use yaml::MAX_BYTES;
