//! Bodies of agents: JSON that may hold any character, and may come compressed.

use std::io::Read;

use ::bytes::Bytes;
use axum::{
    extract::{FromRequest, Request},
    http::header,
};
use commands::Refusal;
use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;

use crate::{
    Answer, Problem,
    extract::{is_json, read_bytes, read_json},
};

/// The most bytes that a compressed body may unpack to.
pub(super) const UNPACKED: usize = 16 * 1024 * 1024;
/// From this size on, unpacking and reading is no work for the threads that serve calls.
const LONG: usize = 64 * 1024;

/// A JSON body as [`crate::extract::Json`], but with `Content-Encoding: gzip` where the agent likes, and with U+0000 where
/// an endpoint reported it.
#[derive(Debug)]
pub(super) struct AgentJson<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send + 'static> FromRequest<S> for AgentJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Answer<Self> {
        if !is_json(request.headers()) {
            return Err(Problem::media_type("application/json"));
        }
        let packed = match request
            .headers()
            .get(header::CONTENT_ENCODING)
            .map(|value| value.as_bytes())
        {
            None | Some(b"identity") => false,
            Some(b"gzip") => true,
            Some(_) => return Err(Problem::media_type("Content-Encoding: gzip, or without one").on("Content-Encoding")),
        };
        let bytes = read_bytes(request).await?;
        let read = move |bytes: &Bytes| {
            if packed {
                read_json(&unpack(bytes, UNPACKED)?)
            } else {
                read_json(bytes)
            }
        };
        let read = if bytes.len() < LONG {
            read(&bytes)
        } else {
            let read = tokio::task::spawn_blocking(move || read(&bytes)).await;
            read.map_err(|error| Problem::from(Refusal::internal(error)))?
        };
        read.map(Self)
    }
}

/// Unpacks at most so many bytes.
fn unpack(packed: &[u8], most: usize) -> Answer<Vec<u8>> {
    let mut plain = Vec::new();
    let mut unpacker = GzDecoder::new(packed).take(most as u64 + 1);
    unpacker
        .read_to_end(&mut plain)
        .map_err(|_| Problem::bad_request("BODY_BROKEN", "the body is not gzip"))?;
    if plain.len() > most {
        Err(Problem::too_long(most))
    } else {
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn pack(plain: &[u8]) -> Vec<u8> {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(plain).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn a_packed_body_is_unpacked_up_to_its_limit() {
        assert_eq!(unpack(&pack(b"{}"), 2).unwrap(), b"{}");
        assert_eq!(unpack(&pack(b"{ }"), 2).unwrap_err().code(), "BODY_TOO_LONG");
    }

    #[test]
    fn a_bomb_is_refused_without_being_unpacked() {
        let bomb = pack(&vec![b' '; 64 * 1024 * 1024]);
        assert!(bomb.len() < 100_000);
        assert_eq!(unpack(&bomb, 1024).unwrap_err().status().as_u16(), 413);
    }

    #[test]
    fn what_is_not_gzip_or_is_cut_is_refused() {
        assert_eq!(unpack(b"{}", 100).unwrap_err().code(), "BODY_BROKEN");
        let whole = pack(b"{\"records\":[]}");
        assert_eq!(
            unpack(&whole[..whole.len() - 4], 100).unwrap_err().code(),
            "BODY_BROKEN"
        );
    }
}
