//! The client that calls them.

use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use reqwest::{
    dns::{Addrs, Name, Resolve, Resolving},
    header::HeaderMap,
};

use super::{Guard, OutboundError};

/// The most that is read of an answer.
pub const ANSWER_MAX: usize = 64 * 1024;
/// How long a call may take, connecting and reading included.
pub const WAIT: Duration = Duration::from_secs(10);

/// Turns a name into addresses.
pub trait Lookup: Send + Sync + 'static {
    /// The addresses of a name.
    fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;
}

/// The machine's own name service.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Gives the connector only addresses that it may connect to: what is judged is what is connected to.
struct Judged {
    guard: Guard,
    lookup: Arc<dyn Lookup>,
    /// Without TLS: nothing but what the operator allowed.
    plain: bool,
}

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, lookup, plain) = (self.guard.clone(), Arc::clone(&self.lookup), self.plain);
        Box::pin(async move {
            let found = lookup.lookup(name.as_str().to_owned()).await?;
            // One internal address among several is no accident.
            let good = |address: &IpAddr| guard.allows(*address) || (!plain && guard.connects(*address));
            if found.is_empty() || !found.iter().all(good) {
                return Err(Box::new(OutboundError::Internal) as Box<dyn std::error::Error + Send + Sync>);
            }
            Ok(Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, 64 KiB at most.
    pub body: Vec<u8>,
}

/// A client of addresses that users gave. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    guard: Guard,
    secure: reqwest::Client,
    plain: reqwest::Client,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("guard", &self.guard)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client behind this guard.
    ///
    /// # Errors
    /// Where the machine gives TLS no roots or no randomness.
    pub fn new(guard: Guard) -> Result<Self, reqwest::Error> {
        Self::with_lookup(guard, Arc::new(SystemLookup))
    }

    /// A client with a name service of its own.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_lookup(guard: Guard, lookup: Arc<dyn Lookup>) -> Result<Self, reqwest::Error> {
        let build = |plain| {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .timeout(WAIT)
                .connect_timeout(WAIT)
                .pool_max_idle_per_host(0)
                .user_agent(concat!("Portcullis/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(Arc::new(Judged {
                    guard: guard.clone(),
                    lookup: Arc::clone(&lookup),
                    plain,
                }))
                .build()
        };
        Ok(Self {
            secure: build(false)?,
            plain: build(true)?,
            guard,
        })
    }

    /// The guard.
    #[must_use]
    pub const fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Makes one call. A redirect is an answer like any other.
    ///
    /// # Errors
    /// [`OutboundError`]
    pub async fn call(
        &self,
        method: reqwest::Method,
        url: &str,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer, OutboundError> {
        let url = self.guard.url(url)?;
        let client = if url.scheme() == "https" {
            &self.secure
        } else {
            &self.plain
        };
        let sent = client.request(method, url).headers(headers).body(body).send().await;
        let mut response = sent.map_err(|error| reason(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| reason(&error))? {
            if body.len() + part.len() > ANSWER_MAX {
                return Err(OutboundError::TooMuch);
            }
            body.extend_from_slice(&part);
        }
        Ok(Answer { status, headers, body })
    }
}

/// Whether it was our own refusal or nobody was there. What the network says exactly goes to our log only.
fn reason(error: &reqwest::Error) -> OutboundError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(own) = inner.downcast_ref::<OutboundError>() {
            return own.clone();
        }
        cause = inner.source();
    }
    tracing::info!(%error, "an outbound call failed");
    OutboundError::NoAnswer
}
