//! A real nginx in a folder of its own, which listens on sockets in it and nowhere else.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use windlass::sim::cluster::Request;

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where distributions have it, which is in no user's PATH.
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("nginx")).find(|file| file.is_file())
}

/// Says that the test is left out where there is none.
pub(super) fn is_there() -> bool {
    let there = program().is_some();
    if !there {
        eprintln!("skipped: there is no nginx");
    }
    there
}

pub(super) struct Nginx {
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Nginx {
    /// One process with `http` as its blocks; the front listens on `front.sock`.
    pub(super) fn start(http: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let conf = format!(
            "daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{ worker_connections 512; }}
http {{
access_log off;
client_body_temp_path body;
proxy_temp_path proxy;
fastcgi_temp_path fastcgi;
uwsgi_temp_path uwsgi;
scgi_temp_path scgi;
variables_hash_bucket_size 128;
{http}}}
"
        );
        std::fs::write(folder.path().join("nginx.conf"), &conf).unwrap();
        let errors = std::fs::File::create(folder.path().join("errors")).unwrap();
        let mut command = Command::new(program().unwrap());
        command.arg("-p").arg(folder.path()).args(["-e", "stderr", "-c", "nginx.conf"]).env_clear().current_dir(folder.path());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        while UnixStream::connect(folder.path().join("front.sock")).is_err() {
            let ended = child.try_wait().unwrap().is_some();
            if ended || Instant::now() > until {
                let _ = child.kill();
                panic!("nginx: {}\n{conf}", read(&folder.path().join("errors")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Self { child, folder }
    }

    /// Who answers `count` requests, and how many each.
    pub(super) fn ask(&self, request: &Request, count: u32) -> BTreeMap<String, u32> {
        let mut stream = BufReader::new(UnixStream::connect(self.folder.path().join("front.sock")).unwrap());
        stream.get_ref().set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut answers = BTreeMap::new();
        for number in 0..count {
            let headers: String = request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let text = format!("GET {}?n={number} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", request.path, request.host);
            stream.get_mut().write_all(text.as_bytes()).unwrap();
            *answers.entry(answer(&mut stream)).or_default() += 1;
        }
        answers
    }
}

/// The body of one answer, which has a length.
fn answer(stream: &mut BufReader<UnixStream>) -> String {
    let mut length = None;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = Some(value.trim().parse::<usize>().unwrap());
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length.expect("an answer with a length")];
    stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
