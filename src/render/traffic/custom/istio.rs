//! Istio: VirtualService (weights in http, tls and tcp; matches as http rules before those that they are made from), and
//! DestinationRule (Kruise's built-in scripts; Argo Rollouts, `trafficrouting/istio`).
//!
//! With a canary Service, a DestinationRule of the stable Service gets a copy for the canary Service, so that its policy is in
//! force there, too. Without one (`disableGenerateCanaryService`), the versions are subsets: see `subsets.rs`.
//!
//! Different from Kruise's script, on purpose: a match is joined to the rule's own instead of taking other rules' requests; a
//! rule keeps its retries, timeouts and so on for the canary; other destinations keep their share; nothing is lost to rounding.

use serde_json::{Map, Value, json};

use super::asked::{self, Changes, Matches, Words, same_name};
use super::rules::{Rules, list, nowhere, unmatched};
use super::subsets;
use crate::api::{HeaderModifier, HttpMatch, MatchKind, NamedMatch};
use crate::manifest::Object;
use crate::render::RenderError;
use crate::render::traffic::provider::{Change, Provider};
use crate::render::traffic::services::copy_as;
use crate::render::traffic::share::Missing;
use crate::render::traffic::{At, Split, refused, same_namespace, taken, unusable};

const GROUP: &str = "networking.istio.io";
const LABEL: &str = "VirtualService (Istio)";
/// The kinds of rules, by the field that holds them.
const LISTS: [&str; 3] = ["http", "tls", "tcp"];

const WORDS: Words = Words {
    label: LABEL,
    matches: Some(Matches { path: asked::ALL, header: asked::NAMED, query: asked::NAMED, cookie: false }),
    with_share: Changes::EVERY,
    with_matches: Changes::EVERY,
    mirror: true,
    instead: "",
};

pub(super) struct VirtualService;
pub(super) const VIRTUAL_SERVICE: VirtualService = VirtualService;
pub(super) struct DestinationRule;
pub(super) const DESTINATION_RULE: DestinationRule = DestinationRule;

impl Provider for VirtualService {
    fn label(&self) -> &'static str {
        LABEL
    }

    fn group(&self) -> &'static str {
        GROUP
    }

    fn kind(&self) -> &'static str {
        "VirtualService"
    }

    fn subsets(&self) -> bool {
        true
    }

    fn tags(&self) -> bool {
        true
    }

    fn find(&self, route: &Object, at: &At) -> Result<(), RenderError> {
        let served = LISTS
            .iter()
            .any(|field| with_rules(route, at, None, |rules| list_of(route, field).iter().any(|rule| rules.serves(rule))));
        if !served {
            return Err(nowhere(route, at));
        }
        for destination in LISTS.iter().flat_map(|field| list_of(route, field)).flat_map(routes) {
            if is_stable(route, at, destination) && at.routing.disable_generate_canary_service {
                subsets::named(route, at, destination.pointer("/destination/subset").and_then(Value::as_str))?;
            }
        }
        Ok(())
    }

    fn split(&self, route: &Object, at: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        WORDS.check(split)?;
        let mut changed = route.clone();
        let mut canaries = 0;
        let mut http = false;
        for field in LISTS {
            let rules = list_of(route, field);
            if rules.is_empty() {
                continue;
            }
            let here = with_rules(route, at, Some(split), |of| rules.iter().any(|rule| of.serves(rule)));
            http |= here && field == "http";
            // Only http rules know requests; the others know connections.
            let plain = Split { matches: &[], modifier: None, ..split.clone() };
            let split = if field == "http" { split } else { &plain };
            if field == "http" && split.mirror.is_some() {
                mirrors_already(route, at, rules).map_err(|error| vec![error])?;
            }
            let mirror = |rule: &mut Value| {
                if field == "http" {
                    mirror(rule, route, at, split);
                }
            };
            let (written, own) = with_rules(route, at, Some(split), |of| of.split(rules, split, &mirror))?;
            canaries += own;
            changed.set(&["spec", field], Value::Array(written));
        }
        if !http && (!split.matches.is_empty() || split.mirror.is_some() || split.modifier.is_some()) {
            let hint = "its tls and tcp rules know connections only; use `traffic` alone";
            return Err(vec![refused(LABEL, "`matches`, `mirror` and `requestHeaderModifier` without a rule in `http`", hint)]);
        }
        if !split.matches.is_empty() && canaries == 0 {
            return Err(vec![unmatched(route, split)]);
        }
        Ok(vec![Change::Replace(changed)])
    }
}

