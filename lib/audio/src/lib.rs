//! Sounds.
