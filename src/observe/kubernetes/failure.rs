//! What an error of the Kubernetes API means.

use kube::Error;

use crate::observe::ObserveError;

/// Longest text of the server's own that is passed on, characters.
const MAX_TEXT: usize = 300;

/// The API says that just this object does not exist (an address that serves no such API answers 404 too, and names nothing).
pub(super) fn is_absent(error: &Error, name: &str) -> bool {
    let Error::Api(status) = error else {
        return false;
    };
    status.code == 404 && status.reason == "NotFound" && status.details.as_ref().is_some_and(|details| details.name == name)
}

pub(super) fn explain(error: &Error, namespace: &str) -> ObserveError {
    let refused = |cause: String, hint: &str| ObserveError::Refused { cause, hint: Some(hint.to_owned()) };
    match error {
        Error::Api(status) => match status.code {
            401 => refused(
                "the cluster does not accept the credentials (401)".to_owned(),
                "renew the token or certificate of the kubeconfig's user",
            ),
            403 => ObserveError::Refused {
                cause: format!("the cluster forbids it (403): {}", plain(&status.message)),
                hint: Some(format!(
                    "grant in namespace {namespace}: verb get on deployments and verb list on replicasets of API group apps"
                )),
            },
            404 => refused(
                "the server of the kubeconfig serves no Deployments of apps/v1 (404)".to_owned(),
                "check the server's address in the kubeconfig",
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

/// The cause at the bottom of an error: the outer ones carry addresses.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    plain(&error.to_string())
}

/// One short line. Addresses and whatever looks like credentials before a host are left out; a plain `alice@example.com` is a user's name.
fn plain(text: &str) -> String {
    let hidden = |word: &str| word.contains("://") || word.split_once('@').is_some_and(|(before, _)| before.contains(':'));
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.map(|word| if hidden(word) { "<address>" } else { word }).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_TEXT) {
        None => line,
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}
