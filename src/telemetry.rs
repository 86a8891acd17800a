//! Logs, for people or for machines, and spans for a collector. No value of a Secret is ever put into a field.
//!
//! Every pass is a span that names its object and a trace id, so that all lines of one pass can be found by either.

pub mod panics;
#[cfg(feature = "otel")]
mod spans;

use std::io::IsTerminal;

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::engine::trace::TraceId;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// What has to be told that the process ends.
#[derive(Debug)]
#[must_use]
pub struct Telemetry {
    #[cfg(feature = "otel")]
    spans: Option<spans::Exporter>,
}

impl Telemetry {
    /// Sends what has not been sent yet.
    pub async fn end(self) {
        #[cfg(feature = "otel")]
        if let Some(spans) = self.spans {
            spans.end().await;
        }
    }
}

/// Starts logging to standard error, panics too, and, if `export`, sending spans to where the environment says. `filter` is in the
/// syntax of `tracing_subscriber::EnvFilter`.
///
/// # Errors
/// If the filter or the exporter's settings cannot be read, or logging has been started already.
pub fn start(format: LogFormat, filter: &str, export: bool) -> Result<Telemetry, String> {
    let ansi = std::io::stderr().is_terminal();
    let (subscriber, telemetry) = build((format, ansi), filter, export, std::io::stderr)?;
    subscriber
        .try_init()
        .map_err(|e| format!("logging could not be started: {e}"))?;
    panics::log();
    if export && !cfg!(feature = "otel") {
        tracing::warn!(
            "the environment names a collector for spans, but this binary is built without the feature `otel`"
        );
    }
    Ok(telemetry)
}

/// The same with another destination for the lines, with or without colours, and not started yet.
///
/// # Errors
/// If the filter or the exporter's settings cannot be read.
pub fn build<W>(
    (format, ansi): (LogFormat, bool),
    filter: &str,
    export: bool,
    writer: W,
) -> Result<(impl tracing::Subscriber + Send + Sync, Telemetry), String>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter).map_err(|e| format!("--log-filter {filter:?}: {e}"))?;
    // A reader of our lines that has gone away is nothing to complain about, least of all where it cannot be read.
    let lines = tracing_subscriber::fmt::layer::<Registry>()
        .with_writer(writer)
        .with_ansi(ansi)
        .log_internal_errors(false);
    let lines = match format {
        LogFormat::Human => lines.with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    };
    #[cfg_attr(
        not(feature = "otel"),
        expect(unused_mut, reason = "one more layer with it")
    )]
    let mut layers = vec![lines];
    #[cfg(feature = "otel")]
    let spans = if export {
        let (layer, exporter) = spans::exporter()?;
        layers.push(layer);
        Some(exporter)
    } else {
        None
    };
    #[cfg(not(feature = "otel"))]
    let _ = export;
    let telemetry = Telemetry {
        #[cfg(feature = "otel")]
        spans,
    };
    Ok((tracing_subscriber::registry().with(layers), telemetry))
}

/// The OpenTelemetry trace that a span belongs to, if it is sent anywhere.
pub fn trace_of(span: &tracing::Span) -> Option<TraceId> {
    #[cfg(feature = "otel")]
    return spans::trace_of(span);
    #[cfg(not(feature = "otel"))]
    {
        let _ = span;
        None
    }
}
