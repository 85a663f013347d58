//! The store as `cqrs-es` knows one: a handle for one tenant and one request.

use std::{collections::HashMap, sync::Arc};

use cqrs_es::{AggregateContext, AggregateError, EventEnvelope, EventStore};
use formats::TenantId;
use model::Noun;
use uuid::Uuid;

use crate::{Done, Envelope, ExecuteError, Store, StoreError, TenantTx, state::Kept};

/// The store for the commands of one request of one tenant.
#[derive(Debug, Clone)]
pub struct TenantHandle {
    store: Store,
    tenant: TenantId,
    envelope: Envelope,
}

/// An aggregate with its place in the log.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    /// The stream.
    pub stream_id: Uuid,
    /// Its version; 0 where there is none yet.
    pub version: u64,
    aggregate: A,
}

impl<A: Noun> AggregateContext<A> for Loaded<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.aggregate
    }
}

impl Store {
    /// A handle for one request.
    #[must_use]
    pub fn handle(&self, tenant: TenantId, envelope: Envelope) -> TenantHandle {
        TenantHandle {
            store: self.clone(),
            tenant,
            envelope,
        }
    }
}

impl TenantHandle {
    /// [`Store::execute`] with this handle's tenant and envelope.
    ///
    /// # Errors
    /// [`ExecuteError`]
    pub async fn execute<A: Noun>(
        &self,
        stream_id: Uuid,
        command: impl Fn(&A) -> A::Command + Send,
    ) -> Result<Done<A::Event>, ExecuteError<A::Error>> {
        self.store
            .execute(self.tenant, stream_id, &self.envelope, command)
            .await
    }

    async fn events<A: Noun>(&self, stream_id: Uuid) -> Result<Vec<EventEnvelope<A>>, StoreError> {
        let mut tx = TenantTx::begin_read(self.store.pool(), self.tenant).await?;
        let mut events = Vec::new();
        for recorded in self.store.stream_in(&mut tx, A::TYPE, stream_id).await? {
            events.push(EventEnvelope {
                aggregate_id: stream_id.to_string(),
                sequence: usize::try_from(recorded.body.stream.version).unwrap_or(usize::MAX),
                payload: recorded.event::<A>()?,
                metadata: HashMap::new(),
            });
        }
        tx.commit().await?;
        Ok(events)
    }
}

/// The metadata of the trait's `commit` is handed back but not stored: what surrounds a command is in the envelope.
impl<A: Noun> EventStore<A> for TenantHandle {
    type AC = Loaded<A>;

    async fn load_events(&self, aggregate_id: &str) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        self.events(stream_of(aggregate_id)?).await.map_err(failed)
    }

    async fn load_aggregate(&self, aggregate_id: &str) -> Result<Self::AC, AggregateError<A::Error>> {
        let stream_id = stream_of(aggregate_id)?;
        let (kept, _) = self
            .store
            .load_kept::<A>(self.tenant, stream_id, None)
            .await
            .map_err(failed)?;
        let Kept { state, version, .. } = Arc::unwrap_or_clone(kept);
        Ok(Loaded {
            stream_id,
            version,
            aggregate: state,
        })
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: Self::AC,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let done = self
            .store
            .append::<A>(self.tenant, context.stream_id, context.version, &self.envelope, events)
            .await
            .map_err(|error| match error {
                ExecuteError::Refused(refusal) => AggregateError::UserError(refusal),
                ExecuteError::Conflict => AggregateError::AggregateConflict,
                ExecuteError::Store(error) => failed(error),
                other => AggregateError::UnexpectedError(other.to_string().into()),
            })?;
        let before = done.version - done.events.len() as u64;
        let envelopes = (before + 1..).zip(done.events).map(|(version, payload)| EventEnvelope {
            aggregate_id: done.stream_id.to_string(),
            sequence: usize::try_from(version).unwrap_or(usize::MAX),
            payload,
            metadata: metadata.clone(),
        });
        Ok(envelopes.collect())
    }
}

fn stream_of<E: std::error::Error>(aggregate_id: &str) -> Result<Uuid, AggregateError<E>> {
    aggregate_id
        .parse()
        .map_err(|e| AggregateError::UnexpectedError(Box::new(e)))
}

fn failed<E: std::error::Error>(error: StoreError) -> AggregateError<E> {
    match error {
        StoreError::Unreadable { .. } => AggregateError::DeserializationError(Box::new(error)),
        other => AggregateError::DatabaseConnectionError(Box::new(other)),
    }
}
