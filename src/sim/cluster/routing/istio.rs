//! Istio: the first http rule of a VirtualService that fits, its destinations by weight, and the subsets of DestinationRules.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Backends, Named, host_fits, part, path_of};
use crate::manifest::ObjectKey;
use crate::sim::cluster::{Request, TrafficError};

pub(in crate::sim::cluster) fn virtual_service(
    services: &[Named<'_>],
    request: &Request,
) -> Result<Option<Backends>, TrafficError> {
    for (key, service) in services {
        let mut hosts = service.get("/spec/hosts").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        if !hosts.any(|host| host == "*" || host_fits(host, &request.host)) {
            continue;
        }
        for rule in service.get("/spec/http").and_then(Value::as_array).into_iter().flatten() {
            if fits(key, rule, request)? {
                return destinations(key, rule).map(Some);
            }
        }
    }
    Ok(None)
}

fn unknown(key: &ObjectKey, what: &str) -> TrafficError {
    TrafficError::Unknown { key: key.clone(), what: what.to_owned() }
}

fn fits(key: &ObjectKey, rule: &Value, request: &Request) -> Result<bool, TrafficError> {
    let Some(Value::Array(matches)) = rule.get("match") else { return Ok(true) };
    let mut found = matches.is_empty();
    for wanted in matches {
        let Value::Object(fields) = wanted else { return Err(unknown(key, "a match that is no mapping")) };
        let mut all = true;
        for (field, wanted) in fields {
            all &= match field.as_str() {
                "uri" => text_fits(key, wanted, Some(path_of(request)))?,
                "headers" => every(key, wanted, |name| request.headers.get(&name.to_lowercase()))?,
                "queryParams" => every(key, wanted, |name| request.query.get(name))?,
                "name" => true,
                other => return Err(unknown(key, &format!("a match by `{other}`"))),
            };
        }
        found |= all;
    }
    Ok(found)
}

fn every<'a>(key: &ObjectKey, wanted: &Value, seen: impl Fn(&str) -> Option<&'a String>) -> Result<bool, TrafficError> {
    for (name, wanted) in wanted.as_object().into_iter().flatten() {
        if !text_fits(key, wanted, seen(name).map(String::as_str))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A regular expression must fit the whole text.
fn text_fits(key: &ObjectKey, wanted: &Value, text: Option<&str>) -> Result<bool, TrafficError> {
    let Some(text) = text else { return Ok(false) };
    let of = |kind: &str| wanted.get(kind).and_then(Value::as_str);
    match (of("exact"), of("prefix"), of("regex")) {
        (Some(exact), None, None) => Ok(exact == text),
        (None, Some(prefix), None) => Ok(text.starts_with(prefix)),
        (None, None, Some(pattern)) => super::matches(key, &format!("^(?:{pattern})$"), text),
        _ => Err(unknown(key, &format!("the condition {wanted}"))),
    }
}

fn destinations(key: &ObjectKey, rule: &Value) -> Result<Backends, TrafficError> {
    let routes = rule.get("route").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut found = Vec::new();
    for route in routes {
        let host = route.pointer("/destination/host").and_then(Value::as_str).unwrap_or_default();
        let (service, rest) = host.split_once('.').unwrap_or((host, ""));
        let here = key.namespace.as_deref().unwrap_or_default();
        let namespace = rest.split('.').next().filter(|name| !name.is_empty()).unwrap_or(here);
        let service = match route.pointer("/destination/subset").and_then(Value::as_str) {
            None => service.to_owned(),
            Some(subset) => format!("{service}/{subset}"),
        };
        let alone = u64::from(routes.len() == 1) * 100;
        let weight = route.get("weight").and_then(Value::as_u64).unwrap_or(alone);
        found.push((namespace.to_owned(), service, weight));
    }
    let total: u64 = found.iter().map(|(_, _, weight)| weight).sum();
    if total == 0 {
        return Err(unknown(key, "a rule without destinations that have a weight"));
    }
    let found = found.into_iter().filter(|(_, _, weight)| *weight > 0);
    Ok(found.map(|(namespace, service, weight)| (namespace, service, part(weight, total))).collect())
}

/// The labels of a Service's subset; none for the empty name.
pub(in crate::sim::cluster) fn subset(
    rules: &[Named<'_>],
    namespace: &str,
    service: &str,
    subset: &str,
) -> Result<BTreeMap<String, String>, TrafficError> {
    if subset.is_empty() {
        return Ok(BTreeMap::new());
    }
    for (key, rule) in rules.iter().filter(|(key, _)| key.namespace.as_deref() == Some(namespace)) {
        let host = rule.text("/spec/host").unwrap_or_default();
        if host.split('.').next() != Some(service) {
            continue;
        }
        let mut subsets = rule.get("/spec/subsets").and_then(Value::as_array).into_iter().flatten();
        if let Some(one) = subsets.find(|one| one.get("name").and_then(Value::as_str) == Some(subset)) {
            let labels = one.get("labels").and_then(Value::as_object).into_iter().flatten();
            let text = |(label, value): (&String, &Value)| Some((label.clone(), value.as_str()?.to_owned()));
            let labels: Option<BTreeMap<String, String>> = labels.map(text).collect();
            return labels.ok_or_else(|| unknown(key, &format!("the labels of subset `{subset}`")));
        }
    }
    // Requests to a subset that is nowhere defined are not answered.
    Ok(BTreeMap::from([("a subset that is not defined".to_owned(), subset.to_owned())]))
}
