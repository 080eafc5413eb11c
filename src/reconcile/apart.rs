//! A live branch in another repository than the source: who may say so, and whose it is.
//!
//! The source only proposes a repository. Windlass reads and writes no other than those that whoever runs it has named: else a text in
//! the source would send its credentials, and its commits, wherever it likes.

use super::layout::{self, SOURCE};
use super::{Reconciler, Trouble};
use crate::api::Repository;
use crate::git::{Change, Heads, Oid, Repo, is_same};

fn refuse(code: &'static str, text: String) -> Result<(), Trouble> {
    Err(Trouble::Refused { code, text })
}

impl Reconciler<'_> {
    /// Whether the live branch is where the settings and the operator want it, and is this source's.
    ///
    /// # Errors
    /// [`Trouble::Refused`] where not, with the way out.
    pub(super) fn check_place(&mut self, heads: &Heads, settings: &Repository) -> Result<(), Trouble> {
        if !self.repo.is_apart() {
            return self.check_named(settings);
        }
        match heads.live {
            None => self.check_left_behind(settings),
            Some(live) => self.check_source(live),
        }
    }

    fn check_named(&self, settings: &Repository) -> Result<(), Trouble> {
        let Some(url) = &settings.live_url else { return Ok(()) };
        let remote = self.overrides.remote.as_ref().is_some_and(|remote| is_same(remote.reveal(), url));
        if remote || is_same(&self.repo.address(), url) {
            return Ok(());
        }
        let text = format!(
            "`live.url` in .windlass.yaml puts the live branch into another repository, {url}, and nothing is sent to a repository that only \
             the source names: if Windlass may write there, run it with `--live-repo {url}` (or WINDLASS_LIVE_REPO)"
        );
        refuse("live-repository", text)
    }

    /// An empty live branch begins anew, with the source as it is. That must not happen to apps that are being looked after already.
    fn check_left_behind(&mut self, settings: &Repository) -> Result<(), Trouble> {
        let branch = &settings.live_branch;
        let Some(old) = self.repo.resolve(branch)? else { return Ok(()) };
        let apps = layout::recorded_apps(&*self.repo, old)?;
        let Some(app) = apps.first() else { return Ok(()) };
        let text = format!(
            "{} has no branch `{branch}` yet, while `{branch}` of {} holds the state of {app}: push that over to go on from there (`git push {} \
             {branch}`); to begin anew, remove the old branch or take another `liveBranch`",
            self.repo.live_address(),
            self.repo.address(),
            self.repo.live_address(),
        );
        refuse("live-left-behind", text)
    }

    /// Two sources on one branch would take each other's Rollouts for deleted.
    fn check_source(&self, live: Oid) -> Result<(), Trouble> {
        let Some(ours) = self.repo.source_name() else { return Ok(()) };
        let Some(content) = layout::read_file(&*self.repo, live, SOURCE)? else { return Ok(()) };
        let theirs = String::from_utf8_lossy(&content).trim().to_owned();
        if theirs == ours {
            return Ok(());
        }
        let shown: String = theirs.chars().filter(|one| !one.is_control()).take(200).collect();
        let text = format!(
            "branch `{}` of {} is made from `{shown}`, not from `{ours}`: give each source a live branch of its own (`liveBranch`); if the \
             source was only renamed, write `{ours}` into {SOURCE} on the live branch",
            self.repo.live_branch(),
            self.repo.live_address(),
        );
        refuse("other-source", text)
    }
}

/// What makes the branch remember its source, where it does not yet.
pub(super) fn mark(repo: &dyn Repo, parent: Option<Oid>) -> Result<Option<Change>, Trouble> {
    let Some(name) = repo.source_name() else { return Ok(None) };
    let there = parent.map(|parent| repo.entry(parent, SOURCE)).transpose()?.flatten();
    Ok(there.is_none().then(|| Change::File { path: SOURCE.to_owned(), content: format!("{name}\n").into_bytes() }))
}
