//! That a call with a cookie was made by our own pages (`docs/contracts.md § 2`).
//!
//! Two locks: the browser's own word about where the call comes from (`Sec-Fetch-Site`, else `Origin`), and a token that
//! other sites cannot read.

use axum::http::{HeaderMap, Method, StatusCode, header};

use crate::{Answer, Problem};

/// The header that carries the session's token.
pub(crate) const TOKEN_HEADER: &str = "x-csrf-token";

/// Whether a method changes nothing.
pub(crate) const fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn foreign() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "CROSS_SITE", "this call comes from another site")
}

/// Refuses a call that a browser says another site made. Where the browser says nothing, the token decides alone.
///
/// # Errors
/// 403 `CROSS_SITE`
pub fn check_same_origin(headers: &HeaderMap, public_url: &str) -> Answer<()> {
    if let Some(site) = headers.get("sec-fetch-site") {
        return if matches!(site.as_bytes(), b"same-origin" | b"none") {
            Ok(())
        } else {
            Err(foreign())
        };
    }
    match headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("?")) {
        // A page whose referrer policy is `no-referrer`, as ours is, sends `null` from its forms.
        None | Some("null") => Ok(()),
        Some(origin) if origin.eq_ignore_ascii_case(public_url) => Ok(()),
        Some(origin) => {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            let named = origin.split_once("://").map(|(_, host)| host);
            if host.is_some() && named == host {
                Ok(())
            } else {
                Err(foreign())
            }
        }
    }
}

/// Refuses a call whose header `x-csrf-token` is not the session's.
///
/// # Errors
/// 403 `CSRF_TOKEN`
pub fn check_token(headers: &HeaderMap, is_good: impl FnOnce(&str) -> bool) -> Answer<()> {
    let given = headers.get(TOKEN_HEADER).and_then(|value| value.to_str().ok());
    if given.is_some_and(is_good) {
        return Ok(());
    }
    let detail = "send the session's csrfToken (GET /auth/session) in the header x-csrf-token";
    Err(Problem::new(StatusCode::FORBIDDEN, "CSRF_TOKEN", detail).on(TOKEN_HEADER))
}

/// Whether two secrets are equal, in a time that does not tell where they differ.
pub(crate) fn equal(one: &[u8], other: &[u8]) -> bool {
    // Compared by their hashes: what the time tells of those tells nothing of the secrets.
    formats::BodyHash::of(one) == formats::BodyHash::of(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn allowed(pairs: &[(&'static str, &str)]) -> bool {
        check_same_origin(&headers(pairs), "https://gate.example").is_ok()
    }

    #[test]
    fn what_the_browser_says_of_the_site_decides() {
        assert!(allowed(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(allowed(&[("sec-fetch-site", "none")]));
        assert!(!allowed(&[
            ("sec-fetch-site", "same-site"),
            ("origin", "https://gate.example")
        ]));
        assert!(!allowed(&[("sec-fetch-site", "cross-site")]));
    }

    #[test]
    fn an_older_browsers_origin_has_to_be_ours() {
        assert!(allowed(&[("origin", "https://gate.example")]));
        assert!(allowed(&[("origin", "http://localhost:9"), ("host", "localhost:9")]));
        assert!(!allowed(&[
            ("origin", "https://evil.example"),
            ("host", "gate.example")
        ]));
        assert!(!allowed(&[
            ("origin", "https://gate.example.evil.example"),
            ("host", "gate.example")
        ]));
    }

    #[test]
    fn a_call_without_the_token_is_refused() {
        assert!(check_token(&headers(&[("x-csrf-token", "abc")]), |token| token == "abc").is_ok());
        for wrong in [
            &[][..],
            &[("x-csrf-token", "abd")],
            &[("x-csrf-token", "ab")],
            &[("x-csrf-token", "")],
        ] {
            assert_eq!(
                check_token(&headers(wrong), |token| token == "abc").unwrap_err().code(),
                "CSRF_TOKEN"
            );
        }
    }
}
