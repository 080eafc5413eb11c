//! What can be told of this machine without the repository.

use std::path::{Path, PathBuf};

use crate::cli::args::Global;
use crate::cli::open::{self, variable};
use crate::reconcile::doctor::{Area, Finding, repository};

/// Programs, certificates, proxy, cache, and the address itself.
pub(super) fn environment(global: &Global) -> Vec<Finding> {
    let mut found = Vec::new();
    let addresses: Vec<String> = open::remote_address(global).into_iter().chain(global.live_repo.clone()).collect();
    let has_credentials = |address: &String| {
        address.split_once("://").is_some_and(|(scheme, rest)| {
            scheme.to_ascii_lowercase().starts_with("http")
                && rest.split('/').next().is_some_and(|authority| authority.contains('@'))
        })
    };
    if addresses.iter().any(has_credentials) {
        found.push(repository::credentials_in_address());
    }
    let is_ssh = |address: &String| !address.is_empty() && !address.starts_with("http") && !open::is_folder(address);
    if addresses.iter().any(is_ssh) {
        found.push(match std::process::Command::new("git").arg("--version").output() {
            Ok(output) if output.status.success() => {
                Finding::fine("git-program", Area::Environment, "git", String::from_utf8_lossy(&output.stdout).trim().to_owned())
            }
            other => {
                let cause = other.map_or_else(|error| error.to_string(), |output| output.status.to_string());
                Finding::error("git-program", Area::Environment, "git", format!("cannot be run: {cause}"))
                    .so("repositories over ssh need it")
                    .mend("install git 2.30 or newer where Windlass runs, on its PATH")
            }
        });
    }
    if let Some(path) = variable(&["WINDLASS_CA_FILE", "SSL_CERT_FILE"]).map(PathBuf::from) {
        found.push(match std::fs::read_to_string(&path) {
            Ok(text) if text.contains("BEGIN CERTIFICATE") => Finding::fine(
                "ca-file",
                Area::Environment,
                path.display().to_string(),
                "certificate authorities that are believed instead of the system's",
            ),
            other => {
                let seen = other.map_or_else(|error| error.to_string(), |_| "no PEM certificate in it".to_owned());
                Finding::error("ca-file", Area::Environment, path.display().to_string(), seen)
                    .so("no https server is believed")
                    .mend("let WINDLASS_CA_FILE name a readable file of PEM certificates, or unset it")
            }
        });
    }
    if variable(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]).is_some() {
        let around = if variable(&["NO_PROXY", "no_proxy"]).is_some() {
            "NO_PROXY names what is reached without it"
        } else {
            "NO_PROXY is not set"
        };
        found.push(Finding::fine("proxy", Area::Environment, "proxy", format!("the repository is reached through it; {around}")));
    }
    if let Some(cache) = &global.cache {
        found.push(writable(cache));
    }
    found
}

fn writable(cache: &Path) -> Finding {
    // The folder itself is made by the first call that needs it.
    let there = cache.ancestors().find(|folder| folder.is_dir()).unwrap_or(cache);
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    match tempfile::tempfile_in(there) {
        Ok(_) => Finding::fine("cache", Area::Environment, cache.display().to_string(), "mirrors can be kept there"),
        Err(error) => {
            Finding::error("cache", Area::Environment, cache.display().to_string(), format!("cannot be written: {error}"))
                .so("no repository can be fetched")
                .mend("let the user that runs Windlass write there, or name another folder (`--cache`, `WINDLASS_CACHE`)")
        }
    }
}
