//! The language: documents, findings, meanings.

mod cases;
mod documents;
mod schema;
