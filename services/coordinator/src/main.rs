//! Boots.

fn main() -> std::process::ExitCode {
    sluice_runtime::boot("sluice-coordinator", sluice_coordinator::serve)
}
