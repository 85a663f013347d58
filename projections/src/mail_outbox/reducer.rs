//! Which events are told to whom.

use eventstore::TenantTx;
use formats::{RequestId, TypedId, UserId};
use model::{
    catalogue::AnyEvent,
    request::{CancelCause, Flag, RequestEvent},
    user::UserEvent,
};

use super::{MailKind, NAME, Outgoing, Recipients};
use crate::{
    Build, Delta, Envelope, FlushError, FoldError, Projection,
    columns::{column, moment, number, small},
    projection::BoxFuture,
    work,
};

/// The read model of mails.
#[derive(Debug, Clone, Copy, Default)]
pub struct MailOutbox;

impl Projection for MailOutbox {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [&'static str] {
        &["mail_outbox"]
    }

    fn streams(&self) -> Option<&'static [&'static str]> {
        Some(&["request", "user"])
    }

    fn start(&self) -> Box<dyn Delta> {
        Box::new(MailDelta::default())
    }

    fn went_live<'a>(&'a self, tx: &'a mut TenantTx, _build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        Box::pin(async move { Ok(super::settle_work(tx).await?) })
    }
}

#[derive(Debug, Default)]
struct MailDelta(Vec<Outgoing>);

impl MailDelta {
    fn about(&mut self, at: &Envelope, kind: MailKind, to: Recipients, request: RequestId, by: Option<UserId>) {
        self.push(at, kind, to, Some(request), None, by);
    }

    fn push(
        &mut self,
        at: &Envelope,
        kind: MailKind,
        recipients: Recipients,
        request: Option<RequestId>,
        user: Option<UserId>,
        by: Option<UserId>,
    ) {
        self.0.push(Outgoing {
            position: at.position,
            n: kind.n(),
            kind,
            recipients,
            request,
            user,
            by,
            at: at.recorded_at,
        });
    }

    /// The end of a request: the requester learns the outcome, and whoever was asked that nothing is left to do.
    fn settled(&mut self, at: &Envelope, outcome: MailKind, request: RequestId, by: Option<UserId>) {
        self.about(at, outcome, Recipients::Requester, request, None);
        self.about(at, MailKind::Handled, Recipients::Asked, request, by);
    }

    fn request(&mut self, at: &Envelope, event: &RequestEvent) {
        match event {
            RequestEvent::RequestSubmitted(e) => {
                if e.flags.contains(&Flag::NoApprover) {
                    self.about(at, MailKind::NoApprover, Recipients::Administrators, e.request, e.user);
                } else {
                    self.about(at, MailKind::Submitted, Recipients::Primary, e.request, e.user);
                }
            }
            RequestEvent::RequestEscalated(e) => {
                self.about(at, MailKind::Escalated, Recipients::Secondary, e.request, e.by);
            }
            RequestEvent::RequestApproved(e) => self.settled(at, MailKind::Approved, e.request, Some(e.approver)),
            RequestEvent::RequestDenied(e) => self.settled(at, MailKind::Denied, e.request, Some(e.approver)),
            RequestEvent::RequestExpired(e) => self.settled(at, MailKind::Expired, e.request, e.by),
            RequestEvent::RequestCancelled(e) => self.settled(at, MailKind::Cancelled, e.request, e.by),
            RequestEvent::GrantRevoked(e) => {
                // Whoever gave a grant back themselves need not be told.
                let by = e.by.filter(|_| e.cause == CancelCause::Withdrawn);
                self.about(at, MailKind::GrantRevoked, Recipients::Requester, e.request, by);
            }
            RequestEvent::GrantOverused(e) => {
                self.about(at, MailKind::GrantOverused, Recipients::Administrators, e.request, None);
            }
            RequestEvent::RequestRepeated(_)
            | RequestEvent::ApprovalGiven(_)
            | RequestEvent::GrantUsed(_)
            | RequestEvent::GrantExhausted(_)
            | RequestEvent::GrantExpired(_) => {}
        }
    }
}

