//! tests of world
