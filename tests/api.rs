//! The language: documents, findings, meanings.

mod cases;
mod documents;
mod init;
mod schema;
mod validate;
