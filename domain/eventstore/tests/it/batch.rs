//! The function `append_batch` against a model of what a batch means: random batches, command by command.

use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
};

use formats::TenantId;
use proptest::{prelude::*, test_runner::TestRunner};
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::world::World;

/// One command of a batch, in small numbers that collide often.
#[derive(Debug, Clone)]
struct Sent {
    tenant: u8,
    id: u8,
    fingerprint: u8,
    stream: u8,
    /// How far from the stream's true version the expected one is.
    off: i64,
    events: u8,
    /// Values to take; none: give back what is held.
    claims: Vec<Option<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Ok {
        first: i64,
        last: i64,
        version: i64,
    },
    Duplicate {
        first: i64,
        last: i64,
        version: i64,
        stream: u8,
    },
    KeyReused,
    Conflict,
    ClaimTaken {
        holder: u8,
    },
    Locked,
}

#[derive(Debug, Default)]
struct Model {
    head: i64,
    versions: HashMap<u8, i64>,
    commands: HashMap<u8, (u8, i64, i64, i64, u8)>,
    claims: HashMap<u8, u8>,
}

impl Model {
    /// What a command means that comes after those before it.
    fn append(&mut self, sent: &Sent, expected: i64) -> Verdict {
        match self.commands.get(&sent.id) {
            Some(&(fingerprint, first, last, version, stream)) if fingerprint == sent.fingerprint => {
                Verdict::Duplicate {
                    first,
                    last,
                    version,
                    stream,
                }
            }
            Some(_) => Verdict::KeyReused,
            None if expected != self.version(sent.stream) => Verdict::Conflict,
            None => self.append_one(sent),
        }
    }

    fn append_one(&mut self, sent: &Sent) -> Verdict {
        let others = |value: &u8| self.claims.get(value).copied().filter(|holder| *holder != sent.stream);
        if let Some(holder) = sent.claims.iter().flatten().find_map(others) {
            return Verdict::ClaimTaken { holder };
        }
        for claim in &sent.claims {
            match claim {
                Some(value) => drop(self.claims.insert(*value, sent.stream)),
                None => self.claims.retain(|_, holder| *holder != sent.stream),
            }
        }
        let (first, events) = (self.head + 1, i64::from(sent.events));
        self.head += events;
        let version = self.version(sent.stream) + events;
        self.versions.insert(sent.stream, version);
        self.commands
            .insert(sent.id, (sent.fingerprint, first, self.head, version, sent.stream));
        Verdict::Ok {
            first,
            last: self.head,
            version,
        }
    }

    fn version(&self, stream: u8) -> i64 {
        self.versions.get(&stream).copied().unwrap_or(0)
    }
}

fn uuid(n: u8) -> Uuid {
    Uuid::from_u128(u128::from(n) + 1)
}

