//! Which Services a request goes to: ingress-nginx with its canary annotations, the Gateway API's HTTPRoute, Istio's
//! VirtualService.

mod istio;

use serde_json::Value;

use crate::manifest::{Object, ObjectKey};
use crate::sim::cluster::{Request, TrafficError};

pub(super) use istio::{subset, virtual_service};

/// Namespace, Service (and `/` and its subset, where a route names one), and the part of the requests.
type Backends = Vec<(String, String, f64)>;
type Named<'a> = (&'a ObjectKey, &'a Object);

fn host_fits(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern.is_empty() || pattern.eq_ignore_ascii_case(host),
        Some(domain) => host.split_once('.').is_some_and(|(first, rest)| !first.is_empty() && rest.eq_ignore_ascii_case(domain)),
    }
}

/// Whether `path` is `prefix` or below it, by whole elements.
fn below(prefix: &str, path: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn path_of(request: &Request) -> &str {
    if request.path.is_empty() { "/" } else { &request.path }
}

fn part(count: u64, of: u64) -> f64 {
    count as f64 / of as f64
}

// --- Ingress ---

const NGINX: &str = "nginx.ingress.kubernetes.io/";

fn nginx<'a>(ingress: &'a Object, name: &str) -> Option<&'a str> {
    ingress.get("/metadata/annotations")?.get(format!("{NGINX}{name}"))?.as_str()
}

/// The Service that one Ingress names for the request: exact paths before prefixes, longer before shorter.
fn service_of(ingress: &Object, request: &Request) -> Option<String> {
    let path = path_of(request);
    let mut found: Option<((bool, usize), String)> = None;
    for rule in ingress.get("/spec/rules").and_then(Value::as_array).into_iter().flatten() {
        if !host_fits(rule.get("host").and_then(Value::as_str).unwrap_or_default(), &request.host) {
            continue;
        }
        for entry in rule.pointer("/http/paths").and_then(Value::as_array).into_iter().flatten() {
            let wanted = entry.get("path").and_then(Value::as_str).unwrap_or("/");
            let exact = entry.get("pathType").and_then(Value::as_str) == Some("Exact");
            let fits = if exact { wanted == path } else { below(wanted, path) };
            let rank = (exact, wanted.len());
            if fits
                && found.as_ref().is_none_or(|(best, _)| rank > *best)
                && let Some(service) = entry.pointer("/backend/service/name").and_then(Value::as_str)
            {
                found = Some((rank, service.to_owned()));
            }
        }
    }
    found.map(|(_, service)| service).or_else(|| ingress.text("/spec/defaultBackend/service/name").map(str::to_owned))
}

