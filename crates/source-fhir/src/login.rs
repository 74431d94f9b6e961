//! Who Sluice is to the server: the `Authorization` header of each request.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Client;
use reqwest::header::HeaderValue;
use sluice_ports::{Clock, Entropy, PortError};
use tokio::sync::Mutex;
use url::Url;

use crate::failure::Failure;
use crate::options::{FhirAuth, FhirOptions};
use crate::smart::Smart;

/// How Sluice shows who it is.
pub(crate) enum Login {
    Nobody,
    Bearer {
        file: PathBuf,
        held: Mutex<Option<HeaderValue>>,
    },
    Basic(HeaderValue),
    Smart(Box<Smart>),
}

impl Login {
    pub(crate) fn new(
        options: &FhirOptions,
        base: &Url,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, PortError> {
        Ok(match &options.auth {
            FhirAuth::None => Self::Nobody,
            FhirAuth::Bearer(file) => Self::Bearer {
                file: file.clone(),
                held: Mutex::default(),
            },
            FhirAuth::Basic { user, password } => {
                let pair = STANDARD.encode(format!("{user}:{password}"));
                let header = header(&format!("Basic {pair}"));
                Self::Basic(
                    header
                        .map_err(|failure| failure.during("using fhir.user and fhir.password"))?,
                )
            }
            FhirAuth::Smart(client) => {
                Self::Smart(Box::new(Smart::new(client, base, clock, entropy)?))
            }
        })
    }

    /// The header to send.
    pub(crate) async fn header(&self, http: &Client) -> Result<Option<HeaderValue>, Failure> {
        match self {
            Self::Nobody => Ok(None),
            Self::Basic(header) => Ok(Some(header.clone())),
            Self::Bearer { file, held } => {
                let mut held = held.lock().await;
                if let Some(header) = &*held {
                    return Ok(Some(header.clone()));
                }
                let text = tokio::fs::read_to_string(file).await;
                let text = text.map_err(|_| {
                    Failure::Login(format!("the token file {} cannot be read", file.display()))
                })?;
                let fresh = header(&format!("Bearer {}", text.trim()))?;
                Ok(Some(held.insert(fresh).clone()))
            }
            Self::Smart(smart) => smart.header(http).await.map(Some),
        }
    }

    /// Whether another header may be had.
    pub(crate) fn can_renew(&self) -> bool {
        matches!(self, Self::Bearer { .. } | Self::Smart(_))
    }

    /// The server did not take this header.
    pub(crate) async fn refused(&self, header: Option<&HeaderValue>) {
        match self {
            Self::Nobody | Self::Basic(_) => {}
            Self::Bearer { held, .. } => {
                let mut held = held.lock().await;
                if held.as_ref() == header {
                    *held = None;
                }
            }
            Self::Smart(smart) => smart.refused(header).await,
        }
    }
}

/// A header that is never shown.
pub(crate) fn header(text: &str) -> Result<HeaderValue, Failure> {
    let header = HeaderValue::from_str(text);
    let mut header = header
        .map_err(|_| Failure::Login("the credentials cannot be sent in a header".to_owned()))?;
    header.set_sensitive(true);
    Ok(header)
}
