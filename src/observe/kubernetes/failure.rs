//! What an error of the Kubernetes API means.

use kube::Error;

use crate::observe::ObserveError;
pub(super) use crate::observe::words::innermost;
use crate::observe::words::plain;

/// What a look needs, in words.
pub(super) struct Rights {
    /// What to grant in the namespace.
    grant: &'static str,
    /// What a server that answers 404 to the whole address does not serve.
    kind: &'static str,
}

impl Rights {
    pub(super) const WORKLOAD: Self =
        Self { grant: "verb get on deployments and verb list on replicasets of API group apps", kind: "Deployments of apps/v1" };
    pub(super) const ARGOCD: Self =
        Self { grant: "verb get on applications of API group argoproj.io", kind: "Applications of argoproj.io/v1alpha1" };
    /// Whatever `doctor` asks for: it says itself what to grant.
    pub(super) const ANY: Self = Self { grant: "verbs get and list", kind: "objects of this kind" };
    pub(super) const FLUX: Self = Self {
        grant: "verb get on kustomizations of API group kustomize.toolkit.fluxcd.io",
        kind: "Kustomizations of kustomize.toolkit.fluxcd.io/v1",
    };
}

/// The API says that just this object does not exist (an address that serves no such API answers 404 too, and names nothing).
pub(super) fn is_absent(error: &Error, name: &str) -> bool {
    let Error::Api(status) = error else {
        return false;
    };
    status.code == 404 && status.reason == "NotFound" && status.details.as_ref().is_some_and(|details| details.name == name)
}

pub(super) fn explain(error: &Error, namespace: &str, rights: &Rights) -> ObserveError {
    let refused = |cause: String, hint: &str| ObserveError::Refused { cause, hint: Some(hint.to_owned()) };
    match error {
        Error::Api(status) => match status.code {
            401 => refused(
                "the cluster does not accept the credentials (401)".to_owned(),
                "renew the token or certificate of the kubeconfig's user",
            ),
            403 => ObserveError::Refused {
                cause: format!("the cluster forbids it (403): {}", plain(&status.message)),
                hint: Some(format!("grant in namespace {namespace}: {}", rights.grant)),
            },
            404 => refused(
                format!("the server of the kubeconfig serves no {} (404)", rights.kind),
                "check the server's address in the kubeconfig, and whether it is installed there",
            ),
            429 | 500.. => {
                ObserveError::Unreachable(format!("it answers with HTTP status {}: {}", status.code, plain(&status.message)))
            }
            code => ObserveError::Refused {
                cause: format!("the cluster refused the request ({code}): {}", plain(&status.message)),
                hint: None,
            },
        },
        Error::Auth(error) => refused(
            format!("the credentials of the kubeconfig's user cannot be had: {}", innermost(error)),
            "check the user's token file or log-in program",
        ),
        Error::SerdeError(_) | Error::FromUtf8(_) => refused(
            "the server's answer is not one of the Kubernetes API".to_owned(),
            "check the server's address in the kubeconfig",
        ),
        other => ObserveError::Unreachable(innermost(other)),
    }
}
