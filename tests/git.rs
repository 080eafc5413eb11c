//! tests of git
