//! States of aggregates: from memory, a snapshot, the events, or the nearest of them.

use std::{any::Any, sync::Arc};

use formats::TenantId;
use model::Noun;
use uuid::Uuid;

use crate::{
    Done, Store, StoreError,
    append::Written,
    cache::Cache,
    decode,
    envelope::done,
    fresh::Basis,
    load::{Earlier, Found, Wanted},
    turn::StreamKey,
};

/// States in memory; each is an `Arc<Kept<A>>`.
pub(crate) type States = Cache<StreamKey, Arc<dyn Any + Send + Sync>>;

/// An aggregate's state at a version of its stream; at first that of a stream that does not exist.
#[derive(Clone, Default)]
pub(crate) struct Kept<A> {
    pub(crate) state: A,
    pub(crate) version: u64,
    /// A position of the tenant's log at which this was the stream's state.
    pub(crate) as_of: u64,
}

impl Store {
    /// An aggregate's state and its stream's version, as the database has them now; the default state and 0 where there
    /// is no such stream.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn load<A: Noun>(&self, tenant: TenantId, stream_id: Uuid) -> Result<(A, u64), StoreError> {
        let (kept, _) = self.load_kept::<A>(tenant, stream_id, None).await?;
        let Kept { state, version, .. } = Arc::unwrap_or_clone(kept);
        Ok((state, version))
    }

    /// As [`Store::load`], from the events alone: neither memory nor snapshots are used.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn replay<A: Noun>(&self, tenant: TenantId, stream_id: Uuid) -> Result<(A, u64), StoreError> {
        let wanted = Wanted {
            stream_type: A::TYPE,
            stream_id,
            known: 0,
            fingerprint: None,
            command: None,
        };
        let found = self.find(tenant, wanted).await?;
        let Kept { state, version, .. } = Arc::unwrap_or_clone(self.fold::<A>(None, &found, 0)?);
        Ok((state, version))
    }

    pub(crate) fn cached<A: Noun>(&self, tenant: TenantId, stream_id: Uuid) -> Option<Arc<Kept<A>>> {
        self.states().get(&(tenant, A::TYPE, stream_id))?.downcast().ok()
    }

    fn cache<A: Noun>(&self, tenant: TenantId, stream_id: Uuid, kept: &Arc<Kept<A>>) {
        self.states().insert(
            (tenant, A::TYPE, stream_id),
            Arc::clone(kept) as Arc<dyn Any + Send + Sync>,
        );
    }

    /// The state as the database has it now, from the nearest of memory, snapshot and nothing; and the command, where it
    /// was carried out before.
    pub(crate) async fn load_kept<A: Noun>(
        &self,
        tenant: TenantId,
        stream_id: Uuid,
        command: Option<Uuid>,
    ) -> Result<(Arc<Kept<A>>, Option<Earlier>), StoreError> {
        let mut base = self.cached::<A>(tenant, stream_id);
        let mut as_of = 0;
        if let (Some(kept), None) = (&base, command) {
            let (head, still) = self.look(tenant, Some(Basis::Stream(stream_id, kept.as_of))).await?;
            if still {
                return Ok((Arc::clone(kept), None));
            }
            as_of = head;
        }
        let mut fingerprint = Some(self.fingerprint::<A>());
        loop {
            let known = base.as_ref().map_or(0, |kept| kept.version);
            let wanted = Wanted {
                stream_type: A::TYPE,
                stream_id,
                known,
                fingerprint,
                command,
            };
            let found = self.find(tenant, wanted).await?;
            let folded = if found.version < known {
                None
            } else {
                Some(self.fold(base.clone(), &found, as_of))
            };
            match folded {
                Some(Ok(kept)) => {
                    if kept.version > 0 && (kept.version != known || as_of > 0) {
                        self.cache(tenant, stream_id, &kept);
                    }
                    if found.tail.len() as u64 >= self.options().snapshot_every {
                        self.keep_soon(tenant, stream_id, &kept);
                    }
                    return Ok((kept, found.earlier));
                }
                // Memory is ahead of a database that was restored, or a shortcut does not fit: replay the events alone.
                _ if base.is_some() || fingerprint.is_some() => (base, fingerprint) = (None, None),
                Some(Err(error)) => return Err(error),
                None => return Err(StoreError::unreadable(A::TYPE, "the stream went back")),
            }
        }
    }

    /// Applies what was found to a base. `as_of`: a position that the log had reached before it was asked.
    fn fold<A: Noun>(&self, base: Option<Arc<Kept<A>>>, found: &Found, as_of: u64) -> Result<Arc<Kept<A>>, StoreError> {
        let mut kept = base.unwrap_or_else(|| {
            Arc::new(Kept {
                state: A::default(),
                version: 0,
                as_of,
            })
        });
        if let Some((version, state)) = &found.snapshot {
            let state = serde_json::from_slice(state).map_err(|e| StoreError::unreadable(A::TYPE, e))?;
            kept = Arc::new(Kept {
                state,
                version: *version,
                as_of,
            });
        }
        if !found.tail.is_empty() || kept.as_of < as_of {
            let mut next = Arc::unwrap_or_clone(kept);
            next.as_of = next.as_of.max(as_of);
            for stored in &found.tail {
                if stored.version != next.version + 1 {
                    return Err(StoreError::unreadable(
                        A::TYPE,
                        format!("version {} is missing", next.version + 1),
                    ));
                }
                next.state.apply(decode::replayed::<A>(stored, self.upcasters())?);
                next.version = stored.version;
            }
            kept = Arc::new(next);
        }
        if kept.version == found.version {
            Ok(kept)
        } else {
            Err(StoreError::unreadable(
                A::TYPE,
                format!("version {} is missing", kept.version + 1),
            ))
        }
    }

    /// After a commit: the state in memory, and a durable snapshot now and then.
    pub(crate) fn written<A: Noun>(
        &self,
        tenant: TenantId,
        stream_id: Uuid,
        before: &Arc<Kept<A>>,
        written: Written,
        events: Vec<A::Event>,
    ) -> Done<A::Event> {
        let mut state = before.state.clone();
        events.iter().cloned().for_each(|event| state.apply(event));
        let kept = Arc::new(Kept {
            state,
            version: written.version,
            // Nobody else wrote between the position before and this one.
            as_of: written.last,
        });
        self.cache(tenant, stream_id, &kept);
        let every = self.options().snapshot_every.max(1);
        if before.version / every < kept.version / every {
            self.keep_soon(tenant, stream_id, &kept);
        }
        done(written, events, false)
    }

    fn keep_soon<A: Noun>(&self, tenant: TenantId, stream_id: Uuid, kept: &Arc<Kept<A>>) {
        let (store, kept) = (self.clone(), Arc::clone(kept));
        tokio::spawn(async move {
            if let Err(error) = store.keep_snapshot(tenant, stream_id, &kept.state, kept.version).await {
                tracing::warn!(%error, %tenant, stream = A::TYPE, id = %stream_id, "no snapshot was kept");
            }
        });
    }
}
