//! Where the commit that is looked for stands in Git. An observer knows nothing of repositories: who calls it answers.

/// The live branch, as far as an observer of an applier needs it.
#[derive(Clone, Copy)]
pub struct Live<'a> {
    /// The Rollout's name.
    pub app: &'a str,
    /// The address of the repository, without credentials.
    pub repository: &'a str,
    /// The live branch.
    pub branch: &'a str,
    /// The live path, relative to the branch's root; `""` is the root.
    pub path: &'a str,
    pub lineage: &'a dyn Lineage,
}

/// Tells revisions apart.
pub trait Lineage {
    /// Where a commit stands that an applier names by its whole id.
    fn place(&self, revision: &str) -> Place;
}

/// Where a revision stands, seen from the newest commit that changed the live path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is that commit or one after it, and the live path is the same.
    Ours,
    /// It comes before that commit.
    Older,
    /// It comes after that commit, and the live path was changed by somebody else since.
    Superseded,
    /// It is known, and no commit of the live branch.
    Elsewhere,
    /// It was not fetched: newer than the last look at the repository, or older than what is kept of the branch.
    Unknown,
}
