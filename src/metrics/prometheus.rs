//! Prometheus, and whatever speaks its HTTP query API: Thanos, Mimir, VictoriaMetrics.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use ureq::http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use ureq::http::{StatusCode, Uri};
use ureq::tls::{RootCerts, TlsConfig};

use super::answer::{self, Answer};
use super::{MetricsError, Sample, Secret, Source};

/// Longest answer, bytes, after decompression.
pub const MAX_ANSWER: u64 = 4 * 1024 * 1024;
/// Longest text of the source's own that is passed on in an error, characters.
const MAX_TEXT: usize = 300;

/// How to ask a Prometheus. All of it is the operator's word, none comes from a Rollout.
#[derive(Debug, Clone)]
pub struct PrometheusOptions {
    /// The name that Rollouts use.
    pub name: String,
    /// Where the API stands, without `/api/v1`: `https://host[:port][/prefix]`. Never shown.
    pub url: Secret,
    pub authentication: Option<Authentication>,
    /// More headers, for example `X-Scope-OrgID`.
    pub headers: Vec<(String, Secret)>,
    /// For a whole query, from looking up the name to the answer's last byte.
    pub timeout: Duration,
    /// `http://host:port` of a proxy; `None`: none, whatever the environment says.
    pub proxy: Option<Secret>,
}

impl PrometheusOptions {
    /// No authentication, no headers, no proxy, 10 seconds.
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: Secret::new(url),
            authentication: None,
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            proxy: None,
        }
    }
}

#[derive(Debug, Clone)]
pub enum Authentication {
    Bearer(Secret),
    Basic { user: String, password: Secret },
}

/// A metrics source that asks instant queries.
#[derive(Debug)]
pub struct Prometheus {
    name: String,
    endpoint: Secret,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// What must never be in a text: header values and the parts of the address.
    hidden: Vec<Secret>,
    timeout: Duration,
    agent: ureq::Agent,
}

