//! The held rolling update of a Deployment (design: `02-rollouts.md`, section 4).
//!
//! A Deployment has no partition field, yet its own controller stands still at exactly K updated pods when new pods never
//! become available: `minReadySeconds` is as long as it can be, and `maxSurge` and `maxUnavailable` say how far it may go.
//! The fields must be written in the same commit as the new template: an earlier one would reach the running ReplicaSet.

use serde_json::{Value, json};

use crate::api::Amount;
use crate::manifest::Object;
use crate::render::workload::{Reach, WayBack};
use crate::render::{PodsPhase, RenderError};

/// One less than the largest, as Kruise has it: the controller computes with the value plus one.
pub(super) const MIN_READY_SECONDS: u32 = 2_147_483_646;
/// Must be greater than `minReadySeconds` (API validation).
pub(super) const PROGRESS_DEADLINE_SECONDS: u32 = 2_147_483_647;

/// `spec.replicas`, 1 where it is not set (the API's default).
pub fn size(deployment: &Object) -> u32 {
    deployment.get("/spec/replicas").and_then(Value::as_u64).map_or(1, |replicas| u32::try_from(replicas).unwrap_or(u32::MAX))
}

/// The cumulative number of updated pods of a step: rounded up, and a percentage other than 100 % never takes the last
/// stable pod of several (Kruise, `deployment_util.go`).
pub fn target(amount: Amount, size: u32) -> u32 {
    match amount {
        Amount::Percent(percent) if percent < 100 && size > 1 => amount.of(size).min(size - 1),
        _ => amount.of(size),
    }
}

/// Whether the user lets new pods come before old ones go (`maxSurge` other than 0; the API's default is 25 %).
pub fn surges(deployment: &Object) -> bool {
    match deployment.get("/spec/strategy/rollingUpdate/maxSurge") {
        Some(Value::Number(surge)) => surge.as_u64() != Some(0),
        Some(Value::String(surge)) => surge != "0%" && surge != "0",
        _ => true,
    }
}

/// How many pods may be missing at once where none may come before another goes: the user's `maxUnavailable`, percent rounded
/// down (the API's default is 25 %), and at least 1, as the Deployment controller has it where `maxSurge` is 0.
pub fn at_once(deployment: &Object, size: u32) -> u32 {
    let percent = |percent: u64| u32::try_from(percent.saturating_mul(u64::from(size)) / 100).unwrap_or(u32::MAX);
    let pods = match deployment.get("/spec/strategy/rollingUpdate/maxUnavailable") {
        Some(Value::Number(pods)) => pods.as_u64().map_or(1, |pods| u32::try_from(pods).unwrap_or(u32::MAX)),
        Some(Value::String(text)) => text.strip_suffix('%').and_then(|number| number.parse().ok()).map_or(1, percent),
        _ => percent(25),
    };
    pods.max(1)
}

/// What a Deployment must be for its pods to go in batches.
pub fn check(deployment: &Object) -> Result<(), RenderError> {
    let unusable = |cause: &str| RenderError::Unusable {
        what: "Deployment".to_owned(),
        name: deployment.name().to_owned(),
        cause: cause.to_owned(),
    };
    if deployment.text("/spec/strategy/type") == Some("Recreate") {
        return Err(unusable("`strategy.type: Recreate` stops all pods at once; batches need `RollingUpdate`"));
    }
    if deployment.get("/spec/paused") == Some(&Value::Bool(true)) {
        return Err(unusable("`paused: true` stops its controller; remove it from the source"));
    }
    Ok(())
}

/// Writes the three fields that hold the Deployment on the way from `from` to `to` updated pods. Where the step's percentage is
/// known, an autoscaler owns the size: then the two amounts are percentages, which mean just as many pods now (up to a hundred),
/// and keep the ratio at another size.
pub fn hold(deployment: &mut Object, reach: Reach) {
    let Reach { size, from, to, phase, percent } = reach;
    let (surge, unavailable) = match phase {
        PodsPhase::Grow => (to.saturating_sub(from), from),
        PodsPhase::Shift => (0, to),
    };
    // The API refuses both at 0, which only a workload of no pods can ask for.
    let unavailable = if surge == 0 { unavailable.max(1) } else { unavailable };
    write_hold(deployment, surge, unavailable, percent.map(|_| size));
}

