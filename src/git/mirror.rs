//! The mirror on this machine: a bare repository that can be thrown away at any time, since everything in it comes from the
//! remote. Several processes may use one at once: objects are written under their ids, references by Git's own locks,
//! and fetching and rebuilding under a lock file.

use super::address::Address;
use super::{GitError, Oid};
use git2::{ErrorCode, Repository, RepositoryInitOptions};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

pub(super) struct Mirror {
    folder: PathBuf,
    /// The objects of a repository in a folder are read where they are.
    alternate: Option<PathBuf>,
    repo: Repository,
    /// How often it was made; another process may make it anew.
    generation: u64,
    temporary: Option<tempfile::TempDir>,
}

/// A mirror with more packs or (about) more loose objects than this is slow, and is fetched again from scratch.
const MOST_PACKS: usize = 200;
const MOST_LOOSE: usize = 20_000;

impl Mirror {
    /// Opens the mirror of `address` below the folder `cache`, or makes it; without `cache` in a folder that goes with this
    /// value. A mirror that cannot be opened is made anew.
    pub(super) fn open(cache: Option<&Path>, address: &Address) -> Result<Self, GitError> {
        let temporary = match cache {
            Some(_) => None,
            None => Some(
                tempfile::Builder::new()
                    .prefix("windlass-mirror-")
                    .tempdir()
                    .map_err(|error| io(Path::new("a temporary folder"), &error))?,
            ),
        };
        let folder = match (cache, &temporary) {
            (Some(cache), _) => cache.join(name(address)),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => PathBuf::new(),
        };
        fs::create_dir_all(&folder).map_err(|error| io(&folder, &error))?;
        keep_private(&folder).map_err(|error| io(&folder, &error))?;
        let alternate = match address.folder() {
            Some(path) => Some(super::folder::objects(path)?),
            None => None,
        };
        let _lock = lock(&folder)?;
        let repo = match opened(&folder) {
            Ok(repo) => repo,
            Err(_) => made(&folder, alternate.as_deref())?,
        };
        Ok(Self { generation: generation(&folder), folder, alternate, repo, temporary })
    }

    pub(super) fn repo(&self) -> &Repository {
        &self.repo
    }

    /// Held until the value is dropped; other processes wait.
    pub(super) fn lock(&self) -> Result<File, GitError> {
        lock(&self.folder)
    }

    /// Opens the repository again where another process may have rebuilt it.
    pub(super) fn reopen(&mut self) -> Result<(), GitError> {
        self.repo = opened(&self.folder).map_err(|error| self.error(&error))?;
        self.generation = generation(&self.folder);
        Ok(())
    }

    /// Starts from nothing, or from what another process has made since.
    pub(super) fn rebuild(&mut self) -> Result<(), GitError> {
        let _lock = self.lock()?;
        if generation(&self.folder) != self.generation && self.reopen().is_ok() {
            return Ok(());
        }
        self.repo = made(&self.folder, self.alternate.as_deref())?;
        self.generation = generation(&self.folder);
        Ok(())
    }

    /// Whether all the history of the remote can be read.
    pub(super) fn is_whole(&self) -> bool {
        self.alternate.is_some()
    }

    /// Whether so much has piled up that a fresh mirror is better. Counted as Git does: one of 256 folders stands for all.
    pub(super) fn is_cluttered(&self) -> bool {
        let count = |path: &str| fs::read_dir(self.repo.path().join(path)).map_or(0, Iterator::count);
        count("objects/pack") / 2 > MOST_PACKS || count("objects/17") * 256 > MOST_LOOSE
    }

