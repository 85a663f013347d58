//! Keys of tenants: what operators change is in the log, whatever dies in between, and no secret is left out of a change.

use std::{collections::BTreeSet, time::Duration};

use commands::{Caller, Principal, keys::WRAPPED};
use eventstore::DataRotation;
use formats::Purpose;

use crate::world::World;

impl World {
    /// Replaces the tenant's data key, as an operator who waits as long as it takes: four minutes.
    pub async fn rotate_data_key(&self) {
        // The tenant was made at this very moment.
        self.clock.advance(Duration::from_secs(1));
        for _ in 0..2 {
            let step = self.app.rotate_data_key(&operator(self)).await.unwrap();
            assert!(matches!(step, DataRotation::Waiting(_)));
            self.clock.advance(Duration::from_secs(120));
        }
        let step = self.app.rotate_data_key(&operator(self)).await.unwrap();
        assert!(matches!(step, DataRotation::Done { .. }));
    }
}

fn operator(world: &World) -> Caller {
    Caller {
        principal: Principal::Operator {
            name: "ops".to_owned(),
            method: "platform_credential",
        },
        ..world.system()
    }
}

/// Every change of the key set that the log tells: version, the key that signs, and the keys that are out.
async fn told(world: &World) -> Vec<(u64, Option<String>, Vec<String>)> {
    let events = world.app.store.read(world.tenant, 0, 1_000).await.unwrap();
    let of = |value: &serde_json::Value| serde_json::from_value(value.clone()).unwrap();
    events
        .iter()
        .filter(|event| event.body.event_type == "KeySetChanged")
        .map(|event| {
            let data = &event.body.data;
            let withdrawn: Vec<String> = serde_json::from_value(data["withdrawn"].clone()).unwrap();
            (data["version"].as_u64().unwrap(), of(&data["active"]), withdrawn)
        })
        .map(|(version, active, withdrawn): (u64, serde_json::Value, Vec<String>)| {
            (version, active.as_str().map(str::to_owned), withdrawn)
        })
        .collect()
}

#[tokio::test]
async fn a_key_set_that_was_changed_but_not_noted_is_noted_by_the_next_act() {
    let world = World::new().await;
    let (caller, vault) = (operator(&world), world.app.store.vault());
    assert!(
        !world.app.note_key_set(&caller).await.unwrap(),
        "the first set is the tenant's own"
    );
    // The process dies between the vault and the log.
    world.clock.advance(Duration::from_secs(1));
    let lost = vault
        .rotate(world.tenant, Purpose::Grant, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(told(&world).await, []);
    world.clock.advance(Duration::from_secs(1));
    let kid = world
        .app
        .rotate_key(&caller, Purpose::Token, Duration::from_secs(60))
        .await
        .unwrap();
    let log = told(&world).await;
    assert_eq!((log[0].0, &log[0].1), (2, &lost.active));
    assert_eq!((log[1].0, log[1].1.as_deref()), (3, Some(kid.as_str())));
    assert_eq!(vault.tenant(world.tenant).await.unwrap().key_set().version, 3);
}

#[tokio::test]
async fn a_revoked_key_is_out_of_the_set_at_once_and_the_log_says_so() {
    let world = World::new().await;
    let caller = operator(&world);
    let keys = world.app.signing_keys(&caller).await.unwrap();
    let grant = keys.iter().find(|key| key.purpose == Purpose::Grant).unwrap();
    let next = world.app.revoke_key(&caller, &grant.kid).await.unwrap();
    assert!(next.is_some());
    assert_eq!(told(&world).await, [(2, next, vec![grant.kid.clone()])]);
    let set = world.app.store.vault().tenant(world.tenant).await.unwrap();
    assert!(set.published(Purpose::Grant, &grant.kid).is_none());
    let again = world.app.revoke_key(&caller, &grant.kid).await.unwrap_err();
    assert_eq!(again.code, "NOT_FOUND");
    let nobody = world
        .app
        .revoke_key(&world.owner().await, &grant.kid)
        .await
        .unwrap_err();
    assert_eq!(nobody.code, "FORBIDDEN");
}

/// A column with wrapped secrets that a change of the data key would forget loses them with the old key.
#[tokio::test]
async fn every_column_with_wrapped_secrets_is_wrapped_anew_with_a_new_data_key() {
    let world = World::new().await;
    let columns: Vec<(String, String)> = sqlx::query_as(
        "select c.relname::text, a.attname::text from pg_attribute a join pg_class c on c.oid = a.attrelid
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not a.attisdropped
           and a.attname like '%wrapped%' and c.relname not in ('tenant_key', 'person_key')",
    )
    .fetch_all(world.app.pool())
    .await
    .unwrap();
    let there: BTreeSet<_> = columns
        .iter()
        .map(|(table, column)| (table.as_str(), column.as_str()))
        .collect();
    let known: BTreeSet<_> = WRAPPED.iter().map(|of| (of.table, of.column)).collect();
    assert_eq!(there, known);
    assert!(there.contains(&("totp", "wrapped")));

    // And one-time codes go on through the change. So do passkeys (`passkeys/mod.rs`) and the secrets that identity
    // providers gave (`oidc/people.rs`).
    let robin = world.user("robin", &[]).await;
    world.totp(robin).await;
    world.rotate_data_key().await;
    world.sign_in("robin", Some(&world.code())).await.expect(200);
}
