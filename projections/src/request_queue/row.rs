//! What readers get.

use formats::{EndpointId, PersonId, RequestId, Timestamp, UserId};
use model::request::{
    CancelCause, Flag, GrantStatus, GrantTerms, PolicyRef, RequestDetails, Route, SnapshotRef, Status, Windows,
};
use policy_engine::ActionType;
use sqlx::{Row, postgres::PgRow};

use crate::{ReadError, columns::Columns};

/// A request as it stands in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct QueuedRequest {
    /// The request.
    pub id: RequestId,
    /// Where it stands.
    pub status: Status,
    /// What kind of action it is about.
    pub action_type: ActionType,
    /// Where it was asked.
    pub endpoint: EndpointId,
    /// Who asked.
    pub person: PersonId,
    /// The user that the person was linked to at that moment.
    pub user: Option<UserId>,
    /// HMAC of the digest under the tenant's key, hexadecimal.
    pub digest_mac: String,
    /// The action, its digest and the justification; none once the person was erased.
    pub details: Option<RequestDetails>,
    /// The policies that demand the approval, at the revisions the server evaluated.
    pub policies: Vec<PolicyRef>,
    /// 0 to 100.
    pub risk: u32,
    /// Whether a one-time code is demanded after the approval.
    pub mfa: bool,
    /// How long the elevation lasts, in minutes.
    pub access_minutes: Option<u32>,
    /// The snapshot that the server judged it on.
    pub snapshot: SnapshotRef,
    /// Who was asked.
    pub route: Route,
    /// The windows as they were at submission.
    pub windows: Windows,
    /// What to look at twice, with what came later ([`Flag::SelfApproval`]).
    pub flags: Vec<Flag>,
    /// How often it was asked for while it was open, the first time included.
    pub times: u32,
    /// The request that this one repeats after its end.
    pub previous: Option<RequestId>,
    /// When it was filed.
    pub submitted_at: Timestamp,
    /// The position of its first event.
    pub submitted_position: u64,
    /// When the first window ends.
    pub pending_until: Timestamp,
    /// When the present window ends, or ended. Decisions are refused at and after it, whatever the status says.
    pub deadline: Timestamp,
    /// Once the secondary approvers were asked.
    pub escalation: Option<Escalation>,
    /// When it was settled.
    pub settled_at: Option<Timestamp>,
    /// Who settled it; none for the clock and for reactors.
    pub settled_by: Option<UserId>,
    /// Why it was cancelled.
    pub cancel_cause: Option<CancelCause>,
    /// Why it was cancelled, in words; none where nothing was said or the person was erased.
    pub cancel_reason: Option<String>,
    /// What the approvers said, in order.
    pub decisions: Vec<Decision>,
    /// Once approved.
    pub grant: Option<Grant>,
    /// The position of its last event.
    pub position: u64,
    /// When its last event was recorded.
    pub changed_at: Timestamp,
}

/// How the secondary approvers came to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    /// When; the due time where the clock did it.
    pub at: Timestamp,
    /// When the second window ends.
    pub until: Timestamp,
    /// Who did it before its time; none for the clock.
    pub by: Option<UserId>,
    /// Why, in words; none for the clock, or where the person was erased.
    pub reason: Option<String>,
}

/// What one approver said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Who.
    pub approver: UserId,
    /// Agreed or refused.
    pub approved: bool,
    /// In words; none where nothing was said or the requester was erased.
    pub comment: Option<String>,
    /// The uses this approver allows; none adds no limit.
    pub uses: Option<u32>,
    /// The minutes this approver allows; none adds no limit.
    pub grant_minutes: Option<u32>,
    /// The approver was the requester.
    pub self_approval: bool,
    /// How the approver had proved who they are.
    pub method: Option<String>,
    /// When.
    pub at: Timestamp,
    /// The position of the event.
    pub position: u64,
}

/// The permission that an approved request yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What it permits.
    pub terms: GrantTerms,
    /// Where it stands.
    pub status: GrantStatus,
    /// Permitted uses so far.
    pub used: u32,
    /// When it was last used, by the endpoint's clock.
    pub last_used_at: Option<Timestamp>,
    /// Uses that it did not permit: an alert.
    pub overused: u32,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Who took it back.
    pub ended_by: Option<UserId>,
    /// Why it was taken back.
    pub cause: Option<CancelCause>,
    /// Why it was taken back, in words; none where nothing was said or the person was erased.
    pub reason: Option<String>,
}

