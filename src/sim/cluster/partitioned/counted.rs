//! Controllers whose partition is a number of pods: Kruise's CloneSet and DaemonSet.

use super::{Seen, Spec};
use crate::manifest::ObjectKey;
use crate::sim::cluster::{Cluster, Work};

fn count<'a>(pods: impl Iterator<Item = &'a Seen>) -> u32 {
    u32::try_from(pods.count()).unwrap_or(u32::MAX)
}

impl Cluster {
    /// Scales first: what is missing comes in the revision that is short, what is too much goes from the one with too many. The sums
    /// are those of Kruise's `calculateDiffsWithExpectation`, `Scale` and `limitUpdateIndexes` as of 1.1.0 and later (kruise#899: updated
    /// pods that are not available count against `maxUnavailable`), without hooks and pods that somebody named for deletion.
    pub(super) fn sync_clones(&mut self, key: &ObjectKey, spec: &Spec, seen: &[Seen], current: u64, update: u64) {
        let active: Vec<Seen> = seen.iter().copied().filter(|pod| !pod.terminating).collect();
        let (new, old): (Vec<&Seen>, Vec<&Seen>) = active.iter().partition(|pod| pod.owner == update);
        let (has, has_old, kept) = (count(active.iter()), count(old.iter().copied()), spec.kept());
        let behind = has_old.saturating_sub(kept);
        // Pods of the newest revision that are still to come: the surge is for them, and ends with them.
        let to_come = spec.replicas.saturating_sub(kept).saturating_sub(count(new.iter().copied()));
        let room = if spec.paused { 0 } else { spec.max_surge.of(spec.replicas, true).min(behind).min(to_come) };
        let wanted = spec.replicas.saturating_add(room);
        if has < wanted {
            let short = kept.saturating_sub(has_old).min(wanted - has);
            for index in 0..wanted - has {
                self.make(spec, if index < short { current } else { update }, 0);
            }
            return;
        }
        let unavailable = count(active.iter().filter(|pod| !pod.available));
        let may_go = spec.may_be_missing().saturating_add(has).saturating_sub(spec.replicas);
        if has > wanted {
            // Those that are not available go first; of the others, the old ones that shall not stay.
            let mut goes: Vec<&Seen> = Vec::new();
            let mut sorted = old.clone();
            sorted.sort_by_key(|pod| (pod.ready, pod.available));
            goes.extend(sorted.iter().take(behind as usize));
            let mut sorted = new.clone();
            sorted.sort_by_key(|pod| (pod.ready, pod.available));
            goes.extend(sorted);
            // Pods that are not Ready are missed by nobody.
            let mut ready_may_go = may_go.saturating_sub(unavailable);
            let mut gone = false;
            for pod in goes.into_iter().take((has - wanted) as usize) {
                if pod.ready && ready_may_go == 0 {
                    continue;
                }
                ready_may_go -= u32::from(pod.ready);
                gone = true;
                self.terminate(pod.uid);
            }
            if gone {
                return;
            }
        }
        let new_unavailable = count(new.iter().copied().filter(|pod| !pod.available));
        let most = behind.min(to_come).min(may_go.saturating_sub(new_unavailable));
        if !spec.paused {
            self.replace_some(key, spec, old, count(active.iter().filter(|pod| pod.available)), most);
        }
    }

    /// One pod a node. A pod that comes is a new one, also where an old one was lost.
    pub(super) fn sync_daemons(&mut self, key: &ObjectKey, spec: &Spec, seen: &[Seen], update: u64) {
        for node in 0..spec.replicas {
            if !seen.iter().any(|pod| pod.ordinal == node) {
                self.make(spec, update, node);
            }
        }
        let active: Vec<&Seen> = seen.iter().filter(|pod| !pod.terminating).collect();
        active.iter().filter(|pod| pod.ordinal >= spec.replicas).for_each(|pod| self.terminate(pod.uid));
        let within: Vec<&Seen> = active.into_iter().filter(|pod| pod.ordinal < spec.replicas).collect();
        let old: Vec<&Seen> = within.iter().copied().filter(|pod| pod.owner != update).collect();
        let behind = count(old.iter().copied()).saturating_sub(spec.kept());
        if !spec.paused {
            self.replace_some(key, spec, old, count(within.into_iter().filter(|pod| pod.available)), behind);
        }
    }

    /// Ends up to `most` old pods: the ones that do not serve anyway, and others as long as no more than `maxUnavailable` are
    /// missing.
    fn replace_some(&mut self, key: &ObjectKey, spec: &Spec, mut old: Vec<&Seen>, mut there: u32, most: u32) {
        old.sort_by_key(|pod| (pod.available, std::cmp::Reverse(pod.ordinal), pod.uid));
        for pod in old.into_iter().take(most as usize) {
            if pod.available && there <= spec.replicas.saturating_sub(spec.may_be_missing()) {
                return;
            }
            there -= u32::from(pod.available);
            self.terminate(pod.uid);
            self.wake(Work::Deployment(key.clone()));
        }
    }
}
