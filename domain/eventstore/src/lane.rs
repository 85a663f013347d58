//! Lanes: per process and tenant, a bounded queue whose jobs travel together.
//!
//! A lane takes what is there, sends it as one batch, and takes again: batches form by themselves while the previous
//! one is under way, so that there is no timer and an idle tenant pays nothing. A lane lives as long as it has work.
//! It is an optimisation, not a leader: two processes with a lane each for one tenant stay correct through the lock on
//! the tenant's head (`docs/eventstore.md`, rule 4).

use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use formats::TenantId;
use uuid::Uuid;

/// The database was away; whatever the job wanted may or may not have happened.
#[derive(Debug, Clone)]
pub(crate) struct Outage(pub(crate) String);

/// Something that travels in a batch and is answered on its own.
pub(crate) trait Job: Send + 'static {
    /// Its size in bytes.
    fn weight(&self) -> usize;
    /// What no other job of the same batch may have: its stream and its command id. None: it goes with any other.
    fn exclusive(&self) -> Option<((&'static str, Uuid), Uuid)>;
    /// Answers that the database was away.
    fn fail(self, outage: &Outage);
}

/// What a lane may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Jobs that wait; further ones are refused.
    pub(crate) queue: usize,
    /// Jobs of a batch.
    pub(crate) jobs: usize,
    /// Bytes of a batch. A single job that is larger travels alone.
    pub(crate) bytes: usize,
}

/// The queue is full. The job comes back.
pub(crate) struct Full;

pub(crate) type Running = Pin<Box<dyn Future<Output = Result<(), Outage>> + Send>>;
type Runner<J> = Box<dyn Fn(TenantId, Vec<J>) -> Running + Send + Sync>;
type Shard<J> = HashMap<TenantId, VecDeque<J>>;

const SHARDS: usize = 16;

/// The lanes of a process. `run` sends a batch and answers its jobs; on an outage it fails its own jobs, and those that
/// wait behind them are failed too rather than kept waiting.
pub(crate) struct Lanes<J> {
    limits: Limits,
    // An entry means that a task works on the tenant.
    shards: [Mutex<Shard<J>>; SHARDS],
    run: Runner<J>,
}

impl<J: Job> Lanes<J> {
    pub(crate) fn new(limits: Limits, run: impl Fn(TenantId, Vec<J>) -> Running + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            limits,
            shards: std::array::from_fn(|_| Mutex::default()),
            run: Box::new(run),
        })
    }

    /// Queues a job, and starts the tenant's lane if none is at work.
    pub(crate) fn submit(self: &Arc<Self>, tenant: TenantId, job: J) -> Result<(), Full> {
        match self.shard(tenant).entry(tenant) {
            Entry::Occupied(lane) if lane.get().len() >= self.limits.queue => return Err(Full),
            Entry::Occupied(mut lane) => lane.get_mut().push_back(job),
            Entry::Vacant(none) => {
                none.insert(VecDeque::from([job]));
                tokio::spawn(Arc::clone(self).work(tenant));
            }
        }
        Ok(())
    }

    async fn work(self: Arc<Self>, tenant: TenantId) {
        // If this task ends early (a panic, the runtime going away) its jobs are dropped, which their callers notice.
        let mut guard = Cleanup {
            lanes: &self,
            tenant,
            armed: true,
        };
        while let Some(batch) = self.take(tenant) {
            if let Err(outage) = (self.run)(tenant, batch).await {
                let waiting = self
                    .shard(tenant)
                    .get_mut(&tenant)
                    .map(std::mem::take)
                    .unwrap_or_default();
                for job in waiting {
                    job.fail(&outage);
                }
            }
        }
        guard.armed = false;
    }

    /// The next batch, in order of arrival; what must not travel together waits for the next one. None, and the lane is
    /// gone, where nothing waits.
    fn take(&self, tenant: TenantId) -> Option<Vec<J>> {
        let mut shard = self.shard(tenant);
        let lane = shard.get_mut(&tenant)?;
        if lane.is_empty() {
            shard.remove(&tenant);
            return None;
        }
        let (mut batch, mut rest) = (Vec::with_capacity(lane.len().min(self.limits.jobs)), VecDeque::new());
        let (mut streams, mut commands) = (HashSet::new(), HashSet::new());
        let mut bytes = 0;
        while let Some(job) = lane.pop_front() {
            let weight = job.weight();
            if batch.len() >= self.limits.jobs || (bytes + weight > self.limits.bytes && !batch.is_empty()) {
                lane.push_front(job);
                break;
            }
            let fits = job.exclusive().is_none_or(|(stream, command)| {
                // Both are noted even if one is taken, so that jobs of one stream keep their order.
                let stream = streams.insert(stream);
                commands.insert(command) && stream
            });
            if fits {
                bytes += weight;
                batch.push(job);
            } else {
                rest.push_back(job);
            }
        }
        rest.append(lane);
        *lane = rest;
        Some(batch)
    }

    fn shard(&self, tenant: TenantId) -> MutexGuard<'_, Shard<J>> {
        // The last byte of a UUIDv7 is random.
        let index = usize::from(tenant.uuid().as_bytes()[15]) % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn working(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}