async fn append(pool: &PgPool, wait: bool, tenants: &[TenantId], batch: &[(Sent, i64)]) -> Vec<Verdict> {
    let counts = |count: fn(&Sent) -> usize| -> Vec<i32> {
        let counts = batch.iter().map(|(sent, _)| count(sent));
        counts.map(|count| i32::try_from(count).unwrap()).collect()
    };
    let events = counts(|sent| usize::from(sent.events));
    let claims: Vec<Option<u8>> = batch.iter().flat_map(|(sent, _)| sent.claims.clone()).collect();
    let rows = sqlx::query(
        "select * from append_batch($1, $2, $3, $4, $3, $5, $6, $7, $8, $9,
           array_fill('E'::text, array[$10]), array_fill(1, array[$10]), array_fill(now(), array[$10]),
           array_fill(now(), array[$10]), array_fill('x'::bytea, array[$10]), array_fill('{}'::text, array[$10]),
           array_fill(sha256('x'), array[$10]), $11, array_fill('value'::text, array[$12]), $13)",
    )
    .bind(wait)
    .bind(
        batch
            .iter()
            .map(|(sent, _)| tenants[usize::from(sent.tenant)].uuid())
            .collect::<Vec<_>>(),
    )
    .bind(batch.iter().map(|(sent, _)| uuid(sent.id)).collect::<Vec<_>>())
    .bind(batch.iter().map(|(sent, _)| vec![sent.fingerprint]).collect::<Vec<_>>())
    .bind(vec!["thing"; batch.len()])
    .bind(batch.iter().map(|(sent, _)| uuid(sent.stream)).collect::<Vec<_>>())
    .bind(batch.iter().map(|(_, expected)| *expected).collect::<Vec<_>>())
    .bind(&events)
    .bind(counts(|sent| sent.claims.len()))
    .bind(events.iter().sum::<i32>())
    .bind(claims.iter().map(Option::is_some).collect::<Vec<_>>())
    .bind(i32::try_from(claims.len()).unwrap())
    .bind(
        claims
            .iter()
            .map(|value| value.map(|value| vec![value; 32]))
            .collect::<Vec<_>>(),
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let small = |id: Uuid| u8::try_from(id.as_u128() - 1).unwrap();
    rows.iter()
        .map(|row| {
            let number = |column: &str| row.get::<i64, _>(column);
            let stream = small(row.get("stream_id"));
            let (first, last, version) = match row.get::<&str, _>("verdict") {
                "ok" | "duplicate" => (
                    number("first_position"),
                    number("last_position"),
                    number("stream_version"),
                ),
                _ => (0, 0, 0),
            };
            match row.get::<&str, _>("verdict") {
                "ok" => Verdict::Ok { first, last, version },
                "duplicate" => Verdict::Duplicate {
                    first,
                    last,
                    version,
                    stream,
                },
                "key_reused" => Verdict::KeyReused,
                "conflict" => Verdict::Conflict,
                "claim_taken" => Verdict::ClaimTaken { holder: stream },
                "locked" => Verdict::Locked,
                other => panic!("{other}"),
            }
        })
        .collect()
}

const TENANTS: u8 = 3;

/// Batches of up to twenty commands; small ones and large ones, of one tenant or of several, go different ways.
fn batches() -> impl Strategy<Value = Vec<Vec<Sent>>> {
    let claim = prop::option::weighted(0.7, 0u8..4);
    let sent = (
        prop::sample::select(vec![0, 0, 0, 1, 2]),
        0u8..40,
        0u8..2,
        0u8..14,
        prop::sample::select(vec![0, 0, 0, 0, 1, -1]),
        0u8..4,
    )
        .prop_flat_map(move |(tenant, id, fingerprint, stream, off, events)| {
            prop::collection::vec(claim.clone(), 0..3).prop_map(move |claims| Sent {
                tenant,
                id,
                fingerprint,
                stream,
                off,
                events,
                claims,
            })
        });
    let batch = (prop::collection::vec(sent, 1..20), any::<bool>()).prop_map(|(mut batch, one)| {
        if one {
            batch.iter_mut().for_each(|sent| sent.tenant = 0);
        }
        // As lanes make them: a tenant's commands together, no stream and no id twice.
        batch.sort_by_key(|sent| sent.tenant);
        let mut seen = HashSet::new();
        batch.retain(|sent| {
            seen.insert((sent.tenant, "stream", sent.stream)) & seen.insert((sent.tenant, "id", sent.id))
        });
        batch
    });
    prop::collection::vec(batch, 1..8)
}

