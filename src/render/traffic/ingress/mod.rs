//! `ingress` entries: one provider for each `classType`.

mod aws;
mod canary;
pub(super) mod copy;
mod header;
mod higress;

use super::custom::TRAEFIK;
use super::provider::Provider;

/// A match on a header of this name means a cookie: the match's value is the cookie's name, which a request carries with
/// the value `always` (Kruise's encoding).
pub(super) const COOKIE: &str = "canary-by-cookie";

/// The classes, by the words that `classType` takes.
pub(super) const CLASSES: [(&str, &dyn Provider); 6] = [
    ("nginx", &canary::NGINX),
    ("aliyun-alb", &canary::ALIYUN),
    ("higress", &higress::Higress),
    ("mse", &canary::MSE),
    ("alb", &aws::Alb),
    // The name is that of the TraefikService which the Ingress or IngressRoute points to.
    ("traefik", &TRAEFIK),
];

/// The provider of a class; nginx where none is named, which is Kruise's default.
pub(super) fn class(name: &str) -> Option<&'static dyn Provider> {
    let name = if name.is_empty() { "nginx" } else { name };
    CLASSES.iter().find(|(class, _)| *class == name).map(|(_, provider)| *provider)
}
