//! What a request shows to be let in: nothing, a token from a file, or one that the server gives to
//! this client.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use crate::event::Teller;
use crate::tokens::Tokens;
use crate::{ExportError, ExportOptions};

/// Where tokens come from.
#[derive(Clone)]
pub(crate) enum Access {
    /// None are needed.
    Open,
    /// Somebody else puts them there.
    File(PathBuf),
    /// SMART Backend Services.
    Smart(Arc<Tokens>),
}

impl Access {
    /// As the options say, which must not say two things.
    pub(crate) fn new(
        options: &ExportOptions,
        headers: &HeaderMap,
        teller: Teller,
    ) -> Result<Self, ExportError> {
        let wrong = |text: &str| Err(ExportError::BadOption(text.to_owned()));
        let Some(credentials) = &options.credentials else {
            let file = options.bearer_token_file.clone();
            return Ok(file.map_or(Self::Open, Self::File));
        };
        if options.bearer_token_file.is_some() {
            return wrong("use either a client id and its key or a token file, not both");
        }
        if headers.contains_key(AUTHORIZATION) {
            return wrong("a client id and its key cannot go with an Authorization header");
        }
        if credentials.client_id.is_empty() {
            return wrong("the client id is empty");
        }
        let tokens = Tokens::new(options, credentials, headers.clone(), teller)?;
        Ok(Self::Smart(Arc::new(tokens)))
    }

    /// The value of `Authorization`, if there is to be one.
    pub(crate) async fn header(&self) -> Result<Option<HeaderValue>, ExportError> {
        match self {
            Self::Open => Ok(None),
            // Read anew each time: tokens live for minutes, exports for hours.
            Self::File(path) => token(path).map(Some),
            Self::Smart(tokens) => tokens.header(None).await.map(Some),
        }
    }

    /// Another one, after this was refused; `None` when there is no way to have one.
    pub(crate) async fn instead_of(
        &self,
        refused: &HeaderValue,
    ) -> Result<Option<HeaderValue>, ExportError> {
        match self {
            Self::Open | Self::File(_) => Ok(None),
            Self::Smart(tokens) => tokens.header(Some(refused)).await.map(Some),
        }
    }
}

fn token(path: &Path) -> Result<HeaderValue, ExportError> {
    let text = std::fs::read_to_string(path)
        .map_err(ExportError::local(format!("reading {}", path.display())))?;
    let mut value = HeaderValue::from_str(&format!("Bearer {}", text.trim()))
        .map_err(|_| ExportError::BadOption("the token file holds no token".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
