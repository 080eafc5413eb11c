//! From options to a client.

use kube::config::{Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use super::{KubernetesOptions, failure};
use crate::observe::ObserveError;

/// Must be called inside a runtime, on which the client then lives.
pub(super) fn client(options: &KubernetesOptions) -> Result<Client, ObserveError> {
    let mut config = config(options)?;
    // One look is bounded as a whole, and the engine looks again by itself.
    config.default_retry = false;
    (config.connect_timeout, config.read_timeout, config.write_timeout) = (None, None, None);
    Client::try_from(config).map_err(|error| {
        refused(
            format!("the kubeconfig cannot be used: {}", failure::innermost(&error)),
            "check the user and cluster entries of its context",
        )
    })
}

fn config(options: &KubernetesOptions) -> Result<Config, ObserveError> {
    if options.in_cluster {
        return in_cluster();
    }
    let read = match &options.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let kubeconfig = match read {
        Ok(kubeconfig) => kubeconfig,
        // Only where nobody asked for a kubeconfig and there is none: a broken one is never passed over.
        Err(error) if options.kubeconfig.is_none() && options.context.is_none() && is_absent(&error) => {
            return in_cluster().map_err(|_| {
                refused(
                    "there is no kubeconfig, and this does not run in a pod with a service account".to_owned(),
                    "give a kubeconfig, set KUBECONFIG, or observe with `timed`",
                )
            });
        }
        Err(error) => return Err(unreadable(&error)),
    };
    let mut kubeconfig = kubeconfig;
    if options.context.is_some() {
        kubeconfig.current_context.clone_from(&options.context);
    }
    let proxy = proxy_of(&kubeconfig);
    let mut config = Config::try_from(kubeconfig).map_err(|error| unreadable(&error))?;
    if proxy.is_none() {
        // kube also takes HTTPS_PROXY, and compares NO_PROXY with the proxy's own address.
        config.proxy_url = None;
    }
    Ok(config)
}

fn in_cluster() -> Result<Config, ObserveError> {
    Config::incluster().map_err(|error| {
        refused(
            format!("there is no service account to use: {}", failure::innermost(&error)),
            "run in a pod whose automountServiceAccountToken is not false, or give a kubeconfig",
        )
    })
}

fn proxy_of(kubeconfig: &Kubeconfig) -> Option<String> {
    let context = kubeconfig.current_context.as_ref()?;
    let context = kubeconfig.contexts.iter().find(|named| named.name == *context)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|named| named.name == context.cluster)?.cluster.as_ref()?;
    cluster.proxy_url.clone().filter(|url| !url.is_empty())
}

fn is_absent(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(error, _) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

/// Never passes on what the parser shows of the file: that may be a token.
fn unreadable(error: &KubeconfigError) -> ObserveError {
    let hint = "`kubectl config view` shows what is in it, `kubectl config get-contexts` its contexts";
    let cause = match error {
        KubeconfigError::Parse(_) => "the kubeconfig is not a YAML document of kind Config".to_owned(),
        KubeconfigError::ReadConfig(error, path) => format!("cannot read the kubeconfig {}: {error}", path.display()),
        KubeconfigError::CurrentContextNotSet => "the kubeconfig has no current context, and none was named".to_owned(),
        KubeconfigError::ParseClusterUrl(_) => "the server of the kubeconfig's cluster is not an address".to_owned(),
        KubeconfigError::ParseProxyUrl(_) => "the proxy-url of the kubeconfig's cluster is not an address".to_owned(),
        KubeconfigError::LoadContext(name) => format!("the kubeconfig has no context `{name}`"),
        KubeconfigError::LoadClusterOfContext(name) => format!("the kubeconfig has no cluster `{name}`"),
        other => failure::innermost(other),
    };
    refused(cause, hint)
}

fn refused(cause: String, hint: &str) -> ObserveError {
    ObserveError::Refused { cause, hint: Some(hint.to_owned()) }
}
