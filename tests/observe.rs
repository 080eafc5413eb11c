//! tests of observe
