//! Traces: where spans are sent, and how they are tied together across processes by the W3C
//! `traceparent`.

use std::collections::HashMap;

use anyhow::{Context as _, bail};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::TelemetrySection;

/// What sends spans, if the settings name a collector. It has a thread of its own.
pub(super) fn exporter(
    section: &TelemetrySection,
    resource: Resource,
) -> anyhow::Result<Option<SdkTracerProvider>> {
    let Some(endpoint) = &section.otlp_endpoint else {
        return Ok(None);
    };
    // The client that sends cannot be made without, whatever the address.
    let _already_set = rustls::crypto::ring::default_provider().install_default();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .with_headers(headers(section.otlp_headers.reveal())?)
        .build()
        .with_context(|| format!("preparing traces for {endpoint} (telemetry.otlp_endpoint)"))?;
    let ratio = f64::from(section.sample_percent) / 100.0;
    // By the trace's id alone, so that every process decides alike and no caller decides for us.
    let sampler = Sampler::TraceIdRatioBased(ratio);
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(sampler)
        .with_resource(resource)
        .build();
    Ok(Some(provider))
}

/// `name=value`, separated by commas.
fn headers(text: &str) -> anyhow::Result<HashMap<String, String>> {
    let mut headers = HashMap::new();
    for header in text.split(',').filter(|header| !header.trim().is_empty()) {
        let Some((name, value)) = header.split_once('=') else {
            bail!("telemetry.otlp_headers: it must be NAME=VALUE, with commas between several");
        };
        headers.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    Ok(headers)
}

/// Makes a span that has not begun a part of a caller's trace.
pub fn follow(span: &Span, traceparent: &str) {
    if let Some(caller) = parse(traceparent) {
        let caller = Context::new().with_remote_span_context(caller);
        let _nobody_traces = span.set_parent(caller);
    }
}

/// Links a span to another trace: what caused it, where one trace for all would be too much.
pub fn link(span: &Span, traceparent: &str) {
    if let Some(cause) = parse(traceparent) {
        span.add_link(cause);
    }
}

/// What names a span to other processes; nothing where nobody traces.
pub fn traceparent(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| {
        let flags = span.trace_flags().to_u8();
        format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id())
    })
}

/// Reads what W3C Trace Context says; later versions may say more behind it.
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let (span, flags) = (parts.next()?, parts.next()?);
    let lengths = [version, trace, span, flags].map(str::len);
    if lengths != [2, 32, 16, 2] || version == "ff" {
        return None;
    }
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_read_as_w3c_says() {
        let context = parse(GOOD).unwrap();
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        assert!(context.is_sampled() && context.is_remote());
        for wrong in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319x-b7ad6b7169203331-01",
        ] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn headers_are_names_and_values() {
        let read = headers("a=1, b=2=3,").unwrap();
        assert_eq!((read["a"].as_str(), read["b"].as_str()), ("1", "2=3"));
        assert!(headers("").unwrap().is_empty());
        assert!(headers("secret").is_err());
    }

    #[test]
    fn where_nobody_traces_a_span_has_no_name() {
        assert_eq!(traceparent(&Span::none()), None);
        follow(&Span::none(), GOOD);
        link(&Span::none(), GOOD);
    }
}
