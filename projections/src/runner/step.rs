//! One transaction: cursors locked, events read once, folded into every projection that stands at that position, rows
//! and cursors written together.

use std::panic::AssertUnwindSafe;

use eventstore::{Store, StoreError, TenantTx, VaultError};
use formats::TenantId;
use futures_util::FutureExt;

use super::{
    Registry, RunError,
    decode::{Decoded, decode},
    fold::{fold, panicked},
};
use crate::{
    FlushError,
    checkpoint::{self, Checkpoint, Move},
};

/// How a transaction went.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Nothing to read, or somebody else has the cursors.
    Idle,
    /// The cursors moved, or some were parked; whether there may be more to read, and where all of the product's read
    /// models stand now, if it was all of them.
    Moved { more: bool, all_at: Option<u64> },
    /// Nothing was written: these builds, whose batch had so many events, have to go alone and in smaller steps.
    Failed {
        builds: Vec<(String, i32)>,
        events: u32,
        error: String,
    },
}

/// A step of several builds.
pub(crate) struct Together {
    pub(crate) outcome: Outcome,
    /// How many builds there were.
    pub(crate) found: usize,
    /// Whether there may be builds beside the live ones.
    pub(crate) sides: bool,
}

/// Takes the live cursors of a tenant, or those of builds under way, one batch further: those that are furthest behind.
pub(crate) async fn together(
    store: &Store,
    registry: &Registry,
    tenant: TenantId,
    live: bool,
    limit: u32,
) -> Result<Together, RunError> {
    let mut tx = TenantTx::begin(store.pool(), tenant).await?;
    let (mut cursors, sides) = checkpoint::lock_free(&mut tx, live).await?;
    cursors.retain(|cursor| registry.has(&cursor.projection, cursor.version));
    let found = cursors.len();
    let Some(behind) = cursors.iter().map(|cursor| cursor.position).min() else {
        let outcome = Outcome::Idle;
        return Ok(Together { outcome, found, sides });
    };
    // As far as the next cursor, so that both go on together from there.
    let next = cursors
        .iter()
        .map(|cursor| cursor.position)
        .filter(|position| *position > behind)
        .min();
    let limit = next.map_or(limit, |next| u32::try_from(next - behind).unwrap_or(limit).min(limit));
    cursors.retain(|cursor| cursor.position == behind);
    let whole = live && cursors.len() == registry.known().names.len();
    let outcome = match advance(store, registry, &mut tx, &cursors, limit).await? {
        Outcome::Moved { more, .. } if !whole => Outcome::Moved { more, all_at: None },
        outcome => outcome,
    };
    let outcome = end(tx, outcome, next.is_some()).await?;
    Ok(Together { outcome, found, sides })
}

/// Takes one build one batch further.
pub(crate) async fn one(
    store: &Store,
    registry: &Registry,
    tenant: TenantId,
    (projection, build): (&str, i32),
    limit: u32,
) -> Result<Outcome, RunError> {
    let mut tx = TenantTx::begin(store.pool(), tenant).await?;
    let Some(cursor) = checkpoint::lock_one(&mut tx, projection, build).await? else {
        return Ok(Outcome::Idle);
    };
    if !registry.has(&cursor.projection, cursor.version) {
        return Ok(Outcome::Idle);
    }
    let outcome = advance(store, registry, &mut tx, &[cursor], limit).await?;
    end(tx, outcome, false).await
}

/// Puts a build in the place of the live one as soon as it has read as much. Returns whether it did.
pub(crate) async fn flip(
    store: &Store,
    registry: &Registry,
    tenant: TenantId,
    (projection, build): (&str, i32),
    limit: u32,
) -> Result<bool, RunError> {
    let mut tx = TenantTx::begin(store.pool(), tenant).await?;
    let both = checkpoint::lock_both(&mut tx, projection).await?;
    let Some(building) = both
        .iter()
        .find(|c| c.build.number == build && !c.build.live && !c.parked)
    else {
        return Ok(false);
    };
    let target = both.iter().find(|c| c.build.live).map_or(0, |live| live.position);
    if building.position < target {
        // The live cursor is ours too now: the few events between them are taken in before it can go on.
        let missing = u32::try_from(target - building.position).unwrap_or(u32::MAX);
        if missing > limit {
            return Ok(false);
        }
        let moved = advance(store, registry, &mut tx, std::slice::from_ref(building), missing).await?;
        let after = checkpoint::lock_both(&mut tx, projection).await?;
        let there = after
            .iter()
            .any(|c| c.build.number == build && c.position == target && !c.parked);
        if !matches!(moved, Outcome::Moved { .. }) || !there {
            return Ok(false);
        }
    }
    checkpoint::flip(&mut tx, projection, build).await?;
    let now_live = crate::Build {
        live: true,
        ..building.build
    };
    if let Some(projection) = registry.find(projection)
        && let Err(error) = projection.went_live(&mut tx, now_live).await
    {
        return Err(refusal(error).map_or_else(|error| error, RunError::Flip));
    }
    tx.commit().await?;
    Ok(true)
}

