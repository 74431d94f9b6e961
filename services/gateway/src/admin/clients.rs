//! The admin port's `/clients`: registers clients, shows, changes and removes them.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use sluice_auth::{ClientId, Registration};
use sluice_engine::{ClientError, ClientView, Clients, Origin};
use sluice_model::TenantId;
use sluice_ports::Entropy;
use sluice_runtime::{AdminAnswer, AdminApi, AdminRequest};

use super::{answer, origin, port_trouble};

/// Manages the clients of all tenants; `entropy` names those who come without an id.
pub(super) fn clients_api(clients: Clients, entropy: Arc<dyn Entropy>) -> AdminApi {
    let desk = Arc::new(Desk { clients, entropy });
    AdminApi::new("/clients", move |request| {
        let desk = Arc::clone(&desk);
        Box::pin(async move {
            let desk = desk.asked_from(origin(&request));
            let answered = desk.answer(&request).await;
            answered.unwrap_or_else(Problem::render)
        })
    })
}

struct Desk {
    clients: Clients,
    entropy: Arc<dyn Entropy>,
}

/// Why something was not done.
enum Problem {
    Client(ClientError),
    Body(String),
    NoSuchPath,
    Method(&'static str),
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl Desk {
    fn asked_from(&self, origin: Origin) -> Self {
        Self {
            clients: self.clients.asked_from(origin),
            entropy: Arc::clone(&self.entropy),
        }
    }

    async fn answer(&self, request: &AdminRequest) -> Result<AdminAnswer, Problem> {
        let path = request.path.strip_prefix("/clients/").unwrap_or_default();
        let parts: Vec<&str> = path.split('/').collect();
        let method = request.method.as_str();
        match (parts.as_slice(), method) {
            ([tenant], "GET") => self.list(&named(tenant)?).await,
            ([tenant], "POST") => self.add(&named(tenant)?, &request.body).await,
            ([""], _) => Err(Problem::NoSuchPath),
            ([_], _) => Err(Problem::Method("GET, POST")),
            ([tenant, id], "GET") => self.show(&named(tenant)?, &named(id)?).await,
            ([tenant, id], "PUT") => {
                let (tenant, id) = (named(tenant)?, named(id)?);
                let mut body = object(&request.body)?;
                let seen = seen(&mut body)?;
                let new = (registration(body)?, seen);
                self.clients.replace(&tenant, &id, new).await?;
                self.show(&tenant, &id).await
            }
            ([tenant, id], "DELETE") => {
                self.clients.remove(&named(tenant)?, &named(id)?).await?;
                Ok(AdminAnswer::new(204, ""))
            }
            ([_, _], _) => Err(Problem::Method("GET, PUT, DELETE")),
            ([tenant, id, what @ ("enable" | "disable")], "POST") => {
                let (tenant, id) = (named(tenant)?, named(id)?);
                let enabled = *what == "enable";
                self.clients.set_enabled(&tenant, &id, enabled).await?;
                self.show(&tenant, &id).await
            }
            ([_, _, "enable" | "disable"], _) => Err(Problem::Method("POST")),
            _ => Err(Problem::NoSuchPath),
        }
    }

    async fn list(&self, tenant: &TenantId) -> Result<AdminAnswer, Problem> {
        let clients = self.clients.list(tenant).await?;
        Ok(answer(200, &json!({ "clients": clients })))
    }

    async fn show(&self, tenant: &TenantId, id: &ClientId) -> Result<AdminAnswer, Problem> {
        Ok(answer(200, &self.clients.show(tenant, id).await?))
    }

    async fn add(&self, tenant: &TenantId, body: &[u8]) -> Result<AdminAnswer, Problem> {
        let mut body = object(body)?;
        let id = match body.remove("id") {
            Some(Value::String(id)) => id
                .parse()
                .map_err(|wrong| Problem::Body(format!("id: {wrong}")))?,
            Some(_) => return Err(Problem::Body("id must be a text".to_owned())),
            None => self.new_id()?,
        };
        let registration = registration(body)?;
        self.clients.add(tenant, &id, registration.clone()).await?;
        // It is registered; that it cannot be read just now must not look as if it were not.
        let view = self.clients.show(tenant, &id).await;
        let view = view.unwrap_or_else(|_| ClientView {
            tenant: tenant.clone(),
            id,
            version: 1,
            declared: false,
            changed: None,
            registration,
        });
        Ok(answer(201, &view))
    }

    fn new_id(&self) -> Result<ClientId, Problem> {
        let mut random = [0; 8];
        self.entropy.fill(&mut random).map_err(ClientError::Port)?;
        let id = format!("c-{}", hex::encode(random)).parse();
        id.map_err(|wrong| Problem::Body(format!("id: {wrong}")))
    }
}

/// The version that whoever replaces a client has seen, if they say so.
fn seen(body: &mut Map<String, Value>) -> Result<Option<u32>, Problem> {
    let wrong = || Problem::Body("version must be the number that was shown".to_owned());
    let Some(version) = body.remove("version") else {
        return Ok(None);
    };
    let version = version
        .as_u64()
        .and_then(|number| u32::try_from(number).ok());
    version.map(Some).ok_or_else(wrong)
}

/// A tenant or a client whose name cannot be one is not there.
fn named<T: std::str::FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::NoSuchPath)
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::Body(format!("the body is no JSON object: {error}")))
}

fn registration(body: Map<String, Value>) -> Result<Registration, Problem> {
    serde_json::from_value(Value::Object(body)).map_err(|error| Problem::Body(error.to_string()))
}

impl Problem {
    fn render(self) -> AdminAnswer {
        let error = match self {
            Self::Client(error) => error,
            Self::Body(text) => return AdminAnswer::refused(400, &text),
            Self::NoSuchPath => {
                return AdminAnswer::refused(404, "there is no such tenant, client or path");
            }
            Self::Method(allow) => return AdminAnswer::not_allowed(allow),
        };
        match &error {
            ClientError::UnknownTenant | ClientError::Unknown => {
                AdminAnswer::refused(404, &error.to_string())
            }
            ClientError::Taken | ClientError::Declared | ClientError::Conflict => {
                AdminAnswer::refused(409, &error.to_string())
            }
            ClientError::Invalid(_) => AdminAnswer::refused(400, &error.to_string()),
            ClientError::Port(trouble) => port_trouble(trouble, "look at the client and try again"),
        }
    }
}
