//! Boots.

fn main() -> std::process::ExitCode {
    sluice_runtime::boot("sluice-gateway", sluice_gateway::serve)
}
