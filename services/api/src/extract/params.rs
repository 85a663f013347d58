//! Parameters in the path, the query and the header `Prefer`.

use std::time::Duration;

use axum::{
    extract::{FromRequestParts, Path},
    http::{HeaderMap, request::Parts},
};
use formats::agent_wire::MAX_WAIT;
use serde::de::DeserializeOwned;

use super::body::wrong_field;
use crate::{Answer, Problem};

/// Parameters of the path. One that is not of its form is as if it named nothing: 404.
#[derive(Debug, Clone, Copy)]
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(value)| Self(value))
            .map_err(|_| Problem::not_found("address"))
    }
}

/// Parameters of the query. A wrong or unknown one is named.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        let read = serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(form_urlencoded::parse(query)));
        read.map(Self)
            .map_err(|error| wrong_field(&error.path().to_string(), &error.inner().to_string()))
    }
}

/// How long a caller is willing to wait for news: `Prefer: wait=SECONDS` (RFC 7240), at most [`MAX_WAIT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowPoll(pub Duration);

impl<S: Send + Sync> FromRequestParts<S> for SlowPoll {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(Duration::from_secs(wait(&parts.headers).into())))
    }
}

fn wait(headers: &HeaderMap) -> u32 {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|word| word.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("wait"))
        .and_then(|(_, seconds)| seconds.trim().trim_matches('"').parse::<u32>().ok())
        .unwrap_or(0)
        .min(MAX_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(value: &str) -> u32 {
        let mut headers = HeaderMap::new();
        headers.insert("prefer", value.parse().unwrap());
        wait(&headers)
    }

    #[test]
    fn a_poll_waits_as_long_as_it_is_told_within_bounds() {
        assert_eq!(told("wait=20"), 20);
        assert_eq!(told("respond-async, Wait = \"7\""), 7);
        assert_eq!(told("wait=99999"), MAX_WAIT);
        for nothing in ["wait", "wait=-1", "wait=soon", "return=minimal"] {
            assert_eq!(told(nothing), 0, "{nothing}");
        }
        assert_eq!(wait(&HeaderMap::new()), 0);
    }
}
