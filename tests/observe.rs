//! Observers, against a small API server on loopback.
