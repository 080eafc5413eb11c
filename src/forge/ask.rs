//! Asks a forge about a repository and a branch. The token goes to the repository's own host only (and, for github.com, to its
//! API), never through a redirect.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Proxy};

use super::{Answer, Kind, Told};

/// No answer is larger (bytes).
const LARGEST: u64 = 4 << 20;

/// How a forge is reached.
#[derive(Clone)]
pub struct Access {
    /// The repository's http(s) address without credentials.
    pub address: String,
    pub token: Option<String>,
    /// The account whose password the token is, where it is one.
    pub user: Option<String>,
    pub proxy: Option<String>,
    /// Hosts that are reached without the proxy, comma separated.
    pub no_proxy: Option<String>,
    /// A PEM file of certificate authorities, believed instead of the system's.
    pub certificate_authorities: Option<PathBuf>,
    /// For one request.
    pub timeout: Duration,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("address", &self.address).finish_non_exhaustive()
    }
}

struct Client<'a> {
    agent: Agent,
    access: &'a Access,
    ahead: Option<i64>,
    scopes: Option<String>,
    now: &'a dyn Fn() -> i64,
}

/// Asks the host of a repository what it is, and about the branch. `now` is the clock, seconds since 1970.
///
/// # Errors
/// The address is no http(s) address of a repository, or the way there cannot be set up; in words, without secrets.
pub fn ask(access: &Access, branch: &str, now: &dyn Fn() -> i64) -> Result<Told, String> {
    let (origin, path) = split(&access.address).ok_or("only repositories at http(s) addresses have a forge to ask")?;
    let mut client = Client { agent: agent(access)?, access, ahead: None, scopes: None, now };
    let mut told = Told {
        kind: None,
        user: Answer::NotAsked,
        repository: Answer::NotAsked,
        branch: Answer::NotAsked,
        rules: Answer::NotAsked,
        scopes: None,
        ahead: None,
    };
    let Some((kind, base)) = client.kind(&origin) else {
        if client.ahead.is_none() {
            // Whatever it is, it has a clock.
            client.get(&format!("{}/info/refs?service=git-upload-pack", access.address), None);
        }
        told.ahead = client.ahead;
        return Ok(told);
    };
    told.kind = Some(kind);
    let (repository, branch_path) = match kind {
        Kind::GitHub | Kind::Gitea => {
            (format!("{base}/repos/{path}"), format!("branches/{}", encoded(branch, kind == Kind::GitHub)))
        }
        Kind::GitLab => {
            (format!("{base}/projects/{}", encoded(&path, true)), format!("repository/branches/{}", encoded(branch, true)))
        }
    };
    if access.token.is_some() {
        told.user = client.get(&format!("{base}/user"), Some(kind));
    }
    told.repository = client.get(&repository, Some(kind));
    if matches!(told.repository, Answer::Json(_)) {
        told.branch = client.get(&format!("{repository}/{branch_path}"), Some(kind));
        if kind == Kind::GitHub {
            told.rules = client.get(&format!("{repository}/rules/branches/{}", encoded(branch, true)), Some(kind));
        }
    }
    told.scopes = client.scopes.take();
    told.ahead = client.ahead;
    Ok(told)
}

