//! Connections: accepted within bounds, read within limits in time, ended in an orderly way.
//!
//! `axum::serve` sets no limits, so that a client which sends a byte a minute keeps a connection for ever. Here the head
//! of a request has to arrive within ten seconds, a TLS handshake too, and there is a most of connections.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// The limits of connections.
#[derive(Debug, Clone)]
pub struct Guards {
    /// The most connections at once (32,768). More wait until one ends.
    pub connections: usize,
    /// How long the head of a request, a TLS handshake or an idle connection may take (10 s).
    pub head_within: Duration,
    /// How long open calls may go on after the stop was asked for (10 s).
    pub stop_within: Duration,
    /// For HTTPS without a proxy in front. Its ALPN protocols are set here.
    pub tls: Option<rustls::ServerConfig>,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            connections: 32_768,
            head_within: Duration::from_secs(10),
            stop_within: Duration::from_secs(10),
            tls: None,
        }
    }
}

/// Serves plain HTTP within the default limits until `shutdown`, then ends what is open.
///
/// # Errors
/// Where the listener fails for good.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> io::Result<()> {
    serve_with(listener, router, Guards::default(), shutdown).await
}

/// As [`serve`], within these limits, and by HTTPS where they hold a certificate.
///
/// # Errors
/// As [`serve`].
pub async fn serve_with(
    listener: TcpListener,
    router: Router,
    guards: Guards,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let tls = guards.tls.clone().map(|mut tls| {
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(tls))
    });
    let (permits, tracker) = (Arc::new(Semaphore::new(guards.connections)), TaskTracker::new());
    let connections = CancellationToken::new();
    loop {
        let permit = tokio::select! {
            () = shutdown.cancelled() => break,
            permit = Arc::clone(&permits).acquire_owned() => permit.map_err(io::Error::other)?,
        };
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        let connection = Connection {
            peer,
            router: router.clone(),
            head_within: guards.head_within,
            stop: shutdown.child_token(),
            kill: connections.clone(),
        };
        let tls = tls.clone();
        tracker.spawn(async move {
            connection.run(stream, tls).await;
            drop(permit);
        });
    }
    drop(listener);
    tracker.close();
    if tokio::time::timeout(guards.stop_within, tracker.wait()).await.is_err() {
        tracing::warn!(
            open = tracker.len(),
            "connections are cut, since they did not end in time"
        );
        connections.cancel();
        tracker.wait().await;
    }
    Ok(())
}

/// Errors of one connection pass; those of the process (too many open files) call for a pause.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(%error, "no connection can be accepted");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The router as hyper calls it, with the peer's address for the handlers.
fn service(
    router: Router,
    peer: SocketAddr,
) -> TowerToHyperService<
    impl tower::Service<
        Request<Incoming>,
        Response = axum::response::Response,
        Error = Infallible,
        Future = impl Future<Output = Result<axum::response::Response, Infallible>> + Send,
    > + Clone,
> {
    TowerToHyperService::new(router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(Body::new)
    }))
}

struct Connection {
    peer: SocketAddr,
    router: Router,
    head_within: Duration,
    stop: CancellationToken,
    kill: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        // Answers are small and whole: waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        let Some(tls) = tls else {
            return self.http1(stream).await;
        };
        let handshake = tokio::select! {
            () = self.stop.cancelled() => return,
            handshake = tokio::time::timeout(self.head_within, tls.accept(stream)) => handshake,
        };
        match handshake {
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => self.http2(stream).await,
            Ok(Ok(stream)) => self.http1(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, peer = %self.peer, "no TLS"),
            Err(_) => tracing::debug!(peer = %self.peer, "the TLS handshake took too long"),
        }
    }

    async fn http1(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let mut builder = hyper::server::conn::http1::Builder::new();
        // The buffer also bounds the head of a request; its size is what an idle long poll costs.
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_within)
            .max_buf_size(16 * 1024);
        let connection = builder
            .serve_connection(TokioIo::new(stream), service(self.router, self.peer))
            .with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = self.kill.cancelled() => return,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! { ended = connection => ended, () = self.kill.cancelled() => return }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, peer = %self.peer, "a connection broke");
        }
    }

    async fn http2(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(128)
            .max_header_list_size(16 * 1024)
            .keep_alive_interval(Some(Duration::from_secs(20)))
            .keep_alive_timeout(self.head_within);
        let connection = builder.serve_connection(TokioIo::new(stream), service(self.router, self.peer));
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = self.kill.cancelled() => return,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! { ended = connection => ended, () = self.kill.cancelled() => return }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, peer = %self.peer, "a connection broke");
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn start(guards: Guards) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let router = Router::new().route(
            "/",
            get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }),
        );
        (
            address,
            shutdown.clone(),
            tokio::spawn(serve_with(listener, router, guards, shutdown)),
        )
    }

    /// Reads until the server closes the connection.
    async fn rest(stream: &mut TcpStream) -> String {
        let mut text = String::new();
        let read = stream.read_to_string(&mut text);
        tokio::time::timeout(Duration::from_secs(10), read)
            .await
            .expect("the server closes")
            .unwrap();
        text
    }

    #[tokio::test]
    async fn a_handler_learns_the_peers_address() {
        let (address, shutdown, served) = start(Guards::default()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        assert!(rest(&mut stream).await.ends_with("127.0.0.1"));
        shutdown.cancel();
        served.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_client_that_never_finishes_its_head_is_cut_off() {
        let guards = Guards {
            head_within: Duration::from_millis(50),
            ..Guards::default()
        };
        let (address, shutdown, served) = start(guards).await;
        for sent in [&b"GET / HTTP/1.1\r\nx-slow: "[..], b""] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent).await.unwrap();
            assert!(!rest(&mut stream).await.contains("200 OK"));
        }
        shutdown.cancel();
        served.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn one_connection_too_many_waits_for_another_to_end() {
        let guards = Guards {
            connections: 1,
            ..Guards::default()
        };
        let (address, shutdown, served) = start(guards).await;
        let first = TcpStream::connect(address).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        second
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        drop(first);
        assert!(rest(&mut second).await.contains("200 OK"));
        shutdown.cancel();
        served.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_stop_closes_idle_connections_and_returns() {
        let (address, shutdown, served) = start(Guards::default()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        shutdown.cancel();
        assert!(rest(&mut stream).await.ends_with("127.0.0.1"));
        served.await.unwrap().unwrap();
    }
}
