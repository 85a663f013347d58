//! What is said to a provider and what of its answers is believed.

use model::identity_provider::ProviderDefinition;
use openidconnect::{
    AdditionalProviderMetadata, AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest,
    HttpResponse, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, ProviderMetadata,
    RedirectUrl, RequestTokenError, Scope, TokenResponse,
    core::{
        CoreAuthDisplay, CoreAuthenticationFlow, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod,
        CoreGrantType, CoreIdTokenVerifier, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
        CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm, CoreResponseMode, CoreResponseType,
        CoreSubjectIdentifierType,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Outcome, Refusal,
    outbound::{Client, OutboundError},
};

/// Signatures that are believed: by keys of which a provider shows only one half. No `none`, and no HMAC, whose key
/// would be whatever everybody can read.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// What of a provider's metadata the library does not know.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct More {
    /// RFC 9207: it says who it is when it sends people back.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for More {}

pub(super) type Metadata = ProviderMetadata<
    More,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What one sign-in is bound to.
pub(super) struct Bound {
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    pub(super) redirect: String,
}

/// What a provider said of somebody, verified.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) all: Map<String, Value>,
}

/// The provider did not answer as one.
fn unavailable(what: impl std::fmt::Display) -> Refusal {
    let message = format!("the identity provider can't be used for the moment: {what}");
    Refusal::new("PROVIDER_UNAVAILABLE", 502, message)
}

/// The provider answered, and what it said is not believed. Why exactly is for our log.
fn not_believed(why: impl std::fmt::Display) -> Refusal {
    tracing::warn!(%why, "an identity provider's answer was not believed");
    Refusal::new("OIDC_TOKEN", 401, "what the identity provider said can't be believed")
}

/// Makes one call of the library through the guarded client.
async fn call(client: &Client, request: HttpRequest) -> Result<HttpResponse, OutboundError> {
    let (parts, body) = request.into_parts();
    let answer = client
        .call(parts.method, &parts.uri.to_string(), parts.headers, body)
        .await?;
    let mut response = HttpResponse::new(answer.body);
    *response.status_mut() =
        openidconnect::http::StatusCode::from_u16(answer.status).map_err(|_| OutboundError::NoAnswer)?;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

/// The guarded client as the library takes one.
fn calls(
    client: &Client,
) -> impl Fn(HttpRequest) -> std::pin::Pin<Box<dyn Future<Output = Result<HttpResponse, OutboundError>> + Send>> + use<>
{
    let client = client.clone();
    move |request| {
        let client = client.clone();
        Box::pin(async move { call(&client, request).await })
    }
}

/// The provider's metadata and keys of this moment. Nothing of them is kept, so that a key that was changed is the one
/// that counts.
pub(super) async fn discover(client: &Client, definition: &ProviderDefinition) -> Outcome<Metadata> {
    let issuer = IssuerUrl::new(definition.issuer.clone()).map_err(unavailable)?;
    let http = calls(client);
    let metadata = Metadata::discover_async(issuer, &http)
        .await
        .map_err(|error| match error {
            openidconnect::DiscoveryError::Request(error) => unavailable(format!("its address {error}")),
            openidconnect::DiscoveryError::Response(status, ..) => unavailable(format!("it answered {status}")),
            openidconnect::DiscoveryError::Validation(_) => unavailable("it names another issuer"),
            _ => unavailable("its metadata or keys can't be read"),
        })?;
    let endpoints = [
        Some(metadata.authorization_endpoint().as_str()),
        metadata.token_endpoint().map(|url| url.as_str()),
        metadata.userinfo_endpoint().map(|url| url.as_str()),
    ];
    if endpoints[1].is_none() {
        return Err(unavailable("it has no token endpoint"));
    }
    for endpoint in endpoints.into_iter().flatten() {
        let judged = client.guard().url(endpoint);
        judged.map_err(|error| unavailable(format!("an address that it names {error}")))?;
    }
    Ok(metadata)
}

/// Where to send the browser.
pub(super) fn authorize(metadata: Metadata, definition: &ProviderDefinition, bound: &Bound) -> Outcome<String> {
    let redirect = RedirectUrl::new(bound.redirect.clone()).map_err(Refusal::internal)?;
    let verifier = PkceCodeVerifier::new(bound.verifier.clone());
    let client = CoreClient::from_provider_metadata(metadata, ClientId::new(definition.client_id.clone()), None)
        .set_redirect_uri(redirect);
    let (state, nonce) = (bound.state.clone(), bound.nonce.clone());
    let (url, ..) = client
        .authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            move || CsrfToken::new(state),
            move || Nonce::new(nonce),
        )
        .add_scopes(definition.scopes.iter().cloned().map(Scope::new))
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
        .url();
    Ok(url.to_string())
}

