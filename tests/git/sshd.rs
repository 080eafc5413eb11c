//! A real sshd on a free port of this machine: its own host key, one key that may log in, nothing of the machine's settings.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use windlass::git::Options;

pub(crate) struct Sshd {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
    pub(crate) user: String,
    child: Child,
}

/// The server's program, which is in no user's `PATH`; says that a test is left out where it is missing.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join("sshd")).find(|program| program.is_file());
    if found.is_none() {
        eprintln!("skipped: there is no sshd (package openssh-server)");
    }
    found
}

impl Sshd {
    /// `None` where the program is not installed.
    pub(crate) fn start() -> Option<Self> {
        let program = program()?;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        keygen(&at("host_key"), "");
        keygen(&at("key"), "");
        std::fs::copy(at("key.pub"), at("authorized_keys")).unwrap();
        let user = String::from_utf8(Command::new("id").arg("-un").output().unwrap().stdout).unwrap().trim().to_owned();
        if user == "root" {
            // Where sshd shuts its unprivileged half in; the machine's own service makes it at its start.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        for _ in 0..5 {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let config = format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\nStrictModes no\n\
                 PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nMaxStartups 100\n\
                 AcceptEnv GIT_PROTOCOL\nPrintMotd no\n",
                at("host_key").display(),
                at("authorized_keys").display()
            );
            std::fs::write(at("config"), config).unwrap();
            let log = std::fs::File::create(at("log")).unwrap();
            let mut child = Command::new(&program)
                .args(["-D", "-e", "-f"])
                .arg(at("config"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap();
            for _ in 0..100 {
                if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    let sshd = Self { folder, port, user, child };
                    sshd.believe("known_hosts", "host_key", port);
                    return Some(sshd);
                }
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("sshd does not start: {}", std::fs::read_to_string(at("log")).unwrap());
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of known hosts in which the server behind `port` has this key.
    pub(crate) fn believe(&self, file: &str, key: &str, port: u16) {
        let public = std::fs::read_to_string(self.at(&format!("{key}.pub"))).unwrap();
        std::fs::write(self.at(file), format!("[127.0.0.1]:{port} {public}")).unwrap();
    }

    pub(crate) fn address(&self, port: u16, path: &Path) -> String {
        format!("ssh://{}@127.0.0.1:{port}{}", self.user, path.display())
    }

    /// A repository of this machine, by the key that may log in.
    pub(crate) fn options(&self, port: u16, path: &Path) -> Options {
        let mut options = Options::new(self.address(port, path), "live");
        options.ssh.key = Some(self.at("key"));
        options.ssh.known_hosts = Some(self.at("known_hosts"));
        options
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn keygen(path: &Path, passphrase: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-C", "test", "-N", passphrase, "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
