//! What the loop needs of the world beside the repository. The real one and the simulated one stand behind it.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::Observe;
use crate::metrics::{MetricsError, Sample};
use crate::observe::{Live, ObserveError, Sighting, Target};

/// The world around a repository.
pub trait Surroundings {
    /// The present moment.
    fn now(&self) -> Timestamp;
    /// Looks at a workload, and at what an applier says of the live branch.
    fn observe(&self, how: &Observe, target: &Target, live: &Live<'_>) -> Result<Sighting, ObserveError>;
    /// From now on the loop goes on and on: what is looked at may be kept in view.
    fn follow(&self) {}
    /// Waits until something that is kept in view has changed, at most this long. Says whether it has.
    fn wait(&self, longest: Duration) -> bool {
        std::thread::sleep(longest);
        false
    }
    /// Asks a metrics source that the operator has named.
    fn query(&self, source: &str, query: &str, now: Timestamp) -> Result<Vec<Sample>, MetricsError>;
    /// The namespace of workloads whose manifests name none.
    fn default_namespace(&self) -> String;
    /// Waits a little before another try; `attempt` counts from 1.
    fn back_off(&self, attempt: u32);
    /// How a source may be rendered.
    fn render_options(&self) -> crate::source::Options;
}
