//! A history for the tables: what a revision is stands in its first letter.

use windlass::observe::{Lineage, Live, Place};

pub(super) const OURS: &str = "a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0";
/// Another commit after ours, of another app.
pub(super) const LATER: &str = "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";
pub(super) const OLDER: &str = "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0";
pub(super) const SUPERSEDED: &str = "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0";
pub(super) const ELSEWHERE: &str = "d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0";
pub(super) const UNKNOWN: &str = "e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0";

pub(super) struct Letters;

impl Lineage for Letters {
    fn place(&self, revision: &str) -> Place {
        match revision.chars().next() {
            Some('a') => Place::Ours,
            Some('b') => Place::Older,
            Some('c') => Place::Superseded,
            Some('d') => Place::Elsewhere,
            _ => Place::Unknown,
        }
    }
}

pub(super) fn live(path: &str) -> Live<'_> {
    Live { app: "shop", repository: "https://git.example.com/team/apps.git", branch: "deploy", path, lineage: &Letters }
}
