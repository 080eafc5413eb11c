//! Crashes and races of the real program on a real Git server: kills at every effect, a server that dies in the middle of a
//! push, disks that are full or broken, and many processes and people on one repository. The same trials run against Gitea in
//! `lab/kills.rs` and `lab/race.rs`.

mod people;
pub(crate) mod place;
pub(crate) mod race;
pub(crate) mod story;
pub(crate) mod sweep;

mod disk;
mod receive;
mod stops;
