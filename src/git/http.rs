//! Requests to a http(s) remote: authentication, redirects, limits, and what each answer means.

use super::GitError;
use super::network::{self, Network};
use super::secret::{Credentials, Scrub};
use std::io::Read;
use ureq::http::{HeaderValue, Response};
use ureq::{Agent, Body};

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
        let agent = network::agent(address, network, &mut scrub)?;
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
        Err(GitError::Refused {
            address: self.address.clone(),
            cause: "too many redirects".into(),
            hint: Some("give the address that the server redirects to".into()),
        })
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
                "check the address: it is the one that `git clone` takes; a page to log in at is no repository",
            ),
            401 if self.authorization.is_none() => {
                refused("the server asks for credentials (401)".into(), "give a token in the environment variable WINDLASS_TOKEN")
            }
            401 => refused(
                "the server does not take these credentials (401)".into(),
                "check the token (WINDLASS_TOKEN), whether it has expired, and the user's name where the server asks for one \
                 (WINDLASS_USERNAME)",
            ),
            403 => refused(
                "the server forbids this (403)".into(),
                "the token needs the right to read and write this repository's contents",
            ),
            404 | 410 => refused(
                format!("there is no such repository ({status})"),
                if self.authorization.is_none() {
                    "check the address; forges also say so of a private repository: give a token (WINDLASS_TOKEN)"
                } else {
                    "check the address; forges also say so when the token may not see the repository"
                },
            ),
            408 | 425 | 429 | 500..=599 => self.unreachable(&format!("the server answered {status}{text}")),
            300..=399 => refused(
                format!("the server redirects in the middle of a request ({status})"),
                "give the address that it redirects to",
            ),
            407 => refused("the proxy asks for credentials (407)".into(), PROXY_CREDENTIALS),
            413 => refused(
                "the push is too large for the server (413)".into(),
                "raise the limit for request bodies of the server, or of the proxy before it; look at the repository's quota",
            ),
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

    /// Through a proxy it is the proxy that cannot be reached.
    fn at_the_proxy(&self) -> &'static str {
        if self.agent.config().proxy().is_some() { "the proxy is not there: " } else { "" }
    }

    /// What a request that got no answer met. No text of the library that could repeat what was sent is shown.
    fn broken(&self, error: &ureq::Error) -> GitError {
        use ureq::Error;
        let refused = |cause: String, hint: &str| GitError::Refused {
            address: self.address.clone(),
            cause: self.scrub.text(&cause),
            hint: Some(hint.into()),
        };
        let tls = match error {
            Error::Rustls(error) => Some(error),
            Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()),
            _ => None,
        };
        match (tls, error) {
            (Some(rustls::Error::InvalidCertificate(cause)), _) => refused(
                format!("the server's certificate is not believed: {}", certificate(cause)),
                "name the file of its certificate authority, if you trust it (WINDLASS_CA_FILE)",
            ),
            (_, Error::HostNotFound) => self.unreachable(&format!("{}the host's name is not known here", self.at_the_proxy())),
            // As the standard library words it, whatever the resolver says.
            (_, Error::Io(error)) if error.to_string().contains("failed to lookup address") => {
                self.unreachable(&format!("{}the host's name is not known here", self.at_the_proxy()))
            }
            (_, Error::ConnectProxyFailed(cause)) if cause.contains("407") => {
                refused("the proxy asks for other credentials (407)".into(), PROXY_CREDENTIALS)
            }
            (_, Error::ConnectProxyFailed(cause)) => self.unreachable(&format!("the proxy does not let us through: {cause}")),
            (_, Error::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                self.unreachable(&format!("{}nothing listens there (connection refused)", self.at_the_proxy()))
            }
            _ => self.unreachable(&error.to_string()),
        }
    }
}

const PROXY_CREDENTIALS: &str = "give them as http://user:password@host:port in HTTPS_PROXY, % escapes for special characters";

/// A certificate's fault in words, where it is one that people meet.
fn certificate(error: &rustls::CertificateError) -> String {
    use rustls::CertificateError as Fault;
    match error {
        Fault::UnknownIssuer => "nobody who is believed here has signed it (unknown issuer)".into(),
        Fault::Expired | Fault::ExpiredContext { .. } => "it has expired, or this machine's clock is wrong".into(),
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => "it is not valid yet, or this machine's clock is wrong".into(),
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => "it is for another host name".into(),
        other => other.to_string(),
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
