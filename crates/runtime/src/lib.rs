//! What every process shares at its edge: settings, logging, shutdown.
