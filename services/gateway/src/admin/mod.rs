//! What the admin port answers besides its probes: clients, jobs, and what operators do to the dispatch.

mod clients;
mod dispatch;
mod jobs;

use serde::Serialize;
use sluice_engine::{Cancel, Clients, Control, Jobs, Origin, Ports, Tenants};
use sluice_ports::PortError;
use sluice_runtime::{AdminAnswer, AdminApi, AdminRequest};

/// All of it, for these tenants and their clients.
pub fn admin_apis(ports: &Ports, tenants: &Tenants, clients: Clients) -> Vec<AdminApi> {
    let control = Control::new(ports, tenants);
    vec![
        clients::clients_api(clients, ports.entropy.clone()),
        jobs::jobs_api(
            Jobs::new(ports, tenants),
            Cancel::new(ports),
            tenants.clone(),
        ),
        dispatch::dispatch_api(control.clone()),
        dispatch::dead_api(control),
    ]
}

/// Where an operator is, for the audit.
fn origin(request: &AdminRequest) -> Origin {
    Origin::at(request.address)
}

fn answer(status: u16, body: &impl Serialize) -> AdminAnswer {
    match serde_json::to_string(body) {
        Ok(body) => AdminAnswer::new(status, body),
        Err(error) => AdminAnswer::refused(500, &format!("writing the answer: {error}")),
    }
}

/// Whoever asks is told what was tried; the causes are for the log.
fn port_trouble(trouble: &PortError, advice: &str) -> AdminAnswer {
    tracing::warn!(
        error = trouble.chain(),
        "the admin port cannot do what it is asked now"
    );
    let text = format!("a server did not do its part ({trouble}); {advice}");
    AdminAnswer::come_back(&text)
}
