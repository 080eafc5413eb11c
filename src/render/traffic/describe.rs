//! Routes in words, for plans, status and commit messages.

use super::ingress::COOKIE;
use crate::api::{HeaderModifier, HttpMatch, MatchKind, NamedMatch, SharedRouting, StringMatch};
use crate::render::Routes;

/// Which requests go to the new version, and what changes in them: `20% of requests`, ``requests with header `x-canary: 1` ``;
/// `as you wrote them` where routing is the user's own.
pub fn describe(routes: &Routes) -> String {
    match describe_parts(routes) {
        (requests, Some(changes)) => format!("{requests}; {changes}"),
        (requests, None) => requests,
    }
}

/// Which requests a shared routing changes, and how: ``10% of requests; sets header `x-env: gray` ``.
pub fn describe_shared(shared: &SharedRouting) -> String {
    describe(&Routes::Split {
        weight: shared.traffic,
        matches: shared.matches.clone(),
        request_header_modifier: shared.request_header_modifier.clone(),
        mirror: None,
    })
}

/// The two parts of [`describe`]: which requests, and what changes in them.
pub fn describe_parts(routes: &Routes) -> (String, Option<String>) {
    let own = || ("as you wrote them".to_owned(), None);
    let Routes::Split { weight, matches, request_header_modifier, mirror } = routes else { return own() };
    let requests = match (weight, matches.is_empty()) {
        (None, true) => match mirror {
            None => return own(),
            Some(mirror) => return (format!("a copy of {mirror}% of requests"), None),
        },
        (Some(weight), true) => format!("{weight}% of requests"),
        (None, false) => format!("requests {}", alternatives(matches)),
        (Some(weight), false) => format!("requests {}, and {weight}% of the others", alternatives(matches)),
    };
    let requests = match mirror {
        None => requests,
        Some(mirror) => format!("{requests}, and a copy of {mirror}%"),
    };
    (requests, request_header_modifier.as_ref().and_then(changes))
}

fn alternatives(matches: &[HttpMatch]) -> String {
    matches.iter().map(one).collect::<Vec<_>>().join(", or ")
}

fn one(one: &HttpMatch) -> String {
    let mut parts: Vec<String> = one.path.iter().map(path).collect();
    parts.extend(one.headers.iter().map(header));
    parts.extend(one.query_params.iter().map(|query| named("query parameter", "=", query)));
    if parts.is_empty() { "of any kind".to_owned() } else { format!("with {}", parts.join(" and ")) }
}

fn path(path: &StringMatch) -> String {
    match path.kind {
        MatchKind::Exact => format!("path `{}`", path.value),
        MatchKind::PathPrefix => format!("path `{}` and below", path.value),
        MatchKind::RegularExpression => format!("a path matching `{}`", path.value),
    }
}

fn header(header: &NamedMatch) -> String {
    if header.name.eq_ignore_ascii_case(COOKIE) {
        format!("cookie `{}=always`", header.value)
    } else {
        named("header", ": ", header)
    }
}

fn named(what: &str, between: &str, named: &NamedMatch) -> String {
    match named.kind {
        MatchKind::RegularExpression => format!("{what} `{}` matching `{}`", named.name, named.value),
        MatchKind::Exact | MatchKind::PathPrefix => format!("{what} `{}{between}{}`", named.name, named.value),
    }
}

fn changes(modifier: &HeaderModifier) -> Option<String> {
    let pairs = |verb: &str, pairs: &[(String, String)]| -> Vec<String> {
        pairs.iter().map(|(name, value)| format!("{verb} header `{name}: {value}`")).collect()
    };
    let mut parts = pairs("sets", &modifier.set);
    parts.extend(pairs("adds", &modifier.add));
    parts.extend(modifier.remove.iter().map(|name| format!("removes header `{name}`")));
    if parts.is_empty() { None } else { Some(parts.join(", ")) }
}
