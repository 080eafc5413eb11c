//! Argo CD's own API, for who has a token for it and no access to a cluster. Plain requests only: nothing is refreshed, nothing synced.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::header::{AUTHORIZATION, HeaderValue};
use ureq::http::{StatusCode, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::{Application, missing};
use crate::observe::kubernetes::deployment::sighting;
use crate::observe::words::{innermost, is_dns_name, plain};
use crate::observe::{Live, ObserveError, Sighting, Target};

/// Longest answer, bytes. An Application with its resources' tree is far below.
pub const MAX_ANSWER: u64 = 16 * 1024 * 1024;
/// A Deployment keeps ten old ReplicaSets, unless somebody asks for more.
const MOST_SETS: usize = 40;

/// Where Argo CD's API is. All of it is the operator's word, none comes from a Rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgoCdOptions {
    /// `https://host[:port][/prefix]`, without `/api/v1`.
    pub server: String,
    /// A file with a token, read for each look, so that it can be renewed.
    pub token_file: Option<PathBuf>,
    /// A PEM file of certificate authorities, believed instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// For one request.
    pub timeout: Duration,
}

impl ArgoCdOptions {
    /// No token, the system's authorities, 10 seconds.
    pub fn new(server: impl Into<String>) -> Self {
        Self { server: server.into(), token_file: None, ca_file: None, timeout: Duration::from_secs(10) }
    }
}

/// Reads Applications and their workloads from Argo CD.
#[derive(Debug)]
pub struct ArgoCdServer {
    base: String,
    token_file: Option<PathBuf>,
    timeout: Duration,
    agent: ureq::Agent,
}

