//! Headers that protect whoever reads the answer.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::ApiConfig;

/// What a page may load. Left in a response's extensions by a handler; where it is missing, [`Policy::Nothing`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Data: it loads, frames and sends nothing.
    #[default]
    Nothing,
    /// The console: scripts, styles, images and calls of this server alone, none of them inline.
    Console,
    /// A page without scripts, whose forms go to this server.
    Form,
    /// Such a page with a script of this server, never inline, that asks this server for a passkey's challenge.
    PasskeyForm,
}

impl Policy {
    const fn content_security(self) -> &'static str {
        match self {
            Self::Nothing => "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            Self::Console => {
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
                 connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
            }
            Self::Form => {
                "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
            }
            Self::PasskeyForm => {
                "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                 form-action 'self'; frame-ancestors 'none'"
            }
        }
    }
}

/// Adds what is missing; a handler's own value stays.
pub(crate) fn protect(config: &ApiConfig, policy: Policy, headers: &mut HeaderMap) {
    let mut put = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    put(header::CONTENT_SECURITY_POLICY, policy.content_security());
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(header::X_FRAME_OPTIONS, "DENY");
    put(header::REFERRER_POLICY, "no-referrer");
    put(header::CACHE_CONTROL, "no-store");
    put(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    put(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    put(
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), display-capture=(), browsing-topics=()",
    );
    if config.is_https() {
        put(header::STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protected(public_url: &str, policy: Policy) -> HeaderMap {
        let mut headers = HeaderMap::new();
        protect(
            &ApiConfig {
                public_url: public_url.to_owned(),
                ..ApiConfig::default()
            },
            policy,
            &mut headers,
        );
        headers
    }

    #[test]
    fn no_policy_allows_inline_code_or_frames() {
        for policy in [Policy::Nothing, Policy::Console, Policy::Form, Policy::PasskeyForm] {
            let text = policy.content_security();
            assert!(
                !text.contains("unsafe") && text.contains("frame-ancestors 'none'"),
                "{text}"
            );
        }
        assert!(!Policy::Form.content_security().contains("script-src"));
    }

    #[test]
    fn https_is_kept_to_where_it_is_used() {
        assert!(protected("https://gate.example", Policy::Nothing).contains_key("strict-transport-security"));
        assert!(!protected("http://127.0.0.1:8080", Policy::Nothing).contains_key("strict-transport-security"));
    }

    #[test]
    fn a_handlers_own_caching_stays() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=1"));
        protect(&ApiConfig::default(), Policy::Console, &mut headers);
        assert_eq!(headers[header::CACHE_CONTROL], "public, max-age=1");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
}