/// A request that is open, or whose grant is active: what reactors end when a user or an endpoint goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveRequest {
    /// The request.
    pub id: RequestId,
    /// Whether it is still open; else its grant is active.
    pub open: bool,
}

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Requests that the primary approvers are asked for.
    pub pending: u64,
    /// Requests that the secondary approvers are asked for too.
    pub escalated: u64,
    /// Grants that can be used.
    pub active_grants: u64,
}

pub(super) fn request(row: &PgRow) -> Result<QueuedRequest, ReadError> {
    let escalation = match row.at_or_null("escalated_until")? {
        Some(until) => Some(Escalation {
            at: row.at("escalated_at")?,
            until,
            by: row.id_or_null("escalated_by")?,
            reason: row.try_get("escalation_reason")?,
        }),
        None => None,
    };
    Ok(QueuedRequest {
        id: row.id("request_id")?,
        status: row.word("status")?,
        action_type: row.word("action_type")?,
        endpoint: row.id("endpoint_id")?,
        person: row.id("person_id")?,
        user: row.id_or_null("user_id")?,
        digest_mac: row.try_get("digest_mac")?,
        details: row.document_or_null("details")?,
        policies: row.document("policies")?,
        risk: row.small_count("risk")?,
        mfa: row.try_get("mfa")?,
        access_minutes: row.small_or_null("access_minutes")?,
        snapshot: SnapshotRef {
            epoch: row.small_count("snapshot_epoch")?,
            version: row.count("snapshot_version")?,
            sha256: row
                .try_get::<Option<String>, _>("snapshot_sha256")?
                .and_then(|hash| hash.parse().ok()),
        },
        route: row.document("route")?,
        windows: row.document("windows")?,
        flags: row.words("flags")?,
        times: row.small_count("times")?,
        previous: row.id_or_null("previous_id")?,
        submitted_at: row.at("submitted_at")?,
        submitted_position: row.count("submitted_position")?,
        pending_until: row.at("pending_until")?,
        deadline: row.at("deadline")?,
        escalation,
        settled_at: row.at_or_null("settled_at")?,
        settled_by: row.id_or_null("settled_by")?,
        cancel_cause: cause(row, "cancel_cause")?,
        cancel_reason: row.try_get("cancel_reason")?,
        decisions: Vec::new(),
        grant: grant(row)?,
        position: row.count("position")?,
        changed_at: row.at("changed_at")?,
    })
}

fn grant(row: &PgRow) -> Result<Option<Grant>, ReadError> {
    let Some(status) = row.try_get::<Option<String>, _>("grant_status")? else {
        return Ok(None);
    };
    Ok(Some(Grant {
        terms: GrantTerms {
            not_after: row.at("grant_not_after")?,
            uses: row.small_or_null("grant_uses")?,
            mfa_pending: row.try_get("grant_mfa_pending")?,
        },
        status: crate::columns::read_word(status)?,
        used: row.small_count("grant_used")?,
        last_used_at: row.at_or_null("grant_last_used_at")?,
        overused: row.small_count("grant_overused")?,
        ended_at: row.at_or_null("grant_ended_at")?,
        ended_by: row.id_or_null("grant_ended_by")?,
        cause: cause(row, "grant_cause")?,
        reason: row.try_get("grant_reason")?,
    }))
}

fn cause(row: &PgRow, column: &str) -> Result<Option<CancelCause>, ReadError> {
    row.try_get::<Option<String>, _>(column)?
        .map(crate::columns::read_word)
        .transpose()
}

pub(super) fn decision(row: &PgRow) -> Result<Decision, ReadError> {
    Ok(Decision {
        approver: row.id("approver_id")?,
        approved: row.try_get("approved")?,
        comment: row.try_get("comment")?,
        uses: row.small_or_null("uses")?,
        grant_minutes: row.small_or_null("grant_minutes")?,
        self_approval: row.try_get("self_approval")?,
        method: row.try_get("method")?,
        at: row.at("decided_at")?,
        position: row.count("position")?,
    })
}
