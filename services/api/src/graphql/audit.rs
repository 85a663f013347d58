//! The tenant's log, as an auditor reads it.

use async_graphql::{Context, ID, InputObject, Json, Object, connection::EmptyFields};
use commands::Act;
use formats::hash::to_hex;
use projections::{
    Page,
    audit_trail::{AuditEntry, Filter},
};
use serde_json::Value;

use super::{
    actor::Actor,
    context::{Ask, Frame},
    error::Answer,
    ids::{any, of_stream},
    paging::{Connection, connect, cost, page},
    scalars::{DateTime, Position},
};

#[derive(Debug, Clone)]
pub(crate) struct AuditEvent(pub(crate) AuditEntry);

/// What an event's id begins with.
const PREFIX: &str = "evt_";

impl AuditEvent {
    /// One event by its id.
    pub(crate) async fn find(frame: &Frame, id: &str) -> Answer<Option<Self>> {
        let position = id.strip_prefix(PREFIX).and_then(|position| position.parse().ok());
        match position {
            Some(position) => Self::at(frame, position).await,
            None => Ok(None),
        }
    }

    async fn at(frame: &Frame, position: u64) -> Answer<Option<Self>> {
        frame.caller.demand(Act::ReadAudit)?;
        let mut tx = frame.tx().await?;
        Ok(projections::audit_trail::find(&mut tx, position).await?.map(Self))
    }
}

/// One event of the log.
#[Object]
impl AuditEvent {
    /// `evt_` and the position.
    pub(crate) async fn id(&self) -> ID {
        ID(format!("{PREFIX}{}", self.0.position))
    }

    async fn position(&self) -> Position {
        Position(self.0.position)
    }

    /// Such as `RequestApproved`.
    #[graphql(name = "type")]
    async fn event_type(&self) -> &str {
        &self.0.event_type
    }

    async fn stream_type(&self) -> &str {
        &self.0.stream_type
    }

    async fn stream_id(&self) -> ID {
        of_stream(&self.0.stream_type, self.0.stream_id)
    }

    async fn stream_version(&self) -> i32 {
        self.0.stream_version.try_into().unwrap_or(i32::MAX)
    }

    async fn occurred_at(&self) -> DateTime {
        self.0.occurred_at.into()
    }

    async fn recorded_at(&self) -> DateTime {
        self.0.recorded_at.into()
    }

    async fn actor(&self) -> Actor {
        Actor::new(self.0.actor_kind, self.0.actor_id.clone())
    }

    /// Such as `password+totp`, `api_key`.
    async fn authentication(&self) -> Option<&str> {
        self.0.method.as_deref()
    }

    async fn address(&self) -> Option<&str> {
        self.0.address.as_deref()
    }

    async fn correlation_id(&self) -> ID {
        ID(self.0.correlation.to_string())
    }

    /// The id of the event that caused it.
    async fn causation_id(&self) -> Option<ID> {
        self.0.causation.map(|position| ID(format!("{PREFIX}{position}")))
    }

    /// A sentence for people.
    async fn summary(&self) -> String {
        summary(&self.0.event_type, &self.0.data)
    }

    /// The event's data; sealed fields that may be read are opened, erased ones are null.
    async fn data(&self) -> Json<&Value> {
        Json(&self.0.data)
    }

    /// SHA-256 over the stored bytes, as in the Merkle tree, in hexadecimal.
    async fn leaf(&self) -> String {
        to_hex(&self.0.leaf)
    }

    /// Marked as needing a second look, such as an exception that was saved.
    async fn marked(&self) -> bool {
        self.0.marked
    }
}

/// `RequestApproved` is `Request approved`; what it is about is named where the data names it.
pub(crate) fn summary(event_type: &str, data: &Value) -> String {
    let mut words = String::new();
    for character in event_type.chars() {
        if character.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
            words.push(character.to_ascii_lowercase());
        } else {
            words.push(character);
        }
    }
    let text = |pointer: &str| {
        data.pointer(pointer)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let subject = [
        "/name",
        "/document/name",
        "/definition/name",
        "/machine/name",
        "/account",
        "/method",
        "/status",
        "/details/action/file",
        "/details/action/commandLine",
        "/details/action/application/path",
    ]
    .into_iter()
    .find_map(text);
    for (word, said) in [("Api ", "API "), ("Mfa ", "MFA ")] {
        words = words.replace(word, said);
    }
    // Why it is marked, such as `unlinked_requester`.
    let flags = data.get("flags").and_then(Value::as_array).map(|flags| {
        let flags: Vec<_> = flags.iter().filter_map(Value::as_str).collect();
        flags.join(", ").replace('_', " ")
    });
    if event_type == "NumbersReused" {
        let records = data.get("records").and_then(Value::as_u64).unwrap_or(1);
        let many = if records == 1 {
            "1 record has a number"
        } else {
            &format!("{records} records have numbers")
        };
        return format!(
            "{words}: {many} of others, so that the endpoint was restored from a copy, or a copy of it runs"
        );
    }
    let flags = flags.as_deref().filter(|flags| !flags.is_empty());
    match (subject, flags.or_else(|| text("/reason")).or_else(|| text("/comment"))) {
        (Some(subject), Some(reason)) => format!("{words}: {subject} ({reason})"),
        (Some(subject), None) => format!("{words}: {subject}"),
        (None, Some(reason)) => format!("{words}: {reason}"),
        (None, None) => words,
    }
}

