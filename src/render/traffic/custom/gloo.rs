//! Gloo's RouteTable: weights of `routeAction.multi.destinations` (a `single` destination becomes such a list), matchers for
//! matches. A destination is a Service (`kube`), or the Upstream that Gloo's discovery makes of one (`<namespace>-<service>-<port>`).

use serde_json::{Map, Value, json};

use super::asked::{self, Changes, Matches, Words, same_name};
use super::rules::{Rules, is_service, list, nowhere, unmatched};
use crate::api::{HeaderModifier, HttpMatch, MatchKind, NamedMatch};
use crate::manifest::Object;
use crate::render::RenderError;
use crate::render::traffic::provider::{Change, Provider};
use crate::render::traffic::share::Missing;
use crate::render::traffic::{At, Split};

const LABEL: &str = "RouteTable (Gloo)";
const WORDS: Words = Words {
    label: LABEL,
    matches: Some(Matches { path: asked::ALL, header: asked::NAMED, query: asked::NAMED, cookie: false }),
    with_share: Changes::EVERY,
    with_matches: Changes::EVERY,
    mirror: false,
    instead: "use a `gateway` routing (HTTPRoute) for this Service",
};

pub(super) struct RouteTable;
pub(super) const ROUTE_TABLE: RouteTable = RouteTable;

impl Provider for RouteTable {
    fn label(&self) -> &'static str {
        LABEL
    }

    fn group(&self) -> &'static str {
        "gateway.solo.io"
    }

    fn kind(&self) -> &'static str {
        "RouteTable"
    }

    fn find(&self, route: &Object, at: &At) -> Result<(), RenderError> {
        let rules = list(route, "/spec/routes");
        let served = with_rules(route, at, None, |of| rules.iter().any(|rule| of.serves(&spread(rule))));
        if served { Ok(()) } else { Err(nowhere(route, at)) }
    }

    fn split(&self, route: &Object, at: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        WORDS.check(split)?;
        let rules = list(route, "/spec/routes");
        let (written, canaries) = with_rules(route, at, Some(split), |of| {
            let spread: Vec<Value> = rules
                .iter()
                .map(|rule| Some(spread(rule)).filter(|many| of.serves(many)).unwrap_or_else(|| rule.clone()))
                .collect();
            of.split(&spread, split, &|_| {})
        })?;
        if !split.matches.is_empty() && canaries == 0 {
            return Err(vec![unmatched(route, split)]);
        }
        // A rule that no weight was asked for stays as it is written.
        let written = written
            .into_iter()
            .map(|rule| rules.iter().find(|old| split.weight.is_none() && spread(old) == rule).cloned().unwrap_or(rule))
            .collect();
        let mut route = route.clone();
        route.set(&["spec", "routes"], Value::Array(written));
        Ok(vec![Change::Replace(route)])
    }
}

fn with_rules<T>(route: &Object, at: &At, split: Option<&Split>, work: impl FnOnce(&Rules) -> T) -> T {
    work(&Rules {
        route,
        backends: "/routeAction/multi/destinations",
        missing: Missing::One,
        is_stable: &|one| renamed(route, at, one, at.service.name()).is_some(),
        to_canary: &|one| to_canary(route, at, one, split),
        matching: &|rule, one, _| Ok(vec![matching(rule, one)]),
    })
}

/// A rule with its only destination as a list of one.
fn spread(rule: &Value) -> Value {
    let mut rule = rule.clone();
    if let Some(action) = rule.get_mut("routeAction").and_then(Value::as_object_mut)
        && let Some(single) = action.remove("single")
    {
        action.insert("multi".to_owned(), json!({"destinations": [{"destination": single}]}));
    }
    rule
}

