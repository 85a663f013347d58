//! Durable aggregate snapshots: a shortcut of the replay, never a source of truth.
//!
//! Written after the commit; only a newer one replaces an older one; ignored where the fingerprint is not that of this
//! program. The state of an aggregate holds no personal data, and a state that does is not kept.

use formats::TenantId;
use model::Noun;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Store, StoreError, append::to_i64, encode::has_personal};

/// Why no snapshot was written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The state holds personal data, which would outlive the person's key: a defect of the aggregate.
    #[error("the state of a `{0}` holds personal data")]
    Personal(&'static str),
    /// The state cannot be written as JSON.
    #[error("the state cannot be written: {0}")]
    State(#[from] serde_json::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Of the program's version, the aggregate's type and shape and the upcasters: whether a stored state is of this
/// program.
pub(crate) fn fingerprint<A: Noun>(upcasters: &[u8; 32]) -> [u8; 32] {
    let shape = serde_json::to_vec(&A::default()).unwrap_or_default();
    let mut hash = Sha256::new_with_prefix(b"portcullis/aggregate-snapshot/1\n");
    for part in [
        env!("CARGO_PKG_VERSION").as_bytes(),
        A::TYPE.as_bytes(),
        &A::STATE.to_be_bytes(),
        upcasters,
        &shape,
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

impl Store {
    /// Keeps a stream's state at a version, unless a newer one is kept.
    ///
    /// # Errors
    /// [`SnapshotError`]
    pub async fn keep_snapshot<A: Noun>(
        &self,
        tenant: TenantId,
        stream_id: Uuid,
        state: &A,
        version: u64,
    ) -> Result<(), SnapshotError> {
        let json = serde_json::to_value(state)?;
        if has_personal(&json) {
            return Err(SnapshotError::Personal(A::TYPE));
        }
        let state = serde_json::to_vec(&json)?;
        sqlx::query("select keep_snapshot($1, $2, $3, $4, $5, $6)")
            .bind(tenant.uuid())
            .bind(A::TYPE)
            .bind(stream_id)
            .bind(to_i64(version))
            .bind(&self.fingerprint::<A>()[..])
            .bind(state)
            .execute(self.pool())
            .await
            .map_err(StoreError::from)?;
        Ok(())
    }
}
