//! CloneSet of `apps.kruise.io`: `updateStrategy.partition` is the number, or the percentage, of pods that stay old.

use serde_json::{Value, json};

use super::{Reach, RenderError, deployment, partition, unusable};
use crate::api::Style;
use crate::manifest::Object;

/// A step in percent writes a percentage (Kruise, `ParseIntegerAsPercentageIfPossible`), so that the parts follow a size that
/// changes between two commits; but only one that means just as many pods now.
pub(super) fn partition(reach: Reach) -> Value {
    let (old, size) = (partition::old(reach), reach.size);
    if reach.percent.is_none() || size == 0 {
        return json!(old);
    }
    let percent = match old {
        0 => 0,
        old if old >= size => 100,
        old => (u64::from(old) * 100 / u64::from(size)).max(1),
    };
    if stays_old(percent, size) == old { json!(format!("{percent}%")) } else { json!(old) }
}

/// Pods of `size` that a percentage keeps: rounded up, and less than 100 % never keeps all of several (Kruise,
/// `CalculatePartitionReplicas`).
pub fn stays_old(percent: u64, size: u32) -> u32 {
    let kept = u32::try_from((percent * u64::from(size)).div_ceil(100)).unwrap_or(u32::MAX).min(size);
    if kept == size && size > 1 && percent < 100 { size - 1 } else { kept }
}

pub(super) fn check(workload: &Object, style: Style) -> Result<(), RenderError> {
    if workload.get("/spec/updateStrategy/paused") == Some(&Value::Bool(true)) {
        return Err(unusable(workload, "`updateStrategy.paused: true` stops its controller; remove it from the source"));
    }
    match (workload.text("/spec/updateStrategy/type"), style) {
        (Some("OnDelete"), _) => {
            return Err(unusable(workload, "`updateStrategy.type: OnDelete` never replaces a pod; batches need another type"));
        }
        (Some("InPlaceOnly"), Style::BlueGreen) => {
            return Err(unusable(
                workload,
                "`updateStrategy.type: InPlaceOnly` makes no new pods beside the old ones (Kruise's webhook refuses `maxSurge` with it): \
                 use `InPlaceIfPossible` or `ReCreate`, or `canary` in the Rollout",
            ));
        }
        _ => {}
    }
    let limit = workload.get("/spec/scaleStrategy/maxUnavailable").filter(|limit| !limit.is_null());
    if let (Style::BlueGreen, Some(limit)) = (style, limit) {
        return Err(unusable(
            workload,
            format!(
                "`scaleStrategy.maxUnavailable: {limit}` lets no pod come while others are unavailable, and all pods count so in a \
                 blueGreen release: remove it from the source, or use `canary`"
            ),
        ));
    }
    Ok(())
}

/// All pods twice, as Kruise has it (`bluegreenstyle/cloneset`): pods of both versions count as unavailable by `minReadySeconds`, so
/// that with `maxUnavailable: 0` none that is Ready goes. This holds from OpenKruise 1.1.0 on, where updated pods that are not
/// available count against `maxUnavailable` (kruise#899, `limitUpdateIndexes`). Before it, old pods that are not available were
/// replaced without limit: one for each new pod that was lost, or that a quota had not let come.
///
/// As soon as all new pods are there, the controller takes the surge for ended and the old pods for too many, and only spares
/// those that are Ready (`Scale`, `deleteReadyLimit`): an old pod that stops being Ready goes, and none comes in its place.
///
/// The size stays what it was when the pods came: where both versions are held, its controller makes some of the pods of another
/// size, or none, and only new ones (`calculateDiffsWithExpectation`). The workload's own size comes with its own strategy.
pub(super) fn surge(workload: &mut Object, reach: Reach) {
    workload.set(&["spec", "minReadySeconds"], json!(deployment::MIN_READY_SECONDS));
    // Newer CloneSets have one, which must be the longer of the two.
    if workload.get("/spec/progressDeadlineSeconds").is_some() {
        workload.set(&["spec", "progressDeadlineSeconds"], json!(deployment::PROGRESS_DEADLINE_SECONDS));
    }
    workload.remove(&["spec", "updateStrategy", "partition"]);
    workload.set(&["spec", "updateStrategy", "maxSurge"], json!("100%"));
    workload.set(&["spec", "updateStrategy", "maxUnavailable"], json!(0));
    if workload.get("/spec/replicas").is_some() {
        workload.set(&["spec", "replicas"], json!(reach.size));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::PodsPhase;

    fn reach(size: u32, to: u32, percent: Option<u32>) -> Reach {
        Reach { size, from: 0, to, phase: PodsPhase::Shift, percent }
    }

    #[test]
    fn percent_becomes_the_percentage_that_stays() {
        for (size, percent, to, wanted) in [
            (5, 20, 1, json!("80%")),
            (3, 20, 1, json!("66%")),
            (7, 33, 3, json!("57%")),
            (10, 100, 10, json!("0%")),
            (10, 50, 5, json!("50%")),
            (1, 50, 1, json!("0%")),
        ] {
            assert_eq!(partition(reach(size, to, Some(percent))), wanted, "{percent} % of {size}");
        }
        assert_eq!(partition(reach(10, 3, None)), json!(7));
    }

    #[test]
    fn a_percentage_that_means_other_pods_is_not_written() {
        // 247 of 250 stay: 98 % would keep 245 of them.
        assert_eq!(partition(reach(250, 3, Some(1))), json!(247));
        for size in 1..=300 {
            for percent in 1..=100 {
                let to = crate::api::Amount::Percent(percent).of(size);
                let kept = match partition(reach(size, to, Some(percent))) {
                    Value::String(text) => stays_old(text.trim_end_matches('%').parse().unwrap(), size),
                    pods => u32::try_from(pods.as_u64().unwrap()).unwrap(),
                };
                assert_eq!(kept, size - to, "{percent} % of {size}");
            }
        }
    }
}