async fn end(tx: TenantTx, outcome: Outcome, ahead: bool) -> Result<Outcome, RunError> {
    match outcome {
        Outcome::Moved { more, all_at } => {
            tx.commit().await?;
            let more = more || ahead;
            Ok(Outcome::Moved { more, all_at })
        }
        Outcome::Idle | Outcome::Failed { .. } => {
            tx.rollback().await?;
            Ok(outcome)
        }
    }
}

/// Reads, folds, writes rows and cursors. All of these cursors are locked and stand at one position.
async fn advance(
    store: &Store,
    registry: &Registry,
    tx: &mut TenantTx,
    cursors: &[Checkpoint],
    limit: u32,
) -> Result<Outcome, RunError> {
    let Some(position) = cursors.first().map(|cursor| cursor.position) else {
        return Ok(Outcome::Idle);
    };
    let events: Vec<Decoded> = match store.read_in(tx, position, limit).await {
        Ok(events) => events.into_iter().map(decode).collect(),
        Err(error) if is_damage(&error) => return Ok(failed(cursors, limit, error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let Some(last) = events.last().map(|event| event.position) else {
        return Ok(Outcome::Idle);
    };
    let count = u32::try_from(events.len()).unwrap_or(limit);
    let mut moves = Vec::with_capacity(cursors.len());
    for cursor in cursors {
        let Some(projection) = registry.find(&cursor.projection) else {
            continue;
        };
        let folded = fold(projection, &events);
        let flushed = AssertUnwindSafe(folded.delta.flush(tx, cursor.build))
            .catch_unwind()
            .await;
        let error = match flushed {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(refusal(error)?),
            Err(panic) => Some(panicked(panic.as_ref())),
        };
        if let Some(error) = error {
            // The transaction is spoilt for all of them. Alone, the one at fault is told from the others.
            return Ok(failed(cursors, count, error));
        }
        let (position, parked) = match folded.stopped {
            Some((stopped_at, error)) => (stopped_at - 1, Some(error)),
            None => (last, None),
        };
        if let Some(error) = &parked {
            tracing::error!(tenant = %tx.tenant(), projection = %cursor.projection, at = position + 1, %error, "parked");
        }
        moves.push(Move {
            projection: cursor.projection.clone(),
            build: cursor.build.number,
            position,
            parked,
        });
    }
    checkpoint::advance(tx, &moves, store.ambient().now()).await?;
    let all_at = moves.iter().all(|moved| moved.parked.is_none()).then_some(last);
    let more = count == limit;
    Ok(Outcome::Moved { more, all_at })
}

fn failed(cursors: &[Checkpoint], events: u32, error: String) -> Outcome {
    let builds = cursors
        .iter()
        .map(|cursor| (cursor.projection.clone(), cursor.build.number))
        .collect();
    Outcome::Failed { builds, events, error }
}

/// Parks a build in front of its next event.
pub(crate) async fn park(
    store: &Store,
    tenant: TenantId,
    (projection, build): (&str, i32),
    error: String,
) -> Result<(), RunError> {
    let mut tx = TenantTx::begin(store.pool(), tenant).await?;
    if let Some(cursor) = checkpoint::lock_one(&mut tx, projection, build).await? {
        tracing::error!(%tenant, projection, at = cursor.position + 1, %error, "parked");
        let park = Move {
            projection: cursor.projection,
            build,
            position: cursor.position,
            parked: Some(error),
        };
        checkpoint::advance(&mut tx, &[park], store.ambient().now()).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// What a flush was refused for; an error where the database was only away for the moment.
fn refusal(error: FlushError) -> Result<String, RunError> {
    match error {
        FlushError::Value(reason) => Ok(reason),
        FlushError::Database(error) => match StoreError::from(error) {
            away @ StoreError::Unavailable(_) => Err(away.into()),
            refused => Ok(refused.to_string()),
        },
    }
}

/// Whether an event cannot be read, now or later: not a failure of the database or of this process.
fn is_damage(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Unreadable { .. } | StoreError::Vault(VaultError::Altered(_))
    )
}
