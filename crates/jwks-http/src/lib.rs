//! Key sets over HTTPS from hosts that nobody here controls.
//!
//! Whoever registers a client names the URL that we fetch, so the URL is hostile until it is shown
//! to lead to a public address: its form is checked, its name is resolved once, and the connection
//! goes only to the addresses that were checked. Hosts that the operator lists are spared the
//! address rules, and nothing else.

mod address;
mod failure;
mod fetch;
mod hosts;
mod life;
mod options;
mod resolve;
mod roots;
mod target;

pub use fetch::JwksHttp;
pub use options::{JwksHttpError, JwksHttpOptions};
