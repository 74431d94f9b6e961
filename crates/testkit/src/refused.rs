//! Programs that should not start.

use std::process::Command;

/// What a service says when it is started with what cannot work.
///
/// # Panics
///
/// When it starts all the same, or does not say why not.
pub fn refuses_what_cannot_work(program: &str) {
    let folder = std::env::temp_dir();
    let refused = |variables: &[(&str, &str)]| {
        let ended = Command::new(program)
            .envs(variables.iter().copied())
            .env("SLUICE_DATA_DIR", folder.join("sluice-refused"))
            .env("SLUICE_SERVER__LISTEN", "127.0.0.1:0")
            .env("SLUICE_SERVER__AUTHORIZATION", "off")
            .output();
        let ended = ended.map(|ended| (ended.status.code(), ended.stderr));
        let (code, text) = ended.unwrap_or_default();
        assert_eq!(code, Some(1), "{program}");
        String::from_utf8_lossy(&text).into_owned()
    };
    let checked = Command::new(program)
        .arg("--check")
        .env("SLUICE_SERVER__LISTEN", "127.0.0.1:0")
        .env("SLUICE_SERVER__AUTHORIZATION", "off")
        .status();
    assert!(checked.is_ok_and(|status| status.success()), "{program}");
    let source = ("SLUICE_TENANTS__DEFAULT__SOURCE", "ndjson:data");
    for (variables, reason) in [
        (&[][..], "no tenant is set"),
        (&[source], "ports.index is memory:"),
        (&[source, ("SLUICE_NO__SUCH", "1")], "SLUICE_NO__SUCH"),
    ] {
        let text = refused(variables);
        assert!(text.contains(reason), "{text}");
    }
}
