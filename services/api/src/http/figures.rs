//! What waits in the installation at the moment of a scrape: gauges that are read from the database, beside the counters
//! of this process.

use std::time::Duration;

use commands::{App, Outcome, Refusal};
use formats::Timestamp;
use projections::{escalation_schedule, mail_outbox, work};
use prometheus::{Encoder, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

/// How long reading may take; where it takes longer, the gauges are left out of this scrape.
const WITHIN: Duration = Duration::from_secs(2);
/// The most tenants that are looked into: those whose work is due longest.
const TENANTS: u32 = 200;

/// The gauges as Prometheus reads them; empty where the database is away or slow.
pub(super) async fn text(app: &App) -> String {
    match tokio::time::timeout(WITHIN, read(app)).await {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => {
            tracing::warn!(%error, "no figures of what waits");
            String::new()
        }
        Err(_) => String::new(),
    }
}

async fn read(app: &App) -> Outcome<String> {
    let (registry, now) = (Registry::new(), app.now());
    let gauge = |name: &str, help: &str, value: u64| -> Result<(), prometheus::Error> {
        let gauge = IntGauge::new(name, help)?;
        gauge.set(value.try_into().unwrap_or(i64::MAX));
        registry.register(Box::new(gauge))
    };
    let seconds = |since: Option<Timestamp>| {
        let millis = since.map_or(0, |since| now.millis().saturating_sub(since.millis()));
        u64::try_from(millis).unwrap_or(0) / 1_000
    };

    let (mut waiting, mut oldest) = (0, None);
    for (tenant, _) in work::first(app.pool(), work::MAIL, TENANTS).await? {
        let mut tx = app.reading(tenant).await?;
        let mails = mail_outbox::waiting(&mut tx).await?;
        waiting += mails.count;
        oldest = earlier(oldest, mails.oldest);
    }
    let (mut due, mut late) = (0, None);
    for (tenant, since) in work::first(app.pool(), work::TIMERS, TENANTS).await? {
        if since > now {
            break;
        }
        let mut tx = app.reading(tenant).await?;
        due += escalation_schedule::count_due(&mut tx, now).await?;
        late = earlier(late, Some(since));
    }
    let projections = projections::status(app.pool()).await?;

    let written = || -> Result<(), prometheus::Error> {
        gauge("portcullis_mails_waiting", "Mails to be sent or tried again", waiting)?;
        gauge(
            "portcullis_mails_waiting_oldest_seconds",
            "Age of the oldest of them",
            seconds(oldest),
        )?;
        gauge(
            "portcullis_timers_due",
            "Timers whose time has come and that have not fired",
            due,
        )?;
        gauge(
            "portcullis_timers_late_seconds",
            "How long the longest due of them waits",
            seconds(late),
        )?;
        let by_projection = |name: &str, help: &str| -> Result<IntGaugeVec, prometheus::Error> {
            let gauges = IntGaugeVec::new(Opts::new(name, help), &["projection"])?;
            registry.register(Box::new(gauges.clone()))?;
            Ok(gauges)
        };
        let lag = by_projection(
            "portcullis_projection_lag_events",
            "The most events that a tenant's rows of a read model lack",
        )?;
        let behind = by_projection("portcullis_projection_behind_tenants", "Tenants whose rows lack any")?;
        let parked = by_projection(
            "portcullis_projection_parked_tenants",
            "Tenants where a read model stands still",
        )?;
        for projection in &projections {
            let set = |gauges: &IntGaugeVec, value: u64| {
                let gauge = gauges.with_label_values(&[projection.name.as_str()]);
                gauge.set(value.try_into().unwrap_or(i64::MAX));
            };
            set(&lag, projection.lag);
            set(&behind, projection.behind);
            set(&parked, projection.parked.len() as u64);
        }
        Ok(())
    };
    written().map_err(Refusal::internal)?;
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(&registry.gather(), &mut text)
        .map_err(Refusal::internal)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}
