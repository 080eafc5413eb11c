//! tests of lab
