//! Drives chunks.
