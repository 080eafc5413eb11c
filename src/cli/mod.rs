//! cli
mod folder;
pub mod init;
pub mod schema;
pub mod validate;