async fn make_heads(admin: &PgPool, tenants: &[TenantId]) {
    for tenant in tenants {
        sqlx::query("insert into tenant_head (tenant_id) values ($1) on conflict do nothing")
            .bind(tenant.uuid())
            .execute(admin)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_means_its_commands_one_after_the_other() {
    let world = World::new().await;
    let handle = tokio::runtime::Handle::current();
    let pool = world.store.pool().clone();
    let admin = world.admin.clone();
    let checking = tokio::task::spawn_blocking(move || {
        let seen = Mutex::new(HashSet::new());
        let config = ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(80)
        };
        TestRunner::new(config)
            .run(&batches(), |batches| {
                handle.block_on(async {
                    let base = rand_id(&batches);
                    let tenants: Vec<_> = (0..TENANTS)
                        .map(|n| TenantId::from_uuid(Uuid::from_u128(base + u128::from(n))))
                        .collect();
                    make_heads(&admin, &tenants).await;
                    prop_assume!(head(&admin, tenants[0]).await == 0);
                    let mut models: Vec<Model> = tenants.iter().map(|_| Model::default()).collect();
                    for (n, batch) in batches.into_iter().enumerate() {
                        let batch: Vec<(Sent, i64)> = batch
                            .into_iter()
                            .map(|sent| {
                                let expected = models[usize::from(sent.tenant)].version(sent.stream) + sent.off;
                                (sent, expected)
                            })
                            .collect();
                        let wanted: Vec<_> = batch
                            .iter()
                            .map(|(sent, expected)| models[usize::from(sent.tenant)].append(sent, *expected))
                            .collect();
                        let one = batch.iter().all(|(sent, _)| sent.tenant == batch[0].0.tenant);
                        let given = append(&pool, one && n % 2 == 0, &tenants, &batch).await;
                        seen.lock().unwrap().extend(given.iter().map(std::mem::discriminant));
                        prop_assert_eq!(given, wanted);
                    }
                    for (tenant, model) in tenants.into_iter().zip(models) {
                        prop_assert_eq!(self::head(&admin, tenant).await, model.head);
                        let positions = crate::world::positions(&admin, tenant).await;
                        prop_assert_eq!(crate::checks::gapless(&positions), Ok(()));
                        prop_assert_eq!(positions.len() as i64, model.head);
                    }
                    Ok(())
                })
            })
            .unwrap();
        seen.lock().unwrap().len()
    });
    assert_eq!(checking.await.unwrap(), 5, "every verdict was met");
}

fn plain(tenant: u8, n: u8) -> (Sent, i64) {
    let sent = Sent {
        tenant,
        id: n,
        fingerprint: 0,
        stream: n,
        off: 0,
        events: 1,
        claims: Vec::new(),
    };
    (sent, 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_head_is_held_keeps_nobody_waiting() {
    let world = World::new().await;
    let pool = world.store.pool();
    let tenants = [1, 2, 3].map(|n| TenantId::from_uuid(Uuid::from_u128(n << 64)));
    make_heads(&world.admin, &tenants).await;
    let mut held = world.admin.begin().await.unwrap();
    sqlx::query("select from tenant_head where tenant_id = $1 for update")
        .bind(tenants[1].uuid())
        .execute(&mut *held)
        .await
        .unwrap();
    let batch = [plain(0, 0), plain(1, 0), plain(1, 1), plain(2, 0)];
    let verdicts = append(pool, false, &tenants, &batch).await;
    let written = Verdict::Ok {
        first: 1,
        last: 1,
        version: 1,
    };
    assert_eq!(
        verdicts,
        [written.clone(), Verdict::Locked, Verdict::Locked, written],
        "the others' commands are carried out"
    );
    let many: Vec<_> = (0..10).map(|n| plain(1, n)).collect();
    let verdicts = append(pool, false, &tenants, &many).await;
    assert_eq!(verdicts, vec![Verdict::Locked; 10], "large batches too");
    held.rollback().await.unwrap();
    assert_eq!(head(&world.admin, tenants[1]).await, 0, "nothing of it was written");
    let verdicts = append(pool, true, &tenants, &many).await;
    assert!(verdicts.iter().all(|v| matches!(v, Verdict::Ok { .. })), "{verdicts:?}");
}

async fn head(admin: &PgPool, tenant: TenantId) -> i64 {
    sqlx::query_scalar("select position from tenant_head where tenant_id = $1")
        .bind(tenant.uuid())
        .fetch_one(admin)
        .await
        .unwrap()
}

/// A tenant of each case's own.
fn rand_id(batches: &[Vec<Sent>]) -> u128 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    format!("{batches:?}").hash(&mut hasher);
    u128::from(hasher.finish()) << 8
}
