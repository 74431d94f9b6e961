//! What tests need: a manual clock, faults, small data sets.
