//! `/dispatch` and `/dead` on the admin port: shows what is handed out, pauses it, lets it go on, and has dead
//! letters tried again.

use std::sync::Arc;

use serde_json::json;
use sluice_engine::{Control, ControlError};
use sluice_runtime::{AdminAnswer, AdminApi, AdminRequest};

use super::{answer, origin, port_trouble};

/// `GET /dispatch`, `POST /dispatch/pause` and `resume`, and the same of a tenant below its name.
pub(super) fn dispatch_api(control: Control) -> AdminApi {
    let control = Arc::new(control);
    AdminApi::new("/dispatch", move |request| {
        let control = Arc::clone(&control);
        Box::pin(async move { rendered(dispatch(&control, &request).await) })
    })
}

/// `POST /dead/requeue`.
pub(super) fn dead_api(control: Control) -> AdminApi {
    let control = Arc::new(control);
    AdminApi::new("/dead", move |request| {
        let control = Arc::clone(&control);
        Box::pin(async move { rendered(dead(&control, &request).await) })
    })
}

async fn dispatch(control: &Control, request: &AdminRequest) -> Result<AdminAnswer, ControlError> {
    let control = control.asked_from(origin(request));
    let path = request.path.strip_prefix("/dispatch").unwrap_or_default();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let (tenant, what) = match (parts.as_slice(), request.method.as_str()) {
        ([], "GET") => return Ok(answer(200, &control.show().await?)),
        ([], _) => return Ok(AdminAnswer::not_allowed("GET")),
        ([what @ ("pause" | "resume")], "POST") => (None, *what),
        ([tenant, what @ ("pause" | "resume")], "POST") => {
            let tenant = tenant.parse().map_err(|_| ControlError::UnknownTenant)?;
            (Some(tenant), *what)
        }
        (["pause" | "resume"] | [_, "pause" | "resume"], _) => {
            return Ok(AdminAnswer::not_allowed("POST"));
        }
        _ => return Ok(AdminAnswer::refused(404, "there is no such path")),
    };
    if what == "pause" {
        control.pause(tenant.as_ref()).await?;
    } else {
        control.resume(tenant.as_ref()).await?;
    }
    Ok(AdminAnswer::new(204, ""))
}

async fn dead(control: &Control, request: &AdminRequest) -> Result<AdminAnswer, ControlError> {
    match (request.path.as_str(), request.method.as_str()) {
        ("/dead/requeue", "POST") => {
            let control = control.asked_from(origin(request));
            let moved = control.requeue_dead().await?;
            Ok(answer(200, &json!({ "requeued": moved })))
        }
        ("/dead/requeue", _) => Ok(AdminAnswer::not_allowed("POST")),
        _ => Ok(AdminAnswer::refused(404, "there is no such path")),
    }
}

fn rendered(done: Result<AdminAnswer, ControlError>) -> AdminAnswer {
    done.unwrap_or_else(|error| match &error {
        ControlError::UnknownTenant => AdminAnswer::refused(404, &error.to_string()),
        ControlError::Port(trouble) => port_trouble(trouble, "look at the dispatch and try again"),
    })
}
