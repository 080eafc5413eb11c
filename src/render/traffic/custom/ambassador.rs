//! Emissary (Ambassador): a second Mapping `<mapping>-canary` with `weight`, one `<mapping>-canary-<n>` for each match, which
//! Emissary asks first for having more conditions, and `<mapping>-mirror` with `shadow`.

use serde_json::{Map, Value, json};

use super::asked::{self, Changes, Matches, Words};
use crate::api::{HeaderModifier, HttpMatch, MatchKind};
use crate::manifest::Object;
use crate::render::RenderError;
use crate::render::traffic::provider::{Change, Provider};
use crate::render::traffic::services::copy_as;
use crate::render::traffic::{At, Split, taken, unusable};

use super::istio::{is_host, renamed};

const LABEL: &str = "Mapping (Ambassador)";
const WORDS: Words = Words {
    label: LABEL,
    matches: Some(Matches { path: asked::ALL, header: asked::NAMED, query: asked::NAMED, cookie: false }),
    with_share: Changes::EVERY,
    with_matches: Changes::EVERY,
    mirror: true,
    instead: "use a `gateway` routing (HTTPRoute) for this Service",
};

pub(super) struct Mapping;
pub(super) const MAPPING: Mapping = Mapping;

impl Provider for Mapping {
    fn label(&self) -> &'static str {
        LABEL
    }

    fn group(&self) -> &'static str {
        "getambassador.io"
    }

    fn kind(&self) -> &'static str {
        "Mapping"
    }

    fn several(&self) -> bool {
        false
    }

    fn find(&self, mapping: &Object, at: &At) -> Result<(), RenderError> {
        let service = mapping.text("/spec/service").unwrap_or_default();
        if !is_host(Parts::of(service).host, mapping, at) {
            return Err(unusable(mapping, format!("its service is not Service `{}`", at.service.name())));
        }
        for field in ["weight", "shadow"] {
            if mapping.get(&format!("/spec/{field}")).is_some() {
                return Err(unusable(mapping, format!("it has a `{field}` of its own; name the Mapping that has none")));
            }
        }
        for name in ["canary", "mirror"] {
            let copy = copy_as(mapping, &format!("{}-{name}", mapping.name()));
            if at.objects.get(&copy.key()).is_some() {
                return Err(taken(&copy));
            }
        }
        Ok(())
    }

    fn split(&self, mapping: &Object, _: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        WORDS.check(split)?;
        let mut found = Vec::new();
        // No canary Mapping says 0 %.
        if let Some(weight) = split.weight.filter(|weight| *weight > 0) {
            let mut copy = canary(mapping, "canary", split);
            copy.set(&["spec", "weight"], json!(weight));
            found.push(copy);
        }
        let mut number = 0;
        for one in split.matches {
            for (path, one) in alternatives(one) {
                number += 1;
                let mut copy = canary(mapping, &format!("canary-{number}"), split);
                conditions(&mut copy, path.as_ref(), one).map_err(|cause| vec![unusable(mapping, cause)])?;
                found.push(copy);
            }
        }
        if let Some(percent) = split.mirror {
            let mut copy = canary(mapping, "mirror", &Split { modifier: None, ..split.clone() });
            copy.set(&["spec", "shadow"], json!(true));
            if percent < 100 {
                copy.set(&["spec", "weight"], json!(percent));
            }
            found.push(copy);
        }
        Ok(found.into_iter().map(Change::Add).collect())
    }
}

/// `scheme://host:port`, of which scheme and port may be missing.
struct Parts<'a> {
    scheme: &'a str,
    host: &'a str,
    port: &'a str,
}

impl<'a> Parts<'a> {
    fn of(service: &'a str) -> Self {
        let (scheme, rest) = service.find("://").map_or(("", service), |at| service.split_at(at + 3));
        let (host, port) = rest.find(':').map_or((rest, ""), |at| rest.split_at(at));
        Self { scheme, host, port }
    }
}

/// A copy for the canary Service.
fn canary(mapping: &Object, name: &str, split: &Split) -> Object {
    let mut copy = copy_as(mapping, &format!("{}-{name}", mapping.name()));
    if let Some(spec) = mapping.get("/spec") {
        copy.set(&["spec"], spec.clone());
    }
    let Parts { scheme, host, port } = Parts::of(mapping.text("/spec/service").unwrap_or_default());
    copy.set(&["spec", "service"], json!(format!("{scheme}{}{port}", renamed(host, &split.canary))));
    if let Some(change) = split.modifier {
        headers(&mut copy, change);
    }
    copy
}

fn headers(copy: &mut Object, change: &HeaderModifier) {
    let set = change.set.iter().map(|(name, value)| (name, json!({"value": value, "append": false})));
    let add = change.add.iter().map(|(name, value)| (name, json!({"value": value, "append": true})));
    for (name, value) in set.chain(add) {
        copy.set(&["spec", "add_request_headers", name], value);
    }
    if change.remove.is_empty() {
        return;
    }
    let mut removed = match copy.get("/spec/remove_request_headers") {
        Some(Value::Array(there)) => there.clone(),
        Some(Value::String(one)) => vec![json!(one)],
        _ => Vec::new(),
    };
    removed.extend(change.remove.iter().map(|name| json!(name)));
    copy.set(&["spec", "remove_request_headers"], Value::Array(removed));
}

/// The match once for each way in which its path is written.
fn alternatives(one: &HttpMatch) -> Vec<(Option<(MatchKind, String)>, &HttpMatch)> {
    match &one.path {
        None => vec![(None, one)],
        Some(path) => asked::paths(path).into_iter().map(|path| (Some(path), one)).collect(),
    }
}

fn conditions(copy: &mut Object, path: Option<&(MatchKind, String)>, one: &HttpMatch) -> Result<(), String> {
    if let Some((kind, value)) = path {
        copy.remove(&["spec", "prefix_exact"]);
        copy.remove(&["spec", "prefix_regex"]);
        copy.set(&["spec", "prefix"], json!(value));
        match kind {
            MatchKind::Exact => copy.set(&["spec", "prefix_exact"], json!(true)),
            MatchKind::RegularExpression => copy.set(&["spec", "prefix_regex"], json!(true)),
            MatchKind::PathPrefix => {}
        }
        // Without it the matched prefix becomes `/`, which for another path than the Mapping's means another place.
        if copy.get("/spec/rewrite").is_none() {
            copy.set(&["spec", "rewrite"], json!(""));
        }
    }
    let lists = [("headers", "regex_headers", &one.headers), ("query_parameters", "regex_query_parameters", &one.query_params)];
    for (exact, regex, list) in lists {
        for named in list {
            let field = if named.kind == MatchKind::RegularExpression { regex } else { exact };
            let there = [exact, regex].iter().find_map(|field| {
                let fields = copy.get(&format!("/spec/{field}")).and_then(Value::as_object)?;
                find(fields, &named.name, exact == "headers").map(|value| ((*field).to_owned(), value.clone()))
            });
            match there {
                None => copy.set(&["spec", field, &named.name], json!(named.value)),
                Some(same) if same == (field.to_owned(), json!(named.value)) => {}
                Some(_) => {
                    return Err(format!("it matches `{}` already, and a step's match asks for something else of it", named.name));
                }
            }
        }
    }
    Ok(())
}

fn find<'a>(fields: &'a Map<String, Value>, name: &str, header: bool) -> Option<&'a Value> {
    fields.iter().find(|(there, _)| asked::same_name(header, there, name)).map(|(_, value)| value)
}
