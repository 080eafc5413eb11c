//! What a `trafficRoutings` entry names, and who can do it.

use super::{At, Split, custom, gateway, ingress, lua, only, services, taken};
use crate::api::{GatewayRouting, SCRIPTS, TrafficRouting, custom_script, ingress_script};
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

    /// Whether it works with subsets of one Service, too (`disableGenerateCanaryService`).
    fn subsets(&self) -> bool {
        false
    }

    /// Whether it can change what requests carry that stay with their Service (a routing that Rollouts share).
    fn tags(&self) -> bool {
        false
    }

    /// Whether a script of the user's says what it does.
    fn is_script(&self) -> bool {
        false
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
    group: &'a str,
    kind: &'a str,
    name: &'a str,
}

impl<'a> Place<'a> {
    fn of(provider: &'static dyn Provider, name: &'a str) -> Self {
        Self { provider, group: provider.group(), kind: provider.kind(), name }
    }

    /// Whether the object is there and sends requests to the stable Service.
    pub(super) fn find(self, objects: &ObjectSet, routing: &TrafficRouting) -> Result<(), RenderError> {
        self.route(&At { objects, service: services::stable(objects, &routing.service)?, routing }).map(|_| ())
    }

    /// Whether it works with subsets of one Service.
    pub(super) fn subsets(self) -> bool {
        self.provider.subsets()
    }

    pub(super) fn tags(self) -> bool {
        self.provider.tags()
    }

    pub(super) fn is_script(self) -> bool {
        self.provider.is_script()
    }

    pub(super) fn label(self) -> &'static str {
        self.provider.label()
    }

    /// Whether it is where subsets are.
    pub(super) fn has_subsets(self) -> bool {
        self.provider.subsets() && self.kind == "DestinationRule"
    }

    fn route<'o>(self, at: &At<'o>) -> Result<&'o Object, RenderError> {
        let route = only(at.objects, self.group, self.kind, self.name)?;
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
        let (what, name) = (self.kind.to_owned(), self.name.to_owned());
        Some(RenderError::Unusable { what, name, cause: cause.to_owned() })
    }

    fn is(self, other: Place<'_>) -> bool {
        (self.group, self.kind, self.name) == (other.group, other.kind, other.name)
    }

    /// The objects that this step adds or changes.
    pub(super) fn split(self, objects: &ObjectSet, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        let service = services::stable(objects, split.stable).map_err(|error| vec![error])?;
        let at = At { objects, service, routing: split.routing };
        let route = self.route(&at).map_err(|error| vec![error])?;
        self.provider.split(route, &at, split)
    }
}

/// What `gateway` can name.
const ROUTES: [&dyn Provider; 4] = [&gateway::HTTP, &gateway::GRPC, &gateway::TLS, &gateway::TCP];

/// Every provider, in the order of their table.
pub(super) fn all() -> Vec<&'static dyn Provider> {
    let mut all: Vec<&'static dyn Provider> = ingress::CLASSES.iter().map(|(_, provider)| *provider).collect();
    for provider in ROUTES.into_iter().chain(custom::KINDS) {
        if !all.iter().any(|there| there.label() == provider.label()) {
            all.push(provider);
        }
    }
    all.extend([&lua::INGRESS as &dyn Provider, &lua::CUSTOM]);
    all
}

/// What can be named, for messages: `ingress` with its classes, and so on.
pub(super) fn supported() -> String {
    let classes: Vec<String> = ingress::CLASSES.iter().map(|(class, _)| format!("`{class}`")).collect();
    format!(
        "`ingress` with classType {}, `gateway` (HTTPRoute, GRPCRoute, TLSRoute, TCPRoute), and `customNetworkRefs` of {}",
        classes.join(", "),
        kinds()
    )
}

/// The kinds that `customNetworkRefs` knows, with their groups.
pub(super) fn kinds() -> String {
    let kinds: Vec<String> = custom::KINDS.iter().map(|provider| format!("{} ({})", provider.kind(), provider.group())).collect();
    kinds.join(", ")
}

fn wanted(script: Option<String>) -> String {
    script.map_or_else(String::new, |script| format!(" ({SCRIPTS}/{script})"))
}

/// The places of a routing, in Kruise's order; or everything in it that none of ours can do.
pub(super) fn places(routing: &TrafficRouting) -> Result<Vec<Place<'_>>, Vec<RenderError>> {
    let mut found = Vec::new();
    let mut errors = Vec::new();
    let mut fail = |what: &str, name: &str, cause: String| {
        errors.push(RenderError::Unusable { what: what.to_owned(), name: name.to_owned(), cause });
    };
    for reference in &routing.custom {
        let group = reference.api_version.split_once('/').map_or("", |(group, _)| group);
        let script = custom_script(&reference.api_version, &reference.kind);
        if script.as_ref().is_some_and(|path| routing.scripts.contains_key(path)) {
            found.push(Place { provider: &lua::CUSTOM, group, kind: &reference.kind, name: &reference.name });
            continue;
        }
        match custom::kind(group, &reference.kind) {
            Some(provider) => found.push(Place::of(provider, &reference.name)),
            None => fail(
                &reference.kind,
                &reference.name,
                format!(
                    "`customNetworkRefs` knows no kind `{}` of `{group}`; it knows {}, and others by a Lua script{}",
                    reference.kind,
                    kinds(),
                    wanted(script)
                ),
            ),
        }
    }
    if let Some(ingress) = &routing.ingress {
        let script = ingress_script(&ingress.class_type);
        let by_script = script.as_ref().is_some_and(|path| routing.scripts.contains_key(path));
        match ingress::class(&ingress.class_type) {
            // A class whose routes are no Ingresses is no matter of an Ingress' script.
            native if by_script && native.is_none_or(|native| native.kind() == lua::INGRESS.kind()) => {
                found.push(Place::of(&lua::INGRESS, &ingress.name));
            }
            Some(provider) => found.push(Place::of(provider, &ingress.name)),
            None => {
                let (class, supported, wanted) = (&ingress.class_type, supported(), wanted(script));
                let cause = format!(
                    "classType `{class}` is not supported; supported are {supported}, and others by a Lua script{wanted}"
                );
                fail("Ingress", &ingress.name, cause);
            }
        }
    }
    for (_, kind, name) in routing.gateway.iter().flat_map(GatewayRouting::routes) {
        let provider = ROUTES.iter().find(|route| route.kind() == kind);
        found.extend(provider.map(|provider| Place::of(*provider, name)));
    }
    if found.is_empty() && errors.is_empty() {
        let cause = format!("its `trafficRoutings` entry names no route; supported are {}", supported());
        errors.push(RenderError::Unusable { what: "Service".to_owned(), name: routing.service.clone(), cause });
    }
    if let (true, Some(place)) = (found.iter().all(|place| place.has_subsets()), found.first()) {
        errors.push(RenderError::Unusable {
            what: place.kind.to_owned(),
            name: place.name.to_owned(),
            cause: "it divides no requests by itself; name the VirtualService, too".to_owned(),
        });
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}
