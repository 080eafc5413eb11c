//! What the cluster must show: as many pods of each version as the live branch asks for, enough Ready ones all the time,
//! and an answer to every request.

use super::app::{App, NAMESPACE};
use crate::git::{Oid, Repo};
use crate::manifest::ObjectKey;
use crate::reconcile::layout;
use crate::render::workload::Kind;
use crate::render::{self, Pods, PodsPhase};
use crate::sim::cluster::{Cluster, Point};
use crate::sim::world::State;

const REVISION: &str = "/metadata/labels/windlass.dev~1revision";

/// Pods of each version against the recorded shape, at a rest.
pub(super) fn counts(repo: &dyn Repo, head: Oid, cluster: &Cluster) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for id in layout::recorded_apps(repo, head).map_err(|trouble| trouble.to_string())? {
        let read = || -> Result<_, crate::reconcile::Trouble> {
            Ok((
                layout::read_state(repo, head, &id)?,
                layout::read_rollout(repo, head, &id)?,
                layout::read_slot(repo, head, &id, "stable")?,
            ))
        };
        let (Some(state), Some(rollout), Some(stable)) = read().map_err(|trouble| trouble.to_string())? else { continue };
        let key = Cluster::workload(NAMESPACE, &rollout.workload);
        let live = || cluster.timeline().points(&key).last().map_or(0, |point| point.size);
        let own = render::size(&rollout, &stable).map_err(|error| error.to_string())?;
        let size = own.unwrap_or_else(live);
        let old_label = if state.shape.stable_labelled { state.stable.revision.clone() } else { String::new() };
        let new_label = state.candidate.as_ref().map_or(state.stable.revision.clone(), |slot| slot.revision.clone());
        let splits = Kind::of(&rollout.workload).is_ok_and(Kind::splits_nodes);
        let (old, new) = match state.shape.pods {
            // The new ones are the second DaemonSet's.
            Pods::Held { from, to, phase, .. } if splits => {
                (size.saturating_sub(if phase == PodsPhase::Grow { from } else { to }), 0)
            }
            Pods::Stable | Pods::Returning { .. } => (size, 0),
            Pods::Candidate => (0, size),
            Pods::Back { kept, from, left, phase: PodsPhase::Grow, .. } if from == left => (kept, from),
            Pods::Back { size, from, left, phase: PodsPhase::Grow, .. } => (size.saturating_sub(left), from),
            Pods::Back { size, left, phase: PodsPhase::Shift, .. } => (size.saturating_sub(left), left),
            Pods::Held { size, from, to, phase: PodsPhase::Grow, .. } => (size.saturating_sub(from), to),
            Pods::Held { size, to, phase: PodsPhase::Shift, .. } => (size.saturating_sub(to), to),
        };
        let pods = cluster.pods_by(&key, REVISION);
        let of = |label: &str| pods.get(label).map_or(0, |counts| counts.pods);
        let seen = (of(&old_label), if new == 0 { 0 } else { of(&new_label) });
        let all: u32 = pods.values().map(|counts| counts.pods).sum();
        let second = ObjectKey { name: render::workload::extra::name(&key.name), ..key.clone() };
        let (extra, is) = (
            state.shape.extra.unwrap_or(u32::try_from(state.shape.nodes.len()).unwrap_or(u32::MAX)),
            cluster.pods_by(&second, REVISION),
        );
        let is: u32 = is.values().map(|counts| counts.pods).sum();
        if is != extra {
            found.push(format!("{id}: {is} pods of the second workload run at a rest, the live branch asks for {extra}"));
        }
        if own.is_none() && all != old + new {
            // The parts have followed another size; each rounds by itself.
            let ratio = f64::from(new) / f64::from((old + new).max(1)) * f64::from(size);
            if all == size && (f64::from(seen.1) - ratio).abs() <= 1.0 {
                continue;
            }
        }
        if seen != (old, new) || all != old + new {
            found.push(format!(
                "{}: {} old and {} new pods of {all} run at a rest, the live branch asks for {old} and {new}",
                id, seen.0, seen.1
            ));
        }
    }
    Ok(found)
}

/// Ready pods over the whole play, and requests that nobody answered. `spare` begins with the number of pods that may be missing.
pub(super) fn capacity(apps: &[App], spare: Option<&str>, state: &State) -> Vec<String> {
    let mut found = Vec::new();
    if state.unanswered_ms > 0 {
        found.push(format!("for {} ms a part of the requests was answered by nobody", state.unanswered_ms));
    }
    for app in apps {
        let key = Cluster::workload(NAMESPACE, &app.workload());
        let spare = spare.and_then(|text| text.split(' ').next()?.parse().ok()).unwrap_or(0);
        found.extend(too_few(state.cluster.timeline().points(&key), spare).map(|text| format!("{}: {text}", app.name)));
    }
    found
}

/// The first moment with fewer Ready pods than the size less `spare`. A larger size counts once it was reached.
pub(super) fn too_few(points: &[Point], spare: u32) -> Option<String> {
    let mut base: Option<u32> = None;
    for (index, point) in points.iter().enumerate() {
        // Of several points at one moment only the last one lasts.
        if points.get(index + 1).is_some_and(|next| next.at == point.at) {
            continue;
        }
        let ready = point.total.ready;
        base = match base {
            _ if ready >= point.size => Some(point.size),
            Some(base) => Some(base.min(point.size)),
            None => None,
        };
        if let Some(base) = base.filter(|base| ready < base.saturating_sub(spare)) {
            return Some(format!("{ready} of {base} pods were Ready {} ms after the start", point.at));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::cluster::Counts;

    fn points(sizes: &[(u64, u32, u32)]) -> Vec<Point> {
        let point = |(at, size, ready): &(u64, u32, u32)| Point {
            at: *at,
            size: *size,
            total: Counts { pods: *ready, ready: *ready, available: 0 },
            revisions: std::collections::BTreeMap::new(),
        };
        sizes.iter().map(point).collect()
    }

    #[test]
    fn too_few_ready_pods_are_seen() {
        assert_eq!(too_few(&points(&[(0, 5, 0), (300, 5, 5), (900, 5, 6), (950, 5, 5)]), 0), None);
        assert!(too_few(&points(&[(0, 5, 5), (300, 5, 4)]), 0).is_some());
        assert_eq!(too_few(&points(&[(0, 5, 5), (300, 5, 4)]), 1), None);
    }

    #[test]
    fn a_larger_size_counts_once_it_was_reached() {
        assert_eq!(too_few(&points(&[(0, 5, 5), (10, 8, 5), (300, 8, 8), (400, 3, 8), (410, 3, 3)]), 0), None);
        assert!(too_few(&points(&[(0, 5, 5), (10, 8, 5), (300, 8, 8), (400, 8, 7)]), 0).is_some());
        assert!(too_few(&points(&[(0, 5, 5), (10, 8, 4)]), 0).is_some());
    }
}