impl ArgoCdServer {
    /// Checks the options; the server is not called yet.
    ///
    /// # Errors
    /// `Refused` where an option cannot be used.
    pub fn connect(options: &ArgoCdOptions) -> Result<Self, ObserveError> {
        let uri: Uri =
            options.server.parse().map_err(|_| refused("its address is not one", "write it like https://argocd.example.com"))?;
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if !matches!(uri.scheme_str(), Some("http" | "https")) || authority.is_empty() {
            return Err(refused(
                "its address must begin with https:// and name a host",
                "write it like https://argocd.example.com",
            ));
        }
        if authority.contains('@') || uri.query().is_some() {
            return Err(refused("its address holds credentials or a query", "give the token in a file: `tokenFile`"));
        }
        let host = uri.host().unwrap_or_default();
        let here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        if uri.scheme_str() == Some("http") && options.token_file.is_some() && !here {
            return Err(refused(
                "a token would go over plain http to another machine",
                "use https, with `caFile` where it is needed",
            ));
        }
        let base = format!("{}://{authority}{}", uri.scheme_str().unwrap_or("https"), uri.path().trim_end_matches('/'));
        let roots = match &options.ca_file {
            None => RootCerts::PlatformVerifier,
            Some(path) => {
                let pem = std::fs::read(path)
                    .map_err(|error| refused(format!("{}: {error}", path.display()), "`caFile` is a file of PEM certificates"))?;
                let found: Vec<_> = parse_pem(&pem)
                    .filter_map(|item| match item {
                        Ok(PemItem::Certificate(certificate)) => Some(certificate),
                        _ => None,
                    })
                    .collect();
                if found.is_empty() {
                    let cause = format!("{}: no certificate in it", path.display());
                    return Err(refused(cause, "`caFile` is a file of PEM certificates"));
                }
                RootCerts::from(found)
            }
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder().unversioned_rustls_crypto_provider(provider).root_certs(roots).build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .timeout_global(Some(options.timeout))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_response_header_size(64 * 1024)
            .user_agent("windlass")
            .build()
            .new_agent();
        Ok(Self { base, token_file: options.token_file.clone(), timeout: options.timeout, agent })
    }

    /// Looks whether Argo CD has applied the commit, and at the workload as Argo CD shows it.
    ///
    /// # Errors
    /// The server could not be asked, does not allow it, or does not know such a workload.
    pub fn observe(
        &self,
        namespace: &str,
        application: &str,
        live: &Live<'_>,
        target: &Target,
    ) -> Result<Sighting, ObserveError> {
        if (target.api_version.as_str(), target.kind.as_str()) != ("apps/v1", "Deployment") {
            return Err(ObserveError::Refused {
                cause: format!(
                    "the argocd observer cannot read {} of {}, only Deployment of apps/v1",
                    target.kind, target.api_version
                ),
                hint: Some(instead(&target.kind).to_owned()),
            });
        }
        for name in [namespace, application, &target.namespace, &target.name] {
            if !is_dns_name(name) {
                return Err(ObserveError::Refused {
                    cause: format!("{name:?} is not a name that Kubernetes allows"),
                    hint: None,
                });
            }
        }
        let path = format!("/api/v1/applications/{application}");
        let of = format!("appNamespace={namespace}");
        let found: Application = match self.get(&format!("{path}?{of}"), namespace, application)? {
            Some(found) => found,
            None => {
                let missing = Some(format!("Application {namespace}/{application} does not exist"));
                return Ok(Sighting { applied: false, workload: None, missing });
            }
        };
        let said = missing(&found, live);
        Ok(self.workload(&path, &of, (namespace, application), target)?.behind(said))
    }

    /// The live Deployment and its ReplicaSets.
    fn workload(&self, path: &str, of: &str, name: (&str, &str), target: &Target) -> Result<Sighting, ObserveError> {
        let (namespace, application) = name;
        let absent = |what: &str| {
            let missing = format!("Deployment {}/{} {what} Application {namespace}/{application}", target.namespace, target.name);
            Ok(Sighting { applied: false, workload: None, missing: Some(missing) })
        };
        let tree: Option<Value> = self.get(&format!("{path}/resource-tree?{of}"), namespace, application)?;
        let nodes = tree.as_ref().and_then(|tree| tree.get("nodes")?.as_array()).cloned().unwrap_or_default();
        let text = |node: &Value, field: &str| node.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let is = |node: &Value, kind: &str| {
            text(node, "group") == "apps" && text(node, "kind") == kind && text(node, "namespace") == target.namespace
        };
        let Some(root) = nodes.iter().find(|node| is(node, "Deployment") && text(node, "name") == target.name) else {
            return absent("does not exist, or does not belong to");
        };
        let uid = text(root, "uid");
        let owned = |node: &&Value| {
            let parents = node.get("parentRefs").and_then(Value::as_array);
            is(node, "ReplicaSet") && parents.is_some_and(|parents| parents.iter().any(|parent| text(parent, "uid") == uid))
        };
        let names: Vec<String> = nodes.iter().filter(owned).map(|node| text(node, "name")).collect();
        if names.len() > MOST_SETS {
            return Err(refused(
                format!("Deployment {} has more than {MOST_SETS} ReplicaSets", target.name),
                "set revisionHistoryLimit",
            ));
        }
        let read = |kind: &str, name: &str| {
            let object = format!("namespace={}&resourceName={name}&version=v1&group=apps&kind={kind}", target.namespace);
            let answer: Option<Value> = self.get(&format!("{path}/resource?{of}&{object}"), namespace, application)?;
            let manifest = answer.as_ref().and_then(|answer| answer.get("manifest")?.as_str());
            Ok::<_, ObserveError>(manifest.map(str::to_owned))
        };
        let Some(deployment) = read("Deployment", &target.name)? else {
            return absent("does not exist any more in");
        };
        let deployment: Deployment = parse(deployment.as_bytes())?;
        let mut sets = Vec::new();
        for name in names.iter().filter(|name| is_dns_name(name)) {
            // One that went away meanwhile has no pods.
            if let Some(set) = read("ReplicaSet", name)? {
                sets.push(Arc::new(parse::<ReplicaSet>(set.as_bytes())?));
            }
        }
        Ok(sighting(&deployment, &sets, &target.mark))
    }

    /// `None` where there is no such thing.
    fn get<T: DeserializeOwned>(&self, path: &str, namespace: &str, application: &str) -> Result<Option<T>, ObserveError> {
        let token = self.token()?;
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(token) = &token {
            request = request.header(AUTHORIZATION, token);
        }
        let mut response = request.call().map_err(|error| self.unsent(&error))?;
        let status = response.status();
        let mut body = Vec::new();
        let whole = response.body_mut().as_reader().take(MAX_ANSWER + 1).read_to_end(&mut body);
        if status == StatusCode::NOT_FOUND && is_of_argo(&body) {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(self.failed(status, &body, namespace, application));
        }
        whole.map_err(|error| self.unsent(&ureq::Error::from(error)))?;
        if body.len() as u64 > MAX_ANSWER {
            return Err(refused(format!("an answer is longer than {} MiB", MAX_ANSWER >> 20), "read by the Kubernetes API"));
        }
        parse(&body).map(Some)
    }

    fn token(&self) -> Result<Option<HeaderValue>, ObserveError> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| refused(format!("{}: {error}", path.display()), "`tokenFile` is a file with a token of Argo CD"))?;
        let mut value = HeaderValue::from_str(&format!("Bearer {}", text.trim()))
            .map_err(|_| refused(format!("{}: not a token", path.display()), "the file holds one line, the token"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    fn failed(&self, status: StatusCode, body: &[u8], namespace: &str, application: &str) -> ObserveError {
        let told = serde_json::from_slice::<Value>(body).ok();
        let told = told.as_ref().and_then(|body| body.get("message").or_else(|| body.get("error"))?.as_str()).map(plain);
        let told = told.map(|text| format!(": {text}")).unwrap_or_default();
        match status.as_u16() {
            code @ 300..=399 => refused(
                format!("it answers with a redirect ({code}), which is not followed"),
                "give the address that it leads to",
            ),
            401 => {
                refused(format!("it does not accept the token (401){told}"), "make a new token: `argocd account generate-token`")
            }
            403 => refused(
                format!("it does not show Application {namespace}/{application} (403){told}"),
                "the Application does not exist, or the token's account lacks `applications, get` on it",
            ),
            404 => refused("there is no Argo CD API at its address (404)", "give the address before /api/v1"),
            code @ (429 | 500..) => ObserveError::Unreachable(format!("Argo CD answers with HTTP status {code}{told}")),
            code => {
                refused(format!("it refused the request ({code}){told}"), "check the observer's `application` and `namespace`")
            }
        }
    }

    fn unsent(&self, error: &ureq::Error) -> ObserveError {
        let cause = match error {
            ureq::Error::Timeout(_) => format!("no answer within {} s", self.timeout.as_secs_f64()),
            ureq::Error::HostNotFound => "its host name is not known".to_owned(),
            ureq::Error::ConnectionFailed => "no connection".to_owned(),
            ureq::Error::Protocol(_) => "the answer is not HTTP".to_owned(),
            ureq::Error::Io(error) => innermost(error),
            other => plain(&other.to_string()),
        };
        ObserveError::Unreachable(format!("Argo CD: {cause}"))
    }
}

/// Whether an answer is one of Argo CD's own: an address that serves something else answers 404, too.
fn is_of_argo(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|body| body.get("code").and_then(Value::as_i64) == Some(5))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ObserveError> {
    serde_json::from_slice(body)
        .map_err(|_| refused("its answer is not one of Argo CD's API", "check the address: `argocd.server`"))
}

/// What to do with a kind that Argo CD's own API is not read for.
fn instead(kind: &str) -> &'static str {
    match kind {
        "DaemonSet" => {
            "its nodes are known to the cluster alone: observe it with `kubernetes`, or with `argocd` by the Kubernetes API; or leave its \
             batches to its own `maxUnavailable`"
        }
        _ => "observe this app with `timed`",
    }
}

fn refused(cause: impl Into<String>, hint: &str) -> ObserveError {
    ObserveError::Refused { cause: format!("Argo CD: {}", cause.into()), hint: Some(hint.to_owned()) }
}
