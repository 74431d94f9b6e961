//! The fast view of jobs in Redis.
