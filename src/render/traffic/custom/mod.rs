//! `customNetworkRefs`: the kinds that are known natively, one file for each maker. All of them are functions of the object
//! as the user wrote it.

mod ambassador;
mod apisix;
mod asked;
mod contour;
mod gloo;
mod istio;
mod kuma;
mod linkerd;
mod rules;
mod smi;
mod subsets;
mod traefik;

use super::gateway;
use super::provider::Provider;

pub(super) use subsets::{add as add_subset, narrow as narrow_subsets};
pub(super) use traefik::TRAEFIK;

/// Every kind, in the order of their table. Routes of the Gateway API can be named here, too.
pub(super) const KINDS: [&dyn Provider; 17] = [
    &istio::VIRTUAL_SERVICE,
    &istio::DESTINATION_RULE,
    &apisix::APISIX_ROUTE,
    &TRAEFIK,
    &traefik::TRAEFIK_OLD,
    &contour::HTTP_PROXY,
    &smi::TRAFFIC_SPLIT,
    &linkerd::HTTP_ROUTE,
    &gloo::ROUTE_TABLE,
    &kuma::MESH_HTTP_ROUTE,
    &kuma::MESH_TCP_ROUTE,
    &kuma::TRAFFIC_ROUTE,
    &ambassador::MAPPING,
    &gateway::HTTP,
    &gateway::GRPC,
    &gateway::TLS,
    &gateway::TCP,
];

/// The provider of a kind.
pub(super) fn kind(group: &str, kind: &str) -> Option<&'static dyn Provider> {
    KINDS.iter().find(|provider| (provider.group(), provider.kind()) == (group, kind)).copied()
}
