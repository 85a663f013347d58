//! Logs and traces. Logs go to standard error; traces to an OTLP collector where one is named.

use anyhow::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// Keeps the exporter alive; flushes it when dropped.
#[derive(Debug, Default)]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.0.take() {
            let _ = provider.shutdown();
        }
    }
}

/// Begins to log at this level (`RUST_LOG` wins), as text or as JSON, and to export traces where `otlp` names a
/// collector (`http://host:4318/v1/traces`).
///
/// # Errors
/// Where the exporter can't be made.
pub fn begin(level: &str, json: bool, otlp: Option<&str>) -> anyhow::Result<Telemetry> {
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(format!("{level},sqlx=warn,hyper=warn,h2=warn,lettre=warn")))
        .context("log level")?;
    let provider = match otlp {
        Some(endpoint) => {
            let exporter = opentelemetry_otlp::SpanExporter::builder()
                .with_http()
                .with_endpoint(endpoint)
                .build()
                .context("otlp")?;
            let resource = Resource::builder().with_service_name("portcullis").build();
            let provider = SdkTracerProvider::builder()
                .with_batch_exporter(exporter)
                .with_resource(resource)
                .build();
            opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
            Some(provider)
        }
        None => None,
    };
    let traces = provider
        .as_ref()
        .map(|p| tracing_opentelemetry::layer().with_tracer(p.tracer("portcullis")));
    let (text, structured) = if json {
        (
            None,
            Some(tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr)),
        )
    } else {
        (
            Some(
                tracing_subscriber::fmt::layer()
                    .with_writer(std::io::stderr)
                    .with_target(false),
            ),
            None,
        )
    };
    let _ = tracing_subscriber::registry()
        .with(filter)
        .with(text)
        .with(structured)
        .with(traces)
        .try_init();
    Ok(Telemetry(provider))
}
