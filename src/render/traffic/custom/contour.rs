//! Contour's HTTPProxy: the weights of `spec.routes[].services` (and of `spec.tcpproxy`), conditions for matches, a service with
//! `mirror: true` for copies. Load balancer policies, cookies among them, come through.

use serde_json::{Map, Value, json};

use super::asked::{self, Changes, Matches, Words, same_name};
use super::rules::{Rules, is_service, list, nowhere, unmatched};
use crate::api::{HeaderModifier, HttpMatch, MatchKind, NamedMatch};
use crate::manifest::Object;
use crate::render::RenderError;
use crate::render::traffic::provider::{Change, Provider};
use crate::render::traffic::share::{self, Missing};
use crate::render::traffic::{At, Split, unusable};

const LABEL: &str = "HTTPProxy (Contour)";
const CHANGES: Changes = Changes { set: true, add: false, remove: true };
const WORDS: Words = Words {
    label: LABEL,
    matches: Some(Matches { path: asked::ALL, header: asked::NAMED, query: asked::NAMED, cookie: false }),
    with_share: CHANGES,
    with_matches: CHANGES,
    mirror: true,
    instead: "use a `gateway` routing (HTTPRoute) for this Service",
};

pub(super) struct HttpProxy;
pub(super) const HTTP_PROXY: HttpProxy = HttpProxy;

impl Provider for HttpProxy {
    fn label(&self) -> &'static str {
        LABEL
    }

    fn group(&self) -> &'static str {
        "projectcontour.io"
    }

    fn kind(&self) -> &'static str {
        "HTTPProxy"
    }

    fn find(&self, route: &Object, at: &At) -> Result<(), RenderError> {
        let routes = with_rules(route, at, None, |rules| list(route, "/spec/routes").iter().any(|rule| rules.serves(rule)));
        let tcp = list(route, "/spec/tcpproxy/services").iter().any(|one| is_stable(route, at, one));
        if routes || tcp { Ok(()) } else { Err(nowhere(route, at)) }
    }

    fn split(&self, route: &Object, at: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        WORDS.check(split)?;
        let mirror = |rule: &mut Value| mirror(rule, route, at, split);
        let rules = list(route, "/spec/routes");
        let (written, canaries) = with_rules(route, at, Some(split), |of| of.split(rules, split, &mirror))?;
        if !split.matches.is_empty() && canaries == 0 {
            return Err(vec![unmatched(route, split)]);
        }
        let twice = |rule: &&Value| services(rule).iter().filter(|one| is_mirror(one)).count() > 1;
        if split.mirror.is_some() && written.iter().any(|rule| twice(&rule)) {
            return Err(vec![unusable(route, "a route of it has a mirror of its own, beside which no other can stand")]);
        }
        let mut changed = route.clone();
        if !rules.is_empty() {
            changed.set(&["spec", "routes"], Value::Array(written));
        }
        let mut tcp = list(route, "/spec/tcpproxy/services").to_vec();
        if let Some(percent) = split.weight.filter(|_| !tcp.is_empty()) {
            let plain = Split { modifier: None, ..split.clone() };
            let (stable, canary) = (|one: &Value| is_stable(route, at, one), |one: &Value| to_canary(one, &plain));
            share::weigh(&mut tcp, "weight", Missing::EqualOrNothing, percent, stable, canary)
                .map_err(|cause| vec![unusable(route, cause)])?;
            changed.set(&["spec", "tcpproxy", "services"], Value::Array(tcp));
        }
        Ok(vec![Change::Replace(changed)])
    }
}

fn with_rules<T>(route: &Object, at: &At, split: Option<&Split>, work: impl FnOnce(&Rules) -> T) -> T {
    work(&Rules {
        route,
        backends: "/services",
        missing: Missing::EqualOrNothing,
        is_stable: &|one| is_stable(route, at, one),
        to_canary: &|one| split.map_or_else(|| one.clone(), |split| to_canary(one, split)),
        matching: &|rule, one, _| Ok(matching(rule, one)),
    })
}

