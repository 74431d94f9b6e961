//! Documents a server publishes about itself.
