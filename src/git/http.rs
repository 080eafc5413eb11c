//! Requests to a http(s) remote: authentication, redirects, limits, and what each answer means.

use super::GitError;
use super::secret::{Credentials, Scrub, Secret};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{HeaderValue, Response};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Proxy};

/// The way to the remote. Everything here comes from settings; the environment is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// `http://[user:password@]host:port`. A secret, since it may hold a password.
    pub proxy: Option<Secret>,
    /// Hosts that are reached without the proxy, comma separated, as in `NO_PROXY`.
    pub no_proxy: Option<String>,
    /// A PEM file of certificate authorities. These are then believed instead of the system's.
    pub certificate_authorities: Option<std::path::PathBuf>,
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

pub(super) struct Http {
    agent: Agent,
    /// The address as the user gave it.
    pub(super) address: String,
    /// Where the remote really is, after redirects within its host.
    base: String,
    authorization: Option<HeaderValue>,
    pub(super) scrub: Scrub,
    pub(super) largest_answer: u64,
}

/// Redirects are followed only within one scheme and host, and no more often than this.
const REDIRECTS: usize = 3;

impl Http {
    pub(super) fn new(
        address: &str,
        credentials: Option<&Credentials>,
        network: &Network,
        mut scrub: Scrub,
    ) -> Result<Self, GitError> {
        let refused = |cause: String, hint: &str| GitError::Refused { address: address.into(), cause, hint: Some(hint.into()) };
        let roots = match &network.certificate_authorities {
            None => RootCerts::PlatformVerifier,
            Some(path) => authorities(path).map_err(|cause| {
                refused(format!("{}: {cause}", path.display()), "the file of certificate authorities holds PEM certificates")
            })?,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider).root_certs(roots).build();
        let proxy = match &network.proxy {
            None => None,
            Some(proxy) => {
                scrub.hide(proxy);
                let wrong = || refused("the proxy's address cannot be used".into(), "give it as http://host:port");
                let parsed = Proxy::new(proxy.reveal()).map_err(|_| wrong())?;
                let mut builder = Proxy::builder(parsed.protocol()).host(parsed.host()).port(parsed.port());
                if let Some(user) = parsed.username() {
                    builder = builder.username(user);
                }
                if let Some(password) = parsed.password() {
                    scrub.hide(&Secret::new(password));
                    builder = builder.password(password);
                }
                for host in network.no_proxy.iter().flat_map(|hosts| hosts.split(',')).map(str::trim) {
                    if !host.is_empty() {
                        builder = builder.no_proxy(host);
                    }
                }
                Some(builder.build().map_err(|_| wrong())?)
            }
        };
        let agent = Agent::config_builder()
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
            // Many small pieces are no way around the limit on silence.
            .timeout_recv_body(Some(network.timeout * 30))
            .timeout_per_read(Some(network.timeout))
            .timeout_per_write(Some(network.timeout))
            .build()
            .new_agent();
        let authorization = match credentials {
            None => None,
            Some(credentials) => {
                scrub.hide_credentials(credentials);
                let mut header = HeaderValue::from_str(&credentials.header())
                    .map_err(|_| refused("the credentials cannot be sent".into(), "they must be plain text"))?;
                header.set_sensitive(true);
                Some(header)
            }
        };
        Ok(Self {
            agent,
            address: address.into(),
            base: address.into(),
            authorization,
            scrub,
            largest_answer: network.largest_answer,
        })
    }

    /// Asks for what a service has to say of itself.
    pub(super) fn discover(&mut self, service: &str, version2: bool) -> Result<Box<dyn Read>, GitError> {
        let suffix = format!("/info/refs?service={service}");
        self.base.clone_from(&self.address);
        for _ in 0..=REDIRECTS {
            let mut request = self.agent.get(format!("{}{suffix}", self.base));
            if version2 {
                request = request.header("Git-Protocol", "version=2");
            }
            if let Some(authorization) = &self.authorization {
                request = request.header("Authorization", authorization.clone());
            }
            let response = request.call().map_err(|error| self.broken(&error))?;
            if response.status().is_redirection() {
                self.base = self.redirected(&response, &suffix)?;
                continue;
            }
            let expected = format!("application/x-{service}-advertisement");
            return self.body(response, &expected);
        }
        Err(self.unreachable("too many redirects"))
    }

