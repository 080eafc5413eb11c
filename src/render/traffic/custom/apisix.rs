//! APISIX' ApisixRoute: the weights of `spec.http[].backends`, and for matches a copy of the rule that is asked before it, by
//! `priority`, with `match.exprs` (Argo Rollouts, `trafficrouting/apisix`).

use serde_json::{Map, Value, json};

use super::asked::{self, Changes, Matches, Words};
use super::rules::{Rules, is_service, list, nowhere, unmatched};
use crate::api::{HttpMatch, MatchKind, NamedMatch};
use crate::manifest::Object;
use crate::render::RenderError;
use crate::render::traffic::ingress::COOKIE;
use crate::render::traffic::provider::{Change, Provider};
use crate::render::traffic::share::Missing;
use crate::render::traffic::{At, Split};

const LABEL: &str = "ApisixRoute";
const WORDS: Words = Words {
    label: LABEL,
    matches: Some(Matches { path: asked::ALL, header: asked::NAMED, query: asked::NAMED, cookie: true }),
    with_share: Changes::NONE,
    with_matches: Changes::EVERY,
    mirror: false,
    instead: "use a `gateway` routing (HTTPRoute) for this Service",
};

pub(super) struct ApisixRoute;
pub(super) const APISIX_ROUTE: ApisixRoute = ApisixRoute;

impl Provider for ApisixRoute {
    fn label(&self) -> &'static str {
        LABEL
    }

    fn group(&self) -> &'static str {
        "apisix.apache.org"
    }

    fn kind(&self) -> &'static str {
        "ApisixRoute"
    }

    fn find(&self, route: &Object, at: &At) -> Result<(), RenderError> {
        let served = with_rules(route, at, None, |rules| list(route, "/spec/http").iter().any(|rule| rules.serves(rule)));
        if served { Ok(()) } else { Err(nowhere(route, at)) }
    }

    fn split(&self, route: &Object, at: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        WORDS.check(split)?;
        let (written, canaries) =
            with_rules(route, at, Some(split), |rules| rules.split(list(route, "/spec/http"), split, &|_| {}))?;
        if !split.matches.is_empty() && canaries == 0 {
            return Err(vec![unmatched(route, split)]);
        }
        let mut route = route.clone();
        route.set(&["spec", "http"], Value::Array(written));
        Ok(vec![Change::Replace(route)])
    }
}

fn with_rules<T>(route: &Object, at: &At, split: Option<&Split>, work: impl FnOnce(&Rules) -> T) -> T {
    work(&Rules {
        route,
        backends: "/backends",
        missing: Missing::One,
        is_stable: &|backend| is_service(route, at, backend.get("serviceName").and_then(Value::as_str), None),
        to_canary: &|backend| {
            let mut backend = backend.clone();
            if let Some(split) = split {
                backend["serviceName"] = json!(split.canary);
            }
            backend
        },
        matching: &|rule, one, index| Ok(vec![matching(rule, one, index, split)]),
    })
}

fn matching(rule: &Map<String, Value>, one: &HttpMatch, index: usize, split: Option<&Split>) -> Map<String, Value> {
    let mut rule = rule.clone();
    let name = rule.get("name").and_then(Value::as_str).unwrap_or("rule");
    rule.insert("name".to_owned(), json!(format!("{name}-canary-{}", index + 1)));
    let priority = rule.get("priority").and_then(Value::as_i64).unwrap_or(0);
    rule.insert("priority".to_owned(), json!(priority + 1));
    let mut exprs = rule.get("match").and_then(|there| there.get("exprs")).and_then(Value::as_array).cloned().unwrap_or_default();
    for named in &one.headers {
        if named.name.eq_ignore_ascii_case(COOKIE) {
            exprs.push(expr("Cookie", &named.value, MatchKind::Exact, "always"));
        } else {
            exprs.push(expr_of("Header", named));
        }
    }
    exprs.extend(one.query_params.iter().map(|named| expr_of("Query", named)));
    if let Some(wanted) = rule.entry("match").or_insert_with(|| json!({})).as_object_mut() {
        if let Some(path) = &one.path {
            let paths: Vec<String> = asked::paths(path)
                .into_iter()
                .map(|(kind, value)| match kind {
                    MatchKind::Exact => value,
                    MatchKind::PathPrefix => format!("{value}*"),
                    MatchKind::RegularExpression => "/*".to_owned(),
                })
                .collect();
            if path.kind == MatchKind::RegularExpression {
                exprs.push(json!({"subject": {"scope": "Path"}, "op": "RegexMatch", "value": path.value}));
            }
            wanted.insert("paths".to_owned(), json!(paths));
        }
        if !exprs.is_empty() {
            wanted.insert("exprs".to_owned(), Value::Array(exprs));
        }
    }
    if let Some(change) = split.and_then(|split| split.modifier) {
        let pairs = |pairs: &[(String, String)]| -> Map<String, Value> {
            pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect()
        };
        let headers = json!({"set": pairs(&change.set), "add": pairs(&change.add), "remove": change.remove});
        let plugin = json!({"name": "proxy-rewrite", "enable": true, "config": {"headers": headers}});
        if let Some(plugins) = rule.entry("plugins").or_insert_with(|| json!([])).as_array_mut() {
            join(plugins, plugin);
        }
    }
    rule
}

/// A plugin can stand in a rule once: what the user's does with headers stays, the step's comes on top.
fn join(plugins: &mut Vec<Value>, plugin: Value) {
    let there = plugins.iter_mut().find(|one| one.get("name") == plugin.get("name"));
    let Some(there) = there else { return plugins.push(plugin) };
    let Some(fields) = there.as_object_mut() else { return };
    let config = fields.entry("config").or_insert_with(|| json!({}));
    for (part, wanted) in plugin["config"]["headers"].as_object().into_iter().flatten() {
        let Some(config) = config.as_object_mut() else { return };
        let Some(headers) = config.entry("headers").or_insert_with(|| json!({})).as_object_mut() else { return };
        match (headers.get_mut(part), wanted) {
            (Some(Value::Object(there)), Value::Object(wanted)) => there.extend(wanted.clone()),
            (Some(Value::Array(there)), Value::Array(wanted)) => there.extend(wanted.iter().cloned()),
            _ => drop(headers.insert(part.clone(), wanted.clone())),
        }
    }
}

fn expr_of(scope: &str, named: &NamedMatch) -> Value {
    expr(scope, &named.name, named.kind, &named.value)
}

fn expr(scope: &str, name: &str, kind: MatchKind, value: &str) -> Value {
    let op = if kind == MatchKind::RegularExpression { "RegexMatch" } else { "Equal" };
    json!({"subject": {"scope": scope, "name": name}, "op": op, "value": value})
}
