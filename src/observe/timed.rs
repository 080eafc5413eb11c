//! The observer that looks at nothing.

use super::{ObserveError, Observer, Sighting, Target};

/// Takes a commit as applied when a fixed time has passed since it. It never reads a cluster, so it sees no workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timed {
    /// Seconds from the commit to the moment when the applier and the controllers are taken to be done.
    pub settle: u32,
}

impl Observer for Timed {
    /// A commit from the future (a clock jumped) is not applied.
    fn observe(&self, target: &Target) -> Result<Sighting, ObserveError> {
        let settle = i64::from(self.settle);
        let age = target.now.saturating_sub(target.committed_at);
        let missing = if age < 0 {
            Some(format!("the commit's time is {} s in the future: a clock is wrong", age.unsigned_abs()))
        } else if age < settle {
            Some(format!("{} s of the settle time of {settle} s are left (not observed)", settle - age))
        } else {
            None
        };
        Ok(Sighting { applied: missing.is_none(), workload: None, missing })
    }
}
