//! From an agent's request to its mail, and from an approval to the agent's answer: a development server in this process
//! with HTTP, SMTP and PostgreSQL, agents that file at a fixed rate, administrators who approve each request once its
//! mail is there. Times run from the moment a request was due, whether or not it could be filed then.

use std::{
    collections::HashMap,
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use formats::{RequestId, agent_wire::RequestStatus};
use policy_engine::Action;
use portcullis_agent::Agent;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    Times,
    crew::{Approver, Crew},
    ground, progress, store, verdict,
};
use crate::{
    cli::{Globals, say},
    config::Config,
    dev::{self, Arrival, DevOptions},
};

/// The most requests of a run.
const MOST: u64 = 30_000;
/// Requests under way at once; more of them wait, and their times run. Each may hold two connections.
const UNDER_WAY: usize = 300;
/// How long a mail or an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the slowest hundredth ought to stay below, in milliseconds.
const GOAL_MS: f64 = 300.0;

/// One request's way.
struct Way {
    filed: Duration,
    mailed: Duration,
    answered: Duration,
}

pub(super) async fn run(globals: &Globals, rate: u64, seconds: u64) -> anyhow::Result<ExitCode> {
    let requests = rate * seconds;
    ensure!(
        requests <= MOST,
        "{requests} requests are more than {MOST}: take a lower --rate or fewer --seconds"
    );
    // Two seconds beforehand, which do not count: connections and caches get warm, and the planner its figures.
    let warm = 2 * rate;
    progress("starting a development server with its own PostgreSQL (fsync on)");
    let directory = ground::directory()?;
    let config = Config {
        listen: ([127, 0, 0, 1], 0).into(),
        ..Config::default()
    };
    let options = DevOptions {
        data_dir: Some(directory.path().join("data")),
        empty: false,
        ready_file: None,
        beyond_loopback: false,
        smtp: None,
    };
    let running = dev::start(config, options, CancellationToken::new()).await?;
    let mails = Mails::default();
    let watching = tokio::spawn(
        mails
            .clone()
            .take(running.mails().context("the mailbox is watched already")?),
    );
    progress("registering agents, signing in administrators");
    let crew = Crew::gather(&running, requests + warm).await?;
    let agents = crew.agents.len();
    progress(format!("{agents} agents file {rate} requests a second for {seconds} s"));
    let admin = PgPool::connect(&running.admin_url()).await?;
    let result = file(&crew, &mails, &admin, rate, warm, requests).await;
    admin.close().await;
    running.stop().await?;
    watching.abort();
    let (ways, failures) = result?;
    print(globals, [rate, seconds], &ways, &failures);
    Ok(ExitCode::SUCCESS)
}

/// Files at the rate, the first ones uncounted. The ways that were gone to the end, and why others were not.
async fn file(
    crew: &Crew,
    mails: &Mails,
    admin: &PgPool,
    rate: u64,
    warm: u64,
    requests: u64,
) -> anyhow::Result<(Vec<Way>, Vec<String>)> {
    let begun = Instant::now();
    let places = Arc::new(Semaphore::new(UNDER_WAY));
    let mut tasks = JoinSet::new();
    for n in 0..warm + requests {
        let due = begun + Duration::from_secs(n) / u32::try_from(rate)?;
        tokio::time::sleep_until(due.into()).await;
        let k = usize::try_from(n)?;
        let (tenant, agent) = crew.agents[k % crew.agents.len()].clone();
        let ours = &crew.approvers[tenant];
        let approver = ours[k / crew.agents.len() % ours.len()].clone();
        let (mails, place) = (mails.clone(), places.clone());
        tasks.spawn(async move {
            let _place = place.acquire_owned().await;
            (n >= warm, go(agent, approver, mails, n, due).await)
        });
        if n == rate {
            let admin = admin.clone();
            tokio::spawn(async move { store::analyze(&admin).await });
        }
        if n > 0 && n.is_multiple_of(5 * rate) {
            let under_way = UNDER_WAY - places.available_permits();
            progress(format!("  {n} filed, {under_way} under way"));
        }
    }
    let (mut ways, mut failures) = (Vec::new(), Vec::new());
    while let Some(done) = tasks.join_next().await {
        match done? {
            (true, Ok(way)) => ways.push(way),
            (false, Ok(_)) => {}
            (_, Err(error)) => failures.push(format!("{error:#}")),
        }
    }
    Ok((ways, failures))
}

async fn go(agent: Agent, approver: Approver, mails: Mails, n: u64, due: Instant) -> anyhow::Result<Way> {
    let asked = agent.ask(action(&agent, n)?, None)?;
    let state = agent.submit(&asked, "The benchmark needs it").await?;
    let filed = due.elapsed();
    let request = state.request_id;
    let polling = tokio::spawn(async move {
        let state = agent.wait_decision(request, 2 * PATIENCE).await?;
        let at = Instant::now();
        ensure!(
            state.status == RequestStatus::Approved,
            "the agent's answer is {:?}",
            state.status
        );
        Ok(at)
    });
    let mailed = tokio::time::timeout(PATIENCE, mails.of(request))
        .await
        .ok()
        .flatten()
        .context("no mail came")?;
    let approving = Instant::now();
    approver.approve(request, &asked.digest.to_string()).await?;
    let answered = tokio::time::timeout(PATIENCE, polling)
        .await
        .context("the agent got no answer")???;
    Ok(Way {
        filed,
        mailed: mailed.saturating_duration_since(due),
        answered: answered.saturating_duration_since(approving),
    })
}

