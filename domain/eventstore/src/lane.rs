//! Lanes: per process and tenant, a bounded queue whose jobs travel together.
//!
//! A few senders take what is there, of many tenants at once, send it as one batch, and take again: batches form by
//! themselves while the previous ones are under way, so that there is no timer and an idle tenant pays nothing. A tenant
//! is in one batch at a time, and tenants take turns. Lanes are an optimisation, not a leader: two processes with a lane
//! each for one tenant stay correct through the lock on the tenant's head (`docs/eventstore.md`, rule 4).

use std::{
    collections::{HashMap, HashSet, VecDeque},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use formats::TenantId;
use tokio::runtime::Handle;
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

/// What lanes may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Jobs of a tenant that wait; further ones are refused.
    pub(crate) queue: usize,
    /// Batches under way at once, those that wait for one tenant aside.
    pub(crate) senders: usize,
    /// Tenants of a batch.
    pub(crate) tenants: usize,
    /// Jobs of a batch.
    pub(crate) jobs: usize,
    /// Bytes of a batch. A single job that is larger travels alone.
    pub(crate) bytes: usize,
}

/// The queue is full. The job comes back.
pub(crate) struct Full;

/// A tenant's part of a batch, in order of arrival.
pub(crate) type Part<J> = (TenantId, Vec<J>);

/// How a batch is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trip {
    /// With others' jobs: nothing that one tenant has to wait for may be waited for.
    Together,
    /// One tenant's.
    Alone,
}

/// What is left of a batch that was sent: tenants whose jobs have to go alone. Those of others were answered.
pub(crate) type Sent<J> = Result<Vec<Part<J>>, Outage>;
pub(crate) type Running<J> = Pin<Box<dyn Future<Output = Sent<J>> + Send>>;
type Runner<J> = Box<dyn Fn(Vec<Part<J>>, Trip) -> Running<J> + Send + Sync>;

/// The lanes of a process. `run` sends a batch and answers its jobs; on an outage it fails its own jobs, and those that
/// wait behind them are failed too rather than kept waiting.
pub(crate) struct Lanes<J> {
    limits: Limits,
    state: Mutex<State<J>>,
    run: Runner<J>,
}

struct State<J> {
    // An entry means that the tenant has its turn or waits for it.
    lanes: HashMap<TenantId, VecDeque<J>>,
    // Tenants that wait for their turn, each once.
    ready: VecDeque<TenantId>,
    senders: usize,
}

impl<J: Job> Lanes<J> {
    pub(crate) fn new(
        limits: Limits,
        run: impl Fn(Vec<Part<J>>, Trip) -> Running<J> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::new(State {
                lanes: HashMap::new(),
                ready: VecDeque::new(),
                senders: 0,
            }),
            run: Box::new(run),
        })
    }

    /// Queues a job, and starts a sender if one more may be at work.
    pub(crate) fn submit(self: &Arc<Self>, tenant: TenantId, job: J) -> Result<(), Full> {
        let mut state = self.state();
        if let Some(lane) = state.lanes.get_mut(&tenant) {
            if lane.len() >= self.limits.queue {
                return Err(Full);
            }
            lane.push_back(job);
            return Ok(());
        }
        state.lanes.insert(tenant, VecDeque::from([job]));
        state.ready.push_back(tenant);
        self.start_sender(&mut state);
        Ok(())
    }

    fn start_sender(self: &Arc<Self>, state: &mut State<J>) {
        // There is no runtime where this one goes away with jobs that wait.
        if state.senders < self.limits.senders
            && !state.ready.is_empty()
            && let Ok(runtime) = Handle::try_current()
        {
            state.senders += 1;
            runtime.spawn(Arc::clone(self).work());
        }
    }

    async fn work(self: Arc<Self>) {
        let _place = Place(&self);
        while let Some(batch) = self.take() {
            self.carry(batch, Trip::Together).await;
        }
    }

    /// Sends a batch and ends its tenants' turns; those that have to go alone keep theirs until they have.
    async fn carry(self: &Arc<Self>, batch: Vec<Part<J>>, trip: Trip) {
        let mut turns = Turns {
            lanes: self,
            tenants: batch.iter().map(|(tenant, _)| *tenant).collect(),
        };
        match (self.run)(batch, trip).await {
            Ok(alone) => {
                for part in alone {
                    turns.tenants.retain(|tenant| *tenant != part.0);
                    tokio::spawn(Arc::clone(self).carry_alone(part));
                }
            }
            Err(outage) => {
                let waiting: Vec<_> = {
                    let mut state = self.state();
                    let lanes = turns.tenants.iter();
                    lanes
                        .filter_map(|tenant| state.lanes.get_mut(tenant).map(std::mem::take))
                        .collect()
                };
                waiting.into_iter().flatten().for_each(|job| job.fail(&outage));
            }
        }
        turns.end();
    }

    // Boxed, since it is a part of what it calls.
    fn carry_alone(self: Arc<Self>, part: Part<J>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            self.carry(vec![part], Trip::Alone).await;
            self.start_sender(&mut self.state());
        })
    }

    /// The next batch: of the tenants whose turn it is, their jobs in order of arrival; what must not travel together
    /// waits for the next one. None where nothing waits.
    fn take(&self) -> Option<Vec<Part<J>>> {
        let mut state = self.state();
        let state = &mut *state;
        let mut batch: Vec<Part<J>> = Vec::new();
        let (mut jobs, mut bytes) = (0, 0);
        while batch.len() < self.limits.tenants && jobs < self.limits.jobs && bytes < self.limits.bytes {
            let Some(tenant) = state.ready.pop_front() else { break };
            let Some(lane) = state.lanes.get_mut(&tenant) else {
                continue;
            };
            let (mut part, mut rest) = (Vec::new(), VecDeque::new());
            let (mut streams, mut commands) = (HashSet::new(), HashSet::new());
            while let Some(job) = lane.pop_front() {
                let weight = job.weight();
                if jobs >= self.limits.jobs || (bytes + weight > self.limits.bytes && jobs > 0) {
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
                    jobs += 1;
                    part.push(job);
                } else {
                    rest.push_back(job);
                }
            }
            rest.append(lane);
            *lane = rest;
            if part.is_empty() {
                // The batch is full: its turn is the next.
                state.ready.push_front(tenant);
                break;
            }
            batch.push((tenant, part));
        }
        (!batch.is_empty()).then_some(batch)
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn working(&self) -> usize {
        let state = self.state();
        state.lanes.len() + state.senders
    }
}

