//! tests of traffic
