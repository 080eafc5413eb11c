//! What a `trafficRoutings` entry names, and who can do it.

use super::{At, Split, gateway, ingress, only, services, taken};
use crate::api::TrafficRouting;
use crate::manifest::{Object, ObjectSet};
use crate::render::RenderError;

/// Who divides the requests of one kind of object.
pub(super) trait Provider: Sync {
    /// What messages and tables call it.
    fn label(&self) -> &'static str;
    fn group(&self) -> &'static str;
    fn kind(&self) -> &'static str;

    /// Whether two routings, of different Services, can name one object.
    fn several(&self) -> bool {
        true
    }

    /// Whether the object sends requests to the stable Service, and nothing else stands in the way.
    fn find(&self, route: &Object, at: &At) -> Result<(), RenderError>;

    /// The objects of this step, made from the object as the user wrote it; or everything in the step that it cannot say.
    /// [`Self::find`] has been asked before.
    fn split(&self, route: &Object, at: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>>;
}

/// What a step does to the tree.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// A new object, whose name the user must not have.
    Add(Object),
    /// The user's object, changed.
    Replace(Object),
}

impl Change {
    /// Why a new object cannot be added; the same object again is no harm.
    pub(super) fn collides(&self, objects: &ObjectSet) -> Option<RenderError> {
        let Self::Add(object) = self else { return None };
        objects.get(&object.key()).is_some_and(|there| there != object).then(|| taken(object))
    }
}

/// One place where a routing's requests are divided.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    provider: &'static dyn Provider,
    name: &'a str,
}

impl<'a> Place<'a> {
    /// Whether the object is there and sends requests to the stable Service.
    pub(super) fn find(self, objects: &ObjectSet, service: &str) -> Result<(), Vec<RenderError>> {
        let service = services::stable(objects, service).map_err(|error| vec![error])?;
        self.route(&At { objects, service }).map(|_| ()).map_err(|error| vec![error])
    }

    fn route<'o>(self, at: &At<'o>) -> Result<&'o Object, RenderError> {
        let route = only(at.objects, self.provider.group(), self.provider.kind(), self.name)?;
        self.provider.find(route, at)?;
        Ok(route)
    }

    /// Why it cannot stand beside the routings that came before it.
    pub(super) fn again(self, service: &str, earlier: &[(Self, &str)]) -> Option<RenderError> {
        let mut same = earlier.iter().filter(|(place, _)| place.is(self)).peekable();
        same.peek()?;
        let cause = if !self.provider.several() {
            "two `trafficRoutings` name it, and it can have only one canary Ingress; give each Service an Ingress of its own"
        } else if same.any(|(_, other)| *other == service) {
            "two `trafficRoutings` name it for the same Service; remove one"
        } else {
            return None;
        };
        let (what, name) = (self.provider.kind().to_owned(), self.name.to_owned());
        Some(RenderError::Unusable { what, name, cause: cause.to_owned() })
    }

    fn is(self, other: Place<'_>) -> bool {
        let of = |place: Place<'_>| (place.provider.group(), place.provider.kind());
        of(self) == of(other) && self.name == other.name
    }

    /// The objects that this step adds or changes.
    pub(super) fn split(self, objects: &ObjectSet, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        let at = At { objects, service: services::stable(objects, split.stable).map_err(|error| vec![error])? };
        let route = self.route(&at).map_err(|error| vec![error])?;
        self.provider.split(route, &at, split)
    }
}

/// What `gateway` can name.
const ROUTES: [&dyn Provider; 4] = [&gateway::HTTP, &gateway::GRPC, &gateway::TLS, &gateway::TCP];

/// Every provider, in the order of their table.
pub(super) fn all() -> Vec<&'static dyn Provider> {
    let mut all: Vec<&'static dyn Provider> = ingress::CLASSES.iter().map(|(_, provider)| *provider).collect();
    all.extend(ROUTES);
    all
}

/// What can be named, for messages: `ingress` with its classes, and so on.
pub(super) fn supported() -> String {
    let classes: Vec<String> = ingress::CLASSES.iter().map(|(class, _)| format!("`{class}`")).collect();
    format!("`ingress` with classType {}, and `gateway` (HTTPRoute, GRPCRoute, TLSRoute, TCPRoute)", classes.join(", "))
}

/// The places of a routing, in Kruise's order; or everything in it that none of ours can do.
pub(super) fn places(routing: &TrafficRouting) -> Result<Vec<Place<'_>>, Vec<RenderError>> {
    let mut found = Vec::new();
    let mut errors: Vec<RenderError> = routing
        .custom
        .iter()
        .map(|custom| RenderError::Unusable {
            what: custom.kind.clone(),
            name: custom.name.clone(),
            cause: format!("`customNetworkRefs` are not supported yet; supported are {}", supported()),
        })
        .collect();
    if let Some(ingress) = &routing.ingress {
        match ingress::class(&ingress.class_type) {
            Some(provider) => found.push(Place { provider, name: &ingress.name }),
            None => errors.push(RenderError::Unusable {
                what: "Ingress".to_owned(),
                name: ingress.name.clone(),
                cause: format!("classType `{}` is not supported; supported are {}", ingress.class_type, supported()),
            }),
        }
    }
    if let Some(gateway) = &routing.gateway {
        for (_, kind, name) in gateway.routes() {
            let provider = ROUTES.iter().find(|route| route.kind() == kind);
            found.extend(provider.map(|provider| Place { provider: *provider, name }));
        }
    }
    if found.is_empty() && errors.is_empty() {
        errors.push(RenderError::Unusable {
            what: "Service".to_owned(),
            name: routing.service.clone(),
            cause: format!("its `trafficRoutings` entry names no route; supported are {}", supported()),
        });
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}
