//! HTTP to the server: one call, one bounded answer. Knows addresses and limits, and nothing of what is said.

use std::{
    net::IpAddr,
    time::{Duration, UNIX_EPOCH},
};

use formats::{
    Timestamp,
    agent_wire::{MAX_WAIT, PREFIX, Problem},
};
use reqwest::{
    Method, StatusCode, Url,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, IF_NONE_MATCH,
    },
};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{AgentError, Untrusted};

/// The most bytes of an answer, as sent and as decoded.
pub const MAX_BODY: usize = 64 << 20;
/// How long the server may take beyond the time it was asked to wait.
const PATIENCE: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(10);

/// The way to one server.
#[derive(Debug, Clone)]
pub struct Link {
    http: reqwest::Client,
    base: String,
}

/// One call.
#[derive(Clone)]
pub struct Call {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    wait: u32,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Bodies and headers hold tokens and codes.
        write!(f, "{} {}", self.method, self.path)
    }
}

/// One answer, whatever its status.
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// One answer with a status below 400.
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The decoded body.
    pub body: Vec<u8>,
}

/// A client for agents: no redirects, no proxy surprises, bounded waiting. `ca` is one more certificate authority to
/// trust (PEM).
///
/// # Errors
/// [`AgentError::Setting`] where the certificate can't be read.
pub fn client(ca: Option<&[u8]>) -> Result<reqwest::Client, AgentError> {
    let setting = |e: reqwest::Error| AgentError::Setting(format!("the certificate authority can't be used: {e}"));
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("portcullis-agent/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .tcp_keepalive(Duration::from_secs(30));
    if let Some(ca) = ca {
        builder = builder.add_root_certificate(reqwest::Certificate::from_pem(ca).map_err(setting)?);
    }
    builder.build().map_err(setting)
}

impl Link {
    /// To the server at this address. Plain HTTP is for loopback only.
    ///
    /// # Errors
    /// [`AgentError::Setting`] for an address that is none or must not be used.
    pub fn to(server: &str, http: reqwest::Client) -> Result<Self, AgentError> {
        let refuse = |why: &str| AgentError::Setting(format!("{server:?} is no address of a server: {why}"));
        let url = Url::parse(server).map_err(|e| refuse(&e.to_string()))?;
        let is_loopback = match url.host_str() {
            Some("localhost") => true,
            Some(host) => host
                .trim_matches(['[', ']'])
                .parse::<IpAddr>()
                .is_ok_and(|ip| ip.is_loopback()),
            None => return Err(refuse("it has no host")),
        };
        match url.scheme() {
            "https" => {}
            "http" if is_loopback => {}
            "http" => return Err(refuse("plain http is for loopback only, use https")),
            _ => return Err(refuse("use https")),
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("leave out user, password, query and fragment"));
        }
        Ok(Self {
            http,
            base: url.as_str().trim_end_matches('/').to_owned(),
        })
    }

    /// The server's public address, without a slash at the end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The address of a call, as assertions name it.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{PREFIX}{path}", self.base)
    }

    /// Makes the call.
    ///
    /// # Errors
    /// [`AgentError::Offline`], [`Untrusted::Endless`].
    pub async fn send(&self, call: &Call) -> Result<Answer, AgentError> {
        let mut request = self
            .http
            .request(call.method.clone(), self.url(&call.path))
            .headers(call.headers.clone())
            .timeout(PATIENCE + Duration::from_secs(call.wait.into()));
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        let mut response = request.send().await.map_err(offline)?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(offline)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(Untrusted::Endless(MAX_BODY).into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body })
    }
}

impl Answer {
    /// The second in which the server gave it, by the server's clock.
    #[must_use]
    pub fn given_at(&self) -> Option<Timestamp> {
        let date = self.headers.get(DATE)?.to_str().ok()?;
        let since = httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?))
    }

    /// Whether it is a refusal.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.status.is_client_error()
    }

    /// What it says, if it is no refusal.
    ///
    /// # Errors
    /// [`AgentError::Offline`], [`AgentError::Refused`], [`AgentError::Protocol`], [`Untrusted::Endless`].
    pub fn reply(self) -> Result<Reply, AgentError> {
        let Self { status, headers, body } = self;
        if status.is_client_error() || status.is_server_error() {
            return Err(refusal(status, &body));
        }
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            return Err(AgentError::Protocol(format!("it sent a redirect ({status})")));
        }
        let body = match headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
            None | Some(b"identity") => body,
            Some(b"zstd") => unpack(&body)?,
            Some(other) => {
                return Err(AgentError::Protocol(format!(
                    "encoding {:?} was not asked for",
                    String::from_utf8_lossy(other)
                )));
            }
        };
        Ok(Reply { status, headers, body })
    }
}

