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
}

#[derive(Debug, Default)]
struct Model {
    head: i64,
    versions: HashMap<u8, i64>,
    commands: HashMap<u8, (u8, i64, i64, i64, u8)>,
    claims: HashMap<u8, u8>,
}

impl Model {
    /// What a batch means: one command after the other, but for streams and ids that come twice.
    fn append(&mut self, batch: &[(Sent, i64)]) -> Vec<Verdict> {
        let known = self.commands.clone();
        let (mut streams, mut ids) = (HashSet::new(), HashSet::new());
        let mut verdicts = Vec::new();
        for (sent, expected) in batch {
            let repeated = !streams.insert(sent.stream) | !ids.insert(sent.id);
            verdicts.push(match known.get(&sent.id) {
                Some(&(fingerprint, first, last, version, stream)) if fingerprint == sent.fingerprint => {
                    Verdict::Duplicate {
                        first,
                        last,
                        version,
                        stream,
                    }
                }
                Some(_) => Verdict::KeyReused,
                None if repeated || *expected != self.version(sent.stream) => Verdict::Conflict,
                None => self.append_one(sent),
            });
        }
        verdicts
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

async fn append(pool: &PgPool, tenant: TenantId, batch: &[(Sent, i64)]) -> Vec<Verdict> {
    let numbers = |count: fn(&Sent) -> usize| -> Vec<i32> {
        (1..)
            .zip(batch)
            .flat_map(|(n, (sent, _))| std::iter::repeat_n(n, count(sent)))
            .collect()
    };
    let each = numbers(|sent| usize::from(sent.events));
    let claims: Vec<Option<u8>> = batch.iter().flat_map(|(sent, _)| sent.claims.clone()).collect();
    let rows = sqlx::query(
        "select * from append_batch($1, $2, $3, $2, $4, $5, $6, $7,
           array_fill('E'::text, array[$8]), array_fill(1, array[$8]), array_fill(now(), array[$8]),
           array_fill(now(), array[$8]), array_fill('x'::bytea, array[$8]), array_fill('{}'::text, array[$8]),
           array_fill(sha256('x'), array[$8]), $9, $10, array_fill('value'::text, array[$11]), $12)",
    )
    .bind(tenant.uuid())
    .bind(batch.iter().map(|(sent, _)| uuid(sent.id)).collect::<Vec<_>>())
    .bind(batch.iter().map(|(sent, _)| vec![sent.fingerprint]).collect::<Vec<_>>())
    .bind(vec!["thing"; batch.len()])
    .bind(batch.iter().map(|(sent, _)| uuid(sent.stream)).collect::<Vec<_>>())
    .bind(batch.iter().map(|(_, expected)| *expected).collect::<Vec<_>>())
    .bind(&each)
    .bind(i32::try_from(each.len()).unwrap())
    .bind(numbers(|sent| sent.claims.len()))
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
                other => panic!("{other}"),
            }
        })
        .collect()
}

fn batches() -> impl Strategy<Value = Vec<Vec<Sent>>> {
    let claim = prop::option::weighted(0.7, 0u8..4);
    let sent = (
        0u8..24,
        0u8..2,
        0u8..5,
        prop::sample::select(vec![0, 0, 0, 0, 1, -1]),
        0u8..4,
    )
        .prop_flat_map(move |(id, fingerprint, stream, off, events)| {
            prop::collection::vec(claim.clone(), 0..3).prop_map(move |claims| Sent {
                id,
                fingerprint,
                stream,
                off,
                events,
                claims,
            })
        });
    prop::collection::vec(prop::collection::vec(sent, 1..6), 1..8)
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
            ..ProptestConfig::with_cases(60)
        };
        TestRunner::new(config)
            .run(&batches(), |batches| {
                handle.block_on(async {
                    let tenant = TenantId::from_uuid(Uuid::from_u128(rand_id(&batches)));
                    sqlx::query("insert into tenant_head (tenant_id) values ($1) on conflict do nothing")
                        .bind(tenant.uuid())
                        .execute(&admin)
                        .await
                        .unwrap();
                    let head: i64 = head(&admin, tenant).await;
                    prop_assume!(head == 0);
                    let mut model = Model::default();
                    for batch in batches {
                        let batch: Vec<(Sent, i64)> = batch
                            .into_iter()
                            .map(|sent| {
                                let expected = model.version(sent.stream) + sent.off;
                                (sent, expected)
                            })
                            .collect();
                        let wanted = model.append(&batch);
                        let given = append(&pool, tenant, &batch).await;
                        seen.lock().unwrap().extend(given.iter().map(std::mem::discriminant));
                        prop_assert_eq!(given, wanted);
                    }
                    prop_assert_eq!(self::head(&admin, tenant).await, model.head);
                    let positions = crate::world::positions(&admin, tenant).await;
                    prop_assert_eq!(crate::checks::gapless(&positions), Ok(()));
                    prop_assert_eq!(positions.len() as i64, model.head);
                    Ok(())
                })
            })
            .unwrap();
        seen.lock().unwrap().len()
    });
    assert_eq!(checking.await.unwrap(), 5, "every verdict was met");
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
