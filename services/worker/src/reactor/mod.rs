//! Events whose consequence is a command: a closed account ends its requests, a removed endpoint too, a recorded use of
//! a grant is counted.
//!
//! A reactor is a projection whose effect is a command under an id derived from the event, so that a crash between the
//! command and the cursor repeats it without effect.

mod store;

use std::time::Duration;

use commands::{App, Outcome, Refusal};
use eventstore::{Recorded, as_of_now};
use formats::TenantId;
use futures_util::{FutureExt, StreamExt, stream};
use model::{
    activity::ActivityEvent, catalogue::AnyEvent, endpoint::EndpointEvent, request::RequestEvent, roles::RolesEvent,
    scim::ScimEvent, team::TeamEvent, user::UserEvent,
};
use tokio_util::sync::CancellationToken;

use crate::{AGAIN, failed, news, pause};

/// The name of its cursor, for ever.
pub const NAME: &str = "reactor";
/// How often it looks for logs whose ring was lost.
const SWEEP: Duration = Duration::from_secs(2);
/// How long it rests once it has caught up: what happens meanwhile is read together.
const REST: Duration = Duration::from_millis(50);
/// Events that are read at once: one turn of a tenant, after which the others have theirs.
const BATCH: u32 = 100;
/// Tenants of a round.
const MOST: u32 = 64;
/// Tenants that are worked on at once.
const TENANTS: usize = 4;

/// Reacts until it is to stop.
pub async fn run(app: App, stop: CancellationToken) {
    let mut subscription = app.store.subscribe();
    loop {
        let wait = match app.store.tenants_with_news(NAME, MOST).await {
            Ok(tenants) => {
                // Where the list is full there may be others.
                let full = tenants.len() >= MOST as usize;
                let mut wait = if full { REST } else { SWEEP };
                // Side by side, so that nobody waits for the tenant with the most events.
                let turns = tenants.into_iter().map(|tenant| turn(&app, tenant).boxed());
                let mut turns = stream::iter(turns).buffer_unordered(TENANTS);
                while let Some(done) = turns.next().await {
                    match done {
                        Ok(true) => wait = Duration::ZERO,
                        Ok(false) => {}
                        Err(error) => {
                            failed("reactor", &error);
                            wait = AGAIN;
                        }
                    }
                }
                wait
            }
            Err(error) => {
                failed("reactor", &error);
                AGAIN
            }
        };
        let go_on = if wait == Duration::ZERO {
            !stop.is_cancelled()
        } else {
            pause(&stop, REST).await && news(&stop, &mut subscription, wait).await
        };
        if !go_on {
            return;
        }
    }
}

/// Reacts to one batch of a tenant's events; whether there may be more of them at once.
///
/// # Errors
/// Where the database is away, or a command failed: the cursor stays in front of that event.
pub async fn turn(app: &App, tenant: TenantId) -> Outcome<bool> {
    let mut tx = eventstore::TenantTx::begin(app.pool(), tenant).await?;
    let Some(cursor) = store::lock(&mut tx).await? else {
        return Ok(false);
    };
    let events = app.store.read(tenant, cursor, BATCH).await?;
    let Some(last) = events.last().map(|event| event.position) else {
        return Ok(false);
    };
    if events.iter().any(concerns) && !app.settled(tenant, last).await {
        return Err(Refusal::unavailable("the read models are behind"));
    }
    as_of_now(async {
        for event in &events {
            react(app, tenant, event).await?;
        }
        Outcome::Ok(())
    })
    .await?;
    store::advance(&mut tx, last).await?;
    tx.commit().await?;
    Ok(events.len() >= BATCH as usize)
}

fn concerns(event: &Recorded) -> bool {
    matches!(
        event.body.event_type.as_str(),
        "UserDisabled"
            | "EndpointRemoved"
            | "ActionRecorded"
            | "RequestSubmitted"
            | "TeamMembersChanged"
            | "TeamDeleted"
            | "TeamRolesMapped"
            | "ScimAccountAttributeChanged"
    )
}

async fn react(app: &App, tenant: TenantId, event: &Recorded) -> Outcome<()> {
    if !concerns(event) {
        return Ok(());
    }
    let position = event.position;
    let body = &event.body;
    match AnyEvent::read(&body.stream.stream_type, &body.event_type, &body.data).map_err(Refusal::internal)? {
        AnyEvent::User(UserEvent::UserDisabled(e)) => app.end_requests_of_user(tenant, e.user, position).await,
        AnyEvent::Endpoint(EndpointEvent::EndpointRemoved(e)) => {
            app.end_requests_of_endpoint(tenant, e.endpoint, position).await
        }
        // The command that changed it does this too; here it is done where that process ended in between.
        AnyEvent::Team(TeamEvent::TeamMembersChanged(e)) => app.follow_team(tenant, e.team).await,
        AnyEvent::Team(TeamEvent::TeamDeleted(e)) => app.follow_team(tenant, e.team).await,
        AnyEvent::Roles(RolesEvent::TeamRolesMapped(e)) => app.follow_team(tenant, e.team).await,
        AnyEvent::Scim(ScimEvent::ScimAccountAttributeChanged(_)) => app.link_known_accounts(tenant).await,
        AnyEvent::Activity(ActivityEvent::ActionRecorded(e)) => match e.grant {
            Some(request) => app.count_grant_use(tenant, request, e.by_server(), position).await,
            None => Ok(()),
        },
        // Filed at the very moment in which the account was closed or the endpoint removed.
        AnyEvent::Request(RequestEvent::RequestSubmitted(e)) => {
            app.end_if_orphaned(tenant, e.request, e.user, e.endpoint, position)
                .await
        }
        _ => Ok(()),
    }
}
