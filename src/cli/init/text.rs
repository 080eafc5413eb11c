//! The texts that `init` writes.

use super::{Route, RouteKind};
use crate::manifest::Object;

/// A Rollout for this Deployment.
pub(super) fn rollout(deployment: &Object, route: Option<&Route>) -> String {
    let name = word(deployment.name());
    let namespace = deployment.namespace().map(|namespace| format!("  namespace: {}\n", word(namespace))).unwrap_or_default();
    let (routing, first, second) = match route {
        None => (String::new(), "", ""),
        Some(route) => (routing(route), "          traffic: 20%\n", "          traffic: 50%\n"),
    };
    let share = if route.is_some() { "        # `traffic` is the share of requests for the new version.\n" } else { "" };
    let last = if route.is_some() {
        "        # The whole Deployment; traffic is back to the Service as you wrote it.\n"
    } else {
        "        # The whole Deployment.\n"
    };
    format!(
        r#"# How new versions of this Deployment are released. Windlass reads this file; the cluster needs nothing of it.
# `windlass validate` checks it; `windlass plan` shows every commit that it leads to.
apiVersion: windlass.dev/v1alpha1
kind: Rollout
metadata:
  name: {name}
{namespace}spec:
  workloadRef:
    apiVersion: {api_version}
    kind: Deployment
    name: {name}

  # When a gate fails or a step is not ready in time: `rollback`, or `pause` to wait for a person.
  onFailure: rollback

  strategy:
    canary:
{routing}      # A release is these steps, in order. A change of the pod template starts it.
      steps:
        # `replicas` is how many pods are updated when the step is done, rounded up.
{share}        # `pause` is the least time to watch; `pause: {{}}` waits until somebody approves.
        - name: first
          replicas: 20%
{first}          pause:
            duration: 5m
        - name: half
          replicas: 50%
{second}          pause:
            duration: 10m
{last}        - name: all
          replicas: 100%
          pause:
            duration: 0

  # Metrics that stop a bad version. The operator names the sources in `windlass.yaml`; the query is yours.
  # analysis:
  #   metrics:
  #     - name: error-rate
  #       source: prometheus
  #       query: |
  #         sum(rate(http_requests_total{{namespace="{{{{ namespace }}}}", status=~"5.."}}[{{{{ window }}}}]))
  #         / sum(rate(http_requests_total{{namespace="{{{{ namespace }}}}"}}[{{{{ window }}}}]))
  #       max: 0.01
  #       interval: 1m
  #       failureLimit: 2
"#,
        api_version = word(deployment.api_version()),
    )
}

fn routing(route: &Route) -> String {
    let by = match &route.by {
        RouteKind::Ingress(name) => format!(
            "          # A second Ingress beside this one carries the share of the new version.\n          ingress:\n            classType: nginx\n            name: {}\n",
            word(name)
        ),
        RouteKind::HttpRoute(name) => format!(
            "          # This HTTPRoute's weights carry the share of the new version.\n          gateway:\n            httpRouteName: {}\n",
            word(name)
        ),
    };
    format!("      trafficRoutings:\n        - service: {}\n{by}", word(&route.service))
}

/// A repository's settings.
pub(super) fn repository() -> String {
    r"# Settings of this repository for Windlass. Every field may be left out; what is commented out shows its form.
apiVersion: windlass.dev/v1alpha1
kind: Repository

# The branch with your manifests and Rollout files. Default: the branch that the remote's HEAD names.
# sourceBranch: main

# The branch that Argo CD or Flux watches. Only Windlass writes there.
liveBranch: deploy

# Directories that hold apps. Default: every directory with a Rollout file.
# sources:
#   - apps/checkout

# Source path to live path, by prefix. Default: the same path.
# paths:
#   apps: clusters/production

# How Windlass learns that a commit was applied: `kubernetes` reads the live workload (read access is enough);
# `timed` looks at nothing and waits.
observe:
  kubernetes: {}
  # timed:
  #   settle: 60s

# Author and committer of Windlass' commits.
# author:
#   name: Windlass
#   email: windlass@example.com
"
    .to_owned()
}

/// A text as a YAML value: in quotes where it could be read as anything else.
fn word(text: &str) -> String {
    let reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-./".contains(&byte))
        && !reserved.contains(&text);
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
