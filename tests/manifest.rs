//! tests of manifest
