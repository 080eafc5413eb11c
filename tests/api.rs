//! The language: documents, findings, meanings.

mod cases;
mod documents;
mod init;
mod kinds;
mod schema;
mod validate;
