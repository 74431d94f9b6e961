//! All three services in one process, and the commands around them.
