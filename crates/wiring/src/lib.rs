//! Turns the URIs of the settings into adapters.
