//! Logs and traces. Logs go to standard error; traces to an OTLP collector where one is named.

use std::io::{self, Write};

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
        (None, Some(tracing_subscriber::fmt::layer().json().with_writer(stderr)))
    } else {
        (
            Some(
                tracing_subscriber::fmt::layer()
                    .with_writer(stderr)
                    .with_ansi(false)
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

/// Standard error, on which an event is a line whatever somebody else wrote into it.
fn stderr() -> OneLine<io::Stderr> {
    OneLine(io::stderr())
}

/// Writes events, each as one line of what can be seen: control characters, separators of lines and marks that turn the
/// direction of text are written as `\u{…}` would be in JSON. The formatter hands over a whole event at once.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(one_line(&String::from_utf8_lossy(event)).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn one_line(event: &str) -> String {
    let (text, end) = event.strip_suffix('\n').map_or((event, ""), |text| (text, "\n"));
    let mut line = String::with_capacity(event.len());
    for c in text.chars() {
        if c.is_control() || is_invisible(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                line.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            line.push(c);
        }
    }
    line.push_str(end);
    line
}

/// Separators of lines and paragraphs, and marks without a shape of their own.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const EVIL: &str = "robin\n2026-01-01T00:00:00Z  INFO signed in as owner\r\u{1b}[2K\u{202e}txt\u{2028}\u{85}end";

    /// What is written when a stranger's text is in a message, a field, a debug form and a span, as text and as JSON.
    fn written<W: Write + 'static>(wrap: fn(Kept) -> W, json: bool) -> String {
        let kept = Kept::default();
        let writer = {
            let kept = kept.clone();
            move || wrap(kept.clone())
        };
        let (text, structured) = if json {
            (None, Some(tracing_subscriber::fmt::layer().json().with_writer(writer)))
        } else {
            (
                Some(tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false)),
                None,
            )
        };
        let subscriber = tracing_subscriber::registry().with(text).with(structured);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("call", path = EVIL);
            let _inside = span.enter();
            tracing::warn!(name = EVIL, shown = %EVIL, debug = ?EVIL, "no such user {EVIL}");
        });
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_strangers_text_never_makes_a_second_line_nor_turns_one_round() {
        for json in [false, true] {
            let line = written(OneLine, json);
            let text = line.strip_suffix('\n').unwrap();
            assert!(text.chars().all(|c| !c.is_control() && !is_invisible(c)), "{text:?}");
            assert!(
                text.contains("\\u202etxt") && text.contains("signed in as owner"),
                "{text}"
            );
            if json {
                let event: serde_json::Value = serde_json::from_str(text).unwrap();
                assert_eq!(event["fields"]["name"], EVIL, "readers of JSON get it as it was");
            }
        }
    }

    #[test]
    fn control_without_the_guard_the_same_text_makes_lines_of_its_own() {
        let text = written(std::convert::identity, false);
        assert!(text.lines().count() > 1 && text.contains('\u{202e}'), "{text:?}");
    }
}
