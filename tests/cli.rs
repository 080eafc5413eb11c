//! The terminal as a user sees it: the real program on real repositories.

mod action;
mod apart;
pub(crate) mod desk;
mod doctor;
mod documents;
mod errors;
mod lua;
mod output;
mod people;
mod race;
mod reference;
mod routes;
mod scopes;
mod sources;
mod trouble;
mod words;
