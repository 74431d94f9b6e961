//! What the gateway writes down about who did what, before it happens. Starting and deleting exports are
//! written down by the engine.

use std::time::Duration;

use actix_web::HttpRequest;
use sluice_auth::AccessToken;
use sluice_engine::{
    Audit, AuditAction, AuditEntry, AuditOutcome, Caller, Origin, Ports, TokenFailure,
};
use sluice_model::{JobRef, Manifest, ManifestFile, TenantId};
use sluice_ports::{PortError, Rate};

use crate::visit::origin;

/// Refusals that are written down: of each client that showed who it is, and of all others together, so many
/// at once and then one a second. Anybody can cause them, and should be able neither to fill the outbox nor
/// to hide what a client tries.
const REFUSALS: Rate = Rate {
    burst: 100,
    every: Duration::from_secs(1),
};

/// Writes AuditEvents.
pub(crate) struct Auditing {
    audit: Audit,
    ports: Ports,
}

impl Auditing {
    pub(crate) fn new(ports: &Ports, audit: &Audit) -> Self {
        Self {
            audit: audit.clone(),
            ports: ports.clone(),
        }
    }

    pub(crate) async fn token_issued(
        &self,
        request: &HttpRequest,
        tenant: &TenantId,
        token: &AccessToken,
    ) -> Result<(), PortError> {
        let mut entry = AuditEntry::new(tenant, AuditAction::TokenIssued, AuditOutcome::Success);
        entry.actor = origin(request).actor();
        entry.actor.client = Some(token.client.to_string());
        entry.actor.token = Some(token.jti.clone());
        entry.details.push(("scopes", token.scopes.to_string()));
        self.audit.record(&entry).await
    }

    /// The client is who it says to be; nothing proves it.
    pub(crate) async fn token_refused(
        &self,
        request: &HttpRequest,
        tenant: &TenantId,
        failure: &TokenFailure,
    ) -> Result<(), PortError> {
        let TokenFailure::Refused { refusal, claimed } = failure else {
            return Ok(());
        };
        let mut entry = AuditEntry::new(tenant, AuditAction::TokenRefused, AuditOutcome::Refused);
        entry.actor = origin(request).actor();
        entry.details.push(("reason", refusal.reason.to_owned()));
        if let Some(claimed) = claimed {
            entry.details.push(("claimed-client", claimed.to_string()));
        }
        self.refused(&entry).await
    }

    /// Somebody asked for what is not theirs, or did not show who they are.
    pub(crate) async fn access_refused(
        &self,
        tenant: &TenantId,
        (caller, origin): (Option<&Caller>, Origin),
        reason: String,
    ) -> Result<(), PortError> {
        let mut entry = AuditEntry::new(tenant, AuditAction::AccessRefused, AuditOutcome::Refused);
        entry.actor = caller.map_or_else(|| origin.actor(), Caller::actor);
        entry.details.push(("reason", reason));
        self.refused(&entry).await
    }

    async fn refused(&self, entry: &AuditEntry) -> Result<(), PortError> {
        let who = entry.actor.client.as_ref();
        let who = who.map_or("others".to_owned(), |client| format!("client/{client}"));
        let tenant = entry.tenant.as_ref().map_or("", TenantId::as_str);
        let budget = format!("audit/refused/{tenant}/{who}");
        if self.ports.index.spend(&budget, REFUSALS).await?.is_some() {
            tracing::warn!(tenant, "refusals are too many to be written down each");
            return Ok(());
        }
        self.audit.record(entry).await
    }

    /// A manifest, and with it all links that are in it.
    pub(crate) async fn manifest_served(
        &self,
        caller: &Caller,
        job: &JobRef,
        manifest: &Manifest,
    ) -> Result<(), PortError> {
        let action = AuditAction::ManifestServed;
        let mut entry = AuditEntry::new(&job.tenant, action, AuditOutcome::Success);
        entry.actor = caller.actor();
        entry.job = Some(job.clone());
        let files = manifest.output.iter();
        let resources: u64 = files.clone().map(|file| file.count).sum();
        entry.details.push(("files", files.len().to_string()));
        entry.details.push(("resources", resources.to_string()));
        let deleted = manifest.deleted.len();
        if deleted > 0 {
            entry.details.push(("deleted-files", deleted.to_string()));
        }
        self.audit.record(&entry).await
    }

    pub(crate) async fn file_served(
        &self,
        caller: &Caller,
        job: &JobRef,
        file: &ManifestFile,
    ) -> Result<(), PortError> {
        let mut entry =
            AuditEntry::new(&job.tenant, AuditAction::FileServed, AuditOutcome::Success);
        entry.actor = caller.actor();
        entry.job = Some(job.clone());
        entry.details.push(("type", file.kind.name().to_owned()));
        entry.details.push(("resources", file.count.to_string()));
        entry.details.push(("sha256", file.sha256.clone()));
        self.audit.record(&entry).await
    }
}
