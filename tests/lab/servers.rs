//! A lab of one's own: up, asked, waited for, down.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Labs that may be up at the same time, those beside another one not counted; a control plane needs a gigabyte.
/// `WINDLASS_LABS` says how many, else one.
fn at_once() -> usize {
    std::env::var("WINDLASS_LABS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}
static UP: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());
/// One starts at a time: a free port that is found is nobody's until its server listens.
static STARTS: Mutex<()> = Mutex::new(());
const STARTS_AT_MOST: usize = 3;
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Running servers; ended when dropped, also when the test fails.
pub(crate) struct Lab {
    folder: PathBuf,
    program: PathBuf,
    env: BTreeMap<String, String>,
    // Given back last.
    _place: Option<Place>,
}

/// One of the labs that may be up.
struct Place;

impl Place {
    /// Waits until one is free.
    fn take() -> Self {
        let (up, free) = &UP;
        let mut up = free.wait_while(up.lock().unwrap(), |up| *up >= at_once().max(1)).unwrap();
        *up += 1;
        Self
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (up, free) = &UP;
        *up.lock().unwrap() -= 1;
        free.notify_one();
    }
}

impl Lab {
    /// Starts a control plane and the parts (`flux`, `gitea`, `prometheus`, `argo`, `routes`). `None`, and a line that says why, where
    /// there is no lab.
    pub(crate) fn up(parts: &[&str]) -> Option<Self> {
        let program = match find() {
            Ok(program) => program,
            Err(why) => {
                println!("skipped: {why}");
                return None;
            }
        };
        let place = Place::take();
        end_orphans(&program, Path::new(env!("CARGO_TARGET_TMPDIR")));
        Some(Self::start(program, parts, Some(place)))
    }

    /// Another lab beside this one, for what is about two clusters.
    pub(crate) fn another(&self, parts: &[&str]) -> Self {
        Self::start(self.program.clone(), parts, None)
    }

    fn start(program: PathBuf, parts: &[&str], place: Option<Place>) -> Self {
        let _alone = STARTS.lock().unwrap_or_else(PoisonError::into_inner);
        let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
        // Its servers have their own ideas of how long a start may take, which a busy machine does not keep.
        for attempt in 1..=STARTS_AT_MOST {
            let folder = parent.join(format!("lab-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst)));
            std::fs::create_dir_all(&folder).unwrap();
            // Its servers inherit the output, so it goes to a file: a pipe would stay open as long as they run.
            let log = std::fs::File::create(folder.join("up.txt")).unwrap();
            let mut up = Command::new(&program);
            up.arg("up").arg(&folder).args(parts).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
            if up.status().unwrap().success() {
                let env = read_env(&std::fs::read_to_string(folder.join("env")).unwrap());
                // A busy Gitea may give no token, and `lab up` succeeds all the same.
                let Some((empty, _)) = env.iter().find(|(_, value)| value.is_empty()) else {
                    return Self { folder, program, env, _place: place };
                };
                println!("lab up gave no {empty}");
            }
            let said = std::fs::read_to_string(folder.join("up.txt")).unwrap_or_default();
            println!("lab up failed at attempt {attempt}:\n{said}");
            down(&program, &folder);
        }
        panic!("the lab does not start");
    }

    /// A variable of the lab's `env` file.
    pub(crate) fn var(&self, name: &str) -> &str {
        self.env.get(name).unwrap_or_else(|| panic!("the lab has no {name}: was its part started?"))
    }

    /// What a program needs to use the lab: `KUBECONFIG`, `PATH`, addresses and tokens.
    pub(crate) fn env(&self) -> &BTreeMap<String, String> {
        &self.env
    }

    /// A folder that is the test's own while the lab is up.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A program with the lab's environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(&self.env);
        command
    }

    /// Runs kubectl and gives its output; a failure fails the test.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        self.try_kubectl(args, "").unwrap_or_else(|error| panic!("kubectl {}: {error}", args.join(" ")))
    }

    pub(crate) fn try_kubectl(&self, args: &[&str], input: &str) -> Result<String, String> {
        let mut child = self
            .command("kubectl")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        child.stdin.take().unwrap().write_all(input.as_bytes()).map_err(|error| error.to_string())?;
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Server-side apply, as Flux does it.
    pub(crate) fn apply(&self, manifests: &str) {
        let args = ["apply", "--server-side", "--force-conflicts", "--field-manager=test", "-f", "-"];
        if let Err(error) = self.try_kubectl(&args, manifests) {
            panic!("kubectl apply: {error}\n{manifests}");
        }
    }

    /// `kubectl get … -o json`; `None` where it does not exist (yet).
    pub(crate) fn get(&self, namespace: &str, kind: &str, name: &str) -> Option<Value> {
        match self.try_kubectl(&["-n", namespace, "get", kind, name, "-o", "json"], "") {
            Ok(text) => Some(serde_json::from_str(&text).unwrap()),
            Err(error) if error.contains("NotFound") => None,
            Err(error) => panic!("kubectl get {kind}/{name}: {error}"),
        }
    }

    /// Asks again until there is an answer; when time is over, fails with what the lab looks like. `ask` may say what is missing.
    pub(crate) fn wait<T>(&self, what: &str, longest: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
        let start = Instant::now();
        loop {
            let missing = match ask() {
                Ok(found) => return found,
                Err(missing) => missing,
            };
            assert!(start.elapsed() < longest, "{what} did not happen in {longest:?}: {missing}\n{}", self.state());
            // Most questions are a kubectl, which costs the machine a tenth of a second.
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    /// What is there and what the servers said last, for a failure's message.
    pub(crate) fn state(&self) -> String {
        let mut text = String::new();
        for kinds in ["deployments,replicasets,pods,services,endpointslices", "gitrepositories,kustomizations", "applications"] {
            if let Ok(table) = self.try_kubectl(&["get", kinds, "-A", "--ignore-not-found"], "") {
                let _ = write!(text, "--- {kinds}\n{table}");
            }
        }
        let logs = std::fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut logs: Vec<_> = logs.filter(|path| path.extension().is_some_and(|end| end == "log")).collect();
        logs.sort();
        for log in logs {
            let _ = writeln!(text, "--- {}\n{}", log.file_name().unwrap_or_default().display(), tail(&log, 15));
        }
        text
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        down(&self.program, &self.folder);
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

fn find() -> Result<PathBuf, String> {
    if std::env::var("WINDLASS_LAB_TESTS").as_deref() != Ok("1") {
        return Err("no lab (WINDLASS_LAB_TESTS is not 1)".to_owned());
    }
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/lab");
    let program = std::env::var_os("WINDLASS_LAB").map_or_else(beside, PathBuf::from).join("lab");
    if program.is_file() { Ok(program) } else { Err(format!("no lab ({} is not there)", program.display())) }
}

fn down(program: &Path, folder: &Path) {
    let ended = Command::new(program).arg("down").arg(folder).stdin(Stdio::null()).output();
    if !ended.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("lab down {} failed: {ended:?}", folder.display());
    }
}

/// Ends labs of test processes that were killed before they could.
fn end_orphans(program: &Path, parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(owner) = name.strip_prefix("lab-").and_then(|rest| rest.split('-').next()) else {
            continue;
        };
        if !Path::new("/proc").join(owner).exists() {
            down(program, &entry.path());
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// `export NAME=value` lines; `$PATH` is the only variable in them.
fn read_env(text: &str) -> BTreeMap<String, String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.replace("$PATH", &path))).collect()
}

pub(crate) fn tail(file: &Path, lines: usize) -> String {
    let text = std::fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
