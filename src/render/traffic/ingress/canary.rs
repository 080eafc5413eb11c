//! Ingress NGINX and those who took over its annotations: a second Ingress `<ingress>-canary`, with the annotations that
//! make the controller divide requests (Kruise, `network/ingress/ingress.go` and its scripts nginx, aliyun-alb and mse).
//!
//! The controllers ask in this order: header (and query parameter), cookie, weight; the first that has an opinion decides. So
//! one header match, one cookie match and a weight go together; anything else in `matches` has no annotation.
//!
//! Different from Kruise's scripts, on purpose: what they drop is refused; MSE's query annotations carry MSE's own prefix,
//! header changes stand on lines of their own, and its `service-subset` is left out instead of becoming `gray`.

use serde_json::Value;

use super::{COOKIE, copy, header};
use crate::api::{HttpMatch, MatchKind, NamedMatch};
use crate::manifest::Object;
use crate::render::RenderError;
use crate::render::traffic::provider::{Change, Provider};
use crate::render::traffic::{At, Split, refused};

/// Who speaks these annotations, and what he has beside nginx' own.
pub(super) struct Class {
    pub(super) label: &'static str,
    /// Before `-weight`, `-by-header` and so on.
    pub(super) prefix: &'static str,
    /// Before nothing, `-value` and `-pattern`, where query parameters can be matched.
    pub(super) query: Option<&'static str>,
    /// Before `-update`, `-add` and `-remove`, where headers can be changed.
    pub(super) control: Option<&'static str>,
    /// Set on every canary Ingress.
    pub(super) always: &'static [(&'static str, &'static str)],
    /// Not for a canary Ingress: what narrows the pods of a Service, since the canary Service has none but the new ones.
    pub(super) without: &'static [&'static str],
    /// Annotations about one Service, by its name at the end of the key.
    pub(super) by_service: &'static [&'static str],
}

pub(super) const NGINX: Class = Class {
    label: "Ingress class nginx",
    prefix: "nginx.ingress.kubernetes.io/canary",
    query: None,
    control: None,
    always: &[],
    without: &[],
    by_service: &[],
};

pub(super) const ALIYUN: Class = Class {
    label: "Ingress class aliyun-alb",
    prefix: "alb.ingress.kubernetes.io/canary",
    // The canary rule must be asked before the stable one.
    always: &[("alb.ingress.kubernetes.io/order", "1")],
    by_service: &["alb.ingress.kubernetes.io/conditions.", "alb.ingress.kubernetes.io/actions."],
    ..NGINX
};

pub(super) const MSE: Class = Class {
    label: "Ingress class mse",
    query: Some("mse.ingress.kubernetes.io/canary-by-query"),
    control: Some("mse.ingress.kubernetes.io/request-header-control"),
    without: &["mse.ingress.kubernetes.io/service-subset", "mse.ingress.kubernetes.io/subset-labels"],
    ..NGINX
};

impl Provider for Class {
    fn label(&self) -> &'static str {
        self.label
    }

    fn group(&self) -> &'static str {
        "networking.k8s.io"
    }

    fn kind(&self) -> &'static str {
        "Ingress"
    }

    fn several(&self) -> bool {
        false
    }

    fn tags(&self) -> bool {
        self.control.is_some()
    }

    fn find(&self, ingress: &Object, at: &At) -> Result<(), RenderError> {
        copy::usable(ingress, at)?;
        copy::name_is_free(ingress, at)
    }

    /// The canary Ingress of this step. None for 0 % without matches: no canary Ingress says just that, and it is what
    /// Kruise leaves at 0 %.
    fn split(&self, ingress: &Object, at: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        let annotations = self.annotations(split)?;
        if split.weight == Some(0) && split.matches.is_empty() {
            return Ok(Vec::new());
        }
        let ours = |key: &str| key.starts_with(self.prefix) || self.query.is_some_and(|query| key.starts_with(query));
        let mut canary = copy::canary_of(ingress, |key| !ours(key));
        self.rename(&mut canary, at.service.name(), &split.canary);
        for (key, value) in annotations {
            canary.set(&["metadata", "annotations", &key], Value::String(value));
        }
        if let (Some(control), Some(change)) = (self.control, split.modifier) {
            header::control(&mut canary, control, change)
                .map_err(|what| vec![refused(self.label, &what, "write it on one line")])?;
        }
        copy::fill(&mut canary, ingress, at.service.name(), &split.canary);
        Ok(vec![Change::Add(canary)])
    }
}

impl Class {
    /// Annotations that name the stable Service name the canary Service in the canary Ingress.
    fn rename(&self, canary: &mut Object, stable: &str, service: &str) {
        let Some(Value::Object(annotations)) = canary.get_mut("/metadata/annotations") else { return };
        for prefix in self.by_service {
            if let Some(value) = annotations.remove(&format!("{prefix}{stable}")) {
                annotations.insert(format!("{prefix}{service}"), value);
            }
        }
        annotations.retain(|key, _| !self.without.contains(&key.as_str()));
    }