    pub(super) fn post(&self, service: &str, version2: bool, body: &[u8]) -> Result<Box<dyn Read>, GitError> {
        let mut request = self
            .agent
            .post(format!("{}/{service}", self.base))
            .header("Content-Type", format!("application/x-{service}-request"))
            .header("Accept", format!("application/x-{service}-result"));
        if version2 {
            request = request.header("Git-Protocol", "version=2");
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization.clone());
        }
        let response = request.send(body).map_err(|error| self.broken(&error))?;
        self.body(response, &format!("application/x-{service}-result"))
    }

    /// The new base, if the redirect stays on the same scheme and host. The credentials go nowhere else.
    fn redirected(&self, response: &Response<Body>, suffix: &str) -> Result<String, GitError> {
        let refused = |cause: &str| GitError::Refused {
            address: self.address.clone(),
            cause: cause.into(),
            hint: Some("give the address that the server redirects to, if you trust it".into()),
        };
        let location = response.headers().get("location").and_then(|location| location.to_str().ok());
        let location = location.ok_or_else(|| refused("the server redirects to nowhere"))?;
        let origin = origin(&self.base);
        let target = if location.starts_with('/') && !location.starts_with("//") {
            format!("{origin}{location}")
        } else {
            location.to_owned()
        };
        let same = target.strip_prefix(origin).is_some_and(|rest| rest.starts_with('/'));
        if !same {
            return Err(refused("the server redirects to another host or scheme, which is not followed"));
        }
        match target.strip_suffix(suffix) {
            Some(base) => Ok(base.to_owned()),
            None => Err(refused("the server redirects to something that is no Git repository (a login page?)")),
        }
    }

    fn body(&self, response: Response<Body>, expected: &str) -> Result<Box<dyn Read>, GitError> {
        let status = response.status().as_u16();
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if status == 200 && kind.starts_with(expected) {
            return Ok(Box::new(Limited { inner: response.into_body().into_reader(), left: self.largest_answer }));
        }
        let is_text = kind.starts_with("text/plain");
        let mut text = String::new();
        if is_text {
            let mut bytes = Vec::new();
            let _ = response.into_body().into_with_config().limit(4_096).reader().take(2_000).read_to_end(&mut bytes);
            text = format!(": {}", self.scrub.text(&String::from_utf8_lossy(&bytes)));
        }
        let refused = |cause: String, hint: &str| GitError::Refused {
            address: self.address.clone(),
            cause: format!("{cause}{text}"),
            hint: Some(hint.into()),
        };
        Err(match status {
            200 => refused(
                "the answer is not Git's smart http protocol".into(),
                "check the address: it is the one that `git clone` takes",
            ),
            401 => refused(
                "the server does not take these credentials (401)".into(),
                "check the token or password, and whether it has expired",
            ),
            403 => refused(
                "the server forbids this (403)".into(),
                "the token needs the right to read and write this repository's contents",
            ),
            404 | 410 => refused(
                format!("there is no such repository ({status})"),
                "check the address; forges also say so when the token may not see the repository",
            ),
            408 | 425 | 429 | 500..=599 => self.unreachable(&format!("the server answered {status}{text}")),
            300..=399 => refused(
                format!("the server redirects in the middle of a request ({status})"),
                "give the address that it redirects to",
            ),
            413 => refused("the push is too large for the server (413)".into(), "raise the server's limit for request bodies"),
            _ => refused(format!("the server answered {status}"), "check the address"),
        })
    }

    pub(super) fn unreachable(&self, cause: &str) -> GitError {
        GitError::Unreachable { address: self.address.clone(), cause: self.scrub.text(cause) }
    }

    /// A refusal without a hint of our own.
    pub(super) fn refused(&self, cause: &str) -> GitError {
        GitError::Refused { address: self.address.clone(), cause: self.scrub.text(cause), hint: None }
    }

    fn broken(&self, error: &ureq::Error) -> GitError {
        let tls = match error {
            ureq::Error::Rustls(error) => Some(error),
            ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()),
            _ => None,
        };
        match tls {
            Some(rustls::Error::InvalidCertificate(cause)) => GitError::Refused {
                address: self.address.clone(),
                cause: self.scrub.text(&format!("the server's certificate is not believed: {cause}")),
                hint: Some("name the file of its certificate authority, if you trust it".into()),
            },
            _ => self.unreachable(&error.to_string()),
        }
    }
}

/// Counts bytes as they are read, which is after any decompression.
struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or(std::io::ErrorKind::FileTooLarge)?;
        Ok(read)
    }
}

/// Scheme and authority of an address.
fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |position| position + 3);
    let end = url.get(start..).and_then(|rest| rest.find('/')).map_or(url.len(), |position| start + position);
    url.get(..end).unwrap_or(url)
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
