//! Git's own server for tests and benches: `git http-backend` behind a small http server on a free port, with faults that
//! can be switched on, and bare repositories made by the `git` program.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// What the server does instead of its work. Counts are taken down by one at each use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    /// `user:password` that must be sent, as the header's value.
    pub(crate) authorization: Option<String>,
    /// Answers 500 to so many requests.
    pub(crate) errors: usize,
    /// Carries a push out, and hangs up without an answer.
    pub(crate) lost_replies: usize,
    /// Carries a push out, and answers 502.
    pub(crate) bad_gateways: usize,
    /// Answers every push, or everything, with this status and text.
    pub(crate) refuse_push: Option<(u16, &'static str)>,
    pub(crate) refuse: Option<(u16, &'static str)>,
    /// Redirects every discovery to this base.
    pub(crate) redirect: Option<String>,
    /// Hides version 2 of the protocol.
    pub(crate) version_zero: bool,
    /// Answers so many requests only after a long time.
    pub(crate) silent: bool,
    /// Runs before a push is handed to Git.
    pub(crate) before_push: Option<PathBuf>,
}

struct Shared {
    root: PathBuf,
    faults: Mutex<Faults>,
    requests: Mutex<Vec<String>>,
}

pub(crate) struct Server {
    shared: Arc<Shared>,
    pub(crate) port: u16,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Serves the repositories below `root`.
    pub(crate) fn start(root: &Path) -> Self {
        let shared =
            Arc::new(Shared { root: root.to_owned(), faults: Mutex::new(Faults::default()), requests: Mutex::new(Vec::new()) });
        let app = axum::Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(shared.clone());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = async { axum::serve(axum::serve::ListenerExt::tap_io(listener, |stream| { let _ = stream.set_nodelay(true); }), app).await } => served.unwrap(),
                    _ = stopped => {}
                }
            });
            runtime.shutdown_timeout(std::time::Duration::from_millis(100));
        });
        Self { shared, port, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn address(&self, repository: &str) -> String {
        format!("http://127.0.0.1:{}/{repository}", self.port)
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.shared.faults.lock().unwrap());
    }

    /// The requests since the last call: method and path.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.requests.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn take(count: &mut usize) -> bool {
    let some = *count > 0;
    *count = count.saturating_sub(1);
    some
}

async fn answer(State(shared): State<Arc<Shared>>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let is_push = method == Method::POST && uri.path().ends_with("git-receive-pack");
    let is_discovery = uri.path().ends_with("/info/refs");
    shared.requests.lock().unwrap().push(format!("{method} {uri}"));
    let (faults, error, lost, gateway) = {
        let mut faults = shared.faults.lock().unwrap();
        let error = take(&mut faults.errors);
        let lost = is_push && take(&mut faults.lost_replies);
        let gateway = is_push && take(&mut faults.bad_gateways);
        (faults.clone(), error, lost, gateway)
    };
    if let Some(expected) = &faults.authorization
        && headers.get("authorization").and_then(|value| value.to_str().ok()) != Some(expected)
    {
        // As careless as a server can be: it repeats what it was sent.
        let sent = headers.get("authorization").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let text = format!("wrong credentials: {}", sent.unwrap_or_default());
        return (StatusCode::UNAUTHORIZED, [("content-type", "text/plain")], text).into_response();
    }
    if let Some((status, text)) = faults.refuse.or(faults.refuse_push.filter(|_| is_push)) {
        return (StatusCode::from_u16(status).unwrap(), [("content-type", "text/plain")], text).into_response();
    }
    if error {
        return (StatusCode::INTERNAL_SERVER_ERROR, [("content-type", "text/plain")], "out of order").into_response();
    }
    if faults.silent {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        return StatusCode::NO_CONTENT.into_response();
    }
    if let (Some(base), true) = (&faults.redirect, is_discovery) {
        let target = format!("{base}{}?{}", "/info/refs", uri.query().unwrap_or_default());
        return (StatusCode::MOVED_PERMANENTLY, [("location", target)]).into_response();
    }
    if let (Some(script), true) = (&faults.before_push, is_push) {
        assert!(Command::new("sh").arg(script).status().unwrap().success());
    }
    let response =
        tokio::task::spawn_blocking(move || backend(&shared.root, &faults, &method, &uri, &headers, &body)).await.unwrap();
    if lost {
        // hyper closes the connection of a task that unwinds; no message is printed this way.
        std::panic::resume_unwind(Box::new("the reply is lost"));
    }
    if gateway {
        return (StatusCode::BAD_GATEWAY, [("content-type", "text/html")], "<h1>bad gateway</h1>").into_response();
    }
    response
}