impl Prometheus {
    /// Checks the options; the network is not touched. Wrong options are `Refused`.
    pub fn new(options: PrometheusOptions) -> Result<Self, MetricsError> {
        let name = options.name;
        let wrong = |cause: &str| MetricsError::Refused { source_name: name.clone(), cause: cause.to_owned() };
        let uri: Uri =
            options.url.expose().parse().map_err(|_| wrong("its url is not an address; write it like https://host:9090"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
            return Err(wrong("its url must begin with http:// or https:// and name a host"));
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(wrong("its url holds credentials; give them as authentication, not in the url"));
        }
        if uri.query().is_some() {
            return Err(wrong("its url holds a query string; it must end with the path before /api/v1"));
        }
        let path = uri.path().trim_end_matches('/');
        let endpoint = format!("{}://{authority}{path}/api/v1/query", uri.scheme_str().unwrap_or("https"));

        let mut headers = Vec::new();
        let mut hidden = vec![Secret::new(authority)];
        if path.len() > 1 {
            hidden.push(Secret::new(path));
        }
        for (key, value) in &options.headers {
            let key = HeaderName::from_bytes(key.as_bytes())
                .map_err(|_| wrong("one of its headers has a name that HTTP does not allow"))?;
            let value = sensitive(value.expose())
                .ok_or_else(|| wrong(&format!("the value of its header `{key}` is not a plain line")))?;
            headers.push((key, value));
        }
        hidden.extend(options.headers.into_iter().map(|(_, value)| value));
        let authorization = match options.authentication {
            None => None,
            Some(Authentication::Bearer(token)) => {
                let line = format!("Bearer {}", token.expose());
                hidden.push(token);
                Some(line)
            }
            Some(Authentication::Basic { user, password }) => {
                if user.contains(':') {
                    return Err(wrong("its user name holds a colon, which basic authentication does not allow"));
                }
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", password.expose()));
                let line = format!("Basic {pair}");
                hidden.extend([password, Secret::new(pair)]);
                Some(line)
            }
        };
        if let Some(line) = authorization {
            let value = sensitive(&line).ok_or_else(|| wrong("its token or password is not a plain line"))?;
            headers.push((AUTHORIZATION, value));
        }
        let proxy = match options.proxy {
            None => None,
            Some(url) => Some(ureq::Proxy::new(url.expose()).map_err(|_| wrong("the address of its proxy cannot be read"))?),
        };
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .root_certs(RootCerts::PlatformVerifier)
            .build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .proxy(proxy)
            .timeout_global(Some(options.timeout))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_response_header_size(64 * 1024)
            .user_agent("windlass")
            .build()
            .new_agent();
        Ok(Self { name, endpoint: Secret::new(endpoint), headers, hidden, timeout: options.timeout, agent })
    }

    fn unreachable(&self, cause: impl AsRef<str>) -> MetricsError {
        MetricsError::Unreachable { source_name: self.name.clone(), cause: self.plain(cause.as_ref()) }
    }

    fn refused(&self, cause: impl AsRef<str>) -> MetricsError {
        MetricsError::Refused { source_name: self.name.clone(), cause: self.plain(cause.as_ref()) }
    }

    /// A text from outside as one short line without addresses and secrets.
    fn plain(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.hidden.iter().filter(|secret| secret.expose().len() > 3) {
            text = text.replace(secret.expose(), "***");
        }
        let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
        let line = words.map(|word| if word.contains("://") { "<address>" } else { word }).collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(MAX_TEXT) {
            None => line,
            Some((end, _)) => format!("{}…", &line[..end]),
        }
    }

    /// What an HTTP status other than success means.
    fn failed(&self, status: StatusCode, body: &[u8]) -> MetricsError {
        let told = match answer::read(body) {
            Ok(Answer::Failed { kind, text }) => Some(format!("{kind}: {text}")),
            _ => None,
        };
        let code = status.as_u16();
        let cause = told.unwrap_or_else(|| match code {
            300..=399 => format!("it answers with a redirect ({code}), which is not followed; give the address it leads to"),
            401 | 403 => format!("it does not accept the credentials ({code})"),
            404 => "there is no query API at its url (404); the url must end with the path before /api/v1".to_owned(),
            _ => format!("it answers with HTTP status {code}"),
        });
        match code {
            429 | 500.. => self.unreachable(cause),
            _ => self.refused(cause),
        }
    }

    fn unsent(&self, error: &ureq::Error) -> MetricsError {
        match error {
            ureq::Error::Timeout(_) => self.unreachable(format!("no answer within {} s", self.timeout.as_secs_f64())),
            ureq::Error::HostNotFound => self.unreachable("its host name is not known"),
            ureq::Error::ConnectionFailed => self.unreachable("no connection"),
            ureq::Error::Io(error) => self.unreachable(deepest(error).to_string()),
            ureq::Error::Protocol(_) => self.unreachable("the answer is not HTTP"),
            other => self.unreachable(other.to_string()),
        }
    }
}

impl Source for Prometheus {
    fn query(&self, query: &str, now: i64) -> Result<Vec<Sample>, MetricsError> {
        let mut request = self.agent.post(self.endpoint.expose());
        for (key, value) in &self.headers {
            request = request.header(key, value);
        }
        let time = now.to_string();
        let timeout = format!("{}ms", self.timeout.as_millis());
        // The last two make Thanos and VictoriaMetrics answer with an error rather than with a part of the data.
        let form = [
            ("query", query),
            ("time", &time),
            ("timeout", &timeout),
            ("partial_response", "false"),
            ("deny_partial_response", "1"),
        ];
        let mut response = request.send_form(form).map_err(|error| self.unsent(&error))?;
        let status = response.status();
        // ureq's own limit counts compressed bytes.
        let mut body = Vec::new();
        let whole = response.body_mut().as_reader().take(MAX_ANSWER + 1).read_to_end(&mut body);
        if !status.is_success() {
            return Err(self.failed(status, &body));
        }
        whole.map_err(|error| self.unsent(&ureq::Error::from(error)))?;
        if body.len() as u64 > MAX_ANSWER {
            let most = MAX_ANSWER / 1024 / 1024;
            return Err(self.refused(format!("the answer is longer than {most} MiB; aggregate in the query, as in sum(…)")));
        }
        match answer::read(&body) {
            Ok(Answer::Samples(samples)) => Ok(samples),
            Ok(Answer::Unusable(cause)) => Err(self.refused(cause)),
            Ok(Answer::Failed { kind, text }) if matches!(kind.as_str(), "timeout" | "canceled" | "internal" | "unavailable") => {
                Err(self.unreachable(format!("{kind}: {text}")))
            }
            Ok(Answer::Failed { kind, text }) => Err(self.refused(format!("{kind}: {text}"))),
            Err(cause) => Err(self.refused(cause)),
        }
    }
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The innermost cause: outer ones repeat it with the address.
fn deepest<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error
}
