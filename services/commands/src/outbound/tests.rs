//! Addresses in every notation, and names that lead elsewhere.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use reqwest::{Method, header::HeaderMap};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

const INTERNAL: &[&str] = &[
    // loopback: dotted, short, decimal, octal, hexadecimal, mixed, wide
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://0x7f000001/",
    "https://0x7f.0.0x0.1/",
    "https://127.8.9.10/",
    "https://①②⑦.⓪.⓪.①/",
    "https://127。0。0。1/",
    "https://0/",
    "https://0.0.0.0/",
    // private, link-local with the cloud's metadata, shared, multicast, reserved
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://0xa9fea9fe/",
    "https://100.64.0.1/",
    "https://198.18.0.1/",
    "https://192.0.2.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    // IPv6: unspecified, loopback, mapped, compatible, NAT64, 6to4, Teredo, unique-local, link-local, multicast
    "https://[::]/",
    "https://[::1]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::127.0.0.1]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[64:ff9b:1::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001::1]/",
    "https://[2001:db8::1]/",
    "https://[fc00::1]/",
    "https://[fd12:3456::1]/",
    "https://[fe80::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    // names
    "https://localhost/",
    "https://localhost./",
    "https://LOCALHOST/",
    "https://id.localhost/",
    "https://id.localhost./",
    "https://printer.local/",
    "https://metadata.google.internal/",
    "https://intranet/",
    "https://loc%61lhost/",
];

#[test]
fn an_internal_address_is_refused_in_every_notation() {
    for text in INTERNAL {
        assert_eq!(Guard::default().url(text), Err(OutboundError::Internal), "{text}");
    }
}

#[test]
fn a_public_address_is_taken() {
    for text in [
        "https://id.example.com/realms/acme",
        "https://id.example.com./",
        "https://8.8.8.8/",
        "https://172.32.0.1/",
        "https://[2606:4700::1111]/",
        "https://[64:ff9b::808:808]/",
        "https://[::ffff:8.8.8.8]/",
    ] {
        assert!(Guard::default().url(text).is_ok(), "{text}");
    }
}

#[test]
fn what_is_no_https_address_is_refused_by_its_reason() {
    use OutboundError as E;
    for (text, error) in [
        ("", E::NotAnAddress),
        ("id.example.com", E::NotAnAddress),
        ("https://", E::NotAnAddress),
        ("https://256.1.1.1/", E::NotAnAddress),
        ("http://id.example.com/", E::NotHttps),
        ("http://8.8.8.8/", E::NotHttps),
        ("file:///etc/passwd", E::NotHttps),
        ("gopher://id.example.com/", E::NotHttps),
        ("javascript:alert(1)", E::NotHttps),
        ("https://a:b@id.example.com/", E::HasUser),
        ("https://127.0.0.1@id.example.com/", E::HasUser),
        ("https://id.example.com/#x", E::HasFragment),
    ] {
        assert_eq!(Guard::default().url(text), Err(error), "{text}");
    }
    let long = format!("https://id.example.com/{}", "a".repeat(URL_MAX));
    assert_eq!(Guard::default().url(&long), Err(E::TooLong));
}

#[test]
fn an_operator_may_allow_a_network_and_that_one_only() {
    let guard = Guard::new(vec!["10.1.0.0/16".parse().unwrap()]);
    assert!(guard.url("https://10.1.2.3/").is_ok());
    assert!(guard.url("http://10.1.2.3/").is_ok());
    assert!(guard.url("https://[::ffff:10.1.2.3]/").is_ok());
    assert_eq!(guard.url("https://10.2.0.1/"), Err(OutboundError::Internal));
    assert_eq!(guard.url("http://8.8.8.8/"), Err(OutboundError::NotHttps));
}

/// A name service that tells another address the second time.
struct Rebinding {
    asked: AtomicUsize,
    answers: Vec<Vec<IpAddr>>,
}

impl Lookup for Rebinding {
    fn lookup(&self, _: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        let n = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers[n.min(self.answers.len() - 1)].clone();
        Box::pin(async move { Ok(answer) })
    }
}

fn client(allowed: &[&str], answers: &[&[&str]]) -> Client {
    let guard = Guard::new(allowed.iter().map(|network| network.parse().unwrap()).collect());
    let answers = answers
        .iter()
        .map(|list| list.iter().map(|ip| ip.parse().unwrap()).collect());
    let lookup = Rebinding {
        asked: AtomicUsize::new(0),
        answers: answers.collect(),
    };
    Client::with_lookup(guard, Arc::new(lookup)).unwrap()
}

/// A server that counts who comes, and answers everybody the same.
async fn server(answer: Vec<u8>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, visits) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&visits);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(&answer).await;
        }
    });
    (address, visits)
}

async fn get(client: &Client, url: String) -> Result<Answer, OutboundError> {
    client.call(Method::GET, &url, HeaderMap::new(), Vec::new()).await
}

fn ok(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[tokio::test]
async fn a_name_that_leads_inside_when_it_is_called_is_not_connected_to() {
    let (address, visits) = server(ok("secret")).await;
    let url = format!("https://id.example.com:{}/", address.port());
    for answer in [
        &["127.0.0.1"][..],
        &["::1"],
        &["8.8.8.8", "127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &[],
    ] {
        let guarded = client(&[], &[answer]);
        assert!(guarded.guard().url(&url).is_ok(), "it looks public when it is saved");
        assert_eq!(
            get(&guarded, url.clone()).await.unwrap_err(),
            OutboundError::Internal,
            "{answer:?}"
        );
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
    // The control: the same name and server, with the network allowed.
    let allowed = client(&["127.0.0.0/8"], &[&["127.0.0.1"]]);
    let url = format!("http://id.example.com:{}/", address.port());
    assert_eq!(get(&allowed, url).await.unwrap().body, b"secret");
    assert_eq!(visits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn each_call_asks_the_name_service_anew() {
    let (address, visits) = server(ok("first")).await;
    let rebound = client(&["127.0.0.0/8"], &[&["127.0.0.1"], &["192.168.7.7"]]);
    let url = format!("http://id.example.com:{}/", address.port());
    assert_eq!(get(&rebound, url.clone()).await.unwrap().body, b"first");
    assert_eq!(get(&rebound, url).await.unwrap_err(), OutboundError::Internal);
    assert_eq!(visits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn without_tls_only_an_allowed_network_is_called() {
    let mixed = client(&["127.0.0.0/8"], &[&["8.8.8.8"]]);
    let refused = get(&mixed, "http://id.example.com/".to_owned()).await.unwrap_err();
    assert_eq!(refused, OutboundError::Internal);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (inner, visits) = server(ok("inner")).await;
    let answer =
        format!("HTTP/1.1 302 Found\r\nlocation: http://{inner}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let (outer, _) = server(answer.into_bytes()).await;
    let answer = get(&client(&["127.0.0.0/8"], &[&[]]), format!("http://{outer}/"))
        .await
        .unwrap();
    assert_eq!((answer.status, visits.load(Ordering::SeqCst)), (302, 0));
}

#[tokio::test]
async fn an_answer_is_read_to_64_kib() {
    let client = client(&["127.0.0.0/8"], &[&[]]);
    let (fits, _) = server(ok(&"a".repeat(ANSWER_MAX))).await;
    assert_eq!(
        get(&client, format!("http://{fits}/")).await.unwrap().body.len(),
        ANSWER_MAX
    );
    let (long, _) = server(ok(&"a".repeat(ANSWER_MAX + 1))).await;
    assert_eq!(
        get(&client, format!("http://{long}/")).await.unwrap_err(),
        OutboundError::TooMuch
    );
}
