//! Reading a body within its limits in length and time.

use std::time::Duration;

use ::bytes::Bytes;
use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, header},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::{Answer, Problem, layers::BodyLimit};

/// How long a caller may take to send a body.
const BODY_WITHIN: Duration = Duration::from_secs(20);

/// The whole body, at most as long as the route takes ([`BodyLimit`]), within 20 seconds.
///
/// # Errors
/// 413 `BODY_TOO_LONG`, 408 `BODY_TOO_SLOW`, 400 `BODY_BROKEN` where the connection ends or the chunks are malformed.
pub async fn read_bytes(request: Request) -> Answer<Bytes> {
    let limit = request.extensions().get::<BodyLimit>().copied().unwrap_or_default().0;
    if content_length(request.headers()).is_some_and(|length| length > limit as u64) {
        return Err(Problem::too_long(limit));
    }
    let body = Limited::new(request.into_body(), limit);
    match tokio::time::timeout(BODY_WITHIN, body.collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::too_long(limit)),
        Ok(Err(_)) => Err(Problem::bad_request(
            "BODY_BROKEN",
            "the body ended before it was complete",
        )),
        Err(_) => {
            let detail = "the body did not arrive within 20 seconds";
            Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "BODY_TOO_SLOW", detail))
        }
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
