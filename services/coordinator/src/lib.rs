//! Drives jobs: on a hint, and on every tick of the sweep.
