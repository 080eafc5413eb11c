//! tests of source