    /// Removes what fetches that were killed have left: half a pack each. The caller holds the lock.
    pub(super) fn sweep(&self) {
        let Ok(entries) = fs::read_dir(self.repo.path().join("objects/pack")) else { return };
        for entry in entries.flatten() {
            // git's and libgit2's names; a pack is called `pack-<id>.pack`.
            let is_half = entry.file_name().to_str().is_some_and(|name| name.starts_with("tmp_") || name.starts_with("pack_"));
            if is_half {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    pub(super) fn reference(&self, name: &str) -> Result<Option<Oid>, GitError> {
        match self.repo.refname_to_id(name) {
            Ok(id) => Ok(Some(id)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(self.error(&error)),
        }
    }

    pub(super) fn set_reference(&self, name: &str, id: Oid) -> Result<(), GitError> {
        // Two processes that note the same fetch may meet at the reference's lock: the other one's note is as good.
        for _ in 0..50 {
            match self.repo.reference(name, id, true, "windlass") {
                Ok(_) => return Ok(()),
                Err(error) if error.code() == ErrorCode::Locked => std::thread::sleep(std::time::Duration::from_millis(10)),
                Err(error) => return Err(self.error(&error)),
            }
        }
        Err(self.broken(&format!("{name} is locked: if no process works there, remove the file {name}.lock")))
    }

    pub(super) fn remove_reference(&self, name: &str) -> Result<(), GitError> {
        match self.repo.find_reference(name).and_then(|mut reference| reference.delete()) {
            Err(error) if error.code() != ErrorCode::NotFound => Err(self.error(&error)),
            _ => Ok(()),
        }
    }

    /// Whether a commit and its tree can be read.
    pub(super) fn holds(&self, id: Oid) -> bool {
        self.repo.find_commit(id).is_ok_and(|commit| commit.tree().is_ok())
    }

    pub(super) fn error(&self, error: &git2::Error) -> GitError {
        self.broken(error.message())
    }

    pub(super) fn broken(&self, cause: &str) -> GitError {
        let path = match &self.temporary {
            Some(_) => "a temporary folder".into(),
            None => self.folder.display().to_string(),
        };
        GitError::Mirror { path, cause: cause.into() }
    }
}

/// A folder's name for an address: readable, and never the same for two addresses.
fn name(address: &Address) -> String {
    let shown = address.shown();
    let readable: String = shown
        .rsplit(['/', ':'])
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_'))
        .take(40)
        .collect();
    let digest = hex::encode(Sha256::digest(shown.as_bytes()));
    format!("{readable}-{}", digest.get(..16).unwrap_or_default())
}

fn io(path: &Path, error: &std::io::Error) -> GitError {
    GitError::Mirror { path: path.display().to_string(), cause: error.to_string() }
}

/// What a private repository holds is nobody else's business on a shared machine.
#[cfg(unix)]
fn keep_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn keep_private(_folder: &Path) -> std::io::Result<()> {
    Ok(())
}

fn lock(folder: &Path) -> Result<File, GitError> {
    let path = folder.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(|error| io(&path, &error))?;
    file.lock().map_err(|error| io(&path, &error))?;
    Ok(file)
}

fn opened(folder: &Path) -> Result<Repository, git2::Error> {
    let repo = Repository::open_bare(folder.join("git"))?;
    repo.is_empty()?;
    repo.odb()?;
    Ok(repo)
}

fn generation(folder: &Path) -> u64 {
    fs::read_to_string(folder.join("generation")).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Makes the repository anew. The caller holds the lock.
fn made(folder: &Path, alternate: Option<&Path>) -> Result<Repository, GitError> {
    let path = folder.join("git");
    let aside = folder.join("old");
    // Set aside first, so that nobody opens a half removed one; what a crash left of an earlier one goes too.
    remove(&aside)?;
    match fs::rename(&path, &aside) {
        Ok(()) => remove(&aside)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(&path, &error)),
    }
    let number = folder.join("generation");
    fs::write(&number, format!("{}\n", generation(folder).wrapping_add(1))).map_err(|error| io(&number, &error))?;
    let mut options = RepositoryInitOptions::new();
    options.bare(true).external_template(false).initial_head("windlass");
    let failed = |error: git2::Error| GitError::Mirror { path: path.display().to_string(), cause: error.message().into() };
    Repository::init_opts(&path, &options).map_err(failed)?;
    if let Some(alternate) = alternate {
        let info = path.join("objects/info");
        fs::create_dir_all(&info).map_err(|error| io(&info, &error))?;
        let line = format!("{}\n", alternate.display());
        fs::write(info.join("alternates"), line).map_err(|error| io(&info, &error))?;
    }
    opened(folder).map_err(failed)
}

fn remove(folder: &Path) -> Result<(), GitError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(folder, &error)),
        _ => Ok(()),
    }
}
