//! An identity provider that says whatever it is told to.

use std::sync::{Arc, Mutex, MutexGuard};

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use axum::{
    Form, Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::param;

/// How it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Signs {
    #[default]
    Well,
    /// `alg: none`, no signature.
    None,
    /// HS256 with the bytes of the public key, or with its JWK.
    PublicKey,
    /// HS256 with the client's secret.
    ClientSecret,
    /// With a key that it does not show, under the name of the one it shows.
    OtherKey,
}

/// What it does.
#[derive(Debug, Default)]
pub(crate) struct Twist {
    pub(crate) signs: Signs,
    /// Over the claims of a good token; null takes one away.
    pub(crate) claims: serde_json::Map<String, Value>,
    pub(crate) no_keys: bool,
    /// Says in its metadata that it names itself (RFC 9207).
    pub(crate) names_itself: bool,
    /// Over its metadata.
    pub(crate) metadata: serde_json::Map<String, Value>,
    /// What its user information says, where it has any.
    pub(crate) user_info: Option<Value>,
    /// What the token endpoint was sent.
    pub(crate) redeemed: Vec<Redeem>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Redeem {
    pub(crate) code: String,
    pub(crate) code_verifier: String,
    pub(crate) redirect_uri: String,
}

struct Inner {
    issuer: String,
    key: Ed25519KeyPair,
    twist: Mutex<Twist>,
}

#[derive(Clone)]
pub(crate) struct Hostile(Arc<Inner>);

fn key() -> Ed25519KeyPair {
    let seed = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    Ed25519KeyPair::from_pkcs8(seed.as_ref()).unwrap()
}

impl Hostile {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let it = Self(Arc::new(Inner {
            issuer,
            key: key(),
            twist: Mutex::default(),
        }));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(user_info))
            .with_state(it.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        it
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.0.issuer
    }

    pub(crate) fn twist(&self) -> MutexGuard<'_, Twist> {
        self.0.twist.lock().unwrap()
    }

    /// Forgets all twists, and tells these claims from now on.
    pub(crate) fn tell(&self, claims: Value) {
        *self.twist() = Twist {
            claims: claims.as_object().unwrap().clone(),
            ..Twist::default()
        };
    }

    /// The query with which it sends a browser back: its code is the nonce it was given.
    pub(crate) fn answer(&self, asked: &Url) -> String {
        format!("state={}&code={}", param(asked, "state"), param(asked, "nonce"))
    }

    fn jwk(&self) -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "1",
            "x": B64.encode(self.0.key.public_key()) })
    }

    fn sign(&self, claims: &Value, how: Signs) -> String {
        let alg = match how {
            Signs::Well | Signs::OtherKey => "EdDSA",
            Signs::None => "none",
            Signs::PublicKey | Signs::ClientSecret => "HS256",
        };
        let head = B64.encode(json!({ "alg": alg, "kid": "1", "typ": "JWT" }).to_string());
        let text = format!("{head}.{}", B64.encode(claims.to_string()));
        let mac = |secret: &[u8]| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes())
                .as_ref()
                .to_vec()
        };
        let signature = match how {
            Signs::Well => self.0.key.sign(text.as_bytes()).as_ref().to_vec(),
            Signs::OtherKey => key().sign(text.as_bytes()).as_ref().to_vec(),
            Signs::None => Vec::new(),
            Signs::PublicKey => mac(self.0.key.public_key().as_ref()),
            Signs::ClientSecret => mac(super::SECRET.as_bytes()),
        };
        format!("{text}.{}", B64.encode(signature))
    }
}

async fn metadata(State(it): State<Hostile>) -> Json<Value> {
    let issuer = it.issuer();
    let twist = it.twist();
    let mut said = json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA", "none", "HS256"],
        "authorization_response_iss_parameter_supported": twist.names_itself,
    });
    if twist.user_info.is_some() {
        said["userinfo_endpoint"] = json!(format!("{issuer}/userinfo"));
    }
    said.as_object_mut().unwrap().extend(twist.metadata.clone());
    Json(said)
}

async fn keys(State(it): State<Hostile>) -> Response {
    if it.twist().no_keys {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    Json(json!({ "keys": [it.jwk()] })).into_response()
}

async fn user_info(State(it): State<Hostile>) -> Json<Value> {
    Json(it.twist().user_info.clone().unwrap_or_default())
}

async fn token(State(it): State<Hostile>, Form(redeem): Form<Redeem>) -> Json<Value> {
    let mut twist = it.twist();
    let mut claims = json!({
        "iss": it.issuer(), "aud": "portcullis", "sub": "s1", "nonce": redeem.code,
        // The world's clock stands at 2026-03-02T09:00:00Z.
        "iat": 1_772_442_000, "exp": 1_772_442_300, "email": "dana@acme.example", "email_verified": true,
    });
    let said = claims.as_object_mut().unwrap();
    said.extend(twist.claims.clone());
    said.retain(|_, value| !value.is_null());
    twist.redeemed.push(redeem);
    let how = twist.signs;
    drop(twist);
    Json(json!({ "access_token": "a", "token_type": "Bearer", "id_token": it.sign(&claims, how) }))
}