/// `of`: the size that both are percentages of; `None`: they are pods.
fn write_hold(deployment: &mut Object, surge: u32, unavailable: u32, of: Option<u32>) {
    let (surge, unavailable) = match of {
        None => (json!(surge), json!(unavailable)),
        Some(size) => (json!(format!("{}%", rounded_up(surge, size))), json!(format!("{}%", rounded_down(unavailable, size)))),
    };
    deployment.set(&["spec", "minReadySeconds"], json!(MIN_READY_SECONDS));
    deployment.set(&["spec", "progressDeadlineSeconds"], json!(PROGRESS_DEADLINE_SECONDS));
    deployment.set(&["spec", "strategy", "type"], json!("RollingUpdate"));
    deployment.set(&["spec", "strategy", "rollingUpdate"], json!({"maxSurge": surge, "maxUnavailable": unavailable}));
}

/// Holds the Deployment on its way back. The ReplicaSet of the stable pods takes the long `minReadySeconds`, too, so that they all
/// count as unavailable although they serve; until its status says so, the controller believes that it may take as many of the
/// others as there are above the size less `maxUnavailable`. So the first commit of a batch lets pods come and none go
/// (`maxUnavailable: 0`), and the next one names those that go. Where that is not enough, since there are more pods than the size
/// or none may surge, a commit before them (`from` is `left`) only makes the ReplicaSet take the value: a paused Deployment moves no
/// pod while size and surge are just what there is.
pub fn hold_back(deployment: &mut Object, back: WayBack, elastic: bool) {
    let WayBack { size, kept, from, left, phase } = back;
    let (surge, unavailable) = match phase {
        PodsPhase::Grow if from == left => {
            deployment.set(&["spec", "paused"], json!(true));
            match kept.saturating_add(from).saturating_sub(size) {
                0 => (0, 1),
                surplus => (surplus, 0),
            }
        }
        PodsPhase::Grow => (from.saturating_sub(left), 0),
        PodsPhase::Shift => (0, size.saturating_sub(left).max(1)),
    };
    write_hold(deployment, surge, unavailable, elastic.then_some(size));
}

/// The percentage of `size` that is `pods` when it is rounded up, as `maxSurge` is.
fn rounded_up(pods: u32, size: u32) -> u64 {
    let percent = u64::from(pods) * 100 / u64::from(size.max(1));
    if pods == 0 { 0 } else { percent.max(1) }
}

/// The percentage of `size` that is `pods` when it is rounded down, as `maxUnavailable` is.
fn rounded_down(pods: u32, size: u32) -> u64 {
    (u64::from(pods) * 100).div_ceil(u64::from(size.max(1))).min(100)
}

/// Lets `surge` pods come before any goes. Held pods never become available, so with the user's own `maxUnavailable` its
/// controller would take that many of them at once, although they serve.
pub fn come_back(deployment: &mut Object, surge: u32) {
    deployment.set(&["spec", "strategy", "type"], json!("RollingUpdate"));
    deployment.set(&["spec", "strategy", "rollingUpdate"], json!({"maxSurge": surge.max(1), "maxUnavailable": 0}));
}

/// The part of `size` pods that a ReplicaSet of `part` pods has after the Deployment went to `new_size`: the controller
/// scales ReplicaSets in proportion and rounds half up (Kubernetes, `deployment_util.go`, `getReplicaSetFraction`).
pub fn scaled(part: u32, size: u32, new_size: u32) -> u32 {
    if size == 0 {
        return 0;
    }
    let (part, size, new) = (u64::from(part), u64::from(size), u64::from(new_size));
    u32::try_from((2 * part * new + size) / (2 * size)).unwrap_or(u32::MAX).min(new_size)
}

/// A version as proportional scaling sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub pods: u32,
    /// The most pods, surge included, that the Deployment might have had when this ReplicaSet was scaled last
    /// (`deployment.kubernetes.io/max-replicas`).
    pub most: u32,
}

