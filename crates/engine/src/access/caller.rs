//! Who asks, and what that lets them do.

use std::net::IpAddr;
use std::sync::Arc;

use sluice_auth::{Client, Permissions, Scopes};
use sluice_fhir::{Level, ResourceType};
use sluice_model::JobRecord;

use crate::Actor;

/// Where a request came from, for the audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The peer's address.
    pub address: Option<String>,
    /// The request's `X-Request-Id`.
    pub request_id: Option<String>,
}

impl Origin {
    /// Whoever calls from an address.
    pub fn at(address: IpAddr) -> Self {
        Self {
            address: Some(address.to_string()),
            request_id: None,
        }
    }

    /// Somebody there, of whom no more is known.
    pub fn actor(&self) -> Actor {
        Actor {
            address: self.address.clone(),
            request_id: self.request_id.clone(),
            ..Actor::default()
        }
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// From where.
    pub origin: Origin,
    who: Option<Holder>,
}

/// Who holds an access token.
#[derive(Clone, Debug)]
struct Holder {
    client: Arc<Client>,
    scopes: Scopes,
    token: String,
}

impl Caller {
    /// Anyone at all: authorization is off.
    pub fn anyone(origin: Origin) -> Self {
        Self { origin, who: None }
    }

    /// A client with a token named `token` that has these scopes.
    pub fn client(client: Arc<Client>, scopes: Scopes, token: String, origin: Origin) -> Self {
        let who = Some(Holder {
            client,
            scopes,
            token,
        });
        Self { origin, who }
    }

    /// The client's id; none while authorization is off.
    pub fn id(&self) -> Option<&str> {
        self.who.as_ref().map(|who| who.client.id.as_str())
    }

    /// The name of the token (`jti`), which is no secret.
    pub fn token(&self) -> Option<&str> {
        self.who.as_ref().map(|who| who.token.as_str())
    }

    /// What is registered of the client.
    pub fn registered(&self) -> Option<&Client> {
        self.who.as_ref().map(|who| who.client.as_ref())
    }

    /// Whether the token lets this be done with a type.
    pub fn may(&self, kind: ResourceType, needed: Permissions) -> bool {
        let allows = |who: &Holder| who.scopes.allow(kind, needed);
        self.who.as_ref().is_none_or(allows)
    }

    /// Whether resources of a type may be exported. Outcomes about an export go with it.
    pub fn may_export_type(&self, kind: ResourceType) -> bool {
        kind == ResourceType::OPERATION_OUTCOME || self.may(kind, Permissions::EXPORT)
    }

    /// Whether the client may export at a level.
    pub fn may_export(&self, level: &Level) -> bool {
        self.registered()
            .is_none_or(|client| client.may_export(level))
    }

    /// Whether a group is there for the client.
    pub fn may_see(&self, group: &str) -> bool {
        self.registered().is_none_or(|client| client.may_see(group))
    }

    /// The caller as the audit knows it.
    pub fn actor(&self) -> Actor {
        Actor {
            client: self.id().map(str::to_owned),
            token: self.token().map(str::to_owned),
            ..self.origin.actor()
        }
    }

    /// Whether a job is the caller's own. A job from when authorization was off is nobody's since.
    pub fn owns(&self, job: &JobRecord) -> bool {
        job.client.as_deref() == self.id()
    }
}
