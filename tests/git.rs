//! The store against Git's own server, and against folders.

mod apart;
mod cuts;
mod faults;
pub(crate) mod https;
mod may;
mod messages;
mod network;
pub(crate) mod relay;
pub(crate) mod server;
mod ssh;
pub(crate) mod sshd;
mod steps;
mod trees;

use server::{Server, make, run};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use windlass::git::{Change, NewCommit, Oid, Options, Person, Repo, Store};

/// A folder with one bare repository `repo.git`, served by http.
struct World {
    folder: tempfile::TempDir,
    server: Server,
    path: PathBuf,
}

/// How the repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Http,
    HttpZero,
    Folder,
    /// A folder with a hook that lets everything pass: the `git` program pushes.
    Hooked,
    /// ssh, by a stand-in for the ssh program that runs the command here.
    Ssh,
}

const WAYS: [Way; 5] = [Way::Http, Way::HttpZero, Way::Folder, Way::Hooked, Way::Ssh];

impl World {
    fn new() -> Self {
        Self::with(10, 3)
    }

    fn with(files: usize, commits: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = make(folder.path(), "repo.git", files, commits);
        Self { server: Server::start(folder.path()), folder, path }
    }

    fn options(&self, way: Way) -> Options {
        self.server.set(|faults| faults.version_zero = way == Way::HttpZero);
        let address = match way {
            Way::Http | Way::HttpZero => self.server.address("repo.git"),
            Way::Folder => format!("file://{}", self.path.display()),
            Way::Hooked => {
                server::hook(&self.path, "update", "exit 0");
                self.path.display().to_string()
            }
            Way::Ssh => format!("ssh://git@example.com{}", self.path.display()),
        };
        let mut options = Options::new(address, "live");
        if way == Way::Ssh {
            // Called as: ssh <options> git@example.com "git-upload-pack '/path'".
            let program = self.folder.path().join("ssh");
            write_script(&program, "for last; do :; done\nexec sh -c \"$last\"");
            options.ssh.program = program.display().to_string();
        }
        options
    }

    fn store(&self, way: Way) -> Store {
        Store::open(self.options(way)).unwrap()
    }

    fn git(&self, arguments: &[&str]) -> String {
        run(&self.path, arguments, b"")
    }

    fn head(&self, branch: &str) -> Option<Oid> {
        let id = self.git(&["for-each-ref", "--format=%(objectname)", &format!("refs/heads/{branch}")]);
        if id.is_empty() { None } else { Some(id.parse().unwrap()) }
    }
}

fn write_script(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn files(files: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    files.iter().map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec())).collect()
}

fn new_commit(changes: Vec<Change>, message: &str) -> NewCommit {
    let author = Person { name: "Windlass".into(), email: "windlass@example.com".into() };
    NewCommit { changes, message: message.into(), author, time: 1_800_000_000 }
}

fn file_commit(path: &str, content: &str) -> NewCommit {
    new_commit(vec![Change::File { path: path.into(), content: content.into() }], "one file\n")
}