struct Cleanup<'a, J: Job> {
    lanes: &'a Lanes<J>,
    tenant: TenantId,
    armed: bool,
}

impl<J: Job> Drop for Cleanup<'_, J> {
    fn drop(&mut self) {
        if self.armed {
            self.lanes.shard(self.tenant).remove(&self.tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::sync::{Semaphore, mpsc, oneshot};

    use super::*;

    #[derive(Debug)]
    struct Parcel {
        n: usize,
        stream: u128,
        command: u128,
        weight: usize,
        answer: oneshot::Sender<Result<usize, String>>,
    }

    impl Job for Parcel {
        fn weight(&self) -> usize {
            self.weight
        }
        fn exclusive(&self) -> Option<((&'static str, Uuid), Uuid)> {
            Some((("parcel", Uuid::from_u128(self.stream)), Uuid::from_u128(self.command)))
        }
        fn fail(self, outage: &Outage) {
            let _ = self.answer.send(Err(outage.0.clone()));
        }
    }

    type Answer = oneshot::Receiver<Result<usize, String>>;
    /// Number, stream and command of a parcel in a batch.
    type Sent = (usize, u128, u128);

    fn parcel(n: usize, stream: u128, command: u128, weight: usize) -> (Parcel, Answer) {
        let (answer, answered) = oneshot::channel();
        (
            Parcel {
                n,
                stream,
                command,
                weight,
                answer,
            },
            answered,
        )
    }

    /// Lanes whose batches wait for a permit each and are reported as they start.
    fn gated(limits: Limits) -> (Arc<Lanes<Parcel>>, Arc<Semaphore>, mpsc::UnboundedReceiver<Vec<Sent>>) {
        let gate = Arc::new(Semaphore::new(0));
        let (report, batches) = mpsc::unbounded_channel();
        let lanes = Lanes::new(limits, {
            let gate = Arc::clone(&gate);
            move |_, batch: Vec<Parcel>| {
                let (gate, report) = (Arc::clone(&gate), report.clone());
                Box::pin(async move {
                    report
                        .send(batch.iter().map(|p| (p.n, p.stream, p.command)).collect())
                        .unwrap();
                    gate.acquire().await.unwrap().forget();
                    for parcel in batch {
                        let _ = parcel.answer.send(Ok(parcel.n));
                    }
                    Ok(())
                })
            }
        });
        (lanes, gate, batches)
    }

    const TENANT: TenantId = TenantId::from_uuid(Uuid::from_u128(7));

    #[tokio::test]
    async fn a_full_queue_refuses_and_an_idle_lane_is_dropped() {
        let (lanes, gate, mut batches) = gated(Limits {
            queue: 2,
            jobs: 8,
            bytes: 1 << 20,
        });
        let mut answers = Vec::new();
        let mut submit = |n: usize| {
            let (parcel, answer) = parcel(n, n as u128, n as u128, 1);
            answers.push(answer);
            lanes.submit(TENANT, parcel).is_ok()
        };
        assert!(submit(0));
        assert_eq!(batches.recv().await.unwrap().len(), 1, "the first is under way");
        assert!(submit(1) && submit(2), "two wait");
        assert!(!submit(3), "the third is refused");
        gate.add_permits(2);
        assert_eq!(
            batches.recv().await.unwrap().len(),
            2,
            "those that waited travel together"
        );
        for answer in &mut answers[..3] {
            answer.await.unwrap().unwrap();
        }
        while lanes.working() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn an_outage_fails_those_that_wait_too() {
        let gate = Arc::new(Semaphore::new(0));
        let lanes = Lanes::new(
            Limits {
                queue: 10,
                jobs: 1,
                bytes: 1 << 20,
            },
            {
                let gate = Arc::clone(&gate);
                move |_, batch: Vec<Parcel>| {
                    let gate = Arc::clone(&gate);
                    Box::pin(async move {
                        gate.acquire().await.unwrap().forget();
                        let outage = Outage("away".into());
                        batch.into_iter().for_each(|parcel| parcel.fail(&outage));
                        Err(outage)
                    })
                }
            },
        );
        let answers: Vec<_> = (0..5)
            .map(|n| {
                let (parcel, answer) = parcel(n, n as u128, n as u128, 1);
                assert!(lanes.submit(TENANT, parcel).is_ok());
                answer
            })
            .collect();
        gate.add_permits(1);
        for answer in answers {
            assert_eq!(answer.await.unwrap(), Err("away".into()), "one attempt for all");
        }
    }

    #[tokio::test]
    async fn a_lane_that_panics_leaves_no_caller_waiting() {
        let lanes = Lanes::new(
            Limits {
                queue: 10,
                jobs: 1,
                bytes: 1 << 20,
            },
            |_, _: Vec<Parcel>| Box::pin(async { panic!("a defect") }),
        );
        let (first, first_answer) = parcel(0, 0, 0, 1);
        let (second, second_answer) = parcel(1, 1, 1, 1);
        assert!(lanes.submit(TENANT, first).is_ok());
        assert!(lanes.submit(TENANT, second).is_ok());
        assert!(first_answer.await.is_err() && second_answer.await.is_err());
        assert_eq!(lanes.working(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_job_travels_once_in_lawful_batches_and_each_stream_in_order(
            jobs in prop::collection::vec((0u128..6, 0u128..20, 0usize..40), 1..80)
        ) {
            let limits = Limits { queue: 100, jobs: 7, bytes: 64 };
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let batches = runtime.block_on(async {
                let (lanes, gate, mut started) = gated(limits);
                let answers: Vec<_> = jobs.iter().enumerate().map(|(n, &(stream, command, weight))| {
                    let (parcel, answer) = parcel(n, stream, command, weight);
                    assert!(lanes.submit(TENANT, parcel).is_ok());
                    answer
                }).collect();
                gate.add_permits(1_000);
                for (n, answer) in answers.into_iter().enumerate() {
                    assert_eq!(answer.await.unwrap(), Ok(n));
                }
                let mut batches = Vec::new();
                while let Ok(batch) = started.try_recv() {
                    batches.push(batch);
                }
                batches
            });
            let all: Vec<_> = batches.iter().flatten().copied().collect();
            prop_assert_eq!(all.len(), jobs.len());
            for stream in 0..6 {
                let of_stream: Vec<_> = all.iter().filter(|job| job.1 == stream).map(|job| job.0).collect();
                prop_assert!(of_stream.is_sorted(), "{of_stream:?}");
            }
            for batch in &batches {
                let streams: HashSet<_> = batch.iter().map(|job| job.1).collect();
                let commands: HashSet<_> = batch.iter().map(|job| job.2).collect();
                let bytes: usize = batch.iter().map(|job| jobs[job.0].2).sum();
                prop_assert!(batch.len() <= limits.jobs && (bytes <= limits.bytes || batch.len() == 1));
                prop_assert_eq!((streams.len(), commands.len()), (batch.len(), batch.len()));
            }
        }
    }
}
