//! The mirror on this machine: a bare repository that can be thrown away at any time, since everything in it comes from the
//! remote. Several processes may use one at once: objects are written under their ids, references by Git's own locks,
//! and fetching and rebuilding under a lock file.

use super::address::Address;
use super::history::{self, Known, Walked};
use super::{GitError, Oid};
use crate::failpoint::point;
use git2::{ErrorCode, Repository, RepositoryInitOptions};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub(super) struct Mirror {
    folder: PathBuf,
    /// The objects of a repository in a folder are read where they are.
    alternate: Option<PathBuf>,
    repo: Repository,
    /// How often it was made; another process may make it anew.
    generation: u64,
    /// What is known of its history in this generation.
    walked: Walked,
    temporary: Option<tempfile::TempDir>,
}

/// A mirror with more packs or (about) more loose objects than this is slow, and is fetched again from scratch.
const MOST_PACKS: usize = 200;
const MOST_LOOSE: usize = 20_000;

/// A file of this name beside the repository says that something in it cannot be read.
const BROKEN: &str = "broken";

impl Mirror {
    /// Opens the mirror of `address` below the folder `cache`, or makes it; without `cache` in a folder that goes with this
    /// value. A mirror that cannot be opened is made anew; where the folder may not be written, a temporary one is used.
    pub(super) fn open(cache: Option<&Path>, address: &Address) -> Result<Self, GitError> {
        let alternate = match address.folder() {
            Some(path) => Some(super::folder::objects(path)?),
            None => None,
        };
        let Some(cache) = cache else { return Ok(Self::temporary(alternate)?) };
        match Self::kept(cache.join(name(address)), alternate.clone()) {
            Err(stuck) if stuck.denied => Ok(Self::temporary_instead(&stuck, alternate)?),
            other => Ok(other?),
        }
    }

    fn kept(folder: PathBuf, alternate: Option<PathBuf>) -> Result<Self, Stuck> {
        fs::create_dir_all(&folder).map_err(|error| io(&folder, &error))?;
        keep_private(&folder).map_err(|error| io(&folder, &error))?;
        let _lock = lock(&folder)?;
        let repo = match opened(&folder) {
            Ok(repo) => repo,
            Err(_) => made(&folder, alternate.as_deref())?,
        };
        Ok(Self { generation: generation(&folder), folder, alternate, repo, walked: Walked::default(), temporary: None })
    }

    fn temporary(alternate: Option<PathBuf>) -> Result<Self, Stuck> {
        let made = tempfile::Builder::new().prefix("windlass-mirror-").tempdir();
        let temporary = made.map_err(|error| io(Path::new("a temporary folder"), &error))?;
        let mirror = Self::kept(temporary.path().to_owned(), alternate)?;
        Ok(Self { temporary: Some(temporary), ..mirror })
    }

    fn temporary_instead(stuck: &Stuck, alternate: Option<PathBuf>) -> Result<Self, Stuck> {
        let Stuck { path, cause, .. } = stuck;
        tracing::warn!(mirror.path = path, cause, "the mirror may not be written: a temporary one is used");
        Self::temporary(alternate)
    }

    pub(super) fn repo(&self) -> &Repository {
        &self.repo
    }

    /// Held until the value is dropped; other processes wait.
    pub(super) fn lock(&self) -> Result<File, GitError> {
        Ok(lock(&self.folder)?)
    }

    /// Opens the repository again where another process may have rebuilt it.
    pub(super) fn reopen(&mut self) -> Result<(), GitError> {
        self.repo = opened(&self.folder).map_err(|error| self.error(&error))?;
        let now = generation(&self.folder);
        if now != self.generation {
            self.walked = Walked::default();
        }
        self.generation = now;
        Ok(())
    }

