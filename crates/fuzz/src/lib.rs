//! What must hold for any bytes whatever: one function a fuzz target. `/fuzz` feeds them to a
//! fuzzer, and the tests of this crate replay every file of `/fuzz/corpus`.

mod assertion;
#[cfg(test)]
mod corpora;
mod hosts;
mod jwks;
mod keys;
mod kickoff;
mod parts;
mod registration;
mod scopes;
mod selection;
mod site;
mod token_form;

pub use assertion::assertion;
pub use hosts::hosts;
pub use jwks::jwks;
pub use kickoff::kickoff;
pub use registration::registration;
pub use scopes::scopes;
pub use selection::selection;
pub use token_form::token_form;

/// A function that ends the process when something does not hold.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its corpus and of its file in
/// `/fuzz/fuzz_targets`.
pub const TARGETS: [(&str, Target); 8] = [
    ("assertion", assertion),
    ("hosts", hosts),
    ("jwks", jwks),
    ("kickoff", kickoff),
    ("registration", registration),
    ("scopes", scopes),
    ("selection", selection),
    ("token_form", token_form),
];