pub(super) fn ingress(ingresses: &[Named<'_>], request: &Request) -> Result<Option<Backends>, TrafficError> {
    let (canaries, plain): (Vec<Named<'_>>, Vec<Named<'_>>) =
        ingresses.iter().partition(|(_, ingress)| nginx(ingress, "canary") == Some("true"));
    let Some((key, service)) = plain.iter().find_map(|(key, ingress)| Some((*key, service_of(ingress, request)?))) else {
        return Ok(None);
    };
    let namespace = key.namespace.clone().unwrap_or_default();
    // nginx knows one canary for a rule; it takes the first.
    let canary = canaries.iter().find_map(|(key, ingress)| {
        (key.namespace == Some(namespace.clone())).then_some(())?;
        Some((*key, *ingress, service_of(ingress, request)?))
    });
    let to_canary = match &canary {
        None => 0.0,
        Some((key, ingress, _)) => canary_part(key, ingress, request)?,
    };
    let mut backends = vec![(namespace.clone(), service, 1.0 - to_canary)];
    if let Some((_, _, service)) = canary {
        backends.push((namespace, service, to_canary));
    }
    backends.retain(|(_, _, part)| *part > 0.0);
    Ok(Some(backends))
}

/// Header before cookie before weight; the first that decides wins.
fn canary_part(key: &ObjectKey, ingress: &Object, request: &Request) -> Result<f64, TrafficError> {
    if let Some(name) = nginx(ingress, "canary-by-header")
        && let Some(header) = request.headers.get(&name.to_lowercase())
    {
        if let Some(value) = nginx(ingress, "canary-by-header-value") {
            if header == value {
                return Ok(1.0);
            }
        } else if let Some(pattern) = nginx(ingress, "canary-by-header-pattern") {
            if matches(key, pattern, header)? {
                return Ok(1.0);
            }
        } else if header == "always" {
            return Ok(1.0);
        } else if header == "never" {
            return Ok(0.0);
        }
    }
    match nginx(ingress, "canary-by-cookie").and_then(|name| request.cookies.get(name)).map(String::as_str) {
        Some("always") => return Ok(1.0),
        Some("never") => return Ok(0.0),
        _ => {}
    }
    let number = |name: &str, otherwise: u64| match nginx(ingress, name) {
        None => Ok(otherwise),
        Some(text) => text
            .parse()
            .map_err(|_| TrafficError::Unknown { key: key.clone(), what: format!("the value `{text}` of {NGINX}{name}") }),
    };
    let (weight, total) = (number("canary-weight", 0)?, number("canary-weight-total", 100)?);
    Ok(if total == 0 { 0.0 } else { part(weight.min(total), total) })
}

/// Whether `text` has a part that fits the regular expression.
fn matches(key: &ObjectKey, pattern: &str, text: &str) -> Result<bool, TrafficError> {
    let unknown = || TrafficError::Unknown { key: key.clone(), what: format!("the regular expression `{pattern}`") };
    Ok(regex::Regex::new(pattern).map_err(|_| unknown())?.is_match(text))
}

// --- HTTPRoute ---

/// How closely a rule fits: exact path, length of the path, headers, query parameters. More is closer.
type Closeness = (bool, usize, usize, usize);

pub(super) fn http_route(routes: &[Named<'_>], request: &Request) -> Result<Option<Backends>, TrafficError> {
    let mut found: Option<(Closeness, &ObjectKey, &Value)> = None;
    for (key, route) in routes {
        let hosts: Vec<&str> =
            route.get("/spec/hostnames").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        if !hosts.is_empty() && !hosts.iter().any(|host| host_fits(host, &request.host)) {
            continue;
        }
        for rule in route.get("/spec/rules").and_then(Value::as_array).into_iter().flatten() {
            for wanted in rule.get("matches").and_then(Value::as_array).into_iter().flatten() {
                if let Some(closeness) = closeness(key, wanted, request)?
                    && found.is_none_or(|(best, _, _)| closeness > best)
                {
                    found = Some((closeness, key, rule));
                }
            }
        }
    }
    let Some((_, key, rule)) = found else { return Ok(None) };
    let mut backends = Vec::new();
    let mut total = 0;
    for backend in rule.get("backendRefs").and_then(Value::as_array).into_iter().flatten() {
        let weight = backend.get("weight").and_then(Value::as_u64).unwrap_or(1);
        let namespace = backend.get("namespace").and_then(Value::as_str).or(key.namespace.as_deref()).unwrap_or_default();
        let name = backend.get("name").and_then(Value::as_str).unwrap_or_default();
        total += weight;
        backends.push((namespace.to_owned(), name.to_owned(), weight));
    }
    if total == 0 {
        // A rule without backends answers with an error: a Service that is not there does the same.
        return Ok(Some(vec![(key.namespace.clone().unwrap_or_default(), String::new(), 1.0)]));
    }
    let backends = backends.into_iter().filter(|(_, _, weight)| *weight > 0);
    Ok(Some(backends.map(|(namespace, name, weight)| (namespace, name, part(weight, total))).collect()))
}

/// `None`: the request is not meant.
fn closeness(key: &ObjectKey, wanted: &Value, request: &Request) -> Result<Option<Closeness>, TrafficError> {
    let path = path_of(request);
    let value = wanted.pointer("/path/value").and_then(Value::as_str).unwrap_or("/");
    let kind = wanted.pointer("/path/type").and_then(Value::as_str).unwrap_or("PathPrefix");
    let fits = match kind {
        "Exact" => value == path,
        "PathPrefix" => below(value, path),
        _ => matches(key, value, path)?,
    };
    let mut counts = [0, 0];
    for (field, count) in ["headers", "queryParams"].into_iter().zip(&mut counts) {
        for entry in wanted.get(field).and_then(Value::as_array).into_iter().flatten() {
            let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
            let seen = if field == "headers" {
                request.headers.get(&text("name").to_lowercase())
            } else {
                request.query.get(text("name"))
            };
            let Some(seen) = seen else { return Ok(None) };
            let fits =
                if text("type") == "RegularExpression" { matches(key, text("value"), seen)? } else { seen == text("value") };
            if !fits {
                return Ok(None);
            }
            *count += 1;
        }
    }
    Ok(fits.then_some((kind == "Exact", value.len(), counts[0], counts[1])))
}
