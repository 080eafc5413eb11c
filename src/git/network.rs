//! The way to a http(s) remote: certificate authorities, the proxy, limits on time and size.

use super::GitError;
use super::secret::{Scrub, Secret, base64};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Proxy};

/// The way to the remote. Everything here comes from settings; the environment is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// `http://[user:password@]host:port`. A secret, since it may hold a password.
    pub proxy: Option<Secret>,
    /// Hosts that are reached without the proxy, comma separated, as in `NO_PROXY`: `host` (and what is below it),
    /// `.host` (only what is below it), `host:port`, an address, a network such as `10.0.0.0/8`, or `*`.
    pub no_proxy: Option<String>,
    /// A PEM file of certificate authorities. These are then believed instead of the system's.
    pub certificate_authorities: Option<PathBuf>,
    /// The longest silence of the remote, and the longest it may think about an answer (hooks run in that time). One whole
    /// answer may take thirty times as long.
    pub timeout: Duration,
    /// The largest answer (bytes).
    pub largest_answer: u64,
    /// Allows credentials over plain http to another machine.
    pub credentials_in_the_clear: bool,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            proxy: None,
            no_proxy: None,
            certificate_authorities: None,
            timeout: Duration::from_secs(120),
            largest_answer: 4 << 30,
            credentials_in_the_clear: false,
        }
    }
}

/// How many times the longest silence one whole answer may take: many small pieces are no way around that limit.
pub(super) const WHOLE: u32 = 30;

/// What sends requests to `address`. Secrets of the proxy are hidden by `scrub` from then on.
///
/// # Errors
/// `Refused` where the file of authorities or the proxy's address cannot be used.
pub(super) fn agent(address: &str, network: &Network, scrub: &mut Scrub) -> Result<Agent, GitError> {
    let refused = |cause: String, hint: &str| GitError::Refused { address: address.into(), cause, hint: Some(hint.into()) };
    let roots = match &network.certificate_authorities {
        None => RootCerts::PlatformVerifier,
        Some(path) => authorities(path).map_err(|cause| {
            let hint = "the file of certificate authorities (WINDLASS_CA_FILE, SSL_CERT_FILE) holds PEM certificates";
            refused(format!("{}: {cause}", path.display()), hint)
        })?,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider).root_certs(roots).build();
    // Redirects never leave the host, so whether the proxy is used is known now.
    let proxy = match &network.proxy {
        Some(proxy) if !network.no_proxy.as_deref().is_some_and(|exceptions| excepted(address, exceptions)) => {
            scrub.hide(proxy);
            let parsed = Proxy::new(proxy.reveal()).map_err(|_| {
                refused("the proxy's address cannot be used".into(), "give it as http://[user:password@]host:port (HTTPS_PROXY)")
            })?;
            if let Some(password) = parsed.password() {
                scrub.hide(&Secret::new(password));
                let pair = format!("{}:{password}", parsed.username().unwrap_or_default());
                scrub.hide(&Secret::new(base64(pair.as_bytes())));
            }
            Some(parsed)
        }
        _ => None,
    };
    Ok(Agent::config_builder()
        .tls_config(tls)
        .proxy(proxy)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("git/2 windlass/", env!("CARGO_PKG_VERSION")))
        // Packs are compressed already, and nothing then unfolds to more than was sent.
        .accept_encoding("identity")
        .timeout_connect(Some(network.timeout.min(Duration::from_secs(15))))
        .timeout_recv_response(Some(network.timeout))
        .timeout_recv_body(Some(network.timeout * WHOLE))
        .timeout_per_read(Some(network.timeout))
        .timeout_per_write(Some(network.timeout))
        .build()
        .new_agent())
}

fn authorities(path: &Path) -> Result<RootCerts, String> {
    let pem = std::fs::read(path).map_err(|error| error.to_string())?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| error.to_string())? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err("no certificate in it".into());
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

/// Whether `NO_PROXY` names the host of an address. The rules are curl's and git's: a name stands for itself and for all
/// below it.
fn excepted(address: &str, exceptions: &str) -> bool {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = host_and_port(authority);
    let port = port.unwrap_or(if scheme == "http" { "80" } else { "443" });
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok();
    exceptions.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let (Some(address), Some((network, length))) = (address, entry.split_once('/')) {
            return network.parse().is_ok_and(|network| length.parse().is_ok_and(|length| within(address, network, length)));
        }
        let (name, wanted) = match entry.parse::<IpAddr>() {
            Ok(_) => (entry, None),
            Err(_) => host_and_port(entry),
        };
        if wanted.is_some_and(|wanted| wanted != port) {
            return false;
        }
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        match name.strip_prefix("*.").or_else(|| name.strip_prefix('.')) {
            Some(above) => host.strip_suffix(above).is_some_and(|rest| rest.ends_with('.')),
            None => host == name || address.is_none() && host.strip_suffix(&name).is_some_and(|rest| rest.ends_with('.')),
        }
    })
}

/// `host`, `host:port`, `[address]:port`.
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':'));
    }
    match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    }
}

/// Whether an address lies in a network of this prefix length.
fn within(address: IpAddr, network: IpAddr, length: u32) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let ((address, width), (network, other)) = (bits(address), bits(network));
    width == other && length <= width && (address ^ network).checked_shr(128 - length).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_from_the_proxy_are_read_as_git_reads_them() {
        for (address, exceptions, expected) in [
            ("https://git.example.com/x", "example.com", true),
            ("https://example.com/x", "example.com", true),
            ("https://badexample.com/x", "example.com", false),
            ("https://example.com/x", ".example.com", false),
            ("https://git.example.com/x", ".example.com", true),
            ("https://git.example.com/x", "*.example.com", true),
            ("https://git.example.com/x", "other.org, GIT.example.com.", true),
            ("https://git.example.com:8443/x", "git.example.com:8443", true),
            ("https://git.example.com/x", "git.example.com:8443", false),
            ("https://git.example.com/x", "git.example.com:443", true),
            ("http://127.0.0.1:3000/x", "127.0.0.1", true),
            ("http://127.0.0.1:3000/x", "127.0.0.0/8", true),
            ("http://128.0.0.1:3000/x", "127.0.0.0/8", false),
            ("http://10.1.2.3/x", "0.0.0.0/0", true),
            ("http://1.127.0.0.1/x", "127.0.0.1", true),
            ("http://[::1]:80/x", "::1", true),
            ("http://[fd00::1]/x", "fd00::/8", true),
            ("http://[fd00::1]/x", "10.0.0.0/200", false),
            ("https://anything/x", "*", true),
            ("https://anything/x", "", false),
            ("https://anything/x", " , ,", false),
        ] {
            assert_eq!(excepted(address, exceptions), expected, "{address} in {exceptions:?}");
        }
    }
}
