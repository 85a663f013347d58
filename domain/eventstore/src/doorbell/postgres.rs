//! The doorbell between processes, over PostgreSQL's `notify`.
//!
//! Two connections of its own, never those of an append: a notification inside an appending transaction makes commits
//! queue behind one lock. Rings are gathered and sent at most 50 times a second; a process hears its own at once.

use std::{
    collections::HashSet,
    mem,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use formats::{Ambient, TenantId};
use sqlx::{
    ConnectOptions, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};
use uuid::Uuid;

use super::{Doorbell, InProcess, News, Subscription};

/// The channel. Its messages: the sender's id, `:`, then tenants as 32 hexadecimal digits without separators, or `*`.
const CHANNEL: &str = "portcullis_news";
/// The shortest time between two messages of a process.
const PACE: Duration = Duration::from_millis(20);
/// A message is at most 8,000 bytes.
const TENANTS: usize = 240;
/// The pause before a lost connection is made anew.
const RECONNECT: Duration = Duration::from_millis(500);

/// Rings in every process that has one of these on the same database. Stops when dropped.
#[derive(Debug)]
pub struct PostgresDoorbell {
    here: InProcess,
    waiting: Arc<Waiting>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Debug, Default)]
struct Waiting {
    tenants: Mutex<HashSet<TenantId>>,
    some: Notify,
}

impl PostgresDoorbell {
    /// Begins to listen and to send. The URL has to lead to PostgreSQL itself, not to a pooler of transactions.
    ///
    /// # Errors
    /// Where the database does not answer now. Later losses are mended.
    pub async fn start(url: &str, ambient: &Ambient) -> Result<Self, sqlx::Error> {
        let options = PgConnectOptions::from_str(url)?.application_name("portcullis doorbell");
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None);
        let listener = listen(&pool.connect_lazy_with(options.clone())).await?;
        let here = InProcess::new();
        let me = Uuid::from_bytes(ambient.bytes());
        let waiting = Arc::new(Waiting::default());
        let tasks = [
            tokio::spawn(hear(listener, here.clone(), me)),
            tokio::spawn(send(options, Arc::clone(&waiting), me)),
        ];
        Ok(Self { here, waiting, tasks })
    }
}

impl Doorbell for PostgresDoorbell {
    fn ring(&self, tenant: TenantId) {
        self.here.ring(tenant);
        let mut tenants = self.waiting.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.insert(tenant) {
            self.waiting.some.notify_one();
        }
    }

    fn subscribe(&self) -> Subscription {
        self.here.subscribe()
    }
}

impl Drop for PostgresDoorbell {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn listen(pool: &PgPool) -> Result<PgListener, sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.ignore_pool_close_event(true);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

async fn hear(mut listener: PgListener, here: InProcess, me: Uuid) {
    loop {
        match listener.try_recv().await {
            Ok(Some(notification)) => match read_message(notification.payload(), me) {
                Some(Heard::Mine) => {}
                Some(Heard::Tenants(tenants)) => tenants.into_iter().for_each(|tenant| here.ring(tenant)),
                Some(Heard::Everything) | None => here.tell(News::Anywhere),
            },
            // The connection was lost, and with it whatever was rung meanwhile. It is made anew by the next call.
            Ok(None) => here.tell(News::Anywhere),
            Err(error) => {
                tracing::warn!(%error, "the doorbell cannot listen");
                sleep(RECONNECT).await;
                here.tell(News::Anywhere);
            }
        }
    }
}

async fn send(options: PgConnectOptions, waiting: Arc<Waiting>, me: Uuid) {
    let mut connection: Option<PgConnection> = None;
    loop {
        waiting.some.notified().await;
        let next = Instant::now() + PACE;
        let tenants = mem::take(&mut *waiting.tenants.lock().unwrap_or_else(PoisonError::into_inner));
        if tenants.is_empty() {
            continue;
        }
        if let Err(error) = notify(&options, &mut connection, &message(me, &tenants)).await {
            tracing::warn!(%error, "the doorbell cannot ring elsewhere");
            connection = None;
            // Tell the others later; they sweep meanwhile.
            waiting
                .tenants
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(tenants);
            waiting.some.notify_one();
            sleep(RECONNECT).await;
        }
        sleep_until(next).await;
    }
}

async fn notify(
    options: &PgConnectOptions,
    connection: &mut Option<PgConnection>,
    message: &str,
) -> Result<(), sqlx::Error> {
    let open = match connection.take() {
        Some(open) => open,
        None => options.connect().await?,
    };
    let open = connection.insert(open);
    sqlx::query("select pg_notify($1, $2)")
        .bind(CHANNEL)
        .bind(message)
        .execute(open)
        .await?;
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Mine,
    Tenants(Vec<TenantId>),
    Everything,
}

fn message(me: Uuid, tenants: &HashSet<TenantId>) -> String {
    let mut text = format!("{}:", me.simple());
    if tenants.len() > TENANTS {
        text.push('*');
    } else {
        tenants
            .iter()
            .for_each(|tenant| text.push_str(&tenant.uuid().simple().to_string()));
    }
    text
}

/// None for a message that this program does not understand.
fn read_message(text: &str, me: Uuid) -> Option<Heard> {
    let (sender, tenants) = text.split_once(':')?;
    if sender.parse::<Uuid>().ok()? == me {
        return Some(Heard::Mine);
    }
    if tenants == "*" {
        return Some(Heard::Everything);
    }
    let tenants = tenants
        .as_bytes()
        .chunks(32)
        .map(|id| Some(TenantId::from_uuid(Uuid::try_parse_ascii(id).ok()?)))
        .collect::<Option<_>>()?;
    Some(Heard::Tenants(tenants))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenants(count: u128) -> HashSet<TenantId> {
        (1..=count).map(|n| TenantId::from_uuid(Uuid::from_u128(n))).collect()
    }

    #[test]
    fn a_message_reads_back_elsewhere_and_is_ignored_at_home() {
        let (me, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let text = message(me, &tenants(3));
        assert_eq!(read_message(&text, me), Some(Heard::Mine));
        let Some(Heard::Tenants(heard)) = read_message(&text, other) else {
            panic!("{text}")
        };
        assert_eq!(heard.into_iter().collect::<HashSet<_>>(), tenants(3));
    }

    #[test]
    fn a_message_fits_whatever_the_number_of_tenants() {
        assert!(message(Uuid::nil(), &tenants(240)).len() < 8_000);
        let many = message(Uuid::nil(), &tenants(241));
        assert_eq!(read_message(&many, Uuid::from_u128(2)), Some(Heard::Everything));
        assert_eq!(read_message("garbage", Uuid::nil()), None);
        assert_eq!(read_message(&format!("{}:12", Uuid::nil()), Uuid::from_u128(1)), None);
    }
}
