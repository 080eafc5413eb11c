//! Rules for the requests that a step's `matches` name.
//!
//! A match without a path is ANDed onto each match of each rule that serves the stable Service, so it takes only requests
//! that were going there. A match with a path stands for itself, once, in the first such rule's place (Kruise: "path
//! replaces").

use serde_json::{Map, Value, json};

use super::{Flavour, Target, defaulted_matches, modifier};
use crate::api::{HeaderModifier, HttpMatch, MatchKind, NamedMatch, StringMatch};
use crate::render::RenderError;
use crate::render::traffic::ingress::COOKIE;
use crate::render::traffic::{Split, refused};

/// A step's matches, found to be something that an HTTPRoute can say.
pub(super) struct Wanted<'a> {
    flavour: &'a Flavour,
    canary: &'a str,
    matches: &'a [HttpMatch],
    modifier: Option<&'a HeaderModifier>,
}

impl<'a> Wanted<'a> {
    pub(super) fn of(flavour: &'a Flavour, split: &'a Split) -> Result<Self, Vec<RenderError>> {
        let mut errors: Vec<RenderError> = split.matches.iter().flat_map(|one| faults(flavour, one)).collect();
        let mut refuse = |asked: bool, what: &str, hint: &str| {
            if asked {
                errors.push(refused(flavour.label, what, hint));
            }
        };
        if split.modifier.is_some() && !flavour.headers {
            refuse(true, "`requestHeaderModifier`", flavour.instead);
        } else if split.modifier.is_some() && split.weight.is_some() && !flavour.backend_filters {
            refuse(true, "`requestHeaderModifier` for a share of the requests", "give it to a step with `matches`");
        }
        refuse(split.mirror.is_some() && flavour.mirror.is_none(), "`mirror`", "leave it out, or route by an HTTPRoute");
        if errors.is_empty() {
            Ok(Self { flavour, canary: &split.canary, matches: split.matches, modifier: split.modifier })
        } else {
            Err(errors)
        }
    }

    /// The canary rules to stand before `rule`; `first`: no rule that serves the stable Service came before.
    pub(super) fn rules(
        &self,
        rule: &Map<String, Value>,
        target: &Target,
        first: bool,
    ) -> Result<Vec<Map<String, Value>>, RenderError> {
        let mut found = Vec::new();
        if first {
            found.extend(self.matches.iter().filter_map(with_path));
        }
        for base in defaulted_matches(rule, self.flavour.http) {
            for wanted in self.matches.iter().filter(|wanted| wanted.path.is_none()) {
                found.extend(self.both(&base, wanted)?);
            }
        }
        if found.is_empty() {
            return Ok(Vec::new());
        }
        if !rewrites_prefix(rule) {
            return Ok(vec![self.rule(rule, target, found)]);
        }
        // Such a rule must have exactly one match, and it must be for a prefix.
        let prefix = |one: &Map<String, Value>| one.get("path").and_then(|path| path.get("type")) == Some(&json!("PathPrefix"));
        if !found.iter().all(prefix) {
            return Err(self.unsupported(
                "a match by this path beside a filter with `replacePrefixMatch`",
                "match a path of type `PathPrefix`, or a header",
            ));
        }
        Ok(found.into_iter().map(|one| self.rule(rule, target, vec![one])).collect())
    }

    /// A copy of `rule` with these matches, that sends everything to the canary Service.
    fn rule(&self, rule: &Map<String, Value>, target: &Target, matches: Vec<Map<String, Value>>) -> Map<String, Value> {
        let mut copy = rule.clone();
        // A rule's name is its own.
        copy.remove("name");
        let stable = rule.get("backendRefs").and_then(Value::as_array).into_iter().flatten();
        let stable = stable.filter(|reference| target.has_share(reference));
        let refs: Vec<Value> = stable.map(|reference| target.to_canary(reference, self.canary)).collect();
        copy.insert("backendRefs".to_owned(), Value::Array(refs));
        copy.insert("matches".to_owned(), Value::Array(matches.into_iter().map(Value::Object).collect()));
        if let Some(change) = self.modifier {
            modifier::add(&mut copy, change);
        }
        copy
    }

