//! tests of metrics
