//! Applier's settings as plain values, wherever they were read, and what the rules need to read them.

use serde_json::{Value, json};

use crate::api::{Observe, WorkloadRef};
use crate::manifest;

/// An object of the cluster or of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub value: Value,
    /// The file of the source branch that holds it too, or alone.
    pub file: Option<String>,
    pub in_cluster: bool,
}

impl Item {
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.value.pointer(pointer).and_then(Value::as_str)
    }

    pub fn is_true(&self, pointer: &str) -> bool {
        self.value.pointer(pointer) == Some(&Value::Bool(true))
    }

    /// Whether something other than null or nothing in a list or mapping is there.
    pub fn has(&self, pointer: &str) -> bool {
        self.value.pointer(pointer).is_some_and(is_something)
    }

    pub fn list(&self, pointer: &str) -> &[Value] {
        self.value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn kind(&self) -> &str {
        self.text("/kind").unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.text("/metadata/name").unwrap_or_default()
    }

    pub fn namespace(&self) -> &str {
        self.text("/metadata/namespace").unwrap_or_default()
    }

    pub fn group(&self) -> &str {
        self.text("/apiVersion").unwrap_or_default().split_once('/').map_or("", |(group, _)| group)
    }

    /// `Kustomization flux-system/shop`, with the file where it is written in one.
    pub fn subject(&self) -> String {
        let name = match self.namespace() {
            "" => self.name().to_owned(),
            namespace => format!("{namespace}/{}", self.name()),
        };
        match &self.file {
            Some(file) => format!("{} {name} ({file})", self.kind()),
            None => format!("{} {name}", self.kind()),
        }
    }

    /// The part of this object that must be changed, as YAML.
    pub fn part(&self, spec: &Value) -> String {
        let mut metadata = json!({"name": self.name()});
        if !self.namespace().is_empty() {
            metadata["namespace"] = json!(self.namespace());
        }
        let api_version = self.text("/apiVersion").unwrap_or_default();
        let whole = json!({"apiVersion": api_version, "kind": self.kind(), "metadata": metadata, "spec": spec});
        manifest::write_value(&whole)
    }
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    }
}

/// Where the live branch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// An address without credentials, or a folder.
    pub address: String,
    pub live_branch: String,
    /// Directories of the live branch that hold a kustomization file, `""` for the root.
    pub kustomizations: Vec<String>,
}

/// An app, as an applier should treat it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub app: String,
    pub source_path: String,
    pub live_path: String,
    /// Where Windlass looks for the workload.
    pub namespace: String,
    /// Whether the manifest or the Rollout names that namespace.
    pub namespace_is_written: bool,
    pub workload: WorkloadRef,
    /// Whether its steps send requests.
    pub routes: bool,
    pub observe: Observe,
    /// Whether Windlass has written the live path already.
    pub is_adopted: bool,
    /// Whether the source has an autoscaler for it.
    pub is_scaled: bool,
}

/// Who applies an app, and how soon (seconds from a commit, at most; `None`: not known).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub app: String,
    pub by: String,
    /// The object that does it is in the cluster, not only in a file.
    pub in_cluster: bool,
    pub within: Option<u64>,
}

/// What the rules of one applier say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judged {
    pub findings: Vec<super::Finding>,
    pub applied: Vec<Applied>,
    /// Apps that would be applied but for a finding above.
    pub nearly: Vec<String>,
}

/// Two addresses of repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Same {
    Yes,
    No,
    /// One is a folder of this machine, whose address for others is not known.
    CannotTell,
}

/// Whether an applier's URL means our repository: scheme, user, `.git` and the case of letters do not count (Argo CD,
/// `util/git.NormalizeGitURL`), the port only where the scheme is the same.
pub fn same_repository(ours: &str, theirs: &str) -> Same {
    let (Some(ours), Some(theirs)) = (parts(ours), parts(theirs)) else { return Same::CannotTell };
    let same_port = ours.scheme != theirs.scheme || ours.port == theirs.port;
    if ours.host == theirs.host && ours.path == theirs.path && same_port { Same::Yes } else { Same::No }
}

struct Parts {
    scheme: String,
    host: String,
    port: String,
    path: String,
}

fn parts(address: &str) -> Option<Parts> {
    let address = address.trim().to_lowercase();
    let (scheme, authority, path) = match address.split_once("://") {
        Some(("file", _)) => return None,
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            (scheme.to_owned(), authority.to_owned(), path.to_owned())
        }
        None => {
            let (authority, path) = address.split_once(':').filter(|(authority, _)| !authority.contains('/'))?;
            ("ssh".to_owned(), authority.to_owned(), path.to_owned())
        }
    };
    let host = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port),
        _ => (host, ""),
    };
    let port = match (scheme.as_str(), port) {
        ("https", "443") | ("http", "80") | ("ssh", "22") => "",
        (_, port) => port,
    };
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path).trim_matches('/');
    Some(Parts { scheme, host: host.to_owned(), port: port.to_owned(), path: path.to_owned() })
}

/// A path as Windlass writes it: no `./`, no slash at either end.
pub fn plain_path(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>().join("/")
}

pub fn is_at_or_below(path: &str, folder: &str) -> bool {
    folder.is_empty() || path == folder || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Seconds of a duration as Go writes it (`1m30s`, `500ms`, `3h`); `None` where it is none.
pub fn seconds(text: &str) -> Option<u64> {
    let mut total = 0f64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    if rest == "0" {
        return Some(0);
    }
    while !rest.is_empty() {
        let digits = rest.find(|one: char| !one.is_ascii_digit() && one != '.')?;
        let number: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let letters = rest.find(|one: char| one.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match rest.get(..letters)? {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            "us" | "µs" | "ns" => 0.0,
            _ => return None,
        };
        total += number * unit;
        rest = rest.get(letters..)?;
    }
    // A Go duration is below 300 years; the cast saturates.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "never negative, and saturating is right")]
    let whole = total.ceil() as u64;
    Some(whole)
}

/// A length of time for people.
pub fn length(seconds: u64) -> String {
    crate::engine::length(i64::try_from(seconds).unwrap_or(i64::MAX))
}

/// A shell-like pattern with `*` and `?`, as Argo CD's projects take them.
pub fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut read) = (0, 0);
    // Where the last star stands, and how far it has reached: only that one need ever be longer.
    let mut star: Option<(usize, usize)> = None;
    while let Some(one) = text.get(read) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(other) if other == one || *other == '?' => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((place, reached)) = star else { return false };
                star = Some((place, reached + 1));
                (at, read) = (place + 1, reached + 1);
            }
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|one| *one == '*'))
}
