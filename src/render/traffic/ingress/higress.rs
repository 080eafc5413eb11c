//! Higress: a second Ingress `<ingress>-canary` with `higress.io/canary…` for a weight, one header or one cookie; and for
//! query parameters, or several conditions that must all fit, `higress.io/exact-match-query-NAME` and the like, which make of
//! it a closer route for the same hosts and paths.

use serde_json::Value;

use super::canary::{Class, NGINX};
use super::{COOKIE, copy, header};
use crate::api::{HttpMatch, MatchKind};
use crate::manifest::Object;
use crate::render::RenderError;
use crate::render::traffic::provider::{Change, Provider};
use crate::render::traffic::{At, Split, refused};

const LABEL: &str = "Ingress class higress";
const CONTROL: &str = "higress.io/request-header-control";
const CANARY: Class = Class { label: LABEL, prefix: "higress.io/canary", control: Some(CONTROL), ..NGINX };
/// Kruise's, and still read by Higress: a canary Ingress has only what the step says.
const OLD: &str = "nginx.ingress.kubernetes.io/canary";
/// The longest name of an annotation, after its prefix.
const LONGEST: usize = 63;

pub(super) struct Higress;

impl Provider for Higress {
    fn label(&self) -> &'static str {
        LABEL
    }

    fn group(&self) -> &'static str {
        CANARY.group()
    }

    fn kind(&self) -> &'static str {
        CANARY.kind()
    }

    fn several(&self) -> bool {
        false
    }

    fn tags(&self) -> bool {
        true
    }

    fn find(&self, ingress: &Object, at: &At) -> Result<(), RenderError> {
        CANARY.find(ingress, at)
    }

    fn split(&self, ingress: &Object, at: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        let close = |one: &HttpMatch| !one.query_params.is_empty() || one.headers.len() > 1;
        let [one] = split.matches else {
            let several = split.matches.iter().any(close);
            return if several {
                let hint = "write one match, or matches of one header each, or use a `gateway` routing (HTTPRoute)";
                Err(vec![refused(LABEL, "a choice of matches by query parameter or by several headers", hint)])
            } else {
                CANARY.split(ingress, at, split)
            };
        };
        if !close(one) {
            return CANARY.split(ingress, at, split);
        }
        let mut errors = Vec::new();
        if split.weight.is_some() {
            let hint = "make two steps of it, or match one header";
            errors.push(refused(LABEL, "a weight beside a match by query parameter or by several headers", hint));
        }
        if split.mirror.is_some() {
            errors.push(refused(LABEL, "`mirror`", "use a `gateway` routing (HTTPRoute) for this Service"));
        }
        let annotations = annotations(one, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut canary = copy::canary_of(ingress, |key| !key.starts_with(CANARY.prefix) && !key.starts_with(OLD));
        for (key, value) in annotations {
            canary.set(&["metadata", "annotations", &key], Value::String(value));
        }
        if let Some(change) = split.modifier {
            header::control(&mut canary, CONTROL, change).map_err(|what| vec![refused(LABEL, &what, "write it on one line")])?;
        }
        copy::fill(&mut canary, ingress, at.service.name(), &split.canary);
        Ok(vec![Change::Add(canary)])
    }
}

fn annotations(one: &HttpMatch, errors: &mut Vec<RenderError>) -> Vec<(String, String)> {
    if one.path.is_some() {
        let hint = "match a header instead, or use a `gateway` routing (HTTPRoute)";
        errors.push(refused(LABEL, "a match by path", hint));
    }
    let mut found: Vec<(String, String)> = Vec::new();
    for (what, list) in [("header", &one.headers), ("query", &one.query_params)] {
        for named in list {
            if named.name.eq_ignore_ascii_case(COOKIE) {
                errors.push(refused(LABEL, "a cookie beside other conditions", "give the cookie a match of its own"));
                continue;
            }
            let kind = match named.kind {
                MatchKind::Exact => "exact",
                MatchKind::RegularExpression => "regex",
                MatchKind::PathPrefix => {
                    let hint = "use `Exact` or `RegularExpression`";
                    errors.push(refused(LABEL, &format!("type `PathPrefix` for `{}`", named.name), hint));
                    continue;
                }
            };
            let name = format!("{kind}-match-{what}-{}", named.name);
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if name.len() > LONGEST || !name.chars().all(plain) || !name.ends_with(|c: char| c.is_ascii_alphanumeric()) {
                let hint = "it becomes part of an annotation's name: letters, digits, `-`, `_` and `.`, and short";
                errors.push(refused(LABEL, &format!("a match by the name `{}`", named.name), hint));
                continue;
            }
            let key = format!("higress.io/{name}");
            if found.iter().any(|(there, _)| *there == key) {
                let what = format!("two conditions on `{}` in one match", named.name);
                errors.push(refused(LABEL, &what, "write one `RegularExpression` for both"));
            }
            found.push((key, named.value.clone()));
        }
    }
    found
}