    /// Starts from nothing, or from what another process has made since. Where the folder may not be written any more, from
    /// nothing in a temporary one.
    pub(super) fn rebuild(&mut self) -> Result<(), GitError> {
        match self.rebuild_here() {
            Err(stuck) if stuck.denied && self.temporary.is_none() => {
                *self = Self::temporary_instead(&stuck, self.alternate.clone())?;
                Ok(())
            }
            other => Ok(other?),
        }
    }

    fn rebuild_here(&mut self) -> Result<(), Stuck> {
        let _lock = lock(&self.folder)?;
        if generation(&self.folder) != self.generation && self.reopen().is_ok() {
            return Ok(());
        }
        self.repo = made(&self.folder, self.alternate.as_deref())?;
        self.walked = Walked::default();
        self.generation = generation(&self.folder);
        Ok(())
    }

    /// What a remote can be told that is here already, from `heads` downwards: nothing where its own objects are read.
    pub(super) fn known(&mut self, heads: &[Oid]) -> Result<Known, GitError> {
        if self.is_whole() {
            return Ok(Known::default());
        }
        history::known(&self.repo, heads, &mut self.walked).map_err(|error| self.error(&error))
    }

    /// Tells other processes, and later ones, that something in the mirror cannot be read. Where this cannot be written, they
    /// find out by themselves.
    pub(super) fn mark_broken(&self) {
        let _ = fs::write(self.folder.join(BROKEN), "");
    }

    pub(super) fn is_marked_broken(&self) -> bool {
        self.folder.join(BROKEN).exists()
    }

    /// Where it is, in words.
    pub(super) fn shown(&self) -> String {
        match &self.temporary {
            Some(_) => "a temporary folder".into(),
            None => self.folder.display().to_string(),
        }
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
        GitError::Mirror { path: self.shown(), cause: cause.into() }
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

/// Why a mirror could not be opened or made.
struct Stuck {
    path: String,
    cause: String,
    /// The folder may not be written: another place can help.
    denied: bool,
}

impl From<Stuck> for GitError {
    fn from(Stuck { path, cause, .. }: Stuck) -> Self {
        Self::Mirror { path, cause }
    }
}

fn io(path: &Path, error: &std::io::Error) -> Stuck {
    let denied = matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem);
    Stuck { path: path.display().to_string(), cause: error.to_string(), denied }
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

fn lock(folder: &Path) -> Result<File, Stuck> {
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
fn made(folder: &Path, alternate: Option<&Path>) -> Result<Repository, Stuck> {
    let path = folder.join("git");
    let aside = folder.join("old");
    // Set aside first, so that nobody opens a half removed one; what a crash left of an earlier one goes too.
    remove(&aside)?;
    match fs::rename(&path, &aside) {
        Ok(()) => remove(&aside)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(io(&path, &error)),
    }
    point("mirror-set-aside");
    let number = folder.join("generation");
    fs::write(&number, format!("{}\n", generation(folder).wrapping_add(1))).map_err(|error| io(&number, &error))?;
    let mut options = RepositoryInitOptions::new();
    options.bare(true).external_template(false).initial_head("windlass");
    let failed = |error: git2::Error| Stuck { path: path.display().to_string(), cause: error.message().into(), denied: false };
    point("mirror-numbered");
    Repository::init_opts(&path, &options).map_err(failed)?;
    point("mirror-made");
    if let Some(alternate) = alternate {
        let info = path.join("objects/info");
        fs::create_dir_all(&info).map_err(|error| io(&info, &error))?;
        let line = format!("{}\n", alternate.display());
        fs::write(info.join("alternates"), line).map_err(|error| io(&info, &error))?;
    }
    let repo = opened(folder).map_err(failed)?;
    // Only now: whoever is killed on the way here leaves the mark standing.
    match fs::remove_file(folder.join(BROKEN)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io(&folder.join(BROKEN), &error)),
        _ => Ok(repo),
    }
}

fn remove(folder: &Path) -> Result<(), Stuck> {
    let removed = match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorKind::NotADirectory => fs::remove_file(folder),
        other => other,
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io(folder, &error)),
        _ => Ok(()),
    }
}