/// Runs `git http-backend` as a web server runs a CGI program.
fn backend(root: &Path, faults: &Faults, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let mut command = git();
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "tester")
        .env("REQUEST_METHOD", method.as_str())
        .env("PATH_INFO", uri.path())
        .env("QUERY_STRING", uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header("content-type"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if !faults.version_zero {
        command.env("GIT_PROTOCOL", header("git-protocol"));
    }
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let sent = body.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&sent);
    });
    let mut output = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    writer.join().unwrap();
    child.wait().unwrap();
    let split = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(output.len());
    let head = String::from_utf8_lossy(&output[..split]).into_owned();
    let mut response = Response::builder();
    for line in head.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            response = response.status(value.split(' ').next().unwrap().parse::<u16>().unwrap());
        } else {
            response = response.header(name, value);
        }
    }
    response.body(axum::body::Body::from(output.split_off((split + 4).min(output.len())))).unwrap()
}

/// The `git` program without anybody's settings, with a fixed person and time.
pub(crate) fn git() -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_NAME", "Ada")
        .env("GIT_AUTHOR_EMAIL", "ada@example.com")
        .env("GIT_AUTHOR_DATE", "1700000000 +0000")
        .env("GIT_COMMITTER_NAME", "Ada")
        .env("GIT_COMMITTER_EMAIL", "ada@example.com")
        .env("GIT_COMMITTER_DATE", "1700000000 +0000");
    command
}

/// Runs `git` in `folder` and gives what it printed, without the last line break.
pub(crate) fn run(folder: &Path, arguments: &[&str], input: &[u8]) -> String {
    let mut child = git()
        .current_dir(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Makes a bare repository with a branch `main` of `commits` commits; the last holds `files` files, five to a directory.
pub(crate) fn make(root: &Path, name: &str, files: usize, commits: usize) -> PathBuf {
    let path = root.join(name);
    run(root, &["init", "--quiet", "--bare", "--initial-branch=main", name], b"");
    import(&path, "refs/heads/main", commits, |number| {
        let mut text = String::new();
        if number + 1 == commits {
            for file in 0..files {
                let service = file / 5;
                let content = format!("file: {file}\n");
                text += &format!(
                    "M 644 inline apps/g{}/s{service}/f{}.yaml\ndata {}\n{content}\n",
                    service / 50,
                    file % 5,
                    content.len()
                );
            }
        }
        text += &format!("M 644 inline counter\ndata {}\n{number}\n", number.to_string().len());
        text
    });
    path
}

/// Adds commits to a branch by `git fast-import`. `changes` gives the commands of one commit.
pub(crate) fn import(path: &Path, branch: &str, commits: usize, changes: impl Fn(usize) -> String) {
    let exists = git().current_dir(path).args(["rev-parse", "--quiet", "--verify", branch]).output().unwrap().status.success();
    let mut stream = String::new();
    for number in 0..commits {
        let time = 1_700_000_000 + number;
        let message = format!("commit {number}");
        stream += &format!("commit {branch}\ncommitter Ada <ada@example.com> {time} +0000\ndata {}\n{message}\n", message.len());
        if number == 0 && exists {
            stream += &format!("from {branch}^0\n");
        }
        stream += &changes(number);
    }
    run(path, &["fast-import", "--quiet", "--force"], stream.as_bytes());
}

/// Puts a hook into a repository.
pub(crate) fn hook(path: &Path, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let file = path.join("hooks").join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}
