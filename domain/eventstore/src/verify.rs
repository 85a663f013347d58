//! Comparing the log with itself: the bytes with their leaf, and every column with the bytes.

use formats::{EventBody, leaf_hash};
use serde_json::{Value, json};
use sqlx::{Row, postgres::PgRow, types::time::OffsetDateTime};
use uuid::Uuid;

use crate::{
    Store, StoreError, TenantTx,
    append::{to_i64, to_u64},
};

/// The first thing wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub position: u64,
    /// What: `missing`, `leaf`, `body`, `version`, or the name of a column that is not a copy of the body.
    pub what: String,
}

/// A stretch of a log that was looked at.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    /// The leaf hashes, computed from the stored bytes, in order.
    pub leaves: Vec<[u8; 32]>,
    /// The first fault; `leaves` ends before it.
    pub fault: Option<Fault>,
}

impl Store {
    /// Checks at most `limit` events after a position: that no position is missing, that each body is canonical and its
    /// leaf is the hash of it, and that every other column is a copy. Whether the leaves are those that were signed for
    /// is the checkpoints' to say.
    ///
    /// # Errors
    /// Where the database fails. What is wrong with the log is in the answer.
    pub async fn verify_in(&self, tx: &mut TenantTx, after: u64, limit: u32) -> Result<Verified, StoreError> {
        let rows = sqlx::query(
            "select position, stream_type, stream_id, stream_version, event_type, schema_version, command_id,
               occurred_at, recorded_at, body, metadata, leaf
             from events where tenant_id = $1 and position > $2 order by position limit $3",
        )
        .bind(tx.tenant().uuid())
        .bind(to_i64(after))
        .bind(i64::from(limit))
        .fetch_all(&mut **tx)
        .await?;
        let mut verified = Verified::default();
        for (expected, row) in (after + 1..).zip(&rows) {
            let bytes: &[u8] = row.try_get("body")?;
            if let Some(what) = fault(tx, expected, row, bytes)? {
                verified.fault = Some(Fault {
                    position: expected,
                    what,
                });
                return Ok(verified);
            }
            verified.leaves.push(leaf_hash(bytes));
        }
        Ok(verified)
    }
}

fn fault(tx: &TenantTx, expected: u64, row: &PgRow, bytes: &[u8]) -> Result<Option<String>, sqlx::Error> {
    if to_u64(row.try_get("position")?) != expected {
        return Ok(Some("missing".to_owned()));
    }
    if row.try_get::<&[u8], _>("leaf")? != leaf_hash(bytes) {
        return Ok(Some("leaf".to_owned()));
    }
    let Ok(body) = EventBody::parse(bytes) else {
        return Ok(Some("body".to_owned()));
    };
    let mut metadata = json!(body.meta);
    if let Value::Object(metadata) = &mut metadata {
        metadata.insert("actor".to_owned(), json!(body.actor));
    }
    let checks = [
        ("tenant_id", body.tenant == tx.tenant()),
        (
            "stream_type",
            row.try_get::<&str, _>("stream_type")? == body.stream.stream_type,
        ),
        ("stream_id", row.try_get::<Uuid, _>("stream_id")? == body.stream.id),
        (
            "stream_version",
            row.try_get::<i64, _>("stream_version")? == to_i64(body.stream.version),
        ),
        ("event_type", row.try_get::<&str, _>("event_type")? == body.event_type),
        (
            "schema_version",
            u32::try_from(row.try_get::<i32, _>("schema_version")?) == Ok(body.schema),
        ),
        ("command_id", row.try_get::<Uuid, _>("command_id")? == body.command_id),
        (
            "occurred_at",
            row.try_get::<OffsetDateTime, _>("occurred_at")? == body.occurred_at.to_datetime(),
        ),
        (
            "recorded_at",
            row.try_get::<OffsetDateTime, _>("recorded_at")? == body.recorded_at.to_datetime(),
        ),
        ("metadata", row.try_get::<Value, _>("metadata")? == metadata),
    ];
    Ok(checks
        .into_iter()
        .find(|(_, good)| !good)
        .map(|(column, _)| column.to_owned()))
}
