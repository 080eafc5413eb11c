//! What a document must say beyond its types: Kruise's rules in Kruise's words, and our own.

mod alpha;
mod described;
mod kruise;
mod metrics;
mod ours;
mod scripts;
mod shared;
mod sources;
mod together;

pub use ours::CUSTOM_KINDS;
pub use scripts::missing_scripts;
pub use together::{Known, ObjectName, path_conflict, validate_repository, validate_together};

pub(crate) use alpha::{alpha_rollout, newer};
pub(crate) use described::{UNKNOWN_KIND, described_rollout};
pub(crate) use kruise::{is_known, kruise_rollout, style};
pub(crate) use ours::{clean, config, repository, windlass_rollout};
pub(crate) use shared::{named, shared_routing};

/// Kruise's `--partition-percent-limit`, percent.
const PARTITION_LIMIT: i64 = 50;

/// API groups and kinds that Kruise's workload filter knows.
const WORKLOADS: [(&str, &str); 7] = [
    ("apps", "Deployment"),
    ("apps", "ReplicaSet"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("apps.kruise.io", "CloneSet"),
    ("apps.kruise.io", "StatefulSet"),
    ("apps.kruise.io", "DaemonSet"),
];

/// Kruise's annotation on a Rollout that lets a rollback go in batches; only `"true"` does.
pub(crate) const IN_BATCHES: &str = "rollouts.kruise.io/rollback-in-batch";

/// Kruise's annotation on a Rollout that names the TrafficRouting which it shares.
pub(crate) const SHARED: &str = "rollouts.kruise.io/trafficrouting";

/// The group of an `apiVersion`.
pub(crate) fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// RFC 1123 label or subdomain, as Kubernetes checks names.
fn is_dns_name(name: &str, longest: usize, dots: bool) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    name.len() <= longest && if dots { name.split('.').all(part) } else { part(name) }
}
