//! Every port inside one process.
