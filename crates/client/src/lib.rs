//! The export client as a library.