impl Delta for MailDelta {
    fn fold(&mut self, event: &Envelope) -> Result<(), FoldError> {
        match &event.event {
            AnyEvent::Request(e) => self.request(event, e),
            AnyEvent::User(e) => match e {
                UserEvent::ChannelLocked(e) => {
                    self.push(
                        event,
                        MailKind::ChannelLocked,
                        Recipients::Administrators,
                        None,
                        Some(e.user),
                        None,
                    );
                }
                UserEvent::UserInvited(e) => {
                    let kind = if e.reset {
                        MailKind::PasswordReset
                    } else {
                        MailKind::Invited
                    };
                    self.push(event, kind, Recipients::User, None, Some(e.user), None);
                }
                UserEvent::UserCreated(_)
                | UserEvent::UserChanged(_)
                | UserEvent::UserDisabled(_)
                | UserEvent::UserEnabled(_)
                | UserEvent::UserProvisioned(_)
                | UserEvent::UserDeprovisioned(_)
                | UserEvent::PasswordChanged(_)
                | UserEvent::MfaEnrolled(_)
                | UserEvent::PasskeyRegistered(_)
                | UserEvent::PasskeyRemoved(_)
                | UserEvent::PasskeyFlagged(_)
                | UserEvent::MfaRemoved(_)
                | UserEvent::CodeVerified(_)
                | UserEvent::SignedIn(_)
                | UserEvent::IdentityLinked(_)
                | UserEvent::IdentitiesUnlinked(_)
                | UserEvent::SignedOut(_) => {}
            },
            AnyEvent::Tenant(_)
            | AnyEvent::Person(_)
            | AnyEvent::Roles(_)
            | AnyEvent::Team(_)
            | AnyEvent::Platform(_)
            | AnyEvent::Scim(_)
            | AnyEvent::ServiceAccount(_)
            | AnyEvent::IdentityProvider(_)
            | AnyEvent::DeploymentGroup(_)
            | AnyEvent::Endpoint(_)
            | AnyEvent::Activity(_)
            | AnyEvent::Collection(_)
            | AnyEvent::Policy(_)
            | AnyEvent::ApprovalRules(_) => {}
        }
        Ok(())
    }

    fn flush<'a>(self: Box<Self>, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        Box::pin(async move {
            if self.0.is_empty() {
                return Ok(());
            }
            insert(&self.0, tx, build.number).await?;
            let tasks: Vec<&Outgoing> = self.0.iter().filter(|row| build.causes_effects(row.position)).collect();
            make_tasks(&tasks, tx).await
        })
    }
}

async fn insert(rows: &[Outgoing], tx: &mut TenantTx, build: i32) -> Result<(), FlushError> {
    sqlx::query(
        "insert into mail_outbox (tenant_id, build, position, n, kind, recipient, request_id, user_id, by_id, at)
         select $1, $2, * from unnest($3::bigint[], $4::integer[], $5::text[], $6::text[], $7::uuid[], $8::uuid[],
           $9::uuid[], $10::timestamptz[])",
    )
    .bind(tx.tenant().uuid())
    .bind(build)
    .bind(column(rows, |r| number(r.position)))
    .bind(column(rows, |r| small(r.n)))
    .bind(column(rows, |r| r.kind.as_str()))
    .bind(column(rows, |r| r.recipients.as_str()))
    .bind(column(rows, |r| r.request.map(TypedId::uuid)))
    .bind(column(rows, |r| r.user.map(TypedId::uuid)))
    .bind(column(rows, |r| r.by.map(TypedId::uuid)))
    .bind(column(rows, |r| moment(r.at)))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn make_tasks(rows: &[&Outgoing], tx: &mut TenantTx) -> Result<(), FlushError> {
    let Some(first) = rows.first() else { return Ok(()) };
    sqlx::query(
        "insert into mail_task (tenant_id, position, n)
         select $1, * from unnest($2::bigint[], $3::integer[]) on conflict do nothing",
    )
    .bind(tx.tenant().uuid())
    .bind(column(rows, |r| number(r.position)))
    .bind(column(rows, |r| small(r.n)))
    .execute(&mut **tx)
    .await?;
    Ok(work::add(tx, work::MAIL, first.at).await?)
}
