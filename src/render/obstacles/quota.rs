//! `ResourceQuota`: what all pods of a namespace may ask for together.

use serde_json::Value;

use super::amount::Amount;
use super::{Obstacle, beside};
use crate::manifest::{Object, ObjectSet};

/// The quotas that the workload alone goes beyond with so many pods.
pub(super) fn of(live: &ObjectSet, workload: &Object, pods: u32) -> Vec<Obstacle> {
    let mut found = Vec::new();
    for quota in
        live.values().filter(|object| (object.group(), object.kind()) == ("", "ResourceQuota") && beside(object, workload))
    {
        // Whom it counts depends on what only the cluster knows.
        if quota.get("/spec/scopes").is_some() || quota.get("/spec/scopeSelector").is_some() {
            continue;
        }
        for (resource, limit) in quota.get("/spec/hard").and_then(Value::as_object).into_iter().flatten() {
            let Some(limit) = quantity(limit) else { continue };
            let Some(each) = per_pod(workload, resource) else { continue };
            let Some(all) = each.times(pods).filter(|all| *all > limit) else { continue };
            let (all, limit) = (all.shown(resource), limit.shown(resource));
            found.push(Obstacle {
                object: quota.key(),
                text: format!("{pods} pods at once need `{resource}: {all}` for this workload alone, and it allows {limit}"),
                hint: format!("raise `spec.hard.{resource}`, or let less of the new version come before the old one goes"),
            });
        }
    }
    found
}

/// What one pod counts for; `None` for what is not counted by pods, or where a container does not say it.
fn per_pod(workload: &Object, resource: &str) -> Option<Amount> {
    let (part, name) = match resource {
        "pods" | "count/pods" => return Amount::parse("1"),
        "cpu" | "memory" | "ephemeral-storage" => ("requests", resource),
        _ => resource.split_once('.').filter(|(part, _)| ["requests", "limits"].contains(part))?,
    };
    let containers = workload.get("/spec/template/spec/containers").and_then(Value::as_array)?;
    let mut sum: Option<Amount> = None;
    for container in containers {
        let said = |part: &str| container.get("resources")?.get(part)?.get(name).and_then(quantity);
        // A limit without a request is the request, too (the API's default).
        let Some(value) = said(part).or_else(|| said("limits")) else { continue };
        sum = Some(match sum {
            Some(before) => before.plus(value)?,
            None => value,
        });
    }
    sum
}

fn quantity(value: &Value) -> Option<Amount> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Amount::parse(&text)
}
