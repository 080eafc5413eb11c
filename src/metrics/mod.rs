//! Where numbers come from. A source is defined by the operator, by name; a Rollout never gives an address.

mod answer;
pub mod prometheus;
mod promql;
mod secret;
pub mod template;

pub use prometheus::{Authentication, Prometheus, PrometheusOptions};
pub use secret::Secret;
pub use template::{TemplateError, Variables};

/// One number of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    pub value: f64,
}

/// A place that answers queries.
pub trait Source {
    /// Asks `query` (already rendered) for the moment `now` (seconds since 1970 UTC). An empty answer is no error.
    fn query(&self, query: &str, now: i64) -> Result<Vec<Sample>, MetricsError>;
}

/// Why there is no answer. Messages hold neither addresses nor secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetricsError {
    #[error("cannot reach metrics source `{source_name}`: {cause}")]
    Unreachable { source_name: String, cause: String },
    #[error("metrics source `{source_name}` refused the query: {cause}")]
    Refused { source_name: String, cause: String },
}
