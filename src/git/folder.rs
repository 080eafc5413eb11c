//! A repository in a folder of this machine: its objects are read where they are, and its branch is moved under Git's own
//! lock. Hooks that it has are run by the `git` program.

use super::history::brought;
use super::program::Program;
use super::wire::{Advertised, Fetch, Update, Wire, locked};
use super::{GitError, Oid};
use crate::failpoint::point;
use git2::{ErrorCode, Repository};
use std::path::{Path, PathBuf};

pub(super) struct Folder {
    path: PathBuf,
    program: Program,
}

impl Folder {
    pub(super) fn new(path: PathBuf, program: Program) -> Self {
        Self { path, program }
    }

    fn refused(&self, cause: impl Into<String>, hint: Option<&str>) -> GitError {
        GitError::Refused { address: self.path.display().to_string(), cause: cause.into(), hint: hint.map(str::to_owned) }
    }

    fn failed(&self, error: &git2::Error) -> GitError {
        if error.code() == ErrorCode::Locked {
            return locked(&self.path.display().to_string(), error.message().trim_end_matches([':', ' ']));
        }
        self.refused(error.message(), None)
    }

    /// A branch that somebody has checked out must not move under their feet.
    fn refuse_checked_out(&self, repo: &Repository, name: &str) -> Result<(), GitError> {
        let checked_out = |repo: &Repository| {
            !repo.is_bare() && repo.find_reference("HEAD").is_ok_and(|head| head.symbolic_target() == Ok(Some(name)))
        };
        let linked = repo.worktrees().map_err(|error| self.failed(&error))?;
        let elsewhere = linked.iter().flatten().flatten().any(|worktree| {
            repo.find_worktree(worktree)
                .and_then(|worktree| Repository::open_from_worktree(&worktree))
                .is_ok_and(|worktree| checked_out(&worktree))
        });
        if checked_out(repo) || elsewhere {
            return Err(self.refused(
                format!("{name} is checked out there, and pushing to it would pull the ground from under the files"),
                Some("push to a bare repository (git clone --bare), or check out another branch there"),
            ));
        }
        Ok(())
    }
}

/// The folder with the objects of the repository at `path`.
pub(super) fn objects(path: &Path) -> Result<PathBuf, GitError> {
    let repo = open(path)?;
    let objects = repo.commondir().join("objects");
    let objects = objects.canonicalize().unwrap_or(objects);
    if objects.to_str().is_none_or(|text| text.contains('\n')) {
        let cause = "the folder's name is not UTF-8 or holds a line break";
        return Err(GitError::Refused { address: path.display().to_string(), cause: cause.into(), hint: None });
    }
    Ok(objects)
}

fn open(path: &Path) -> Result<Repository, GitError> {
    Repository::open(path).map_err(|error| {
        let (cause, hint) = match error.code() {
            ErrorCode::NotFound => (
                "there is no Git repository in this folder".to_owned(),
                "check the path; `git init --bare` makes a repository".to_owned(),
            ),
            _ => (
                error.message().to_owned(),
                "the folder must belong to the user that runs Windlass and hold a SHA-1 repository".into(),
            ),
        };
        GitError::Refused { address: path.display().to_string(), cause, hint: Some(hint) }
    })
}

impl Wire for Folder {
    fn revision(&mut self, name: &str) -> Option<Oid> {
        let repo = open(&self.path).ok()?;
        let tracked = format!("refs/remotes/origin/{name}");
        [name, &tracked].iter().find_map(|name| Some(repo.revparse_single(name).ok()?.peel_to_commit().ok()?.id()))
    }

    fn list(&mut self, names: &[&str]) -> Result<Advertised, GitError> {
        let repo = open(&self.path)?;
        let mut advertised = Advertised::default();
        for name in names {
            // In a clone a branch may only be known as the remote has it.
            let tracked = format!("refs/remotes/origin/{}", name.strip_prefix("refs/heads/").unwrap_or(name));
            match repo.refname_to_id(name).or_else(|_| repo.refname_to_id(&tracked)) {
                Ok(id) => {
                    advertised.refs.insert((*name).to_owned(), id);
                }
                Err(error) if error.code() == ErrorCode::NotFound => {}
                Err(error) => return Err(self.failed(&error)),
            }
        }
        let head = repo.find_reference("HEAD").map_err(|error| self.failed(&error))?;
        if let Ok(Some(target)) = head.symbolic_target() {
            if let Ok(id) = repo.refname_to_id(target) {
                advertised.refs.insert(target.to_owned(), id);
            }
            advertised.head = Some(target.to_owned());
        } else if let Ok(id) = repo.refname_to_id("HEAD") {
            // Nothing but a commit is checked out, as in a CI job: that commit is the source.
            advertised.refs.insert("HEAD".to_owned(), id);
            advertised.head = Some("HEAD".to_owned());
        }
        Ok(advertised)
    }

    fn fetch(&mut self, _mirror: &Repository, request: &Fetch<'_>) -> Result<Oid, GitError> {
        Ok(request.tip)
    }

    fn may_push(&mut self, _mirror: &Repository, name: &str, _at: Option<Oid>) -> Result<(), GitError> {
        let repo = open(&self.path)?;
        self.refuse_checked_out(&repo, name)?;
        for folder in ["objects", "refs/heads"] {
            let folder = repo.commondir().join(folder);
            // A file without a name: it is gone when it is closed.
            tempfile::tempfile_in(&folder).map_err(|error| {
                let hint = "let the user that runs Windlass write there, or name the remote itself with `--repo URL`";
                self.refused(format!("{} cannot be written: {error}", folder.display()), Some(hint))
            })?;
        }
        Ok(())
    }

    fn push(&mut self, mirror: &Repository, update: &Update<'_>) -> Result<(), GitError> {
        let repo = open(&self.path)?;
        self.refuse_checked_out(&repo, update.name)?;
        if has_hooks(&repo) {
            return self.program.push(mirror, &self.path.display().to_string(), update);
        }
        let failed = |error: git2::Error| self.failed(&error);
        let (from, to) = (mirror.odb().map_err(failed)?, repo.odb().map_err(failed)?);
        for id in brought(mirror, update.new, update.bases).map_err(failed)? {
            // Written to the receiving repository itself: what the mirror holds goes away with the mirror.
            if !to.exists(id) {
                let object = from.read(id).map_err(failed)?;
                to.write(object.kind(), object.data()).map_err(failed)?;
                point("object-copied");
            }
        }
        if update.old.is_some() && repo.find_reference(update.name).is_err() {
            return Err(self.refused(
                format!("this clone knows {} only as its remote has it", update.name),
                Some("name the remote itself with `--repo URL`, so that everybody sees the commit"),
            ));
        }
        match update.old {
            Some(old) => repo.reference_matching(update.name, update.new, true, old, "push by windlass"),
            None => repo.reference(update.name, update.new, false, "push by windlass"),
        }
        .map(|_| ())
        .map_err(failed)
    }
}

/// Hooks that a push must run, as `git-receive-pack` would.
const HOOKS: [&str; 6] = ["pre-receive", "update", "proc-receive", "reference-transaction", "post-receive", "post-update"];

fn has_hooks(repo: &Repository) -> bool {
    let configured = repo.config().and_then(|config| config.get_path("core.hooksPath")).ok();
    let folder = match configured {
        Some(path) if path.is_absolute() => path,
        Some(path) => repo.workdir().unwrap_or(repo.path()).join(path),
        None => repo.commondir().join("hooks"),
    };
    HOOKS.iter().any(|hook| is_executable(&folder.join(hook)))
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}
