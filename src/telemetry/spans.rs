//! Spans by OTLP (HTTP, protobuf) to an OpenTelemetry collector. Where to, how much and under which name is in the
//! standard variables, which the OpenTelemetry SDK reads itself.

use std::time::Duration;

use async_trait::async_trait;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry::{Key, KeyValue};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Layer, Registry};

use crate::engine::trace::TraceId;

/// How long the collector may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last spans may take when the process ends.
const LAST: Duration = Duration::from_secs(3);

/// Sends spans, from a thread of its own.
#[derive(Debug)]
pub struct Exporter(SdkTracerProvider);

/// The layer that turns our spans into OpenTelemetry's, and what sends them.
///
/// # Errors
/// If the environment's settings cannot be used, or this is called outside of tokio's runtime.
pub fn exporter() -> Result<(Box<dyn Layer<Registry> + Send + Sync>, Exporter), String> {
    let failed = |error: &dyn std::fmt::Display| format!("spans cannot be exported: {error}");
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client().map_err(|error| failed(&error))?)
        .build()
        .map_err(|error| failed(&error))?;
    let provider = SdkTracerProvider::builder()
        .with_resource(resource())
        .with_batch_exporter(exporter)
        .build();
    // Ours, and the requests to the API server within them; never the exporter's own.
    let wanted = Targets::new()
        .with_target("bailiwick", LevelFilter::DEBUG)
        .with_target("kube_client", LevelFilter::DEBUG);
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("bailiwick"))
        .with_filter(wanted);
    Ok((layer.boxed(), Exporter(provider)))
}

impl Exporter {
    /// Sends the last spans.
    pub async fn end(self) {
        // It blocks, while the request itself runs on this runtime.
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(LAST)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last spans could not be sent");
        }
    }
}

/// Who speaks: `OTEL_SERVICE_NAME`, or our name.
fn resource() -> Resource {
    let given = Resource::builder().build();
    let name = given.get(&Key::new("service.name"));
    let unknown = name.is_none_or(|name| name.as_str().starts_with("unknown_service"));
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    match unknown {
        true => builder.with_service_name("bailiwick").build(),
        false => builder.build(),
    }
}

/// The HTTP stack that we have already. The SDK sends from a thread that knows nothing of tokio.
#[derive(Debug)]
struct OnRuntime {
    client: HyperClient<HttpsConnector<HttpConnector>>,
    runtime: Handle,
}

fn client() -> Result<OnRuntime, HttpError> {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(OnRuntime {
        client: HyperClient::new(connector, TIMEOUT, None),
        runtime: Handle::try_current()?,
    })
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = async move { client.send_bytes(request).await };
        self.runtime.spawn(sent).await?
    }
}

/// The trace that a span belongs to.
pub fn trace_of(span: &tracing::Span) -> Option<TraceId> {
    let context = span.context();
    let context = context.span().span_context().clone();
    context
        .is_valid()
        .then(|| TraceId(u128::from_be_bytes(context.trace_id().to_bytes())))
}
