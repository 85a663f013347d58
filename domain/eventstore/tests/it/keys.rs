//! The vault: one master key, keys per tenant, rotation, and a clear word where a key does not fit.

use std::{sync::Arc, time::Duration};

use eventstore::{LocalMasterKey, MasterKey, TenantKeys, Vault, VaultError};
use formats::{
    Ambient, KeySet, ManualClock, Purpose, Timestamp, Typ, ambient::SystemEntropy, jws, keyset::KeySetError,
};
use serde_json::{Value, json};

use crate::world::{MASTER, World};

fn master(byte: u8) -> Arc<dyn MasterKey> {
    Arc::new(LocalMasterKey::from_bytes([byte; 32]))
}

/// A vault of another process, with a clock of its own.
fn vault(
    world: &World,
    clock: &Arc<ManualClock>,
    current: Arc<dyn MasterKey>,
    older: Vec<Arc<dyn MasterKey>>,
) -> Vault {
    let ambient = Ambient::new(Arc::clone(clock) as Arc<_>, Arc::new(SystemEntropy));
    Vault::new(world.store.pool().clone(), ambient, current, older)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)))
}

#[tokio::test]
async fn a_foreign_master_key_is_named_and_opens_nothing() {
    let world = World::new().await;
    let foreign = vault(&world, &clock(), master(1), vec![]);
    let error = foreign.tenant(world.tenant).await.unwrap_err();
    let wanted = LocalMasterKey::from_bytes(MASTER);
    match &error {
        VaultError::ForeignMasterKey {
            tenant,
            wanted: id,
            known,
        } => {
            assert_eq!((*tenant, id.as_str()), (world.tenant, wanted.id()));
            assert!(known.contains(master(1).id()));
        }
        other => panic!("{other}"),
    }
    assert!(error.to_string().contains(wanted.id()));
}

#[tokio::test]
async fn a_key_set_verifies_under_the_root_and_agents_take_only_a_newer_one() {
    let world = World::new().await;
    let keys = world.store.vault().tenant(world.tenant).await.unwrap();
    let root = keys.root_public();
    let set = KeySet::verify(&root, keys.key_set_token(), Some(world.tenant), 0).unwrap();
    assert_eq!(set.version, 1);
    for purpose in Purpose::ALL {
        let (kid, key) = keys.signing(purpose).unwrap();
        assert_eq!(keys.published(purpose, kid).unwrap().public, key.public());
    }
    let stranger = world.store.vault().tenant(world.other).await.unwrap();
    assert!(KeySet::verify(&stranger.root_public(), keys.key_set_token(), Some(world.tenant), 0).is_err());
    assert!(matches!(
        KeySet::verify(&root, keys.key_set_token(), Some(world.tenant), 1),
        Err(KeySetError::NotNewer { .. })
    ));
}

fn verifies(keys: &TenantKeys, token: &str, now: Timestamp) -> bool {
    let key = |kid: &str| {
        keys.published(Purpose::Grant, kid)
            .filter(|key| key.is_valid_at(now))
            .map(|key| key.public)
    };
    jws::verify::<Value>(Typ::Grant, token, key).is_ok()
}

#[tokio::test]
async fn after_a_rotation_both_keys_verify_until_the_overlap_ends() {
    let world = World::new().await;
    let clock = clock();
    let vault = vault(&world, &clock, master(42), vec![]);
    let sign = async || {
        let keys = vault.tenant(world.tenant).await.unwrap();
        let (kid, key) = keys.signing(Purpose::Grant).unwrap();
        (
            kid.to_owned(),
            jws::sign(Typ::Grant, kid, key, &json!({"n": 1})).unwrap(),
        )
    };
    let (old_kid, old) = sign().await;
    let new_kid = vault
        .rotate(world.tenant, Purpose::Grant, Duration::from_secs(3_600))
        .await
        .unwrap();
    let (kid, new) = sign().await;
    assert_eq!(Some(&kid), new_kid.active.as_ref());
    assert_eq!((new_kid.version, new_kid.withdrawn.len()), (2, 0));
    assert_ne!(kid, old_kid);
    let during = vault.tenant(world.tenant).await.unwrap();
    assert_eq!(during.key_set().version, 2);
    let now = || formats::Clock::now(&*clock);
    assert!(verifies(&during, &old, now()) && verifies(&during, &new, now()));
    clock.advance(Duration::from_secs(3_600));
    let after = vault.tenant(world.tenant).await.unwrap();
    assert!(!verifies(&after, &old, now()) && verifies(&after, &new, now()));
    // The next change takes it out of the set.
    let change = vault.rotate(world.tenant, Purpose::Mfa, Duration::ZERO).await.unwrap();
    // With the key that has just been replaced, whose overlap is none.
    assert!(change.withdrawn.len() == 2 && change.withdrawn.contains(&old_kid));
    let later = vault.tenant(world.tenant).await.unwrap();
    assert_eq!(later.key_set().version, 3);
    assert!(later.published(Purpose::Grant, &old_kid).is_none());
}

