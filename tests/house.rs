//! tests of house
