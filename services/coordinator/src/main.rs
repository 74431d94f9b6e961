//! Boots.

fn main() -> std::process::ExitCode {
    sluice_runtime::boot(sluice_coordinator::serve)
}