    /// `base` and `wanted` together; `None` where no request can fit both.
    fn both(&self, base: &Map<String, Value>, wanted: &HttpMatch) -> Result<Option<Map<String, Value>>, RenderError> {
        let mut one = base.clone();
        for (field, what, list) in
            [("headers", "header", &wanted.headers), ("queryParams", "query parameter", &wanted.query_params)]
        {
            if list.is_empty() {
                continue;
            }
            let mut conditions = base.get(field).and_then(Value::as_array).cloned().unwrap_or_default();
            for named in list {
                let same = conditions.iter().find(|there| same_name(field == "headers", text(there, "name"), &named.name));
                let Some(there) = same else {
                    conditions.push(condition(named));
                    continue;
                };
                // The API takes one condition for each name.
                let exact = |kind: &str| kind == "Exact";
                let there_kind = there.get("type").and_then(Value::as_str).unwrap_or("Exact");
                if there_kind == kind_name(named.kind) && text(there, "value") == named.value {
                    continue;
                }
                if exact(there_kind) && exact(kind_name(named.kind)) {
                    return Ok(None);
                }
                return Err(self.unsupported(
                    &format!("a second condition on the {what} `{}`, which the route matches already", named.name),
                    "match something else, or write the route's own match as `Exact`",
                ));
            }
            one.insert(field.to_owned(), Value::Array(conditions));
        }
        Ok(Some(one))
    }

    fn unsupported(&self, what: &str, hint: &str) -> RenderError {
        refused(self.flavour.label, what, hint)
    }
}

/// What in a match the route cannot say.
fn faults(flavour: &Flavour, one: &HttpMatch) -> Vec<RenderError> {
    let unsupported = |what: &str, hint: &str| refused(flavour.label, what, hint);
    let mut found = Vec::new();
    if !flavour.headers {
        return vec![unsupported("`matches`", flavour.instead)];
    }
    if !flavour.http && one.path.is_some() {
        found.push(unsupported("a match by path", flavour.instead));
    }
    if !flavour.http && !one.query_params.is_empty() {
        found.push(unsupported("a match by query parameter", flavour.instead));
    }
    if one.path.is_none() && one.headers.is_empty() && one.query_params.is_empty() {
        found.push(unsupported("a match without conditions", "use `traffic: 100%`"));
    }
    for named in one.headers.iter().chain(&one.query_params) {
        if named.kind == MatchKind::PathPrefix {
            found.push(unsupported(
                &format!("type `PathPrefix` for `{}`", named.name),
                "use `Exact` or `RegularExpression`; `PathPrefix` is for paths",
            ));
        }
    }
    if one.headers.iter().any(|header| header.name.eq_ignore_ascii_case(COOKIE)) {
        found.push(unsupported(
            &format!("a match by cookie as header `{COOKIE}`"),
            "match the header `cookie` with a `RegularExpression`, as `^(.*; *)?name=always(;.*)?$`",
        ));
    }
    for (what, list) in [("header", &one.headers), ("query parameter", &one.query_params)] {
        for (index, named) in list.iter().enumerate() {
            let again = list.iter().take(index).any(|earlier| same_name(what == "header", &earlier.name, &named.name));
            if again {
                found.push(unsupported(
                    &format!("two conditions on the {what} `{}` in one match", named.name),
                    "write one `RegularExpression` for both",
                ));
            }
        }
    }
    found
}

fn with_path(wanted: &HttpMatch) -> Option<Map<String, Value>> {
    let StringMatch { kind, value } = wanted.path.as_ref()?;
    let mut one = Map::new();
    one.insert("path".to_owned(), json!({"type": kind_name(*kind), "value": value}));
    for (field, list) in [("headers", &wanted.headers), ("queryParams", &wanted.query_params)] {
        if !list.is_empty() {
            one.insert(field.to_owned(), Value::Array(list.iter().map(condition).collect()));
        }
    }
    Some(one)
}

fn condition(named: &NamedMatch) -> Value {
    json!({"name": named.name, "type": kind_name(named.kind), "value": named.value})
}

/// Header names are the same in any case; query parameters are not.
fn same_name(header: bool, one: &str, other: &str) -> bool {
    if header { one.eq_ignore_ascii_case(other) } else { one == other }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn kind_name(kind: MatchKind) -> &'static str {
    match kind {
        MatchKind::Exact => "Exact",
        MatchKind::PathPrefix => "PathPrefix",
        MatchKind::RegularExpression => "RegularExpression",
    }
}

/// Whether the rule, or a backend of it, rewrites the prefix that was matched.
fn rewrites_prefix(rule: &Map<String, Value>) -> bool {
    let filters = |of: Option<&Value>| of.and_then(Value::as_array).cloned().unwrap_or_default();
    let refs = filters(rule.get("backendRefs"));
    filters(rule.get("filters"))
        .into_iter()
        .chain(refs.iter().flat_map(|reference| filters(reference.get("filters"))))
        .any(|filter| filter.pointer("/urlRewrite/path/type").and_then(Value::as_str) == Some("ReplacePrefixMatch"))
}
