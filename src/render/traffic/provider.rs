//! What a `trafficRoutings` entry names, and who can do it.

use super::{Split, gateway, nginx, services};
use crate::api::TrafficRouting;
use crate::manifest::{Object, ObjectSet};
use crate::render::RenderError;

/// What `trafficRoutings` can name today; the answer to everything else lists it.
const SUPPORTED: &str = "`ingress` with classType `nginx`, and `gateway` (HTTPRoute)";

/// One place where a routing's requests are divided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Provider<'a> {
    /// An Ingress of class nginx, by name.
    Nginx(&'a str),
    /// A Gateway API HTTPRoute, by name.
    HttpRoute(&'a str),
}

impl Provider<'_> {
    /// Whether the object is there and sends requests to the stable Service.
    pub(super) fn find(self, objects: &ObjectSet, service: &str) -> Result<(), Vec<RenderError>> {
        let service = services::stable(objects, service).map_err(|error| vec![error])?;
        let found = match self {
            Self::Nginx(name) => nginx::find(objects, name, service).map(|_| ()),
            Self::HttpRoute(name) => gateway::find(objects, name, service).map(|_| ()),
        };
        found.map_err(|error| vec![error])
    }

    /// Why it cannot stand beside the routings that came before it.
    pub(super) fn again(self, service: &str, earlier: &[(Self, &str)]) -> Option<RenderError> {
        let mut same = earlier.iter().filter(|(provider, _)| *provider == self).peekable();
        same.peek()?;
        let (what, name, cause) = match self {
            Self::Nginx(name) => (
                "Ingress",
                name,
                "two `trafficRoutings` name it, and it can have only one canary Ingress; give each Service an Ingress of its own",
            ),
            Self::HttpRoute(name) if same.any(|(_, other)| *other == service) => {
                ("HTTPRoute", name, "two `trafficRoutings` name it for the same Service; remove one")
            }
            Self::HttpRoute(_) => return None,
        };
        Some(RenderError::Unusable { what: what.to_owned(), name: name.to_owned(), cause: cause.to_owned() })
    }

    /// The object that this step adds or changes; `None` where nothing is to be done.
    pub(super) fn split(self, objects: &ObjectSet, split: &Split) -> Result<Option<Object>, Vec<RenderError>> {
        let service = services::stable(objects, split.stable).map_err(|error| vec![error])?;
        match self {
            Self::Nginx(name) => nginx::split(objects, name, service, split),
            Self::HttpRoute(name) => gateway::split(objects, name, service, split).map(Some),
        }
    }
}

/// The providers of a routing, in Kruise's order; or everything in it that none of ours can do.
pub(super) fn providers(routing: &TrafficRouting) -> Result<Vec<Provider<'_>>, Vec<RenderError>> {
    let mut found = Vec::new();
    let mut errors: Vec<RenderError> = routing
        .custom
        .iter()
        .map(|custom| RenderError::Unusable {
            what: custom.kind.clone(),
            name: custom.name.clone(),
            cause: format!("`customNetworkRefs` are not supported yet; supported are {SUPPORTED}"),
        })
        .collect();
    if let Some(ingress) = &routing.ingress {
        if ingress.class_type == nginx::CLASS || ingress.class_type.is_empty() {
            found.push(Provider::Nginx(&ingress.name));
        } else {
            errors.push(RenderError::Unusable {
                what: "Ingress".to_owned(),
                name: ingress.name.clone(),
                cause: format!("classType `{}` is not supported yet; supported are {SUPPORTED}", ingress.class_type),
            });
        }
    }
    if let Some(gateway) = &routing.gateway {
        found.push(Provider::HttpRoute(&gateway.http_route_name));
    }
    if found.is_empty() && errors.is_empty() {
        errors.push(RenderError::Unusable {
            what: "Service".to_owned(),
            name: routing.service.clone(),
            cause: format!("its `trafficRoutings` entry names no route; supported are {SUPPORTED}"),
        });
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}