fn services(rule: &Value) -> &[Value] {
    rule.get("services").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn is_mirror(one: &Value) -> bool {
    one.get("mirror") == Some(&json!(true))
}

fn is_stable(route: &Object, at: &At, one: &Value) -> bool {
    !is_mirror(one) && is_service(route, at, one.get("name").and_then(Value::as_str), None)
}

fn to_canary(one: &Value, split: &Split) -> Value {
    let mut one = one.clone();
    one["name"] = json!(split.canary);
    if let (Value::Object(fields), Some(change)) = (&mut one, split.modifier) {
        headers(fields, change);
    }
    one
}

/// Joins header changes into the service's own policy.
fn headers(service: &mut Map<String, Value>, change: &HeaderModifier) {
    let Some(policy) = service.entry("requestHeadersPolicy").or_insert_with(|| json!({})).as_object_mut() else { return };
    let name = |one: &Value| one.get("name").and_then(Value::as_str).or(one.as_str()).unwrap_or_default().to_owned();
    let set = change.set.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let remove = change.remove.iter().map(|name| json!(name)).collect();
    for (field, wanted) in [("set", set), ("remove", remove)] {
        let wanted: Vec<Value> = wanted;
        if wanted.is_empty() {
            continue;
        }
        for other in ["set", "remove"] {
            if let Some(Value::Array(there)) = policy.get_mut(other) {
                there.retain(|there| !wanted.iter().any(|wanted| same_name(true, &name(there), &name(wanted))));
            }
        }
        if let Some(there) = policy.entry(field).or_insert_with(|| json!([])).as_array_mut() {
            there.extend(wanted);
        }
    }
    policy.retain(|_, value| !value.as_array().is_some_and(Vec::is_empty));
}

fn mirror(rule: &mut Value, route: &Object, at: &At, split: &Split) {
    let Some(percent) = split.mirror else { return };
    let Some(stable) = services(rule).iter().find(|one| is_stable(route, at, one)).cloned() else { return };
    let mut copy = to_canary(&stable, &Split { modifier: None, ..split.clone() });
    copy["mirror"] = json!(true);
    if let Some(fields) = copy.as_object_mut() {
        fields.remove("weight");
        if percent < 100 {
            fields.insert("weight".to_owned(), json!(percent));
        }
    }
    if let Some(Value::Array(services)) = rule.get_mut("services") {
        services.push(copy);
    }
}

/// The route with the match joined to its conditions, which must all hold; a path prefix takes two routes.
fn matching(rule: &Map<String, Value>, one: &HttpMatch) -> Vec<Map<String, Value>> {
    let own: Vec<Value> = rule.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let named = |field: &str, named: &NamedMatch| {
        let how = if named.kind == MatchKind::RegularExpression { "regex" } else { "exact" };
        json!({field: {"name": named.name, how: named.value}})
    };
    let mut wanted: Vec<Value> = one.headers.iter().map(|one| named("header", one)).collect();
    wanted.extend(one.query_params.iter().map(|one| named("queryParameter", one)));
    let bases: Vec<Vec<Value>> = match &one.path {
        None => vec![own],
        Some(path) => asked::paths(path)
            .into_iter()
            .map(|(kind, value)| match kind {
                MatchKind::Exact => vec![json!({"exact": value})],
                MatchKind::PathPrefix => vec![json!({"prefix": value})],
                MatchKind::RegularExpression => vec![json!({"regex": value})],
            })
            .collect(),
    };
    bases
        .into_iter()
        .map(|mut conditions| {
            let new = wanted.iter().filter(|wanted| !conditions.contains(wanted)).cloned().collect::<Vec<_>>();
            conditions.extend(new);
            let mut rule = rule.clone();
            rule.insert("conditions".to_owned(), Value::Array(conditions));
            rule
        })
        .collect()
}
