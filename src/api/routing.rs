//! What a Rollout, or several together, say about routes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::model::WorkloadRef;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficRouting {
    /// The stable Service.
    pub service: String,
    /// Seconds between a routing change and what may follow it.
    pub grace_period_seconds: u32,
    pub ingress: Option<IngressRouting>,
    pub gateway: Option<GatewayRouting>,
    /// Objects of other kinds, with their own provider or script.
    pub custom: Vec<WorkloadRef>,
    /// Keep to the stable Service alone.
    pub disable_generate_canary_service: bool,
    /// The Lua scripts that its routes are made by: paths below [`SCRIPTS`] → text. No document says them: they are files
    /// of the source, and part of the Rollout in force.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scripts: BTreeMap<String, String>,
}

/// A routing that Rollouts of one directory share (Kruise's TrafficRouting, v1alpha1): its routes change while a release of any
/// Rollout that names it is on its way. No version is told from another by them, so no second Service is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SharedRouting {
    pub name: String,
    /// At least one.
    pub routings: Vec<TrafficRouting>,
    /// Share of requests that are changed, percent; `None` where only `matches` count.
    pub traffic: Option<u32>,
    /// Requests that are changed by what they carry; any one of them suffices.
    pub matches: Vec<HttpMatch>,
    pub request_header_modifier: Option<HeaderModifier>,
}

impl SharedRouting {
    /// Seconds between a change of it and what may follow: the longest that one of its routes asks for.
    pub fn grace_period_seconds(&self) -> u32 {
        self.routings.iter().map(|routing| routing.grace_period_seconds).max().unwrap_or(0)
    }

    /// Where scripts for its routes would be, below [`SCRIPTS`], each once.
    pub fn wanted_scripts(&self) -> BTreeSet<String> {
        self.routings.iter().flat_map(TrafficRouting::wanted_scripts).collect()
    }

    /// Gives each route those of the scripts that it wants.
    pub fn give_scripts(&mut self, scripts: &BTreeMap<String, String>) {
        give(&mut self.routings, scripts);
    }
}

/// That a Rollout shares a routing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SharedUse {
    pub name: String,
    /// What the directory says of it, without scripts; `None` before it was looked up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<Box<SharedRouting>>,
}

/// Where the source keeps Lua scripts, from its root.
pub const SCRIPTS: &str = ".windlass/lua";

impl TrafficRouting {
    /// Group, kind and name of its Service, and of every route that it names.
    pub fn named(&self) -> Vec<(&str, &str, &str)> {
        let mut named = vec![("", "Service", self.service.as_str())];
        if let Some(ingress) = &self.ingress {
            named.push(match ingress.class_type.as_str() {
                "traefik" => ("traefik.io", "TraefikService", &ingress.name),
                _ => ("networking.k8s.io", "Ingress", &ingress.name),
            });
        }
        for custom in &self.custom {
            let group = custom.api_version.split_once('/').map_or("", |(group, _)| group);
            named.push((group, &custom.kind, &custom.name));
        }
        for (_, kind, name) in self.gateway.iter().flat_map(GatewayRouting::routes) {
            named.push(("gateway.networking.k8s.io", kind, name));
        }
        named
    }

    /// Where scripts for its routes would be, below [`SCRIPTS`].
    pub fn wanted_scripts(&self) -> Vec<String> {
        let custom = self.custom.iter().filter_map(|custom| custom_script(&custom.api_version, &custom.kind));
        let ingress = self.ingress.iter().filter_map(|ingress| ingress_script(&ingress.class_type));
        custom.chain(ingress).collect()
    }
}

pub(super) fn give(routings: &mut [TrafficRouting], scripts: &BTreeMap<String, String>) {
    for routing in routings {
        let found = |path: String| scripts.get(&path).map(|text| (path.clone(), text.clone()));
        routing.scripts = routing.wanted_scripts().into_iter().filter_map(found).collect();
    }
}

/// The script for objects of a kind (Kruise's `lua_configuration/<group>/<Kind>/trafficRouting.lua`); `None` where these are
/// no words that a path may hold.
pub fn custom_script(api_version: &str, kind: &str) -> Option<String> {
    let group = api_version.split('/').next().unwrap_or_default();
    (is_path_part(group) && is_path_part(kind)).then(|| format!("{group}/{kind}/trafficRouting.lua"))
}

/// The script for an Ingress class (Kruise's `lua_configuration/trafficrouting_ingress/<classType>.lua`).
pub fn ingress_script(class: &str) -> Option<String> {
    is_path_part(class).then(|| format!("trafficrouting_ingress/{class}.lua"))
}

fn is_path_part(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !word.is_empty() && word.len() <= 253 && !word.starts_with('.') && !word.contains("..") && word.bytes().all(plain)
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IngressRouting {
    /// `nginx` where the document names none.
    pub class_type: String,
    pub name: String,
}

/// Routes of the Gateway API by their names; at least one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayRouting {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_route_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc_route_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_route_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_route_name: Option<String>,
}

impl GatewayRouting {
    /// Field, kind and name of every route that is named.
    pub fn routes(&self) -> impl Iterator<Item = (&'static str, &'static str, &str)> {
        let all = [
            ("httpRouteName", "HTTPRoute", &self.http_route_name),
            ("grpcRouteName", "GRPCRoute", &self.grpc_route_name),
            ("tlsRouteName", "TLSRoute", &self.tls_route_name),
            ("tcpRouteName", "TCPRoute", &self.tcp_route_name),
        ];
        all.into_iter().filter_map(|(field, kind, name)| Some((field, kind, name.as_deref()?)))
    }
}

/// One alternative of a step's `matches`: all its parts must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpMatch {
    pub path: Option<StringMatch>,
    pub headers: Vec<NamedMatch>,
    pub query_params: Vec<NamedMatch>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StringMatch {
    /// `Exact`, `PathPrefix` or `RegularExpression`.
    pub kind: MatchKind,
    pub value: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedMatch {
    pub kind: MatchKind,
    pub name: String,
    pub value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MatchKind {
    Exact,
    PathPrefix,
    RegularExpression,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeaderModifier {
    pub set: Vec<(String, String)>,
    pub add: Vec<(String, String)>,
    pub remove: Vec<String>,
}
