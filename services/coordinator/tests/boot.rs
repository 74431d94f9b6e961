//! How the program starts, and says why it does not. That it is tested here has cargo build it for
//! the tests of whole systems too.
#![expect(clippy::unwrap_used, reason = "what surprises a test should end it")]

use std::process::Command;

fn refused(variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice-coordinator"));
    let home = tempfile::tempdir().unwrap();
    let ended = command
        .envs(variables.iter().copied())
        .env("SLUICE_DATA_DIR", home.path())
        .env("SLUICE_SERVER__LISTEN", "127.0.0.1:0")
        .output()
        .unwrap();
    assert_eq!(ended.status.code(), Some(1));
    String::from_utf8(ended.stderr).unwrap()
}

#[test]
fn what_cannot_work_is_refused_in_plain_words() {
    let text = refused(&[]);
    assert!(text.contains("no tenant is set"), "{text}");
    let source = ("SLUICE_TENANTS__DEFAULT__SOURCE", "ndjson:data");
    let text = refused(&[source]);
    assert!(text.contains("ports.index is memory:"), "{text}");
    let text = refused(&[source, ("SLUICE_NO__SUCH", "1")]);
    assert!(text.contains("SLUICE_NO__SUCH"), "{text}");
}
