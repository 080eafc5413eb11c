//! tests of cli
