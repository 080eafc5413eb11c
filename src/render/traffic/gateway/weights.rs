//! Weights of one rule. The canary takes its percentage from the stable Service's own share; other backends keep theirs.

use serde_json::{Map, Value, json};

use super::{Target, modifier};
use crate::api::HeaderModifier;

/// The largest weight that the API takes.
const MOST: u64 = 1_000_000;

/// The weight of a backendRef; 1 where it names none. `None`: not a weight.
pub(super) fn of(reference: &Value) -> Option<u64> {
    reference.get("weight").map_or(Some(1), Value::as_u64)
}

/// Adds a canary ref with `percent` of each stable ref's share.
///
/// The weights of the rule add up to 100, or to the smallest multiple of 100 that keeps every share exact: 1 beside 1
/// with 5 % becomes 95, 5 and 100.
pub(super) fn split(
    rule: &mut Map<String, Value>,
    target: &Target,
    canary: &str,
    percent: u32,
    change: Option<&HeaderModifier>,
) -> Result<(), String> {
    let Some(Value::Array(refs)) = rule.get_mut("backendRefs") else { return Ok(()) };
    let percent = u64::from(percent.min(100));
    let mut shares = Vec::new();
    let mut added = Vec::new();
    for reference in refs.iter() {
        let weight = of(reference).filter(|weight| *weight <= MOST).ok_or_else(|| {
            format!("the weight of a backendRef is {}; a whole number from 0 to {MOST} is needed", reference["weight"])
        })?;
        if !target.is_stable(reference) {
            shares.push(weight * 100);
            continue;
        }
        shares.push(weight * (100 - percent));
        if weight > 0 {
            added.push((copy(target, reference, canary, change), weight * percent));
        }
    }
    shares.extend(added.iter().map(|(_, share)| *share));
    refs.extend(added.into_iter().map(|(reference, _)| reference));
    let weights = scaled(&shares);
    if weights.iter().any(|weight| *weight > MOST) {
        return Err(format!(
            "its weights cannot be divided at {percent}% without passing {MOST}, the API's largest; write them smaller (70 and 30)"
        ));
    }
    for (reference, weight) in refs.iter_mut().zip(weights) {
        // An equal weight stays as it is written, also where that is not at all.
        if of(reference) != Some(weight)
            && let Value::Object(reference) = reference
        {
            reference.insert("weight".to_owned(), json!(weight));
        }
    }
    Ok(())
}

fn copy(target: &Target, reference: &Value, canary: &str, change: Option<&HeaderModifier>) -> Value {
    let mut copy = target.to_canary(reference, canary);
    if let (Value::Object(fields), Some(change)) = (&mut copy, change) {
        modifier::add(fields, change);
    }
    copy
}

/// The smallest whole numbers in the proportion of `shares` whose sum is a multiple of 100.
fn scaled(shares: &[u64]) -> Vec<u64> {
    let divisor = shares.iter().copied().fold(0, greatest_common_divisor);
    if divisor == 0 {
        return shares.to_vec();
    }
    let sum: u64 = shares.iter().map(|share| share / divisor).sum();
    let factor = 100 / greatest_common_divisor(sum, 100);
    shares.iter().map(|share| share / divisor * factor).collect()
}

fn greatest_common_divisor(mut one: u64, mut other: u64) -> u64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}
