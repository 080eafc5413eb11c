//! The StatefulSet controller (Kubernetes, `stateful_set_control.go`), and Kruise's, which adds `unorderedUpdate`.

use super::{Seen, Spec};
use crate::sim::cluster::Cluster;

impl Cluster {
    pub(super) fn sync_ordered(&mut self, spec: &Spec, seen: &[Seen], current: u64, update: u64) {
        let kept = spec.kept();
        let mut old = seen.iter().filter(|pod| pod.owner != update && pod.ordinal < spec.replicas).count();
        for ordinal in 0..spec.replicas {
            match seen.iter().find(|pod| pod.ordinal == ordinal) {
                None => {
                    let stays = if spec.unordered_update { old < kept as usize } else { ordinal < kept };
                    old += usize::from(stays && current != update);
                    self.make(spec, if stays { current } else { update }, ordinal);
                    if spec.ordered {
                        return;
                    }
                }
                Some(pod) if spec.ordered && !pod.available => return,
                Some(_) => {}
            }
        }
        let mut surplus: Vec<&Seen> = seen.iter().filter(|pod| pod.ordinal >= spec.replicas).collect();
        surplus.sort_by_key(|pod| std::cmp::Reverse(pod.ordinal));
        for pod in surplus {
            if !pod.terminating {
                self.terminate(pod.uid);
            }
            if spec.ordered {
                return;
            }
        }
        if !spec.paused {
            self.replace(spec, seen, update);
        }
    }

    /// Ends pods of other revisions, the highest ordinal first, as long as no more than `maxUnavailable` are missing.
    fn replace(&mut self, spec: &Spec, seen: &[Seen], update: u64) {
        let kept = spec.kept();
        let within: Vec<&Seen> = seen.iter().filter(|pod| pod.ordinal < spec.replicas).collect();
        let there = |pod: &&&Seen| pod.available;
        let mut missing = spec.replicas.saturating_sub(u32::try_from(within.iter().filter(there).count()).unwrap_or(u32::MAX));
        let mut old = within.iter().filter(|pod| pod.owner != update && !pod.terminating).count();
        for pod in within.into_iter().rev() {
            let may = if spec.unordered_update { old > kept as usize } else { pod.ordinal >= kept };
            if pod.owner == update || pod.terminating || !may {
                continue;
            }
            if pod.available && missing >= spec.may_be_missing() {
                return;
            }
            missing += u32::from(pod.available);
            old -= 1;
            self.terminate(pod.uid);
        }
    }
}
