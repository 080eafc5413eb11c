//! tests of scenarios
