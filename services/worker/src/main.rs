//! Boots.

fn main() -> std::process::ExitCode {
    sluice_runtime::boot("sluice-worker", sluice_worker::serve)
}