#[tokio::test]
async fn a_revoked_key_is_dead_at_once_and_another_takes_its_place() {
    let world = World::new().await;
    let vault = world.store.vault();
    let before = vault.tenant(world.tenant).await.unwrap();
    let (kid, key) = before.signing(Purpose::Grant).unwrap();
    let token = jws::sign(Typ::Grant, kid, key, &json!({})).unwrap();
    vault.revoke(world.tenant, kid).await.unwrap();
    let after = vault.tenant(world.tenant).await.unwrap();
    assert!(!verifies(&after, &token, world.ambient.now()));
    assert_eq!((after.key_set().version, after.key_set().keys.len()), (2, 6));
    assert_ne!(after.signing(Purpose::Grant).unwrap().0, kid);
    assert!(matches!(
        vault.revoke(world.tenant, kid).await,
        Err(VaultError::UnknownKey(_))
    ));
    assert!(matches!(
        vault.revoke(world.tenant, "mac").await,
        Err(VaultError::UnknownKey(_))
    ));
    let secrets: i64 = sqlx::query_scalar("select count(*) from tenant_key where kid = $1 and wrapped is not null")
        .bind(kid)
        .fetch_one(&world.admin)
        .await
        .unwrap();
    assert_eq!(secrets, 0, "the private half is destroyed");
}

#[tokio::test]
async fn a_rotation_elsewhere_is_noticed_within_a_minute() {
    let world = World::new().await;
    let clock = clock();
    let here = vault(&world, &clock, master(42), vec![]);
    assert_eq!(here.tenant(world.tenant).await.unwrap().key_set().version, 1);
    world
        .store
        .vault()
        .rotate(world.tenant, Purpose::Token, Duration::ZERO)
        .await
        .unwrap();
    clock.advance(Duration::from_secs(60));
    assert_eq!(here.tenant(world.tenant).await.unwrap().key_set().version, 2);
}

#[tokio::test]
async fn data_keys_move_to_another_master_key() {
    let world = World::new().await;
    let clock = clock();
    let both = vault(&world, &clock, master(7), vec![master(42)]);
    let before = both.tenant(world.tenant).await.unwrap();
    let secret = before.wrap_secret("totp/usr_1", b"seed", [3; 12]);
    both.rewrap(world.tenant).await.unwrap();
    let new_only = vault(&world, &clock, master(7), vec![]);
    let after = new_only.tenant(world.tenant).await.unwrap();
    assert_eq!(after.key_set_token(), before.key_set_token());
    assert_eq!(after.unwrap_secret("totp/usr_1", &secret).unwrap().as_slice(), b"seed");
    let old_only = vault(&world, &clock, master(42), vec![]);
    assert!(matches!(
        old_only.tenant(world.tenant).await,
        Err(VaultError::ForeignMasterKey { .. })
    ));
    old_only.tenant(world.other).await.unwrap();
}

#[tokio::test]
async fn a_wrapped_secret_opens_only_for_its_tenant_and_name() {
    let world = World::new().await;
    let keys = world.store.vault().tenant(world.tenant).await.unwrap();
    let others = world.store.vault().tenant(world.other).await.unwrap();
    let wrapped = keys.wrap_secret("webhook/whk_1", b"secret", world.ambient.bytes());
    assert_eq!(
        keys.unwrap_secret("webhook/whk_1", &wrapped).unwrap().as_slice(),
        b"secret"
    );
    assert!(keys.unwrap_secret("webhook/whk_2", &wrapped).is_err());
    assert!(others.unwrap_secret("webhook/whk_1", &wrapped).is_err());
}

#[tokio::test]
async fn a_key_that_was_swapped_in_the_database_is_noticed() {
    let world = World::new().await;
    sqlx::query(
        "update tenant_key a set wrapped = b.wrapped from tenant_key b
         where a.tenant_id = $1 and b.tenant_id = $1 and a.purpose = 'mac' and b.purpose = 'link'",
    )
    .bind(world.tenant.uuid())
    .execute(&world.admin)
    .await
    .unwrap();
    let fresh = vault(&world, &clock(), master(42), vec![]);
    assert!(matches!(fresh.tenant(world.tenant).await, Err(VaultError::Altered(kid)) if kid == "mac"));
}

#[tokio::test]
async fn nothing_that_is_printed_holds_a_secret() {
    let world = World::new().await;
    let vault = world.store.vault();
    let keys = vault.tenant(world.tenant).await.unwrap();
    let printed = format!(
        "{vault:?} {keys:?} {:?} {:?}",
        world.store,
        LocalMasterKey::from_bytes(MASTER)
    );
    let hex = |bytes: &[u8]| formats::hash::to_hex(bytes);
    let mut secrets = vec![
        keys.mac().expose().to_vec(),
        keys.link().expose().to_vec(),
        MASTER.to_vec(),
    ];
    secrets.extend(Purpose::ALL.map(|purpose| keys.signing(purpose).unwrap().1.expose_seed().to_vec()));
    for secret in secrets {
        assert!(
            !printed.contains(&hex(&secret)) && !printed.contains(&format!("{secret:?}")),
            "{printed}"
        );
    }
}