fn action(agent: &Agent, n: u64) -> anyhow::Result<Action> {
    Ok(serde_json::from_value(json!({
        "type": "privilege_elevation",
        "user": {"name": format!("DEMO\\bench-{}", n % 50), "groups": ["Developers"]},
        "machine": {"name": agent.identity().machine.name, "os": "windows"},
        "application": {"path": format!("C:\\Users\\bench\\Downloads\\setup-{n}.exe")},
        "at": agent.ambient().now().to_string(),
        "variables": {"userprofile": "C:\\Users\\bench", "downloads": "C:\\Users\\bench\\Downloads", "windir": "C:\\Windows"},
    }))?)
}

enum Slot {
    /// It came before anybody asked.
    Came(Instant),
    /// Somebody waits for it.
    Awaited(oneshot::Sender<Instant>),
}

/// The first mail about each request.
#[derive(Clone, Default)]
struct Mails(Arc<Mutex<HashMap<RequestId, Slot>>>);

impl Mails {
    fn slots(&self) -> MutexGuard<'_, HashMap<RequestId, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(self, mut arrivals: mpsc::UnboundedReceiver<Arrival>) {
        while let Some(Arrival { at, text }) = arrivals.recv().await {
            let Some(request) = request_in(&text) else { continue };
            let mut slots = self.slots();
            match slots.remove(&request) {
                Some(Slot::Awaited(waiter)) => {
                    let _ = waiter.send(at);
                }
                Some(Slot::Came(first)) => {
                    slots.insert(request, Slot::Came(first));
                }
                None => {
                    slots.insert(request, Slot::Came(at));
                }
            }
        }
    }

    /// When the first mail about a request came; waits for it.
    async fn of(&self, request: RequestId) -> Option<Instant> {
        let waiting = {
            let mut slots = self.slots();
            if let Some(Slot::Came(at)) = slots.remove(&request) {
                return Some(at);
            }
            let (sender, receiver) = oneshot::channel();
            slots.insert(request, Slot::Awaited(sender));
            receiver
        };
        waiting.await.ok()
    }
}

/// The first request's id in a text.
fn request_in(text: &str) -> Option<RequestId> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .find_map(|word| word.parse().ok())
}

fn print(globals: &Globals, [rate, seconds]: [u64; 2], ways: &[Way], failures: &[String]) {
    let times = |of: fn(&Way) -> Duration| Times::of(ways.iter().map(of).collect());
    let rows = [
        ("filed: the server's answer", times(|way| way.filed)),
        ("filed: the mail is at the SMTP server", times(|way| way.mailed)),
        ("approved: the agent's poll is answered", times(|way| way.answered)),
    ];
    if globals.json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(name, t)| json!({ "name": name, "p50Ms": t.ms(500), "p99Ms": t.ms(990), "maxMs": t.ms(1_000) }))
            .collect();
        say(
            json!({ "rate": rate, "seconds": seconds, "done": ways.len(), "failed": failures.len(),
            "firstFailure": failures.first(), "latencies": rows }),
        );
        return;
    }
    say(format!(
        "{rate} requests/s for {seconds} s: {} went all the way, {} failed",
        ways.len(),
        failures.len()
    ));
    if let Some(first) = failures.first() {
        say(format!("  the first failure: {first}"));
    }
    say(format!("{:<40} {:>9} {:>9} {:>9}", "", "p50 ms", "p99 ms", "max ms"));
    for (name, t) in &rows {
        say(format!(
            "{name:<40} {:>9.1} {:>9.1} {:>9.1}",
            t.ms(500),
            t.ms(990),
            t.ms(1_000)
        ));
    }
    for (name, t) in &rows[1..] {
        let met = !ways.is_empty() && failures.is_empty() && t.ms(990) < GOAL_MS;
        say(format!("goal: {name}: p99 below {GOAL_MS:.0} ms: {}", verdict(met)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_of_a_mail_is_found_in_its_text() {
        let id = "req_01h2xcejqtf2nbrexx3vqjhp41";
        let text = format!("Somebody asks.\nRequest: {id}.\nhttps://gate.test/approve/x");
        assert_eq!(request_in(&text).map(|id| id.to_string()).as_deref(), Some(id));
        assert_eq!(request_in("nothing of the kind req_x"), None);
    }

    #[tokio::test]
    async fn a_mail_is_noticed_whether_it_comes_before_or_after_somebody_asks_and_only_the_first_counts() {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mails = Mails::default();
        tokio::spawn(mails.clone().take(receiver));
        let (early, late): (RequestId, RequestId) = (
            "req_01h2xcejqtf2nbrexx3vqjhp41".parse().unwrap(),
            "req_01h2xcejqtf2nbrexx3vqjhp42".parse().unwrap(),
        );
        let first = Instant::now();
        let second = first + Duration::from_secs(1);
        let mail = |at, request: RequestId| Arrival {
            at,
            text: request.to_string(),
        };
        sender.send(mail(first, early)).unwrap();
        sender.send(mail(second, early)).unwrap();
        let waiting = tokio::spawn({
            let mails = mails.clone();
            async move { mails.of(late).await }
        });
        sender.send(mail(second, late)).unwrap();
        assert_eq!(waiting.await.unwrap(), Some(second));
        assert_eq!(mails.of(early).await, Some(first));
    }
}