/// How many of `new_size` pods are updated once the controller has shared a change of size among both versions, where nothing
/// may surge (Kubernetes, `deployment/sync.go`, `scale`): each keeps its part of the most pods that there might have been; the
/// larger one comes first and takes what is left over.
pub fn shared(new: Part, old: Part, new_size: u32) -> u32 {
    if new_size == 0 || new.pods == 0 {
        return 0;
    }
    if old.pods == 0 {
        return new_size;
    }
    let all = i64::from(new.pods) + i64::from(old.pods);
    let to_add = i64::from(new_size) - all;
    // Of two alike, the newer one comes first on the way up, the older one on the way down.
    let old_is_first = if to_add > 0 { old.pods > new.pods } else { old.pods >= new.pods };
    let (first, second) = if old_is_first { (old, new) } else { (new, old) };
    let change = |part: Part, left: i64| {
        let change = i64::from(scaled(part.pods, part.most, new_size)) - i64::from(part.pods);
        if to_add > 0 { change.min(left) } else { change.max(left) }
    };
    let left = to_add - change(first, to_add);
    let left_pods = if left == 0 { 0 } else { change(second, left) };
    let second = u32::try_from(i64::from(second.pods) + left_pods).unwrap_or(0);
    if old_is_first { second } else { new_size.saturating_sub(second) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_is_rounded_up_and_capped() {
        // size → 20 %, 25 %, 40 %, 50 %, 90 %, 100 % (Kruise, 2.2)
        for (size, targets) in [(5, [1, 2, 2, 3, 4, 5]), (3, [1, 1, 2, 2, 2, 3]), (10, [2, 3, 4, 5, 9, 10])] {
            let got = [20, 25, 40, 50, 90, 100].map(|percent| target(Amount::Percent(percent), size));
            assert_eq!(got, targets, "size {size}");
        }
        // Seen with Kruise 0.6: 10 % of 3 is 1, 34 % is 2, 67 % and 99 % stay at 2; 50 % of 1 is the only pod.
        assert_eq!([10, 34, 67, 99].map(|percent| target(Amount::Percent(percent), 3)), [1, 2, 2, 2]);
        assert_eq!(target(Amount::Percent(50), 1), 1);
        assert_eq!(target(Amount::Pods(7), 5), 5);
    }

    #[test]
    fn proportional_scaling_rounds_half_up() {
        assert_eq!(
            [scaled(4, 10, 20), scaled(8, 20, 10), scaled(2, 5, 10), scaled(2, 3, 10), scaled(1, 10, 14)],
            [8, 4, 4, 7, 1]
        );
    }

    #[test]
    fn on_the_way_back_no_pod_goes_before_another_has_come() {
        let held = |spec: Value, kept, from, left, phase, elastic| {
            let mut object =
                Object::new(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"}, "spec": spec}))
                    .unwrap();
            hold_back(&mut object, WayBack { size: 10, kept, from, left, phase }, elastic);
            let field = |name: &str| object.get(&format!("/spec/strategy/rollingUpdate/{name}")).unwrap().clone();
            (field("maxSurge"), field("maxUnavailable"), object.get("/spec/paused").is_some())
        };
        use PodsPhase::{Grow, Shift};
        assert_eq!(held(json!({}), 4, 6, 4, Grow, false), (json!(2), json!(0), false));
        assert_eq!(held(json!({}), 4, 6, 4, Shift, false), (json!(0), json!(6), false));
        assert_eq!(held(json!({}), 4, 6, 4, Grow, true), (json!("20%"), json!("0%"), false));
        assert_eq!(held(json!({}), 4, 6, 4, Shift, true), (json!("0%"), json!("60%"), false));
        // 8 stable pods and 6 others of 10: it is held where it is, with room for the 4 that are above its size.
        assert_eq!(held(json!({}), 8, 6, 6, Grow, false), (json!(4), json!(0), true));
        assert_eq!(held(json!({}), 4, 6, 6, Grow, false), (json!(0), json!(1), true));
    }

    #[test]
    fn percentages_mean_the_same_pods() {
        for size in 1..=100_u32 {
            for pods in 0..=size {
                let up = (rounded_up(pods, size) * u64::from(size)).div_ceil(100);
                let down = rounded_down(pods, size) * u64::from(size) / 100;
                assert_eq!((up, down), (u64::from(pods), u64::from(pods)), "{pods} of {size}");
            }
        }
    }

    #[test]
    fn a_change_of_size_is_shared_as_the_controller_does() {
        let after = |new: (u32, u32), old: (u32, u32), size| {
            shared(Part { pods: new.0, most: new.1 }, Part { pods: old.0, most: old.1 }, size)
        };
        // Seen: 7 of 14 pods had come with a surge of 4; at 7 pods, 3 of them are left.
        assert_eq!(after((7, 18), (7, 14), 7), 3);
        assert_eq!(after((2, 12), (8, 10), 14), 2);
        assert_eq!([after((4, 10), (6, 10), 20), after((8, 20), (12, 20), 10)], [8, 4]);
        assert_eq!([after((7, 10), (0, 7), 3), after((0, 3), (3, 3), 5), after((2, 3), (1, 3), 0)], [3, 0, 0]);
    }
}