/// A sender's place, given up when it ends.
struct Place<'a, J: Job>(&'a Arc<Lanes<J>>);

impl<J: Job> Drop for Place<'_, J> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.senders -= 1;
        // Somebody may have come after the last look.
        self.0.start_sender(&mut state);
    }
}

/// Turns of tenants. Where they do not end as they should (a panic, the runtime going away), the jobs that wait are
/// dropped, which their callers notice.
struct Turns<'a, J: Job> {
    lanes: &'a Arc<Lanes<J>>,
    tenants: Vec<TenantId>,
}

impl<J: Job> Turns<'_, J> {
    fn end(mut self) {
        let mut state = self.lanes.state();
        for tenant in self.tenants.drain(..) {
            if state.lanes.get(&tenant).is_some_and(VecDeque::is_empty) {
                state.lanes.remove(&tenant);
            } else {
                state.ready.push_back(tenant);
            }
        }
    }
}

impl<J: Job> Drop for Turns<'_, J> {
    fn drop(&mut self) {
        if !self.tenants.is_empty() {
            let mut state = self.lanes.state();
            for tenant in &self.tenants {
                state.lanes.remove(tenant);
            }
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
    type Seen = (usize, (TenantId, u128), (TenantId, u128));

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
    fn gated(limits: Limits) -> (Arc<Lanes<Parcel>>, Arc<Semaphore>, mpsc::UnboundedReceiver<Vec<Seen>>) {
        let gate = Arc::new(Semaphore::new(0));
        let (report, batches) = mpsc::unbounded_channel();
        let lanes = Lanes::new(limits, {
            let (gate, under_way) = (Arc::clone(&gate), Arc::new(Mutex::new(HashSet::new())));
            move |batch: Vec<Part<Parcel>>, _| {
                let (gate, report, under_way) = (Arc::clone(&gate), report.clone(), Arc::clone(&under_way));
                Box::pin(async move {
                    let tenants: Vec<TenantId> = batch.iter().map(|(tenant, _)| *tenant).collect();
                    let first = |tenant: &TenantId| under_way.lock().unwrap().insert(*tenant);
                    assert!(tenants.iter().all(first), "a tenant is in one batch at a time");
                    let parcels = || {
                        batch
                            .iter()
                            .flat_map(|(tenant, parcels)| parcels.iter().map(|p| (*tenant, p)))
                    };
                    report
                        .send(parcels().map(|(t, p)| (p.n, (t, p.stream), (t, p.command))).collect())
                        .unwrap();
                    gate.acquire().await.unwrap().forget();
                    under_way.lock().unwrap().retain(|tenant| !tenants.contains(tenant));
                    for parcel in batch.into_iter().flat_map(|(_, parcels)| parcels) {
                        let _ = parcel.answer.send(Ok(parcel.n));
                    }
                    Ok(Vec::new())
                })
            }
        });
        (lanes, gate, batches)
    }

    const TENANT: TenantId = tenant(7);

    const fn tenant(n: u128) -> TenantId {
        TenantId::from_uuid(Uuid::from_u128(n))
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_an_idle_lane_is_dropped() {
        let (lanes, gate, mut batches) = gated(Limits {
            queue: 2,
            senders: 1,
            tenants: 4,
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
                senders: 1,
                tenants: 4,
                jobs: 1,
                bytes: 1 << 20,
            },
            {
                let gate = Arc::clone(&gate);
                move |batch: Vec<Part<Parcel>>, _| {
                    let gate = Arc::clone(&gate);
                    Box::pin(async move {
                        gate.acquire().await.unwrap().forget();
                        let outage = Outage("away".into());
                        let parcels = batch.into_iter().flat_map(|(_, parcels)| parcels);
                        parcels.for_each(|parcel| parcel.fail(&outage));
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
                senders: 1,
                tenants: 4,
                jobs: 1,
                bytes: 1 << 20,
            },
            |_: Vec<Part<Parcel>>, _| Box::pin(async { panic!("a defect") }),
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
            jobs in prop::collection::vec((0u128..3, 0u128..4, 0u128..20, 0usize..40), 1..80)
        ) {
            let limits = Limits { queue: 100, senders: 2, tenants: 2, jobs: 7, bytes: 64 };
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let batches = runtime.block_on(async {
                let (lanes, gate, mut started) = gated(limits);
                let answers: Vec<_> = jobs.iter().enumerate().map(|(n, &(of, stream, command, weight))| {
                    let (parcel, answer) = parcel(n, stream, command, weight);
                    assert!(lanes.submit(tenant(of), parcel).is_ok());
                    answer
                }).collect();
                gate.add_permits(1_000);
                for (n, answer) in answers.into_iter().enumerate() {
                    assert_eq!(answer.await.unwrap(), Ok(n));
                }
                while lanes.working() > 0 {
                    tokio::task::yield_now().await;
                }
                let mut batches = Vec::new();
                while let Ok(batch) = started.try_recv() {
                    batches.push(batch);
                }
                batches
            });
            let all: Vec<_> = batches.iter().flatten().copied().collect();
            prop_assert_eq!(all.len(), jobs.len());
            for stream in all.iter().map(|job| job.1).collect::<HashSet<_>>() {
                let of_stream: Vec<_> = all.iter().filter(|job| job.1 == stream).map(|job| job.0).collect();
                prop_assert!(of_stream.is_sorted(), "{of_stream:?}");
            }
            for batch in &batches {
                let tenants: HashSet<_> = batch.iter().map(|job| job.1.0).collect();
                let streams: HashSet<_> = batch.iter().map(|job| job.1).collect();
                let commands: HashSet<_> = batch.iter().map(|job| job.2).collect();
                let bytes: usize = batch.iter().map(|job| jobs[job.0].3).sum();
                prop_assert!(batch.len() <= limits.jobs && (bytes <= limits.bytes || batch.len() == 1));
                prop_assert!(tenants.len() <= limits.tenants);
                prop_assert_eq!((streams.len(), commands.len()), (batch.len(), batch.len()));
            }
        }
    }

    #[tokio::test]
    async fn what_has_to_go_alone_keeps_its_turn_and_delays_nobody() {
        let (report, mut trips) = mpsc::unbounded_channel();
        let gate = Arc::new(Semaphore::new(0));
        let limits = Limits {
            queue: 10,
            senders: 1,
            tenants: 4,
            jobs: 8,
            bytes: 1 << 20,
        };
        let lanes = Lanes::new(limits, {
            let gate = Arc::clone(&gate);
            move |batch: Vec<Part<Parcel>>, trip| {
                let (gate, report) = (Arc::clone(&gate), report.clone());
                Box::pin(async move {
                    report
                        .send((batch.iter().map(|(tenant, _)| *tenant).collect::<Vec<_>>(), trip))
                        .unwrap();
                    if trip == Trip::Together && batch[0].0 == TENANT {
                        return Ok(batch);
                    }
                    if trip == Trip::Alone {
                        gate.acquire().await.unwrap().forget();
                    }
                    for parcel in batch.into_iter().flat_map(|(_, parcels)| parcels) {
                        let _ = parcel.answer.send(Ok(parcel.n));
                    }
                    Ok(Vec::new())
                })
            }
        });
        let submit = |of: TenantId, n: usize| {
            let (parcel, answer) = parcel(n, n as u128, n as u128, 1);
            assert!(lanes.submit(of, parcel).is_ok());
            answer
        };
        let first = submit(TENANT, 0);
        assert_eq!(trips.recv().await.unwrap(), (vec![TENANT], Trip::Together));
        assert_eq!(trips.recv().await.unwrap(), (vec![TENANT], Trip::Alone));
        let second = submit(TENANT, 1);
        assert_eq!(submit(tenant(8), 2).await.unwrap(), Ok(2), "another's goes at once");
        assert_eq!(trips.recv().await.unwrap(), (vec![tenant(8)], Trip::Together));
        assert!(trips.try_recv().is_err(), "the second waits for its turn");
        gate.add_permits(2);
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (Ok(0), Ok(1)));
        while lanes.working() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
