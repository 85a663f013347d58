//! What clients send that are none: bytes on a real socket.

use std::time::Duration;

use axum::http::Method;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use crate::world::{World, request, soon};

/// Sends bytes, and reads whatever comes until the server hangs up or has nothing to say for a while.
async fn send(address: std::net::SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let mut part = [0; 4_096];
    while let Ok(Ok(read @ 1..)) = tokio::time::timeout(Duration::from_millis(500), stream.read(&mut part)).await {
        answer.extend_from_slice(&part[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn requests_of_two_minds_are_refused_and_what_follows_them_is_not_read_as_another() {
    let world = World::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let serving = tokio::spawn(api::serve(listener, world.router.clone(), stop.clone()));
    let post = "POST /auth/sign-in HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    let hidden = "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n";
    for (what, head, body) in [
        ("two lengths", "Content-Length: 2\r\nContent-Length: 40\r\n", "{}"),
        ("a length that is none", "Content-Length: +2\r\n", "{}"),
        ("an unknown coding", "Transfer-Encoding: chunked, x\r\n", "0\r\n\r\n"),
        ("a coding twice over", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        (
            "a chunk of no size",
            "Transfer-Encoding: chunked\r\n",
            "zz\r\n{}\r\n0\r\n\r\n",
        ),
        ("a name with a space", "Content-Length : 2\r\n", "{}"),
        ("a NUL in a value", "X-Name: a\0b\r\nContent-Length: 2\r\n", "{}"),
        (
            "a bare line end in a value",
            "X-Name: a\rb\r\nContent-Length: 2\r\n",
            "{}",
        ),
    ] {
        let answer = soon(send(address, format!("{post}{head}\r\n{body}{hidden}").as_bytes())).await;
        let refused = answer.starts_with("HTTP/1.1 400") || answer.is_empty();
        assert!(refused && !answer.contains("openapi"), "{what}: {answer}");
    }
    // A body of a gigabyte is refused by what it says of itself.
    let long = format!("{post}Content-Length: 1073741824\r\n\r\n{{");
    let answer = soon(send(address, long.as_bytes())).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    // The control: a good one is answered, and so is the next on the same connection.
    let good = soon(send(
        address,
        format!("{post}Content-Length: 2\r\n\r\n{{}}{hidden}").as_bytes(),
    ))
    .await;
    assert!(good.starts_with("HTTP/1.1 422") && good.contains("openapi"), "{good}");
    stop.cancel();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn json_that_is_too_deep_or_has_a_nul_is_refused() {
    let world = World::new().await;
    let post = |body: String| world.send(request(Method::POST, "/auth/sign-in").body("application/json", body));
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let passkey = format!("{{\"tenant\":\"a\",\"email\":\"e\",\"password\":\"p\",\"passkey\":{deep}}}");
    let nul = "{\"tenant\":\"a\\u0000\",\"email\":\"e\",\"password\":\"p\"}".to_owned();
    for body in [deep, passkey, nul] {
        let refused = post(body).await;
        assert!(refused.status.is_client_error(), "{}", refused.text());
        assert_ne!(refused.json()["code"], Value::Null);
    }
}
