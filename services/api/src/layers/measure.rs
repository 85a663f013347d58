//! What is counted of calls: Prometheus text at `/metrics`.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder, proto::MetricFamily,
};

/// The doors' own counters. Others' are read from Prometheus' default registry, beside them.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
    open: IntGauge,
}

impl Metrics {
    /// Counters at zero.
    ///
    /// # Errors
    /// Where two have one name: a defect.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new(
                "portcullis_http_requests_total",
                "Calls that were answered, by route template",
            ),
            &["method", "route", "status"],
        )?;
        let buckets = vec![
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
        ];
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "portcullis_http_request_duration_seconds",
                "Time until the head of the answer",
            )
            .buckets(buckets),
            &["method", "route"],
        )?;
        let open = IntGauge::new("portcullis_http_requests_open", "Calls that wait for their answer")?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(open.clone()))?;
        Ok(Self {
            registry,
            requests,
            seconds,
            open,
        })
    }

    pub(crate) fn begin(&self) {
        self.open.inc();
    }

    pub(crate) fn end(&self) {
        self.open.dec();
    }

    pub(crate) fn count(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        let method = method_label(method);
        self.requests.with_label_values(&[method, route, status.as_str()]).inc();
        self.seconds
            .with_label_values(&[method, route])
            .observe(took.as_secs_f64());
    }

    /// Everything, as Prometheus reads it.
    ///
    /// # Errors
    /// Where a metric has no text form: a defect.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        let mut families: Vec<MetricFamily> = self.registry.gather();
        families.extend(prometheus::gather());
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Methods that callers make up share one label.
pub(crate) const fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_template_and_made_up_methods_together() {
        let metrics = Metrics::new().unwrap();
        let made_up = Method::from_bytes(b"BREW").unwrap();
        metrics.count(&made_up, "unmatched", StatusCode::NOT_FOUND, Duration::from_millis(3));
        metrics.count(
            &Method::GET,
            "/agent/v1/requests/{id}",
            StatusCode::OK,
            Duration::from_millis(3),
        );
        let text = metrics.text().unwrap();
        let line = "portcullis_http_requests_total{method=\"other\",route=\"unmatched\",status=\"404\"} 1";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("route=\"/agent/v1/requests/{id}\",status=\"200\"} 1"));
    }
}
