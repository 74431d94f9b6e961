//! Programs of the workspace, for tests that start whole systems.

use std::path::PathBuf;

/// The path of a built program, such as `sluice-worker`: beside the folder of the test itself.
///
/// # Panics
///
/// When it is not built: `cargo xtask test` builds all.
#[expect(
    clippy::panic,
    reason = "a test without its programs should end, and say why"
)]
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let folder = test.parent().and_then(|deps| deps.parent());
    let path = folder.map(|folder| folder.join(name)).unwrap_or_default();
    if !path.exists() {
        panic!(
            "{} is not built; run `cargo build --workspace --bins`, or all tests by `cargo xtask test`",
            path.display()
        );
    }
    path
}