impl Call {
    fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: None,
            wait: 0,
        }
    }

    /// A `GET`.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    /// A `POST` of JSON.
    ///
    /// # Errors
    /// [`AgentError::Protocol`] for a value that is not JSON.
    pub fn post<T: Serialize>(path: &str, value: &T) -> Result<Self, AgentError> {
        let body = serde_json::to_vec(value).map_err(|e| AgentError::Protocol(e.to_string()))?;
        let mut call = Self::new(Method::POST, path);
        call.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        call.body = Some(body);
        Ok(call)
    }

    /// Asks the server to hold its answer back for up to so many seconds while there is nothing new.
    #[must_use]
    pub fn waiting(mut self, seconds: u32) -> Self {
        self.wait = seconds.min(MAX_WAIT);
        if self.wait == 0 {
            return self;
        }
        let prefer = format!("wait={}", self.wait);
        self.with("prefer", &prefer)
    }

    /// Takes a zstd body too, and none if the one of this tag is still current.
    #[must_use]
    pub fn unless(mut self, etag: Option<&str>) -> Self {
        self.headers
            .insert(ACCEPT_ENCODING, HeaderValue::from_static("zstd, identity;q=0.5"));
        match etag {
            Some(etag) => self.with(IF_NONE_MATCH.as_str(), &format!("\"{etag}\"")),
            None => self,
        }
    }

    /// With one more header field; one that can't be written is left out.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// With the access token.
    #[must_use]
    pub fn bearer(mut self, token: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {token}")) {
            value.set_sensitive(true);
            self.headers.insert(AUTHORIZATION, value);
        }
        self
    }
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Errors
    /// [`AgentError::Protocol`]
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, AgentError> {
        serde_json::from_slice(&self.body).map_err(|e| AgentError::Protocol(e.to_string()))
    }

    /// A header field as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

fn offline(error: reqwest::Error) -> AgentError {
    // The address may hold an id; the causes say what happened.
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    AgentError::Offline(text)
}

fn refusal(status: StatusCode, body: &[u8]) -> AgentError {
    let mut problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    problem.status = status.as_u16();
    if problem.code.is_empty() {
        problem.code = format!("HTTP_{}", problem.status);
    }
    // A suspended tenant's agents act as if there were no server (`docs/domain.md § 6`).
    if status.is_server_error() || problem.code == "TENANT_SUSPENDED" {
        AgentError::Offline(format!("{} {}", problem.status, problem.code))
    } else {
        AgentError::Refused(Box::new(problem))
    }
}

/// Unpacks zstd up to the limit.
fn unpack(packed: &[u8]) -> Result<Vec<u8>, AgentError> {
    use std::io::Read;
    let broken = |e: std::io::Error| AgentError::Protocol(format!("the packed body can't be read: {e}"));
    let mut decoder = zstd::stream::read::Decoder::new(packed).map_err(broken)?;
    decoder.window_log_max(27).map_err(broken)?;
    let mut body = Vec::new();
    decoder
        .take(MAX_BODY as u64 + 1)
        .read_to_end(&mut body)
        .map_err(broken)?;
    if body.len() > MAX_BODY {
        Err(Untrusted::Endless(MAX_BODY).into())
    } else {
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_only() {
        let http = client(None).unwrap();
        let to = |server: &str| Link::to(server, http.clone()).map(|link| link.base().to_owned());
        for good in [
            "https://pam.example.test",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "http://localhost",
        ] {
            assert!(to(good).is_ok(), "{good}");
        }
        assert_eq!(
            to("https://pam.example.test/portcullis/").unwrap(),
            "https://pam.example.test/portcullis"
        );
        for bad in [
            "http://pam.example.test",
            "http://10.0.0.1",
            "http://127.0.0.1.example.test",
            "http://localhost.example.test",
            "ftp://localhost",
            "https://user:secret@pam.example.test",
            "https://pam.example.test/?a=b",
            "pam.example.test",
            "",
        ] {
            assert!(matches!(to(bad), Err(AgentError::Setting(_))), "{bad}");
        }
    }

    #[test]
    fn a_packed_body_that_never_ends_is_cut_off() {
        let bomb = zstd::encode_all(&*vec![0; MAX_BODY + 1], 1).unwrap();
        assert!(bomb.len() < MAX_BODY / 100);
        assert!(matches!(
            unpack(&bomb),
            Err(AgentError::Untrusted(Untrusted::Endless(_)))
        ));
        let good = zstd::encode_all(&b"{}"[..], 1).unwrap();
        assert_eq!(unpack(&good).unwrap(), b"{}");
        assert!(matches!(unpack(&good[..good.len() - 1]), Err(AgentError::Protocol(_))));
    }
}
