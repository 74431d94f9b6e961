//! A FHIR server as a source.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sluice_local::SystemEntropy;
use sluice_local::ndjson::Catalog;
use sluice_ports::Clock;
use sluice_runtime::{
    FhirAuthSetting, FhirPostSetting, FhirSection, FhirUnsearchableSetting, TenantSection,
};
use sluice_source_fhir::{
    FhirAuth, FhirOptions, FhirSource, PostSearch, SmartClient, Unsearchable,
};

use crate::{Figures, OpenSource};

/// Opens a tenant's FHIR server; what it holds is not counted.
pub(crate) async fn source(
    section: &TenantSection,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<OpenSource> {
    let options = options(section)?;
    let source = FhirSource::connect(options, clock, Arc::new(SystemEntropy)).await?;
    let asked = source.clone();
    Ok(OpenSource {
        source: Arc::new(source),
        catalog: Catalog::default(),
        figures: Some(Figures::Answers(Arc::new(move || asked.answers()))),
    })
}

fn options(section: &TenantSection) -> anyhow::Result<FhirOptions> {
    let settings = &section.fhir;
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let identity = match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => Some([read(certificate)?, read(key)?].concat()),
        _ => None,
    };
    let roots = settings.ca_file.as_deref().map(read).transpose()?;
    Ok(FhirOptions {
        allow_http: settings.allow_http,
        auth: auth(settings)?,
        identity_pem: identity,
        extra_roots_pem: roots,
        page: size(settings.page.get()),
        ids_per_search: size(settings.ids_per_search.get()),
        patients_per_chunk: size(settings.patients_per_chunk.get()),
        post: match settings.post {
            FhirPostSetting::Long => PostSearch::Long,
            FhirPostSetting::Always => PostSearch::Always,
            FhirPostSetting::Never => PostSearch::Never,
        },
        unsearchable: match settings.unsearchable {
            FhirUnsearchableSetting::Scan => Unsearchable::Scan,
            FhirUnsearchableSetting::LeaveOut => Unsearchable::LeaveOut,
        },
        concurrency: size(settings.concurrency.get()),
        per_second: settings.requests_per_second,
        most_bytes: size(settings.max_body_mib.get()).saturating_mul(1 << 20),
        timeout: Duration::from_secs(settings.timeout_seconds.get().into()),
        lag: Duration::from_secs(settings.lag_seconds.into()),
        ..FhirOptions::new(&section.source)
    })
}

fn auth(settings: &FhirSection) -> anyhow::Result<FhirAuth> {
    Ok(match settings.auth {
        FhirAuthSetting::None => FhirAuth::None,
        FhirAuthSetting::Bearer => {
            let file = settings.token_file.clone();
            FhirAuth::Bearer(file.context("fhir.token_file is missing")?)
        }
        FhirAuthSetting::Basic => FhirAuth::Basic {
            user: settings.user.clone().context("fhir.user is missing")?,
            password: settings.password.reveal().to_owned(),
        },
        FhirAuthSetting::Smart => FhirAuth::Smart(SmartClient {
            client_id: settings
                .client_id
                .clone()
                .context("fhir.client_id is missing")?,
            key_pem: read(
                settings
                    .key_file
                    .as_deref()
                    .context("fhir.key_file is missing")?,
            )?,
            kid: settings.key_id.clone().context("fhir.key_id is missing")?,
            token_url: settings.token_url.clone(),
            scope: settings.scope.clone(),
        }),
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("reading {}", path.display()))
}
