//! Snapshots as agents get them: read once per group and process, however many agents wait.
//!
//! One task per group that anybody waits for follows the tenant's news, looks whether the group's version moved, and
//! tells the waiting polls. So ten thousand idle polls cost no query, and a change costs one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::bytes::Bytes;
use axum::http::HeaderValue;
use commands::{Outcome, Refusal};
use formats::{BodyHash, DeploymentGroupId, Purpose, Statement, TenantId, Timestamp};
use projections::policy_snapshot::{self, Offered};
use tokio::sync::watch;

use crate::ApiState;

/// How often a statement is signed anew.
const SIGNED_EVERY: i64 = 60 * 60 * 1_000;
/// How long a statement is good. Agents that see none for so long report themselves outdated.
const GOOD_FOR: i64 = 3 * SIGNED_EVERY;

/// A group's snapshot at one version.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) etag: HeaderValue,
    pub(super) plain: Bytes,
    pub(super) zstd: Bytes,
    pub(super) gzip: Bytes,
    offered: Offered,
    signed: Mutex<Option<(i64, HeaderValue)>>,
}

type Key = (TenantId, DeploymentGroupId);
type Shown = Option<Arc<Offer>>;

/// The snapshots that agents of this process wait for.
#[derive(Debug, Default)]
pub struct Offers {
    groups: Mutex<HashMap<Key, watch::Sender<Shown>>>,
}

impl Offers {
    /// The group's snapshot, now and whenever it changes. None where there is no such group, or nothing for it yet.
    pub(super) async fn watch(
        state: &ApiState,
        tenant: TenantId,
        group: DeploymentGroupId,
    ) -> Outcome<watch::Receiver<Shown>> {
        let key = (tenant, group);
        if let Some(known) = state.offers.lock().get(&key) {
            return Ok(known.subscribe());
        }
        // Watched before it is read, so that no change falls between the two.
        let news = state.news.watch(tenant);
        let first = load(state, key, None).await?;
        let mut groups = state.offers.lock();
        if let Some(known) = groups.get(&key) {
            return Ok(known.subscribe());
        }
        let (sender, receiver) = watch::channel(first);
        groups.insert(key, sender.clone());
        drop(groups);
        tokio::spawn(follow(state.clone(), key, sender, news));
        Ok(receiver)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, watch::Sender<Shown>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a group that nobody waits for.
    fn forget(&self, key: &Key) -> bool {
        let mut groups = self.lock();
        let idle = groups.get(key).is_none_or(|sender| sender.receiver_count() == 0);
        if idle {
            groups.remove(key);
        }
        idle
    }
}

/// How long a group is remembered after its last poll, so that the next one finds it.
const REMEMBERED: Duration = Duration::from_secs(120);

async fn follow(state: ApiState, key: Key, sender: watch::Sender<Shown>, mut news: watch::Receiver<u64>) {
    loop {
        let rang = tokio::select! {
            () = state.shutdown.cancelled() => return,
            rang = tokio::time::timeout(REMEMBERED, news.changed()) => rang,
        };
        match rang {
            Ok(Ok(())) => {}
            Ok(Err(_)) => {
                // The tenant's follower ended: it had no waiter for a moment.
                news = state.news.watch(key.0);
            }
            Err(_) if state.offers.forget(&key) => return,
            Err(_) => continue,
        }
        let known = sender.borrow().clone();
        match load(&state, key, known.as_deref()).await {
            Ok(found) => {
                let same = known.as_ref().map(|offer| &offer.offered) == found.as_ref().map(|offer| &offer.offered);
                if !same {
                    sender.send_replace(found);
                }
            }
            Err(refusal) => tracing::warn!(%refusal, "a snapshot is not to be read for now"),
        }
    }
}

/// Reads a group's version, and its body where that is another one than the one in hand.
async fn load(state: &ApiState, (tenant, group): Key, known: Option<&Offer>) -> Outcome<Shown> {
    let mut tx = state.app.reading(tenant).await?;
    let Some(offered) = policy_snapshot::offered_to(&mut tx, group).await? else {
        return Ok(None);
    };
    if let Some(known) = known.filter(|known| known.offered.sha256 == offered.sha256) {
        let Offer {
            etag,
            plain,
            zstd,
            gzip,
            ..
        } = known;
        let (etag, plain, zstd, gzip) = (etag.clone(), plain.clone(), zstd.clone(), gzip.clone());
        return Ok(Some(Arc::new(Offer {
            etag,
            plain,
            zstd,
            gzip,
            offered,
            signed: Mutex::default(),
        })));
    }
    let body = policy_snapshot::body(&mut tx, offered.sha256).await?;
    drop(tx);
    let body = body.ok_or_else(|| Refusal::internal("a snapshot that is offered has no body"))?;
    let (body, gzip) = tokio::task::spawn_blocking(move || {
        let gzip = pack(&body.plain);
        (body, gzip)
    })
    .await
    .map_err(Refusal::internal)?;
    Ok(Some(Arc::new(Offer {
        etag: etag_of(offered.sha256),
        plain: body.plain.into(),
        zstd: body.zstd.into(),
        gzip: gzip.map_err(Refusal::internal)?.into(),
        offered,
        signed: Mutex::default(),
    })))
}

fn pack(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    use std::io::Write;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(plain)?;
    packer.finish()
}

fn etag_of(hash: BodyHash) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{hash}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

impl Offer {
    /// The statement of this hour, and the version of the key set it verifies under. Its time of signing is the hour's
    /// beginning, so that all processes sign the same: an agent refuses one that was signed before the one it holds.
    pub(super) async fn statement(&self, state: &ApiState, tenant: TenantId) -> Outcome<(HeaderValue, u64)> {
        let keys = state.app.store.vault().tenant(tenant).await?;
        let version = keys.key_set().version;
        let hour = state.app.ambient().now().millis().div_euclid(SIGNED_EVERY);
        let mark = hour ^ i64::try_from(version).unwrap_or(0).rotate_left(40);
        let signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, statement)) = signed
            && at == mark
        {
            return Ok((statement, version));
        }
        let (_, key) = keys
            .signing(Purpose::Snapshot)
            .ok_or_else(|| Refusal::internal("no snapshot key"))?;
        let Offered {
            group,
            epoch,
            version: position,
            sha256,
            ..
        } = self.offered;
        let issued = hour * SIGNED_EVERY;
        let statement = Statement {
            tenant,
            group,
            epoch: epoch.into(),
            version: position,
            sha256,
            issued_at: Timestamp::from_millis(issued),
            expires_at: Timestamp::from_millis(issued + GOOD_FOR),
        };
        let token = statement.sign(key).map_err(Refusal::internal)?;
        let statement = HeaderValue::from_str(&token).map_err(Refusal::internal)?;
        *self.signed.lock().unwrap_or_else(PoisonError::into_inner) = Some((mark, statement.clone()));
        Ok((statement, version))
    }

    /// Its version in the log.
    pub(super) const fn version(&self) -> (u32, u64) {
        (self.offered.epoch, self.offered.version)
    }
}