impl Client<'_> {
    /// What speaks there, told without credentials.
    fn kind(&mut self, origin: &str) -> Option<(Kind, String)> {
        if origin.eq_ignore_ascii_case("https://github.com") {
            return Some((Kind::GitHub, "https://api.github.com".to_owned()));
        }
        let base = format!("{origin}/api/v1");
        if let Answer::Json(value) = self.get(&format!("{base}/version"), None)
            && value.get("version").is_some_and(Value::is_string)
        {
            return Some((Kind::Gitea, base));
        }
        let base = format!("{origin}/api/v3");
        if let Answer::Json(value) = self.get(&format!("{base}/meta"), None)
            && value.get("verifiable_password_authentication").is_some()
        {
            return Some((Kind::GitHub, base));
        }
        let base = format!("{origin}/api/v4");
        match self.get(&format!("{base}/version"), None) {
            Answer::Json(value) if value.get("version").is_some() => Some((Kind::GitLab, base)),
            // GitLab tells its version to those who are logged in only.
            Answer::Status(401) => match self.get(&format!("{base}/projects?per_page=1"), None) {
                Answer::Json(Value::Array(_)) => Some((Kind::GitLab, base)),
                _ => None,
            },
            _ => None,
        }
    }

    /// With `kind`, the credentials are sent in the way of that forge.
    fn get(&mut self, url: &str, kind: Option<Kind>) -> Answer {
        let mut request = self.agent.get(url).header("accept", "application/json");
        if let (Some(kind), Some(token)) = (kind, &self.access.token) {
            request = match kind {
                Kind::GitHub => request.header("authorization", format!("Bearer {token}")),
                Kind::Gitea => match &self.access.user {
                    Some(user) => {
                        request.header("authorization", format!("Basic {}", STANDARD.encode(format!("{user}:{token}"))))
                    }
                    None => request.header("authorization", format!("token {token}")),
                },
                Kind::GitLab => request.header("private-token", token.as_str()),
            };
        }
        let mut response = match request.call() {
            Ok(response) => response,
            Err(error) => return Answer::Failed(self.clean(&error.to_string())),
        };
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let date = header("date").and_then(|date| jiff::fmt::rfc2822::parse(&date).ok());
        self.ahead = date.map(|date| date.timestamp().as_second().saturating_sub((self.now)())).or(self.ahead);
        if kind.is_some() {
            self.scopes = header("x-oauth-scopes").or(self.scopes.take());
        }
        let status = response.status().as_u16();
        if !(200..300).contains(&status) {
            return Answer::Status(status);
        }
        let body = response.body_mut().with_config().limit(LARGEST).read_to_string();
        match body
            .map_err(|error| error.to_string())
            .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
        {
            Ok(value) => Answer::Json(value),
            Err(cause) => Answer::Failed(self.clean(&cause)),
        }
    }

    fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in [&self.access.token, &self.access.proxy].into_iter().flatten().filter(|secret| !secret.is_empty()) {
            text = text.replace(secret.as_str(), "***");
        }
        text.chars().map(|one| if one.is_control() { ' ' } else { one }).take(300).collect()
    }
}

fn agent(access: &Access) -> Result<Agent, String> {
    let roots = match &access.certificate_authorities {
        None => RootCerts::PlatformVerifier,
        Some(path) => {
            let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let certificates: Vec<_> = parse_pem(&pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            if certificates.is_empty() {
                return Err(format!("{}: no certificate in it", path.display()));
            }
            RootCerts::new_with_certs(&certificates)
        }
    };
    let proxy = match &access.proxy {
        None => None,
        Some(proxy) => {
            let parsed = Proxy::new(proxy).map_err(|_| "the proxy's address cannot be used".to_owned())?;
            let mut builder = Proxy::builder(parsed.protocol()).host(parsed.host()).port(parsed.port());
            if let Some(user) = parsed.username() {
                builder = builder.username(user);
            }
            if let Some(password) = parsed.password() {
                builder = builder.password(password);
            }
            for host in access.no_proxy.iter().flat_map(|hosts| hosts.split(',')).map(str::trim).filter(|host| !host.is_empty()) {
                builder = builder.no_proxy(host);
            }
            Some(builder.build().map_err(|_| "the proxy's address cannot be used".to_owned())?)
        }
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider).root_certs(roots).build();
    Ok(Agent::config_builder()
        .tls_config(tls)
        .proxy(proxy)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
        .timeout_global(Some(access.timeout))
        .build()
        .new_agent())
}

/// Scheme and authority, and the repository's path without `.git`.
fn split(address: &str) -> Option<(String, String)> {
    let (scheme, rest) = address.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
    let (authority, path) = rest.split_once('/')?;
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!authority.is_empty() && path.contains('/')).then(|| (format!("{scheme}://{authority}"), path.to_owned()))
}

/// Percent-encoded for one part of a path; slashes too where `whole`.
fn encoded(text: &str, whole: bool) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') || (!whole && byte == b'/');
    let mut out = String::new();
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
