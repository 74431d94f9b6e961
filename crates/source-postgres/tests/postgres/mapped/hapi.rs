//! The worked example of the documentation.
