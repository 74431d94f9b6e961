//! Programs of the workspace, for tests that start whole systems.

use std::path::PathBuf;

/// The path of a built program, such as `sluice-worker`: beside the folder of the test itself.
///
/// # Panics
///
/// When it is not built: `cargo xtask test` builds all.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let folder = test.parent().and_then(|deps| deps.parent());
    let path = folder.map(|folder| folder.join(name)).unwrap_or_default();
    assert!(
        path.exists(),
        "{} is not built; run `cargo xtask test`, which builds all",
        path.display()
    );
    path
}
