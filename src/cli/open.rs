//! From the command line's options to a repository and a world.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::args::Global;
use super::exit::{Exit, Failure};
use crate::api::{self, Config, Diagnostic, Meaning, MetricProvider};
use crate::git::Secret as GitSecret;
use crate::git::{self, Apart, Credentials, Network, Oid, Options, Repo, Store};
use crate::metrics::{Authentication, Prometheus, PrometheusOptions, Secret, Source};
use crate::observe::{ArgoCdOptions, KubernetesOptions};
use crate::reconcile::{Overrides, RealWorld, Reconciler, Trouble};

/// The operator's settings: the file that was named, or `windlass.yaml` in the current folder, or none.
fn config(global: &Global) -> Result<Config, Failure> {
    let (path, named) = match &global.config {
        Some(path) => (path.clone(), true),
        None => (PathBuf::from("windlass.yaml"), false),
    };
    let content = match std::fs::read(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => return Ok(Config::default()),
        Err(error) => return Err(Failure::usage(format!("{}: {error}", path.display()))),
    };
    let mut read = api::read_bytes(&path.display().to_string(), &content);
    read.findings.retain(Diagnostic::is_error);
    if !read.findings.is_empty() {
        let text = super::validate::render_text(
            &super::validate::Outcome { findings: read.findings, files_checked: 1, ..Default::default() },
            false,
        );
        return Err(Failure { exit: Exit::Usage, text: text.trim_end().to_owned(), hints: Vec::new(), code: "config" });
    }
    let config = read.documents.into_iter().find_map(|document| match document.into_meaning() {
        Meaning::Config(config) => Some(config),
        _ => None,
    });
    config.ok_or_else(|| Failure::usage(format!("{}: holds no document of kind `Config`", path.display())))
}

/// The world that the operator's settings describe.
pub(super) fn world(global: &Global) -> Result<RealWorld, Failure> {
    let config = config(global)?;
    let kubernetes = KubernetesOptions {
        kubeconfig: config.cluster.kubeconfig.as_ref().map(PathBuf::from),
        context: config.cluster.context.clone(),
        ..KubernetesOptions::default()
    };
    let argocd = config.argocd.map(|argocd| ArgoCdOptions {
        token_file: argocd.token_file.map(PathBuf::from),
        ca_file: argocd.ca_file.map(PathBuf::from),
        ..ArgoCdOptions::new(argocd.server)
    });
    let mut sources: BTreeMap<String, Box<dyn Source>> = BTreeMap::new();
    for source in config.sources {
        let MetricProvider::Prometheus { url, bearer_token_file, headers } = source.provider;
        let mut options = PrometheusOptions::new(source.name.clone(), url);
        options.headers = headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
        if let Some(path) = bearer_token_file {
            let token = std::fs::read_to_string(&path)
                .map_err(|error| Failure::usage(format!("metrics source `{}`: {path}: {error}", source.name)))?;
            options.authentication = Some(Authentication::Bearer(Secret::new(token.trim())));
        }
        sources.insert(source.name, Box::new(Prometheus::new(options).map_err(Trouble::from)?));
    }
    Ok(RealWorld::new(kubernetes, sources, crate::source::Options::default()).with_argocd(argocd))
}

/// The address of the repository that commits go to: in a clone, of the remote that it came from, so that everybody sees them. As it
/// was given, which may hold credentials.
pub(super) fn remote_address(global: &Global) -> Result<String, Failure> {
    if let Some(repo) = &global.repo {
        return Ok(repo.clone());
    }
    let folder = around(Path::new("."))?;
    let origin = git2::Repository::open(&folder).ok().and_then(|repository| {
        let remote = repository.find_remote("origin").ok()?;
        remote.url().ok().map(str::to_owned)
    });
    Ok(origin.unwrap_or_else(|| folder.display().to_string()))
}

/// The repository at `address`, or that and the one with the live branch. `remote`: where everybody finds the source.
fn open(global: &Global, address: String, remote: &str) -> Result<Box<dyn Repo>, Failure> {
    let source = options(global, address);
    Ok(match live_options(global, remote) {
        Some(live) => Box::new(Apart::open(source, live, Some(&absolute(remote))).map_err(Trouble::from)?),
        None => Box::new(Store::open(source).map_err(Trouble::from)?),
    })
}

/// A folder by its whole path, so that it is called the same from everywhere.
fn absolute(address: &str) -> String {
    let path = address.strip_prefix("file://").unwrap_or(address);
    let whole = if is_folder(address) { std::fs::canonicalize(path).ok() } else { None };
    whole.map_or_else(|| address.to_owned(), |path| path.display().to_string())
}

/// How the live branch's repository is reached; `None`: it is the source's, which is at `remote`.
pub(super) fn live_options(global: &Global, remote: &str) -> Option<Options> {
    let address = global.live_repo.clone().filter(|live| !live.is_empty() && !git::is_same(live, remote))?;
    let mut options = options(global, address);
    // The source's credentials go to no other server; those in the address are for this repository.
    options.credentials = credentials("WINDLASS_LIVE_TOKEN", "WINDLASS_LIVE_USERNAME")
        .or(options.credentials.filter(|_| git::takes_credentials_of(options.address.reveal(), remote)));
    if let Some(key) = variable(&["WINDLASS_LIVE_SSH_KEY"]) {
        options.ssh.key = Some(PathBuf::from(key));
    }
    Some(options)
}

