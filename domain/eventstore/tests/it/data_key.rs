//! A tenant's data key is replaced while processes with old memories go on, and nothing is lost on the way.

use std::{sync::Arc, time::Duration};

use eventstore::{DataRotation, LocalMasterKey, TenantKeys, TenantTx, Vault, WrappedColumn};
use formats::{Ambient, ManualClock, Timestamp, ambient::SystemEntropy};
use uuid::Uuid;

use crate::world::{MASTER, World};

const COLUMNS: &[WrappedColumn] = &[WrappedColumn {
    table: "totp",
    key: &[("user_id", "uuid")],
    column: "wrapped",
    name: |key| format!("totp/{}", key[0]),
}];
const SETTLE: Duration = Duration::from_secs(120);

struct Rotation {
    world: World,
    clock: Arc<ManualClock>,
}

impl Rotation {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
        Self {
            world: World::new().await,
            clock,
        }
    }

    /// Another process.
    fn vault(&self) -> Vault {
        let ambient = Ambient::new(Arc::clone(&self.clock) as Arc<_>, Arc::new(SystemEntropy));
        let master = Arc::new(LocalMasterKey::from_bytes(MASTER));
        Vault::new(self.world.store.pool().clone(), ambient, master, vec![])
    }

    async fn step(&self) -> DataRotation {
        self.vault().rotate_data(self.world.tenant, COLUMNS).await.unwrap()
    }

    async fn keep(&self, keys: &TenantKeys) -> Uuid {
        let user = self.world.id();
        let wrapped = keys.wrap_secret(&format!("totp/{user}"), user.as_bytes(), self.world.ambient.bytes());
        let mut tx = TenantTx::begin(self.world.store.pool(), self.world.tenant)
            .await
            .unwrap();
        sqlx::query("insert into totp (tenant_id, user_id, wrapped, created_at) values ($1, $2, $3, now())")
            .bind(self.world.tenant.uuid())
            .bind(user)
            .bind(wrapped)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        user
    }

    async fn opens(&self, keys: &TenantKeys, user: Uuid) -> bool {
        let wrapped: Vec<u8> = sqlx::query_scalar("select wrapped from totp where user_id = $1")
            .bind(user)
            .fetch_one(&self.world.admin)
            .await
            .unwrap();
        keys.unwrap_secret(&format!("totp/{user}"), &wrapped)
            .is_ok_and(|secret| secret.as_slice() == user.as_bytes())
    }

    async fn data_keys(&self) -> Vec<(String, bool)> {
        sqlx::query_as(
            "select status, wrapped is not null from tenant_key where tenant_id = $1 and purpose = 'data' order by created_at",
        )
        .bind(self.world.tenant.uuid())
        .fetch_all(&self.world.admin)
        .await
        .unwrap()
    }

    /// The key ids with their status, `active` first.
    async fn data_keys_by_status(&self) -> Vec<(String, String)> {
        sqlx::query_as("select kid, status from tenant_key where tenant_id = $1 and purpose = 'data' order by status")
            .bind(self.world.tenant.uuid())
            .fetch_all(&self.world.admin)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn everything_under_the_old_data_key_is_wrapped_anew_and_the_old_key_is_destroyed() {
    let rotation = Rotation::new().await;
    let tenant = rotation.world.tenant;
    for _ in 0..3 {
        rotation.world.member().await;
    }
    let before = rotation.vault().tenant(tenant).await.unwrap();
    let others = rotation.vault().tenant(rotation.world.other).await.unwrap();
    let early = rotation.keep(&before).await;

    let now = formats::Clock::now(&*rotation.clock);
    assert_eq!(rotation.step().await, DataRotation::Waiting(now + SETTLE));
    assert_eq!(
        rotation.step().await,
        DataRotation::Waiting(now + SETTLE),
        "begun once only"
    );
    // A process that remembers the old key alone reads and writes; one that knows both, too.
    let during = rotation.vault().tenant(tenant).await.unwrap();
    let meanwhile = rotation.keep(&during).await;
    assert!(
        rotation.opens(&before, meanwhile).await,
        "nobody wraps with the new key yet"
    );

    rotation.clock.advance(SETTLE);
    let now = formats::Clock::now(&*rotation.clock);
    assert_eq!(rotation.step().await, DataRotation::Waiting(now + SETTLE));
    assert!(!rotation.opens(&before, early).await, "it is under the new key");
    for user in [early, meanwhile] {
        assert!(rotation.opens(&during, user).await, "who remembers both opens it");
    }
    // That process still takes the old key for the one to wrap with.
    let late = rotation.keep(&during).await;

    rotation.clock.advance(SETTLE);
    assert_eq!(rotation.step().await, DataRotation::Done { rewrapped: 1 });
    assert_eq!(
        rotation.data_keys().await,
        [("revoked".to_owned(), false), ("active".to_owned(), true)]
    );
    let after = rotation.vault().tenant(tenant).await.unwrap();
    for user in [early, meanwhile, late] {
        assert!(rotation.opens(&after, user).await && !rotation.opens(&before, user).await);
    }
    assert_eq!(
        (after.mac().expose(), after.link().expose()),
        (before.mac().expose(), before.link().expose())
    );
    assert_eq!(after.key_set_token(), before.key_set_token());
    // The log's sealed data opens: people's keys came along.
    let store = rotation.world.process().await;
    let events = store.read(tenant, 0, 100).await.unwrap();
    assert!(
        events
            .iter()
            .any(|event| format!("{:?}", event.body.data).contains("Ada Lovelace"))
    );
    let same = rotation.vault().tenant(rotation.world.other).await.unwrap();
    assert_eq!(same.mac().expose(), others.mac().expose());
}

#[tokio::test]
async fn two_data_keys_of_one_moment_or_of_clocks_that_disagree_are_taken_in_their_order() {
    for (new, what) in [
        ("created_at", "one moment"),
        ("created_at - interval '1 hour'", "a clock that is behind"),
    ] {
        let rotation = Rotation::new().await;
        let tenant = rotation.world.tenant;
        let early = rotation.keep(&rotation.vault().tenant(tenant).await.unwrap()).await;
        rotation.step().await;
        let sql = format!(
            "update tenant_key set created_at =
               (select {new} from tenant_key where tenant_id = $1 and purpose = 'data' and status = 'active')
             where tenant_id = $1 and purpose = 'data' and status = 'retiring'"
        );
        let changed = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(tenant.uuid())
            .execute(&rotation.world.admin)
            .await;
        assert_eq!(changed.unwrap().rows_affected(), 1);
        let announced = rotation.data_keys_by_status().await;
        for _ in 0..2 {
            rotation.clock.advance(SETTLE);
            rotation.step().await;
        }
        let mut ended = rotation.data_keys_by_status().await;
        ended.reverse();
        assert_eq!(
            (ended[0].1.as_str(), ended[1].1.as_str()),
            ("revoked", "active"),
            "{what}"
        );
        assert_eq!(ended[1].0, announced[1].0, "{what}: the new key is the one that stays");
        let after = rotation.vault().tenant(tenant).await.unwrap();
        assert!(rotation.opens(&after, early).await, "{what}");
    }
}

#[tokio::test]
async fn a_table_with_secrets_that_is_left_out_stops_it_before_anything_is_lost() {
    let rotation = Rotation::new().await;
    let tenant = rotation.world.tenant;
    let kept = rotation.keep(&rotation.vault().tenant(tenant).await.unwrap()).await;
    assert!(rotation.vault().rotate_data(tenant, &[]).await.is_err());
    let after = rotation.vault().tenant(tenant).await.unwrap();
    assert!(rotation.opens(&after, kept).await);
}

#[tokio::test]
async fn a_master_key_is_changed_in_the_middle_of_it() {
    let rotation = Rotation::new().await;
    let tenant = rotation.world.tenant;
    rotation.step().await;
    let ambient = Ambient::new(Arc::clone(&rotation.clock) as Arc<_>, Arc::new(SystemEntropy));
    let (old, new) = (LocalMasterKey::from_bytes(MASTER), || {
        Arc::new(LocalMasterKey::from_bytes([9; 32]))
    });
    let pool = rotation.world.store.pool().clone();
    let both = Vault::new(pool.clone(), ambient.clone(), new(), vec![Arc::new(old)]);
    both.rewrap(tenant).await.unwrap();
    let alone = Vault::new(pool, ambient, new(), vec![]);
    for _ in 0..2 {
        rotation.clock.advance(SETTLE);
        alone.rotate_data(tenant, COLUMNS).await.unwrap();
    }
    assert_eq!(rotation.data_keys().await[0], ("revoked".to_owned(), false));
    alone.tenant(tenant).await.unwrap();
}