/// Calls `work` with the way in which a VirtualService writes rules.
fn with_rules<T>(route: &Object, at: &At, split: Option<&Split>, work: impl FnOnce(&Rules) -> T) -> T {
    work(&Rules {
        route,
        backends: "/route",
        missing: Missing::EqualOrNothing,
        is_stable: &|destination| is_stable(route, at, destination),
        to_canary: &|destination| match split {
            None => destination.clone(),
            Some(split) => to_canary(destination, split),
        },
        matching: &|rule, one, _| matching(rule, one),
    })
}

fn list_of<'a>(route: &'a Object, field: &str) -> &'a [Value] {
    list(route, &format!("/spec/{field}"))
}

fn routes(rule: &Value) -> &[Value] {
    rule.get("route").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn is_stable(route: &Object, at: &At, destination: &Value) -> bool {
    destination.pointer("/destination/host").and_then(Value::as_str).is_some_and(|host| is_host(host, route, at))
}

/// Whether a host is the stable Service: `echo`, `echo.shop`, `echo.shop.svc` or its full name.
pub(super) fn is_host(host: &str, route: &Object, at: &At) -> bool {
    let (name, rest) = host.split_once('.').unwrap_or((host, ""));
    if name != at.service.name() {
        return false;
    }
    let (namespace, domain) = rest.split_once('.').unwrap_or((rest, "svc"));
    if namespace.is_empty() {
        return same_namespace(route, at.service);
    }
    let known = at.service.namespace().or(route.namespace());
    known.is_none_or(|known| known == namespace) && (domain == "svc" || domain.starts_with("svc."))
}

/// The same host with another Service's name.
pub(super) fn renamed(host: &str, service: &str) -> String {
    host.split_once('.').map_or_else(|| service.to_owned(), |(_, rest)| format!("{service}.{rest}"))
}

fn to_canary(destination: &Value, split: &Split) -> Value {
    let mut copy = destination.clone();
    if let Some(Value::Object(fields)) = copy.get_mut("destination") {
        if split.routing.disable_generate_canary_service {
            fields.insert("subset".to_owned(), json!(subsets::CANARY));
        } else if split.canary != split.stable {
            let host = fields.get("host").and_then(Value::as_str).unwrap_or_default();
            let host = renamed(host, &split.canary);
            fields.insert("host".to_owned(), json!(host));
            // The canary Service has the new pods only.
            fields.remove("subset");
        }
    }
    if let (Value::Object(fields), Some(change)) = (&mut copy, split.modifier) {
        headers(fields, change);
    }
    copy
}

/// Joins header changes into those of a destination.
fn headers(destination: &mut Map<String, Value>, change: &HeaderModifier) {
    let owner = destination.entry("headers").or_insert_with(|| json!({}));
    let Some(owner) = owner.as_object_mut() else { return };
    let Some(request) = owner.entry("request").or_insert_with(|| json!({})).as_object_mut() else { return };
    let named = |field: &str, pairs: &[(String, String)], request: &mut Map<String, Value>| {
        for (name, value) in pairs {
            if let Some(Value::Array(removed)) = request.get_mut("remove") {
                removed.retain(|there| there.as_str().is_none_or(|there| !there.eq_ignore_ascii_case(name)));
            }
            if let Some(fields) = request.entry(field).or_insert_with(|| json!({})).as_object_mut() {
                fields.retain(|there, _| !there.eq_ignore_ascii_case(name));
                fields.insert(name.clone(), json!(value));
            }
        }
    };
    named("set", &change.set, request);
    named("add", &change.add, request);
    if !change.remove.is_empty()
        && let Some(removed) = request.entry("remove").or_insert_with(|| json!([])).as_array_mut()
    {
        for name in change.remove.iter().map(|name| json!(name)) {
            if !removed.contains(&name) {
                removed.push(name);
            }
        }
    }
    request.retain(|_, value| !value.as_array().is_some_and(Vec::is_empty));
}

fn mirrors_already(route: &Object, at: &At, rules: &[Value]) -> Result<(), RenderError> {
    let stable = rules.iter().filter(|rule| routes(rule).iter().any(|destination| is_stable(route, at, destination)));
    for rule in stable {
        if let Some(field) = ["mirror", "mirrors"].into_iter().find(|field| rule.get(field).is_some()) {
            return Err(unusable(route, format!("a rule of it has a `{field}` of its own, beside which no other can stand")));
        }
    }
    Ok(())
}

fn mirror(rule: &mut Value, route: &Object, at: &At, split: &Split) {
    let Some(percent) = split.mirror else { return };
    let stable = routes(rule).iter().find(|destination| is_stable(route, at, destination));
    let Some(destination) = stable.map(|stable| to_canary(stable, split)) else { return };
    if let (Value::Object(fields), Some(to)) = (rule, destination.get("destination")) {
        fields.insert("mirror".to_owned(), to.clone());
        fields.insert("mirrorPercentage".to_owned(), json!({"value": percent}));
    }
}

/// The rule with the match joined to each of its own.
fn matching(rule: &Map<String, Value>, one: &HttpMatch) -> Result<Vec<Map<String, Value>>, RenderError> {
    let mut own: Vec<Map<String, Value>> =
        rule.get("match").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object).cloned().collect();
    if own.is_empty() {
        own.push(Map::new());
    }
    let mut found: Vec<Value> = Vec::new();
    if let Some(path) = &one.path {
        // Where the rule listens stays; what of the request it wants does not.
        let listening = ["gateways", "port", "sourceLabels", "sourceNamespace", "authority", "scheme"];
        let mut base = own.swap_remove(0);
        base.retain(|field, _| listening.contains(&field.as_str()));
        for (kind, value) in asked::paths(path) {
            let mut base = base.clone();
            base.insert("uri".to_owned(), condition(kind, &value));
            found.extend(joined(base, one)?.map(Value::Object));
        }
    } else {
        for base in own {
            found.extend(joined(base, one)?.map(Value::Object));
        }
    }
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let mut copy = rule.clone();
    // A rule's name is its own.
    copy.remove("name");
    copy.insert("match".to_owned(), Value::Array(found));
    Ok(vec![copy])
}