/// Whether an address is a folder of this machine: neither a URL nor `user@host:path`.
pub(super) fn is_folder(address: &str) -> bool {
    match address.split_once("://") {
        Some((scheme, _)) => scheme.eq_ignore_ascii_case("file"),
        None => address.find(':').is_none_or(|colon| address.find('/').is_some_and(|slash| slash < colon)),
    }
}

/// How a repository is reached.
pub(super) fn options(global: &Global, address: String) -> Options {
    let live = global.branch.clone().unwrap_or_else(|| api::Repository::default().live_branch);
    let mut options = Options::new(address, live);
    options.source.clone_from(&global.source_branch);
    options.cache.clone_from(&global.cache);
    options.credentials = credentials("WINDLASS_TOKEN", "WINDLASS_USERNAME");
    // As curl and git do; HTTP_PROXY in capitals is left out, since a web server sets it from a header (CVE-2016-5385).
    let proxies: &[&str] = if address_is_plain_http(&options) {
        &["http_proxy", "ALL_PROXY", "all_proxy"]
    } else {
        &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
    };
    options.network = Network {
        proxy: variable(proxies).map(GitSecret::new),
        no_proxy: variable(&["NO_PROXY", "no_proxy"]),
        certificate_authorities: variable(&["WINDLASS_CA_FILE", "SSL_CERT_FILE"]).map(PathBuf::from),
        ..Network::default()
    };
    options.ssh.key = variable(&["WINDLASS_SSH_KEY"]).map(PathBuf::from);
    options.ssh.known_hosts = variable(&["WINDLASS_SSH_KNOWN_HOSTS"]).map(PathBuf::from);
    options
}

fn address_is_plain_http(options: &Options) -> bool {
    options.address.reveal().get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"))
}

/// Secrets come from the environment only: a command line is everybody's to read.
fn credentials(token: &str, user: &str) -> Option<Credentials> {
    let token = variable(&[token])?;
    Some(match variable(&[user]) {
        Some(user) => Credentials::Basic { user, password: GitSecret::new(token) },
        None => Credentials::Token(GitSecret::new(token)),
    })
}

#[expect(clippy::disallowed_methods, reason = "the door: what the environment says becomes an argument here")]
pub(super) fn variable(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| std::env::var(name).ok()).filter(|value| !value.is_empty())
}

/// The repository around a folder.
fn around(folder: &Path) -> Result<PathBuf, Failure> {
    let found = git2::Repository::discover(folder).map_err(|_| {
        Failure::usage("no repository here").hint("run inside a clone, or name one: `--repo https://…`, `--repo path/to/repo`")
    })?;
    Ok(found.workdir().unwrap_or_else(|| found.path()).to_path_buf())
}

/// The loop over the repository that commits go to.
pub fn reconciler<'a>(global: &Global, world: &'a RealWorld) -> Result<Reconciler<'a>, Failure> {
    let remote = remote_address(global)?;
    Ok(Reconciler::new(open(global, remote.clone(), &remote)?, world, overrides(global, &remote)))
}

/// The same over what is at hand, for looking into the future: in a clone, the clone itself, so that it works offline.
pub fn local_reconciler<'a>(global: &Global, world: &'a RealWorld) -> Result<Reconciler<'a>, Failure> {
    let remote = remote_address(global)?;
    let here = match &global.repo {
        Some(repo) => repo.clone(),
        None => around(Path::new("."))?.display().to_string(),
    };
    Ok(Reconciler::new(open(global, here, &remote)?, world, overrides(global, &remote)))
}

fn overrides(global: &Global, remote: &str) -> Overrides {
    Overrides {
        live_branch: global.branch.clone(),
        source_branch: global.source_branch.clone(),
        observe: None,
        remote: Some(GitSecret::new(remote)),
    }
}

/// The commit that a person names.
pub(super) fn resolve(reconciler: &mut Reconciler<'_>, name: &str) -> Result<Oid, Failure> {
    reconciler.repo.fetch().map_err(Trouble::from)?;
    match reconciler.repo.resolve(name).map_err(Trouble::from)? {
        Some(id) => Ok(id),
        None => Err(Failure::usage(format!("`{name}` is no commit, branch or tag of this repository"))),
    }
}

/// Who speaks: what was given, or `user.name` of Git's configuration.
pub(super) fn person(_global: &Global, given: Option<&str>) -> Result<String, Failure> {
    let configured = || git2::Config::open_default().ok().and_then(|config| config.get_string("user.name").ok());
    let name = given.map(str::to_owned).or_else(configured).map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    name.ok_or_else(|| Failure::usage("who says so? Git's `user.name` is not set").hint("give a name with `--as NAME`"))
}

/// A flag that is set when the process is asked to end.
pub(super) fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = flag.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else { return };
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            raised.store(true, Ordering::Relaxed);
        });
    })?;
    Ok(flag)
}
