//! The sums of the Deployment controller, as kube-controller-manager 1.36 does them (`deployment/util`). Pure.

use serde_json::Value;

/// `maxSurge` or `maxUnavailable`: pods, or percent of the Deployment's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntOrPercent {
    Int(u32),
    Percent(u32),
}

impl IntOrPercent {
    /// A whole number that is not negative, or a text such as `25%`.
    pub fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => number.as_u64().and_then(|n| u32::try_from(n).ok()).map(Self::Int),
            Value::String(text) => text.strip_suffix('%')?.parse().ok().map(Self::Percent),
            _ => None,
        }
    }

    /// Pods of `size`; a percentage is rounded up or down.
    pub fn of(self, size: u32, up: bool) -> u32 {
        match self {
            Self::Int(pods) => pods,
            Self::Percent(percent) => {
                let hundredths = u64::from(percent) * u64::from(size);
                let pods = if up { hundredths.div_ceil(100) } else { hundredths / 100 };
                u32::try_from(pods).unwrap_or(u32::MAX)
            }
        }
    }

    /// Whether this is nothing whatever the size.
    pub fn is_zero(self) -> bool {
        matches!(self, Self::Int(0) | Self::Percent(0))
    }
}

/// (surge, unavailable) of a Deployment of `size` pods: surge is rounded up, unavailable down. Where both come to
/// nothing, one pod may be unavailable, or no update would ever end.
pub fn fenceposts(surge: IntOrPercent, unavailable: IntOrPercent, size: u32) -> (u32, u32) {
    let (surge, unavailable) = (surge.of(size, true), unavailable.of(size, false));
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

/// Half away from zero, as the controller rounds.
fn round(numerator: i64, denominator: i64) -> i64 {
    (numerator as f64 / denominator as f64).round() as i64
}

/// One ReplicaSet that takes part in proportional scaling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Its pods as ordered.
    pub replicas: u32,
    /// The most pods that the whole Deployment might have had when this ReplicaSet was scaled last
    /// (`deployment.kubernetes.io/max-replicas`); `None` or 0: not known.
    pub most_before: Option<u32>,
}

/// New sizes, in the order given, of ReplicaSets among which a change of size is shared in proportion. `shares` come with
/// the largest first; what rounding leaves over goes to that one. `most` is size + surge after the change, 0 for an empty
/// Deployment; `counted` is `status.replicas`, which stands in where `most_before` is not known.
pub fn proportions(shares: &[Share], size: u32, most: u32, counted: u32) -> Vec<u32> {
    let allowed = if size > 0 { i64::from(most) } else { 0 };
    let to_add = allowed - shares.iter().map(|share| i64::from(share.replicas)).sum::<i64>();
    let mut added = 0;
    let mut sizes: Vec<i64> = Vec::with_capacity(shares.len());
    for share in shares {
        let now = i64::from(share.replicas);
        let part = if now == 0 || to_add == added { 0 } else { fraction(share, size, most, counted) };
        let left = to_add - added;
        let part = if to_add > 0 {
            part.min(left)
        } else if to_add < 0 {
            part.max(left)
        } else {
            0
        };
        sizes.push(now + part);
        added += part;
    }
    if let Some(first) = sizes.first_mut() {
        *first = (*first + to_add - added).max(0);
    }
    sizes.into_iter().map(|size| u32::try_from(size.max(0)).unwrap_or(u32::MAX)).collect()
}

/// By how much one ReplicaSet would have to change to keep its part of the whole.
fn fraction(share: &Share, size: u32, most: u32, counted: u32) -> i64 {
    let now = i64::from(share.replicas);
    if size == 0 {
        return -now;
    }
    let before = match share.most_before {
        Some(before) if before > 0 => before,
        _ if counted > 0 => counted,
        _ => return 0,
    };
    round(now * i64::from(most), i64::from(before)) - now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surge_rounds_up_and_unavailable_down() {
        use IntOrPercent::{Int, Percent};
        assert_eq!(fenceposts(Percent(25), Percent(25), 10), (3, 2));
        assert_eq!(fenceposts(Int(0), Percent(20), 3), (0, 1), "both nothing: one may go");
        assert_eq!(fenceposts(Percent(0), Int(2), 3), (0, 2));
    }

    #[test]
    fn a_change_of_size_keeps_the_ratio_and_the_rest_goes_to_the_largest() {
        let shares = |counts: &[u32], before| {
            counts.iter().map(|replicas| Share { replicas: *replicas, most_before: Some(before) }).collect::<Vec<_>>()
        };
        assert_eq!(proportions(&shares(&[6, 4], 10), 20, 20, 10), [12, 8]);
        assert_eq!(proportions(&shares(&[12, 8], 20), 10, 10, 20), [6, 4]);
        assert_eq!(proportions(&shares(&[5, 3, 2], 10), 11, 11, 10), [6, 3, 2]);
        assert_eq!(proportions(&shares(&[3, 3, 3], 9), 10, 10, 9), [4, 3, 3]);
        assert_eq!(proportions(&shares(&[6, 4], 10), 0, 0, 10), [0, 0]);
    }
}
