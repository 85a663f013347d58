//! Where a call comes from.

use std::net::IpAddr;

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{Extensions, HeaderMap, header, request::Parts},
};
use commands::Origin;
use uuid::Uuid;

use crate::{Answer, ApiConfig, Problem};

/// Where a call comes from, as the outermost layer found out.
#[derive(Debug, Clone)]
pub struct From(pub Origin);

impl<S: Send + Sync> FromRequestParts<S> for From {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        let mut origin = parts
            .extensions
            .get::<Origin>()
            .cloned()
            .unwrap_or_else(|| Origin::inside(Uuid::nil()));
        origin.idempotency_key = idempotency_key(&parts.headers)?;
        Ok(Self(origin))
    }
}

/// The client's key for this command: 1 to 255 visible ASCII characters.
fn idempotency_key(headers: &HeaderMap) -> Answer<Option<String>> {
    let Some(key) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = key.to_str().unwrap_or_default().trim();
    if (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Ok(Some(key.to_owned()));
    }
    let problem = Problem::bad_request("BAD_INPUT", "an Idempotency-Key is 1 to 255 visible ASCII characters");
    Err(problem.on("Idempotency-Key"))
}

/// What can be said before anything was checked. `correlation` is the request's id.
pub(crate) fn read_origin(
    config: &ApiConfig,
    extensions: &Extensions,
    headers: &HeaderMap,
    correlation: Uuid,
) -> Origin {
    let peer = extensions
        .get::<ConnectInfo<std::net::SocketAddr>>()
        .map(|info| info.0.ip());
    Origin {
        address: peer.map(|peer| client(config, peer.to_canonical(), headers)),
        agent: headers
            .get(header::USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .map(|text| text.chars().take(200).collect()),
        correlation,
        traceparent: traceparent(headers).map(str::to_owned),
        idempotency_key: None,
    }
}

/// The nearest address that is not one of our proxies. Only a proxy's own word counts, so the list is read from its end.
fn client(config: &ApiConfig, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let told = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let told: Vec<&str> = told.flat_map(|value| value.split(',')).collect();
    let mut nearest = peer;
    for hop in told.iter().rev() {
        if !config.trusts(nearest) {
            break;
        }
        match parse_hop(hop.trim()) {
            Some(address) => nearest = address,
            None => break,
        }
    }
    nearest
}

/// An address with or without a port.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let address = hop
        .parse::<IpAddr>()
        .or_else(|_| hop.parse::<std::net::SocketAddr>().map(|address| address.ip()))
        .or_else(|_| hop.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>());
    address.ok().map(|address| address.to_canonical())
}

/// The W3C trace context, if it is well formed: `00-TRACE-SPAN-FLAGS` in lower-case hexadecimal digits, not all zero.
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = text.split('-');
    let mut field = |length: usize, zero_allowed: bool| {
        let part = parts.next()?;
        let good = part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        (good && (zero_allowed || part.bytes().any(|b| b != b'0'))).then_some(part)
    };
    let version = field(2, true)?;
    field(32, false)?;
    field(16, false)?;
    field(2, true)?;
    let ends = parts.next().is_none();
    (version != "ff" && (ends || version != "00") && text.len() <= 128).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ApiConfig {
        ApiConfig {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..ApiConfig::default()
        }
    }

    fn client_of(peer: &str, forwarded: &[&str]) -> String {
        let headers: HeaderMap = forwarded
            .iter()
            .map(|value| ("x-forwarded-for".parse().unwrap(), value.parse().unwrap()))
            .collect();
        client(&config(), peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_strangers_word_about_its_address_is_not_believed() {
        assert_eq!(client_of("203.0.113.9", &["127.0.0.1"]), "203.0.113.9");
    }

    #[test]
    fn the_address_that_our_own_proxy_saw_counts() {
        assert_eq!(client_of("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(
            client_of("10.0.0.1", &["1.2.3.4, 198.51.100.7, 10.0.0.2"]),
            "198.51.100.7"
        );
        assert_eq!(client_of("10.0.0.1", &["1.2.3.4", "198.51.100.7:443"]), "198.51.100.7");
        assert_eq!(client_of("10.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(client_of("10.0.0.1", &["198.51.100.7, rubbish"]), "10.0.0.1");
        assert_eq!(client_of("10.0.0.1", &[]), "10.0.0.1");
    }

    fn trace(text: &str) -> bool {
        traceparent(
            &[("traceparent".parse().unwrap(), text.parse().unwrap())]
                .into_iter()
                .collect(),
        )
        .is_some()
    }

    #[test]
    fn a_trace_context_is_taken_when_it_is_well_formed() {
        assert!(trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        assert!(trace("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later"));
        for bad in [
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "",
        ] {
            assert!(!trace(bad), "{bad}");
        }
    }

    #[test]
    fn an_idempotency_key_is_short_and_visible() {
        let key = |text: &str| {
            idempotency_key(
                &[("idempotency-key".parse().unwrap(), text.parse().unwrap())]
                    .into_iter()
                    .collect(),
            )
        };
        assert_eq!(key("order 7").unwrap().as_deref(), Some("order 7"));
        assert!(key(&"k".repeat(256)).is_err());
        assert!(key("").is_err());
    }
}
