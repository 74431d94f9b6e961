//! A plain request for a signed link, and what time the store has.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// Turns a request into the one that a holder of the link would send, with nothing but the URL.
#[derive(Debug)]
pub(crate) struct AsLink(pub(crate) Secret);

/// A URL that works.
pub(crate) struct Secret(pub(crate) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Secret(..)")
    }
}

impl Intercept for AsLink {
    fn name(&self) -> &'static str {
        "AsLink"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let names: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, _)| name.to_owned())
            .collect();
        for name in names {
            request.headers_mut().remove(name);
        }
        request.set_uri(self.0.0.as_str())?;
        Ok(())
    }
}

/// Remembers the `Date` of the last answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoreClock(Arc<Mutex<Option<SystemTime>>>);

impl StoreClock {
    pub(crate) fn seen(&self) -> Option<SystemTime> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intercept for StoreClock {
    fn name(&self) -> &'static str {
        "StoreClock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        let date = date.and_then(|date| SystemTime::try_from(date).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date;
        Ok(())
    }
}