/// Which events are listed; everything that is given has to hold.
#[derive(Debug, Clone, Default, InputObject)]
pub(crate) struct AuditFilter {
    types: Option<Vec<String>>,
    stream_types: Option<Vec<String>>,
    /// One object's history, whichever kind it is.
    subject_id: Option<ID>,
    actor_id: Option<ID>,
    correlation_id: Option<ID>,
    from_position: Option<Position>,
    until_position: Option<Position>,
    /// At or after this moment.
    recorded_from: Option<DateTime>,
    /// Before this moment.
    recorded_until: Option<DateTime>,
    marked_only: Option<bool>,
}

impl AuditFilter {
    /// What the read model is asked for; none where nothing can match.
    pub(crate) fn read(self, search: Option<String>) -> Option<Filter> {
        let subject = match &self.subject_id {
            Some(id) => Some(any(id)?),
            None => None,
        };
        let correlation = match &self.correlation_id {
            Some(id) => Some(id.as_str().parse().ok()?),
            None => None,
        };
        Some(Filter {
            types: self.types.unwrap_or_default(),
            stream_types: self.stream_types.unwrap_or_default(),
            subject,
            actor: self.actor_id.map(|id| id.0),
            correlation,
            from_position: self.from_position.map(|position| position.0),
            until_position: self.until_position.map(|position| position.0),
            recorded_from: self.recorded_from.map(|at| at.0),
            recorded_until: self.recorded_until.map(|at| at.0),
            marked_only: self.marked_only.unwrap_or(false),
            search,
        })
    }
}

/// The events from `first` to `last` that pass the filter, oldest first; at most 200, and whether there are more.
pub(crate) async fn between(frame: &Frame, filter: &Filter, first: u64, last: u64) -> Answer<(Vec<AuditEntry>, bool)> {
    let filter = Filter {
        from_position: Some(first.max(filter.from_position.unwrap_or(0))),
        until_position: Some(last.min(filter.until_position.unwrap_or(u64::MAX))),
        ..filter.clone()
    };
    let mut tx = frame.tx().await?;
    // From the end of a list that begins with the newest.
    let page = Page {
        backward: true,
        ..Page::first(projections::page::LIMIT_MAX)
    };
    let found = projections::audit_trail::list(&mut tx, &filter, &page).await?;
    let more = found.more;
    let mut entries = found.nodes();
    entries.reverse();
    Ok((entries, more))
}

#[derive(Default)]
pub(crate) struct AuditQuery;

#[Object]
impl AuditQuery {
    /// The log, newest first. `search` takes whole words and prefixes (`install*`).
    #[graphql(complexity = "cost(first, last, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "they are the field's arguments")]
    async fn audit_events(
        &self,
        ctx: &Context<'_>,
        filter: Option<AuditFilter>,
        search: Option<String>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Answer<Connection<AuditEvent>> {
        let frame = ctx.frame_for(Act::ReadAudit)?;
        let page = page(first, after, last, before)?;
        let Some(filter) = filter.unwrap_or_default().read(search) else {
            return Ok(Connection::with_additional_fields(false, false, EmptyFields));
        };
        let mut tx = frame.tx().await?;
        let found = projections::audit_trail::list(&mut tx, &filter, &page).await?;
        Ok(connect(&page, found, EmptyFields, AuditEvent))
    }

    async fn audit_event(&self, ctx: &Context<'_>, position: Position) -> Answer<Option<AuditEvent>> {
        AuditEvent::at(&ctx.frame(), position.0).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_summary_says_what_happened_to_what_and_why() {
        assert_eq!(summary("RequestApproved", &json!({})), "Request approved");
        let created = json!({"document": {"name": "Installers"}, "reason": ""});
        assert_eq!(summary("PolicyCreated", &created), "Policy created: Installers");
        assert_eq!(
            summary("RequestDenied", &json!({"comment": "No."})),
            "Request denied: No."
        );
        assert_eq!(
            summary("NumbersReused", &json!({"records": 2})),
            "Numbers reused: 2 records have numbers of others, so that the endpoint was restored from a copy, or a copy of it runs"
        );
        assert_eq!(summary("MfaEnrolled", &json!({"method": "totp"})), "MFA enrolled: totp");
        let submitted =
            json!({"details": {"action": {"application": {"path": "/opt/setup"}}}, "flags": ["unlinked_requester"]});
        assert_eq!(
            summary("RequestSubmitted", &submitted),
            "Request submitted: /opt/setup (unlinked requester)"
        );
    }

    #[test]
    fn a_filter_with_an_id_that_is_none_matches_nothing() {
        let wrong = AuditFilter {
            subject_id: Some(ID("nonsense".into())),
            ..AuditFilter::default()
        };
        assert_eq!(wrong.read(None), None);
        let wrong = AuditFilter {
            correlation_id: Some(ID("x".into())),
            ..AuditFilter::default()
        };
        assert_eq!(wrong.read(None), None);
        assert_eq!(AuditFilter::default().read(None), Some(Filter::default()));
    }
}
