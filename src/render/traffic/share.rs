//! Whole percents for the backends of one list. The canary takes its part of the stable Service's own share, other backends
//! keep theirs; the parts add up to 100 (largest remainder, what is left over goes to the stable Service first).

use serde_json::{Value, json};

/// What a backend without a weight counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Always 1.
    One,
    /// As much as the others where none has a weight, nothing beside one that has.
    EqualOrNothing,
}

/// The weights of a list, in the list's own unit; an error names the one that is none.
pub(super) fn weights(list: &[Value], key: &str, missing: Missing) -> Result<Vec<u64>, String> {
    let otherwise = match missing {
        Missing::One => 1,
        Missing::EqualOrNothing => u64::from(list.iter().all(|backend| backend.get(key).is_none())),
    };
    list.iter()
        .map(|backend| match backend.get(key) {
            None | Some(Value::Null) => Ok(otherwise),
            Some(weight) => weight
                .as_u64()
                .filter(|weight| *weight <= u64::from(u32::MAX))
                .ok_or_else(|| format!("the weight of a backend is {weight}; a whole number is needed")),
        })
        .collect()
}

/// Divides the weights of `list`, with a canary backend at its end for each stable one that has a share. Nothing is done where
/// the stable Service has none.
pub(super) fn weigh(
    list: &mut Vec<Value>,
    key: &str,
    missing: Missing,
    percent: u32,
    is_stable: impl Fn(&Value) -> bool,
    to_canary: impl Fn(&Value) -> Value,
) -> Result<(), String> {
    let weights = weights(list, key, missing)?;
    let stable: Vec<bool> = list.iter().map(&is_stable).collect();
    let Some(parts) = parts(&weights, &stable, percent) else { return Ok(()) };
    let asked = percent.min(100) > 0;
    if asked && parts.iter().all(|(_, canary)| canary.unwrap_or(0) == 0) {
        return Err(format!(
            "{percent}% of the stable Service's share there is less than one percent of all requests; ask for more, or for a \
             match"
        ));
    }
    let canaries: Vec<Value> = list
        .iter()
        .zip(&parts)
        .filter_map(|(backend, (_, canary))| canary.map(|part| (backend, part)))
        .map(|(backend, part)| put(to_canary(backend), key, part))
        .collect();
    for (backend, (part, _)) in list.iter_mut().zip(&parts) {
        *backend = put(backend.take(), key, *part);
    }
    list.extend(canaries);
    Ok(())
}

/// Whole percents for a list that has no others in it; one backend alone needs none.
pub(super) fn level(list: &mut [Value], key: &str, missing: Missing) {
    if let [Value::Object(only)] = list {
        only.remove(key);
        return;
    }
    let weights = weights(list, key, missing).unwrap_or_else(|_| vec![1; list.len()]);
    let Some(parts) = parts(&weights, &vec![true; list.len()], 0) else { return };
    for (backend, (part, _)) in list.iter_mut().zip(parts) {
        *backend = put(backend.take(), key, part);
    }
}

fn put(mut backend: Value, key: &str, part: u64) -> Value {
    if let Value::Object(fields) = &mut backend {
        fields.insert(key.to_owned(), json!(part));
    }
    backend
}

/// What each backend keeps, and what its canary gets. `None`: the stable Service has no share.
fn parts(weights: &[u64], stable: &[bool], percent: u32) -> Option<Vec<(u64, Option<u64>)>> {
    let percent = u64::from(percent.min(100));
    let total: u64 = weights.iter().sum();
    let share = |(weight, stable): &(&u64, &bool)| **stable && **weight > 0;
    if total == 0 || !weights.iter().zip(stable).any(|both| share(&both)) {
        return None;
    }
    // Hundredths of each weight: first what is kept, then what the canaries get. The stable ones stand first, so that an
    // equal remainder is theirs.
    let mut quotas: Vec<(usize, bool, u64)> = Vec::new();
    for pass in [true, false] {
        for (index, both) in weights.iter().zip(stable).enumerate().filter(|(_, both)| share(both) == pass) {
            quotas.push((index, false, both.0 * if share(&both) { 100 - percent } else { 100 }));
        }
    }
    for (index, both) in weights.iter().zip(stable).enumerate().filter(|(_, both)| share(both)) {
        quotas.push((index, true, both.0 * percent));
    }
    let mut found: Vec<u64> = quotas.iter().map(|(_, _, quota)| quota / total).collect();
    let mut order: Vec<usize> = (0..quotas.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(quotas.get(*at).map_or(0, |(_, _, quota)| quota % total)));
    let over = 100_u64.saturating_sub(found.iter().sum());
    for at in order.into_iter().take(usize::try_from(over).unwrap_or(0)) {
        if let Some(part) = found.get_mut(at) {
            *part += 1;
        }
    }
    let mut parts = vec![(0, None); weights.len()];
    for ((index, canary, _), part) in quotas.into_iter().zip(found) {
        if let Some(entry) = parts.get_mut(index) {
            if canary {
                entry.1 = Some(part);
            } else {
                entry.0 = part;
            }
        }
    }
    Some(parts)
}
