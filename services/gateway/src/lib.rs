//! HTTP in, engine out.
