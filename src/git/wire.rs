//! What every kind of remote can do: say where its branches stand, give history, and take a commit by compare-and-swap.

use super::history::Known;
use super::{GitError, Oid};
use git2::Repository;
use std::collections::BTreeMap;

/// What a remote says of itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Advertised {
    /// The full name of the branch that HEAD names.
    pub(super) head: Option<String>,
    /// Of the references asked for, those that exist, by full name.
    pub(super) refs: BTreeMap<String, Oid>,
}

/// A request for one branch.
pub(super) struct Fetch<'a> {
    /// The full name.
    pub(super) name: &'a str,
    /// Where it stood when it was listed.
    pub(super) tip: Oid,
    pub(super) known: &'a Known,
    /// How many commits of history; `None`: all since what is known.
    pub(super) depth: Option<u32>,
}

/// The one kind of change that we make to a remote.
pub(super) struct Update<'a> {
    /// The full name of the branch.
    pub(super) name: &'a str,
    /// Where it must stand; `None`: it must not exist.
    pub(super) old: Option<Oid>,
    pub(super) new: Oid,
    /// Commits that the remote has.
    pub(super) bases: &'a [Oid],
}

pub(super) trait Wire: Send {
    fn list(&mut self, names: &[&str]) -> Result<Advertised, GitError>;
    /// Brings the history of a branch into the mirror. Gives the tip that it brought: the branch may have moved.
    fn fetch(&mut self, mirror: &Repository, request: &Fetch<'_>) -> Result<Oid, GitError>;
    /// The commit that a name or an expression such as `HEAD~2` means, where the remote can tell; it is then in the mirror.
    fn revision(&mut self, _name: &str) -> Option<Oid> {
        None
    }
    /// Whether the remote would let us push to a branch, as far as it tells before anything is sent; `at` is a commit that it has.
    /// `Refused`: it would not. Nothing is changed.
    fn may_push(&mut self, mirror: &Repository, name: &str, at: Option<Oid>) -> Result<(), GitError>;
    /// `Ok`: the remote said that it took the update. An error tells what was seen, not what happened: read the branch again.
    fn push(&mut self, mirror: &Repository, update: &Update<'_>) -> Result<(), GitError>;
}

/// What a remote's refusal of an update means: `reason` is its own word for it, `text` what it and its hooks have said
/// beside that. Whether the branch has moved is never read from this.
pub(super) fn declined(address: &str, reason: &str, text: &str) -> GitError {
    let reason = reason.trim();
    let cause = match text {
        "" => format!("the push was refused: {reason}"),
        text => format!("the push was refused: {reason}: {text}"),
    };
    let (reason, all) = (reason.to_lowercase(), cause.to_lowercase());
    // A hook may say anything, also "locked": only the server's own word tells that its reference is.
    if !reason.contains("hook") && (reason.contains("lock") || reason.contains("failed to update ref")) {
        return locked(address, &cause);
    }
    let hint = if all.contains("protected") {
        "the branch is protected: let the user that Windlass pushes as push to it"
    } else if all.contains("hook") {
        "a hook on the server decides who may push what: let the user that Windlass pushes as pass"
    } else if all.contains("no space left") || all.contains("quota") {
        "the server has no room for the push: make some there; the next run makes the same commit"
    } else if all.contains("unpack") {
        "the server could not keep what was pushed: look at its disk and its log"
    } else {
        "look at the server's rules for this branch and at the rights of the user that Windlass pushes as"
    };
    GitError::Refused { address: address.into(), cause, hint: Some(hint.into()) }
}

/// How it is said that a branch is locked, whoever found out. What to do then is the error's hint.
const LOCKED: &str = "the branch is locked: ";

/// The branch's lock is held.
pub(super) fn locked(address: &str, cause: &str) -> GitError {
    GitError::Unreachable { address: address.into(), cause: format!("{LOCKED}{cause}") }
}

/// Whether `error` was made by [`locked`].
pub(super) fn is_locked(error: &GitError) -> bool {
    matches!(error, GitError::Unreachable { cause, .. } if cause.starts_with(LOCKED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_the_servers_own_word() {
        let is_final = |reason, text| matches!(declined("a", reason, text), GitError::Refused { .. });
        let hint = |reason, text| declined("a", reason, text).hint().unwrap_or_default();
        assert!(is_final("pre-receive hook declined", "the branch is locked: failed to update ref"));
        assert!(!is_final("failed to update ref", "error: cannot lock ref"));
        assert!(!is_final(" cannot lock ref 'refs/heads/live': is at 1 but expected 2", ""));
        assert!(hint("protected branch hook declined", "GH006: Protected branch update failed").contains("protected"));
        assert!(hint("pre-receive hook declined", "not today").contains("a hook"));
        assert!(
            hint("unpacker error: index-pack abnormal exit", "fatal: write error: No space left on device").contains("no room")
        );
        assert!(hint("unpacker error", "").contains("could not keep"));
        assert!(hint("deny updating a hidden ref", "").contains("rules"));
    }
}
