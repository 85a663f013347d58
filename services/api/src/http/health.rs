//! `/healthz`, `/readyz`, `/metrics`: how this process and what it leans on are.

use std::time::Duration;

use axum::{
    extract::{FromRequestParts, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use commands::{Origin, Refusal};
use eventstore::missing_migrations;
use formats::Timestamp;
use projections::{ProjectionStatus, work};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    Answer, ApiState, Problem,
    extract::Json,
    openapi::{Door, Op, Shape},
};

/// How long `/readyz` takes at most.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// From how many events on a read model counts as lagging.
const LAGGING: u64 = 1_000;
/// For how long a mail may be due before it is amiss, in milliseconds.
const MAIL_LATE: i64 = 5 * 60 * 1_000;

pub(super) fn door() -> Door {
    Door::new()
        .get(
            "/healthz",
            alive,
            Op::new("healthz", "Whether this process answers").answers(200, "It does", Shape::Other("text/plain")),
        )
        .get(
            "/readyz",
            ready,
            Op::new(
                "readyz",
                "Whether this process can do its work, with the state of each part it needs",
            )
            .answers(200, "It can; `degraded` names what is amiss", Shape::Json("Readiness"))
            .answers(503, "It cannot", Shape::Json("Readiness")),
        )
        .get(
            "/metrics",
            metrics,
            Op::new("metrics", "Prometheus text; to addresses of operators only")
                .answers(200, "The figures", Shape::Other("text/plain"))
                .refuses(404, "NOT_FOUND"),
        )
}

async fn alive() -> &'static str {
    "ok\n"
}

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Condition {
    /// As it should be.
    Ok,
    /// Amiss, but calls are answered.
    Degraded,
    /// Calls cannot be answered.
    Unavailable,
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    status: Condition,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Check {
    const fn ok(name: &'static str) -> Self {
        Self {
            name,
            status: Condition::Ok,
            detail: None,
        }
    }

    fn amiss(name: &'static str, status: Condition, detail: impl Into<String>) -> Self {
        Self {
            name,
            status,
            detail: Some(detail.into()),
        }
    }
}

#[derive(Debug, Serialize)]
struct Readiness {
    status: Condition,
    checks: Vec<Check>,
}

async fn ready(State(state): State<ApiState>) -> Response {
    let pool = state.app.pool();
    let due = Timestamp::from_millis(state.app.now().millis() - MAIL_LATE);
    let (database, migrations, projections, mail) = tokio::join!(
        timeout(ANSWER_WITHIN, pool.acquire()),
        timeout(ANSWER_WITHIN, missing_migrations(pool)),
        timeout(ANSWER_WITHIN, projections::status(pool)),
        timeout(ANSWER_WITHIN, work::overdue(pool, work::MAIL, due)),
    );
    let database = match database {
        Ok(Ok(_)) => Check::ok("database"),
        Ok(Err(_)) => Check::amiss("database", Condition::Unavailable, "no connection"),
        Err(_) => Check::amiss("database", Condition::Unavailable, "no answer in time"),
    };
    let migrations = match migrations {
        Ok(Ok(0)) => Check::ok("migrations"),
        Ok(Ok(n)) => Check::amiss(
            "migrations",
            Condition::Unavailable,
            format!("{n} are missing: portcullis migrate"),
        ),
        Ok(Err(_)) => Check::amiss("migrations", Condition::Unavailable, "not to be read"),
        Err(_) => Check::amiss("migrations", Condition::Unavailable, "no answer in time"),
    };
    let projections = match projections {
        Ok(Ok(all)) => check_projections(&all),
        Ok(Err(_)) => Check::amiss("projections", Condition::Degraded, "not to be read"),
        Err(_) => Check::amiss("projections", Condition::Degraded, "no answer in time"),
    };
    let mail = check_mail(state.config.mail, mail.ok().and_then(Result::ok));
    let mut checks = vec![database, migrations, projections, mail];
    if state.shutdown.is_cancelled() {
        checks.push(Check::amiss("process", Condition::Unavailable, "about to stop"));
    }
    let status = checks.iter().map(|check| check.status).max().unwrap_or(Condition::Ok);
    let code = if status == Condition::Unavailable {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (code, Json(Readiness { status, checks })).into_response()
}

/// Says how many tenants' mails wait, never whose.
fn check_mail(settings: bool, waiting: Option<u64>) -> Check {
    let waiting = match waiting {
        Some(0) => None,
        Some(tenants) => Some(format!("mails of {tenants} tenants wait for more than five minutes")),
        None => Some("what waits is not to be read".to_owned()),
    };
    let none = (!settings).then(|| "no SMTP settings: mails wait in the outbox".to_owned());
    let amiss: Vec<_> = none.into_iter().chain(waiting).collect();
    if amiss.is_empty() {
        Check::ok("mail")
    } else {
        Check::amiss("mail", Condition::Degraded, amiss.join("; "))
    }
}

/// Names read models, never tenants: the page is open.
fn check_projections(all: &[ProjectionStatus]) -> Check {
    let name = "projections";
    let parked: Vec<_> = all
        .iter()
        .filter(|p| !p.parked.is_empty())
        .map(|p| p.name.as_str())
        .collect();
    let lagging: Vec<_> = all
        .iter()
        .filter(|p| p.lag > LAGGING)
        .map(|p| p.name.as_str())
        .collect();
    match (parked.is_empty(), lagging.is_empty()) {
        (true, true) => Check::ok(name),
        (false, _) => {
            let detail = format!("parked: {}; see portcullis projections status", parked.join(", "));
            Check::amiss(name, Condition::Degraded, detail)
        }
        (true, false) => Check::amiss(name, Condition::Degraded, format!("lagging: {}", lagging.join(", "))),
    }
}

/// A caller to whom figures may be shown.
struct Shown;

impl FromRequestParts<ApiState> for Shown {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Answer<Self> {
        let address = parts.extensions.get::<Origin>().and_then(|origin| origin.address);
        if state.config.shows_metrics_to(address) {
            Ok(Self)
        } else {
            Err(Problem::not_found("address"))
        }
    }
}

async fn metrics(State(state): State<ApiState>, _: Shown) -> Answer<Response> {
    let mut text = state.metrics.text().map_err(Refusal::internal)?;
    text.push_str(&super::figures::text(&state.app).await);
    Ok((
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn projection(name: &str, lag: u64, parked: bool) -> ProjectionStatus {
        let parked = parked.then(|| projections::Parked {
            tenant: formats::TenantId::default(),
            build: 1,
            live: true,
            position: 7,
            error: "secret".to_owned(),
            at: formats::Timestamp::from_millis(0),
            attempts: 1,
        });
        let parked = parked.into_iter().collect();
        ProjectionStatus {
            name: name.to_owned(),
            version: 1,
            tenants: 1,
            behind: 0,
            lag,
            building: 0,
            parked,
        }
    }

    #[test]
    fn mails_that_wait_are_counted_by_tenants() {
        assert_eq!(check_mail(true, Some(0)).status, Condition::Ok);
        let late = check_mail(true, Some(2));
        assert_eq!(late.status, Condition::Degraded);
        assert_eq!(
            late.detail.unwrap(),
            "mails of 2 tenants wait for more than five minutes"
        );
        assert_eq!(
            check_mail(false, Some(0)).detail.unwrap(),
            "no SMTP settings: mails wait in the outbox"
        );
    }

    #[test]
    fn what_is_parked_or_lags_is_named_without_its_tenant() {
        assert_eq!(
            check_projections(&[projection("fleet", 3, false)]).status,
            Condition::Ok
        );
        let parked = check_projections(&[projection("fleet", 3, true), projection("policies", 0, false)]);
        assert_eq!(parked.status, Condition::Degraded);
        assert_eq!(
            parked.detail.unwrap(),
            "parked: fleet; see portcullis projections status"
        );
        assert_eq!(
            check_projections(&[projection("fleet", 1_001, false)]).detail.unwrap(),
            "lagging: fleet"
        );
    }
}