    /// The canary annotations of a step, or everything in it that they cannot say.
    fn annotations(&self, split: &Split) -> Result<Vec<(String, String)>, Vec<RenderError>> {
        let mut said = Said { class: self, found: vec![(self.prefix.to_owned(), "true".to_owned())], errors: Vec::new() };
        said.found.extend(self.always.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        if split.modifier.is_some() && self.control.is_none() {
            said.refuse("`requestHeaderModifier`", "use a `gateway` routing (HTTPRoute) for this Service");
        }
        if split.mirror.is_some() {
            said.refuse("`mirror`", "use a `gateway` routing (HTTPRoute) for this Service");
        }
        if let Some(weight) = split.weight {
            said.put("weight", &weight.to_string());
        }
        said.matches(split.matches);
        if said.errors.is_empty() { Ok(said.found) } else { Err(said.errors) }
    }
}

/// What has been said by annotations so far.
struct Said<'a> {
    class: &'a Class,
    found: Vec<(String, String)>,
    errors: Vec<RenderError>,
}

impl Said<'_> {
    fn refuse(&mut self, what: &str, hint: &str) {
        self.errors.push(refused(self.class.label, what, hint));
    }

    fn put(&mut self, suffix: &str, value: &str) {
        self.found.push((format!("{}-{suffix}", self.class.prefix), value.to_owned()));
    }

    fn matches(&mut self, matches: &[HttpMatch]) {
        let (mut condition, mut cookie) = (false, false);
        for one in matches {
            let (header, query) = match self.simple(one) {
                Ok(parts) => parts,
                Err(error) => {
                    self.errors.push(error);
                    continue;
                }
            };
            let is_cookie = header.is_some_and(|header| header.name.eq_ignore_ascii_case(COOKIE));
            if is_cookie && query.is_some() {
                self.refuse("a cookie and a query parameter in one match", "make two matches of it");
                continue;
            }
            let seen = if is_cookie { &mut cookie } else { &mut condition };
            if *seen {
                self.refuse(
                    if is_cookie { "a choice of cookies" } else { "a choice of header matches" },
                    "it knows one header and one cookie; one `RegularExpression` can hold several values of a header, \
                     as `^(a|b)$`, or use a `gateway` routing (HTTPRoute)",
                );
                continue;
            }
            *seen = true;
            if let Some(header) = header {
                self.header(header, is_cookie);
            }
            if let Some((prefix, query)) = self.class.query.zip(query) {
                self.query(prefix, query);
            }
        }
    }

    fn header(&mut self, named: &NamedMatch, is_cookie: bool) {
        match (is_cookie, named.kind) {
            (true, MatchKind::Exact) => self.put("by-cookie", &named.value),
            (false, MatchKind::Exact) => {
                self.put("by-header", &named.name);
                self.put("by-header-value", &named.value);
            }
            (false, MatchKind::RegularExpression) => {
                self.put("by-header", &named.name);
                self.put("by-header-pattern", &named.value);
            }
            (true, _) => self.refuse(
                "a pattern for a cookie",
                "write the cookie's name as an `Exact` value; requests carry it with the value `always`",
            ),
            (false, MatchKind::PathPrefix) => {
                self.refuse("type `PathPrefix` for a header", "use `Exact` or `RegularExpression`");
            }
        }
    }

    fn query(&mut self, prefix: &str, named: &NamedMatch) {
        let suffix = match named.kind {
            MatchKind::Exact => "value",
            MatchKind::RegularExpression => "pattern",
            MatchKind::PathPrefix => {
                self.refuse("type `PathPrefix` for a query parameter", "use `Exact` or `RegularExpression`");
                return;
            }
        };
        self.found.push((prefix.to_owned(), named.name.clone()));
        self.found.push((format!("{prefix}-{suffix}"), named.value.clone()));
    }

    /// The one header (or cookie), and the one query parameter, that a match is about.
    #[allow(clippy::type_complexity, reason = "two of the same, either of which may be missing")]
    fn simple<'m>(&self, one: &'m HttpMatch) -> Result<(Option<&'m NamedMatch>, Option<&'m NamedMatch>), RenderError> {
        let refuse = |what: &str, hint: &str| Err(refused(self.class.label, what, hint));
        if one.path.is_some() {
            return refuse("a match by path", "match a header instead, or use a `gateway` routing (HTTPRoute)");
        }
        if self.class.query.is_none() && !one.query_params.is_empty() {
            return refuse(
                "a match by query parameter",
                "match a header or cookie instead, or use a `gateway` routing (HTTPRoute)",
            );
        }
        let all = || one.headers.iter().chain(&one.query_params);
        if all().next().is_none() {
            return refuse("a match without conditions", "use `traffic: 100%`");
        }
        if all().any(|named| named.name.is_empty() || named.value.is_empty()) {
            return refuse("a header match without a name and a value", "write both");
        }
        if one.headers.len() > 1 {
            return refuse(
                "several headers of which all must fit",
                "keep one header in the match, or use a `gateway` routing (HTTPRoute)",
            );
        }
        if one.query_params.len() > 1 {
            return refuse(
                "several query parameters of which all must fit",
                "keep one in the match, or use a `gateway` routing (HTTPRoute)",
            );
        }
        Ok((one.headers.first(), one.query_params.first()))
    }
}
