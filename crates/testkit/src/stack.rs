//! Where the private servers of `cargo xtask stack up` are.

use std::path::Path;

/// The value of a line of `target/stack/env`, such as `SLUICE_PORTS__QUEUE`.
///
/// # Panics
///
/// When the stack is not up: `cargo xtask test` brings it up.
#[expect(
    clippy::panic,
    reason = "a test without its servers should end, and say why"
)]
pub fn stack(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/stack/env");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let found = text.lines().find_map(|line| {
        let (found, value) = line.split_once('=')?;
        (found == name).then(|| value.to_owned())
    });
    let Some(found) = found else {
        panic!(
            "{name} is not in target/stack/env; run `cargo xtask stack up`, or all tests by `cargo xtask test`"
        );
    };
    found
}