/// `None`: no request fits both.
fn joined(mut base: Map<String, Value>, one: &HttpMatch) -> Result<Option<Map<String, Value>>, RenderError> {
    for (field, list) in [("headers", &one.headers), ("queryParams", &one.query_params)] {
        for named in list {
            let fields = base.entry(field).or_insert_with(|| json!({}));
            let Some(fields) = fields.as_object_mut() else { continue };
            let header = field == "headers";
            let wanted = condition(named.kind, &named.value);
            let there = fields.iter().find(|(name, _)| same_name(header, name, &named.name)).map(|(_, there)| there.clone());
            match there {
                None => drop(fields.insert(key(header, named), wanted)),
                Some(there) if there == wanted => {}
                Some(there) if there.get("exact").is_some() && named.kind == MatchKind::Exact => return Ok(None),
                Some(_) => {
                    let what = format!("a second condition on `{}`, which a rule matches already", named.name);
                    return Err(refused(LABEL, &what, "match something else, or write the rule's own match as `exact`"));
                }
            }
        }
    }
    Ok(Some(base))
}

/// Istio compares header names in small letters.
fn key(header: bool, named: &NamedMatch) -> String {
    if header { named.name.to_ascii_lowercase() } else { named.name.clone() }
}

fn condition(kind: MatchKind, value: &str) -> Value {
    match kind {
        MatchKind::Exact => json!({"exact": value}),
        MatchKind::PathPrefix => json!({"prefix": value}),
        MatchKind::RegularExpression => json!({"regex": value}),
    }
}

impl Provider for DestinationRule {
    fn label(&self) -> &'static str {
        "DestinationRule (Istio)"
    }

    fn group(&self) -> &'static str {
        GROUP
    }

    fn kind(&self) -> &'static str {
        "DestinationRule"
    }

    fn subsets(&self) -> bool {
        true
    }

    fn find(&self, rule: &Object, at: &At) -> Result<(), RenderError> {
        if !rule.text("/spec/host").is_some_and(|host| is_host(host, rule, at)) {
            return Err(unusable(rule, format!("its host is not Service `{}`", at.service.name())));
        }
        if at.routing.disable_generate_canary_service {
            return subsets::usable(rule);
        }
        let canary = copy_as(rule, &format!("{}-canary", rule.name()));
        if at.objects.get(&canary.key()).is_some() { Err(taken(&canary)) } else { Ok(()) }
    }

    /// The same policy for the canary Service. What a step asks is for the routes to say.
    fn split(&self, rule: &Object, at: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        if at.routing.disable_generate_canary_service {
            return Ok(Vec::new());
        }
        let mut canary = copy_as(rule, &format!("{}-canary", rule.name()));
        if let Some(spec) = rule.get("/spec") {
            canary.set(&["spec"], spec.clone());
        }
        let host = renamed(rule.text("/spec/host").unwrap_or_default(), &split.canary);
        canary.set(&["spec", "host"], Value::String(host));
        Ok(vec![Change::Add(canary)])
    }
}