/// Whether the answer came from the provider that was asked (RFC 9207): a provider that says who it is has to say so.
pub(super) fn same_issuer(metadata: &Metadata, definition: &ProviderDefinition, iss: Option<&str>) -> Outcome<()> {
    let needed = metadata
        .additional_metadata()
        .authorization_response_iss_parameter_supported;
    match iss {
        Some(iss) if iss == definition.issuer => Ok(()),
        None if !needed => Ok(()),
        _ => Err(Refusal::new(
            "OIDC_ISSUER",
            401,
            "the answer came from another identity provider than the one that was asked",
        )),
    }
}

/// Changes a code for what the provider says of the person.
pub(super) async fn redeem(
    client: &Client,
    metadata: Metadata,
    definition: &ProviderDefinition,
    secret: Option<&str>,
    bound: Bound,
    code: String,
    now: i64,
) -> Outcome<Claims> {
    let client_id = ClientId::new(definition.client_id.clone());
    let redirect = RedirectUrl::new(bound.redirect).map_err(Refusal::internal)?;
    let (keys, issuer) = (metadata.jwks().clone(), metadata.issuer().clone());
    let user_info = metadata.userinfo_endpoint().map(|url| url.as_str().to_owned());
    let only_post = metadata.token_endpoint_auth_methods_supported().is_some_and(|methods| {
        methods.contains(&CoreClientAuthMethod::ClientSecretPost)
            && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
    });
    let secret = secret.map(|secret| ClientSecret::new(secret.to_owned()));
    let http = calls(client);
    let response = CoreClient::from_provider_metadata(metadata, client_id.clone(), secret)
        .set_redirect_uri(redirect)
        .set_auth_type(if only_post {
            AuthType::RequestBody
        } else {
            AuthType::BasicAuth
        })
        .exchange_code(AuthorizationCode::new(code))
        .map_err(Refusal::internal)?
        .set_pkce_verifier(PkceCodeVerifier::new(bound.verifier))
        .request_async(&http)
        .await
        .map_err(|error| match error {
            RequestTokenError::ServerResponse(error) => not_believed(format!("token endpoint: {}", error.error())),
            RequestTokenError::Request(error) => unavailable(format!("its token endpoint {error}")),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => not_believed("no token response"),
        })?;
    let token = response.id_token().ok_or_else(|| not_believed("no ID token"))?;
    // Never with the secret: with it an HMAC would be believed.
    let verifier = CoreIdTokenVerifier::new_public_client(client_id.clone(), issuer, keys)
        .set_allowed_algs(ALGORITHMS)
        .set_time_fn(move || chrono::DateTime::from_timestamp(now, 0).unwrap_or_default());
    let verified = token.claims(&verifier, &Nonce::new(bound.nonce)).map_err(|error| {
        not_believed(format!(
            "{error}: {:?}",
            std::error::Error::source(&error).map(ToString::to_string)
        ))
    })?;
    let party = verified.authorized_party();
    if party.is_some_and(|party| *party != client_id) {
        return Err(not_believed("the token was made for another client"));
    }
    let (issuer, subject) = (verified.issuer().to_string(), verified.subject().to_string());
    if subject.is_empty() || subject.len() > 255 {
        return Err(not_believed("a subject has 1 to 255 characters"));
    }
    let mut all = payload(&token.to_string())?;
    let access = response.access_token().secret();
    if let Some(url) = user_info {
        let wanted = ["email", definition.groups_claim.as_str()];
        if wanted.iter().any(|claim| !all.contains_key(*claim)) {
            more(client, &url, access, &subject, &mut all).await?;
        }
    }
    Ok(Claims { issuer, subject, all })
}

/// The claims of a token that was verified.
fn payload(token: &str) -> Outcome<Map<String, Value>> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let middle = token.split('.').nth(1).unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(middle).map_err(not_believed)?;
    serde_json::from_slice(&bytes).map_err(not_believed)
}

/// Adds what the provider tells only when asked. It has to be of the same person; an address and whether it was
/// verified are taken together or not at all.
async fn more(client: &Client, url: &str, access: &str, subject: &str, all: &mut Map<String, Value>) -> Outcome<()> {
    use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let mut bearer = HeaderValue::from_str(&format!("Bearer {access}")).map_err(not_believed)?;
    bearer.set_sensitive(true);
    headers.insert(AUTHORIZATION, bearer);
    let answer = client
        .call(reqwest::Method::GET, url, headers, Vec::new())
        .await
        .map_err(|error| unavailable(format!("its user information {error}")))?;
    if answer.status != 200 {
        return Err(unavailable(format!("its user information answered {}", answer.status)));
    }
    let told: Map<String, Value> = serde_json::from_slice(&answer.body).map_err(not_believed)?;
    if told.get("sub").and_then(Value::as_str) != Some(subject) {
        return Err(not_believed("the user information is of somebody else"));
    }
    if !all.contains_key("email") {
        all.remove("email_verified");
    }
    let has_email = all.contains_key("email");
    for (name, value) in told {
        if !(has_email && name == "email_verified") {
            all.entry(name).or_insert(value);
        }
    }
    Ok(())
}
