//! tests of api