/// The stable destination under the name of another Service; `None`: it is not the stable one.
fn renamed(route: &Object, at: &At, one: &Value, service: &str) -> Option<Value> {
    let mut copy = one.clone();
    let destination = copy.get_mut("destination")?;
    if let Some(reference) = destination.pointer_mut("/kube/ref") {
        let text = |field: &str| reference.get(field).and_then(Value::as_str);
        is_service(route, at, text("name"), text("namespace")).then_some(())?;
        reference["name"] = json!(service);
        return Some(copy);
    }
    let name = destination.pointer_mut("/upstream/name")?;
    let namespace = at.service.namespace().or(route.namespace())?;
    let port = name.as_str()?.strip_prefix(&format!("{namespace}-{}-", at.service.name()))?;
    port.parse::<u16>().ok()?;
    *name = json!(format!("{namespace}-{service}-{port}"));
    Some(copy)
}

fn to_canary(route: &Object, at: &At, one: &Value, split: Option<&Split>) -> Value {
    let Some(split) = split else { return one.clone() };
    let mut copy = renamed(route, at, one, &split.canary).unwrap_or_else(|| one.clone());
    if let (Some(fields), Some(change)) = (copy.as_object_mut(), split.modifier) {
        headers(fields, change);
    }
    copy
}

/// Joins header changes into the options of a destination.
fn headers(destination: &mut Map<String, Value>, change: &HeaderModifier) {
    let Some(options) = destination.entry("options").or_insert_with(|| json!({})).as_object_mut() else { return };
    let Some(change_of) = options.entry("headerManipulation").or_insert_with(|| json!({})).as_object_mut() else { return };
    let pair =
        |(name, value): &(String, String), append: bool| json!({"header": {"key": name, "value": value}, "append": append});
    let mut added: Vec<Value> = change.set.iter().map(|set| pair(set, false)).collect();
    added.extend(change.add.iter().map(|add| pair(add, true)));
    let removed: Vec<Value> = change.remove.iter().map(|name| json!(name)).collect();
    for (field, wanted) in [("requestHeadersToAdd", added), ("requestHeadersToRemove", removed)] {
        if wanted.is_empty() {
            continue;
        }
        if let Some(there) = change_of.entry(field).or_insert_with(|| json!([])).as_array_mut() {
            there.extend(wanted);
        }
    }
}

/// The rule with the match joined to each of its matchers.
fn matching(rule: &Map<String, Value>, one: &HttpMatch) -> Map<String, Value> {
    let mut own: Vec<Value> = rule.get("matchers").and_then(Value::as_array).cloned().unwrap_or_default();
    if own.is_empty() {
        own.push(json!({"prefix": "/"}));
    }
    if let Some(path) = &one.path {
        own = asked::paths(path)
            .into_iter()
            .map(|(kind, value)| match kind {
                MatchKind::Exact => json!({"exact": value}),
                MatchKind::PathPrefix => json!({"prefix": value}),
                MatchKind::RegularExpression => json!({"regex": value}),
            })
            .collect();
    }
    for matcher in own.iter_mut().filter_map(Value::as_object_mut) {
        for (field, wanted) in [("headers", &one.headers), ("queryParameters", &one.query_params)] {
            if wanted.is_empty() {
                continue;
            }
            if let Some(there) = matcher.entry(field).or_insert_with(|| json!([])).as_array_mut() {
                for wanted in wanted.iter().map(condition) {
                    if !there.iter().any(|there| is_same(field == "headers", there, &wanted)) {
                        there.push(wanted);
                    }
                }
            }
        }
    }
    let mut rule = rule.clone();
    // A rule's name is its own.
    rule.remove("name");
    rule.insert("matchers".to_owned(), Value::Array(own));
    rule
}

fn condition(named: &NamedMatch) -> Value {
    if named.kind == MatchKind::RegularExpression {
        json!({"name": named.name, "value": named.value, "regex": true})
    } else {
        json!({"name": named.name, "value": named.value})
    }
}

fn is_same(header: bool, one: &Value, other: &Value) -> bool {
    let name = |value: &Value| value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    same_name(header, &name(one), &name(other))
        && one.get("value") == other.get("value")
        && one.get("regex") == other.get("regex")
}
