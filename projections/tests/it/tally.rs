//! A projection that writes one row an event, and can be made to fail in every way a projection can.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use eventstore::TenantTx;
use projections::{Build, Delta, Envelope, FlushError, FoldError, Projection, projection::BoxFuture};
use sqlx::PgPool;
use tokio::sync::Semaphore;

use crate::world::World;

/// What goes wrong; 0 is never.
#[derive(Default)]
pub struct Faults {
    pub fold_error_at: AtomicU64,
    pub fold_panic_at: AtomicU64,
    pub flush_error_at: AtomicU64,
    pub flush_panic_at: AtomicU64,
    /// So many flushes find the database away.
    pub away: AtomicU32,
    /// Flushes that wait for ever after their rows are written.
    pub hang: AtomicU32,
    pub hanging: Option<Arc<Semaphore>>,
    /// Rows go through a transaction of their own: what a projection must not do.
    pub outside: Option<PgPool>,
}

pub struct Tally {
    pub version: u32,
    pub streams: Option<&'static [&'static str]>,
    pub faults: Arc<Faults>,
}

impl Tally {
    pub fn boxed(faults: Arc<Faults>) -> Box<dyn Projection> {
        Box::new(Self {
            version: 1,
            streams: None,
            faults,
        })
    }

    /// Its table.
    pub async fn create(world: &World) {
        for statement in [
            "create table tally (tenant_id uuid not null, build integer not null, position bigint not null)",
            "select set_apart('tally')",
        ] {
            sqlx::query(statement).execute(&world.admin).await.unwrap();
        }
    }

    /// The positions in the live build's rows, in order.
    pub async fn positions(world: &World) -> Vec<i64> {
        let build = world.live_build("tally").await;
        sqlx::query_scalar("select position from tally where tenant_id = $1 and build = $2 order by position")
            .bind(world.tenant.uuid())
            .bind(build)
            .fetch_all(&world.admin)
            .await
            .unwrap()
    }
}

impl Projection for Tally {
    fn name(&self) -> &'static str {
        "tally"
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn tables(&self) -> &'static [&'static str] {
        &["tally"]
    }

    fn streams(&self) -> Option<&'static [&'static str]> {
        self.streams
    }

    fn start(&self) -> Box<dyn Delta> {
        Box::new(TallyDelta {
            rows: Vec::new(),
            faults: Arc::clone(&self.faults),
        })
    }
}

struct TallyDelta {
    rows: Vec<i64>,
    faults: Arc<Faults>,
}

fn hits(fault: &AtomicU64, position: u64) -> bool {
    fault.load(Ordering::Relaxed) == position
}

/// Takes one from a counter, unless it is 0.
fn takes(counter: &AtomicU32) -> bool {
    counter
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
        .is_ok()
}

impl Delta for TallyDelta {
    fn fold(&mut self, event: &Envelope) -> Result<(), FoldError> {
        if hits(&self.faults.fold_error_at, event.position) {
            return Err(FoldError::new("a fault in a fold"));
        }
        assert!(!hits(&self.faults.fold_panic_at, event.position), "a panic in a fold");
        self.rows.push(i64::try_from(event.position).unwrap());
        Ok(())
    }

    fn flush<'a>(self: Box<Self>, tx: &'a mut TenantTx, build: Build) -> BoxFuture<'a, Result<(), FlushError>> {
        Box::pin(async move {
            if takes(&self.faults.away) {
                return Err(sqlx::Error::PoolTimedOut.into());
            }
            let tenant = tx.tenant();
            let insert =
                sqlx::query("insert into tally (tenant_id, build, position) select $1, $2, unnest($3::bigint[])")
                    .bind(tenant.uuid())
                    .bind(build.number)
                    .bind(&self.rows);
            if let Some(pool) = &self.faults.outside {
                let mut own = TenantTx::begin(pool, tenant).await?;
                insert.execute(&mut *own).await?;
                own.commit().await?;
            } else {
                insert.execute(&mut **tx).await?;
            }
            for position in &self.rows {
                let position = u64::try_from(*position).unwrap();
                assert!(!hits(&self.faults.flush_panic_at, position), "a panic in a flush");
                if hits(&self.faults.flush_error_at, position) {
                    sqlx::query("select 1 / 0").execute(&mut **tx).await?;
                }
            }
            if takes(&self.faults.hang) {
                if let Some(hanging) = &self.faults.hanging {
                    hanging.add_permits(1);
                }
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }
}
