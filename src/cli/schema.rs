//! `windlass schema`.

use crate::api::{self, SchemaKind};

/// There is no document of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no schema `{name}`; there are: {known}")]
pub struct UnknownSchema {
    name: String,
    known: String,
}

/// The JSON Schema of a document (`rollout`, `repository`, `config`, `kruise-rollout`) as text with a newline at its end.
pub fn text(name: &str) -> Result<String, UnknownSchema> {
    let kind = SchemaKind::named(name)
        .ok_or_else(|| UnknownSchema { name: name.to_owned(), known: SchemaKind::ALL.map(|(known, _)| known).join(", ") })?;
    Ok(format!("{:#}\n", api::schema(kind)))
}
