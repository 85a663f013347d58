//! The console: a single-page app inside the binary.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::RustEmbed;

use crate::{Problem, layers::Policy};

/// What `npm run build` made, or the page that `build.rs` wrote in its place.
#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../console/dist"]
struct Built;

/// Paths of other doors: what they don't know is an error there, never the console.
const DOORS: [&str; 8] = [
    "agent",
    "approve",
    "auth",
    "graphql",
    "platform",
    "scim",
    ".well-known",
    "openapi.json",
];

/// Answers what no door knows: a file of the console, the console's page for a browser that goes somewhere in it, else
/// 404.
pub(crate) async fn console(request: Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let mut parts = path.split('/');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    // The console has a page `/audit`; the door is below it.
    if DOORS.contains(&first) || (first == "audit" && second.is_some()) {
        return Problem::not_found("address").into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let detail = "this address is only read";
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", detail);
        return ([(header::ALLOW, "GET, HEAD")], problem).into_response();
    }
    if let Some(file) = Built::get(path).filter(|_| path != "index.html") {
        let caching = if is_hashed(path) {
            "public, max-age=31536000, immutable"
        } else {
            "public, max-age=300"
        };
        return answer(&file, caching, request.headers());
    }
    if is_navigation(path, request.headers())
        && let Some(page) = Built::get("index.html")
    {
        return answer(&page, "no-cache", request.headers());
    }
    Problem::not_found("address").into_response()
}

/// The builder puts files under `assets/` with a hash in their names.
fn is_hashed(path: &str) -> bool {
    path.strip_prefix("assets/")
        .and_then(|name| name.rsplit_once('.'))
        .is_some_and(|(name, _)| name.contains('-'))
}

/// A browser that opens or reloads an address of the console, not one that looks for a file.
fn is_navigation(path: &str, headers: &HeaderMap) -> bool {
    let accepts = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let wants_page = accepts
        .flat_map(|value| value.split(','))
        .any(|kind| kind.trim().starts_with("text/html"));
    path.is_empty() || wants_page && !path.rsplit('/').next().is_some_and(|name| name.contains('.'))
}

fn answer(file: &rust_embed::EmbeddedFile, caching: &'static str, asked: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", formats::hash::to_hex(&file.metadata.sha256_hash()[..16]));
    let known = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = if known.is_some_and(|known| known.split(',').any(|k| k.trim().trim_start_matches("W/") == tag))
    {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Response::new(Body::from(file.data.clone().into_owned()))
    };
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(&with_charset(file.metadata.mimetype())) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    response.extensions_mut().insert(Policy::Console);
    response
}

fn with_charset(kind: &str) -> String {
    if kind.starts_with("text/") {
        format!("{kind}; charset=utf-8")
    } else {
        kind.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(path: &str, accept: &str) -> Response {
        console(Request::get(path).header("accept", accept).body(Body::empty()).unwrap()).await
    }

    #[tokio::test]
    async fn a_reload_anywhere_in_the_console_finds_its_page() {
        for path in ["/", "/requests/req_01", "/policies?status=enforce"] {
            let response = get(path, "text/html,application/xhtml+xml,*/*;q=0.8").await;
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert_eq!(response.headers()["cache-control"], "no-cache");
            assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        }
    }

    #[tokio::test]
    async fn a_missing_file_or_a_door_that_does_not_know_is_404() {
        for path in [
            "/assets/gone-1234.js",
            "/missing.png",
            "/auth/nothing",
            "/agent/v1/nothing",
            "/graphql",
        ] {
            assert_eq!(get(path, "text/html").await.status(), StatusCode::NOT_FOUND, "{path}");
        }
        assert_eq!(
            get("/requests", "application/json").await.status(),
            StatusCode::NOT_FOUND
        );
        assert_eq!(get("/../Cargo.toml", "text/html").await.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn nobody_posts_to_the_console() {
        let response = console(Request::post("/requests").body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()["allow"], "GET, HEAD");
    }

    #[tokio::test]
    async fn a_page_that_is_known_is_not_sent_again() {
        let tag = get("/", "text/html").await.headers()["etag"].clone();
        let again = Request::get("/")
            .header("if-none-match", tag)
            .body(Body::empty())
            .unwrap();
        assert_eq!(console(again).await.status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn files_with_a_hash_in_their_name_never_change() {
        assert!(is_hashed("assets/index-B3xk9q2a.js"));
        assert!(!is_hashed("favicon.svg"));
        assert!(!is_hashed("scheme.js"));
    }
}
