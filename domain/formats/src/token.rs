//! The tokens of the agent protocol and of API use: registration proof, assertion (RFC 7523) and access token (RFC 9068).
//! Times are seconds since 1970, as in every JWT.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    CanonicalError, DeploymentGroupId, EndpointId, JwsError, SigningKey, TenantId, Timestamp, Typ, VerifyingKey, b64,
    hash::to_hex,
    jws::{MAX_TOKEN, sign, verify},
};

/// How far the clocks of two machines may be apart, in seconds.
pub const CLOCK_SKEW: i64 = 60;
/// How long an assertion lives, in seconds.
pub const ASSERTION_LIFE: i64 = 60;
/// How long an access token lives, in seconds.
pub const ACCESS_LIFE: i64 = 600;
/// The audience of access tokens for `/agent/v1`.
pub const AUDIENCE_AGENT: &str = "portcullis/agent";
/// The audience of access tokens for API use by people and integrators.
pub const AUDIENCE_API: &str = "portcullis/api";

/// Why a token with times is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The signature or the form.
    #[error(transparent)]
    Token(#[from] JwsError),
    /// For somebody else.
    #[error("the token is for another audience or of another issuer")]
    Audience,
    /// Past its time, not yet valid, or longer valid than such a token may be.
    #[error("the token is not valid now")]
    Time,
}

/// What an agent signs with the key it registers: that it holds the key, for this server and this registration token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistrationClaims {
    /// The server's public address, as in the deployment package.
    pub aud: String,
    /// The machine's own id.
    pub machine: String,
    /// SHA-256 of the registration token's text, in hexadecimal digits.
    pub token: String,
    /// When it was signed.
    pub iat: i64,
}

impl RegistrationClaims {
    /// The claims of this machine for this server and registration token, from now on.
    #[must_use]
    pub fn new(aud: String, machine: String, registration_token: &str, now: Timestamp) -> Self {
        let token = to_hex(&Sha256::digest(registration_token));
        Self {
            aud,
            machine,
            token,
            iat: now.seconds(),
        }
    }

    /// Whether the claims are of this machine and this registration token.
    #[must_use]
    pub fn is_for(&self, machine: &str, registration_token: &str) -> bool {
        self.machine == machine && self.token == to_hex(&Sha256::digest(registration_token))
    }

    /// Signs the claims with the key that is registered.
    ///
    /// # Errors
    /// [`CanonicalError`]; the claims have no floats or large numbers, so it does not happen.
    pub fn sign(&self, key: &SigningKey) -> Result<String, CanonicalError> {
        sign(Typ::Registration, &key.public().kid(), key, self)
    }

    /// Verifies that the holder of `key` signed for this audience within the last [`ASSERTION_LIFE`], give or take
    /// `skew` seconds. Machine and token are compared with
    /// [`RegistrationClaims::is_for`].
    ///
    /// # Errors
    /// [`TokenError`]
    pub fn verify(token: &str, key: &VerifyingKey, aud: &str, now: Timestamp, skew: i64) -> Result<Self, TokenError> {
        let claims: Self = verify(Typ::Registration, token, |kid| (kid == key.kid()).then_some(*key))?;
        if claims.aud != aud {
            return Err(TokenError::Audience);
        }
        check_times(
            claims.iat,
            claims.iat.saturating_add(ASSERTION_LIFE),
            ASSERTION_LIFE,
            now,
            skew,
        )?;
        Ok(claims)
    }
}

/// What an agent shows to get an access token. `kid` of the token is `TENANT/ENDPOINT`, so that the tenant is known before
/// any query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssertionClaims {
    /// The endpoint.
    pub iss: EndpointId,
    /// The endpoint again.
    pub sub: EndpointId,
    /// The address of the token endpoint: the server's public address and `/agent/v1/token`.
    pub aud: String,
    /// Never used twice.
    pub jti: Uuid,
    /// When it was signed.
    pub iat: i64,
    /// At most [`ASSERTION_LIFE`] later.
    pub exp: i64,
}

impl AssertionClaims {
    /// An assertion of this endpoint for this audience, from now on.
    #[must_use]
    pub fn new(endpoint: EndpointId, aud: String, jti: Uuid, now: Timestamp) -> Self {
        let iat = now.seconds();
        Self {
            iss: endpoint,
            sub: endpoint,
            aud,
            jti,
            iat,
            exp: iat + ASSERTION_LIFE,
        }
    }

    /// Signs the assertion with the endpoint's own key.
    ///
    /// # Errors
    /// [`CanonicalError`]; the claims have no floats or large numbers, so it does not happen.
    pub fn sign(&self, tenant: TenantId, key: &SigningKey) -> Result<String, CanonicalError> {
        sign(Typ::Assertion, &assertion_kid(tenant, self.iss), key, self)
    }

    /// Whose assertion it says it is, to look up the endpoint's key. Nothing is verified.
    #[must_use]
    pub fn peek(token: &str) -> Option<(TenantId, EndpointId)> {
        let mut found = None;
        // No key is given, so nothing verifies; only the `kid` of a well-formed header is looked at.
        let _: Result<Self, JwsError> = verify(Typ::Assertion, token, |kid| {
            found = kid
                .split_once('/')
                .and_then(|(tenant, endpoint)| Some((tenant.parse().ok()?, endpoint.parse().ok()?)));
            None
        });
        found
    }

    /// Verifies an assertion with the endpoint's key. That its `jti` is new is the caller's to check.
    ///
    /// # Errors
    /// [`TokenError`]
    pub fn verify(
        token: &str,
        tenant: TenantId,
        endpoint: EndpointId,
        key: &VerifyingKey,
        aud: &str,
        now: Timestamp,
    ) -> Result<Self, TokenError> {
        let name = assertion_kid(tenant, endpoint);
        let claims: Self = verify(Typ::Assertion, token, |kid| (kid == name).then_some(*key))?;
        if claims.iss != endpoint || claims.sub != endpoint || claims.aud != aud {
            return Err(TokenError::Audience);
        }
        check_times(claims.iat, claims.exp, ASSERTION_LIFE, now, CLOCK_SKEW)?;
        Ok(claims)
    }
}

fn assertion_kid(tenant: TenantId, endpoint: EndpointId) -> String {
    format!("{tenant}/{endpoint}")
}

/// An access token of an endpoint, a person or a service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessClaims {
    /// The server's public address.
    pub iss: String,
    /// [`AUDIENCE_AGENT`] or [`AUDIENCE_API`].
    pub aud: String,
    /// The principal: `end_…`, `usr_…` or `svc_…`.
    pub sub: String,
    /// The principal's tenant.
    pub tenant: TenantId,
    /// The deployment group of an endpoint: the only way in which an agent learns that it was moved. `null` for others.
    pub group: Option<DeploymentGroupId>,
    /// The session it was made from, so that it dies with it; `null` for endpoints.
    pub sid: Option<Uuid>,
    /// The token's own id.
    pub jti: Uuid,
    /// When it was signed.
    pub iat: i64,
    /// At most [`ACCESS_LIFE`] later.
    pub exp: i64,
    /// Scopes, separated by blanks; empty means what the principal may do.
    pub scope: String,
}

impl AccessClaims {
    /// Signs the token with a token key of the tenant.
    ///
    /// # Errors
    /// [`CanonicalError`]; the claims have no floats or large numbers, so it does not happen.
    pub fn sign(&self, key: &SigningKey) -> Result<String, CanonicalError> {
        sign(Typ::AccessToken, &key.public().kid(), key, self)
    }

    /// Whose token it says it is, to look up the tenant's keys. Nothing is verified.
    #[must_use]
    pub fn peek_tenant(token: &str) -> Option<TenantId> {
        #[derive(Deserialize)]
        struct Tenant {
            tenant: TenantId,
        }
        let claims = (token.len() <= MAX_TOKEN).then(|| token.split('.').nth(1))??;
        serde_json::from_slice::<Tenant>(&b64::decode(claims)?)
            .ok()
            .map(|claims| claims.tenant)
    }

    /// Verifies a token. `key_of` finds the token keys of the tenant that [`AccessClaims::peek_tenant`] named, and no
    /// others.
    ///
    /// # Errors
    /// [`TokenError`]
    pub fn verify(
        token: &str,
        iss: &str,
        aud: &str,
        now: Timestamp,
        key_of: impl FnOnce(&str) -> Option<VerifyingKey>,
    ) -> Result<Self, TokenError> {
        let claims: Self = verify(Typ::AccessToken, token, key_of)?;
        if claims.iss != iss || claims.aud != aud {
            return Err(TokenError::Audience);
        }
        check_times(claims.iat, claims.exp, ACCESS_LIFE, now, 0)?;
        Ok(claims)
    }
}

/// Valid from `iat` (give or take the skew) and strictly before `exp`, and not for longer than `life`.
fn check_times(iat: i64, exp: i64, life: i64, now: Timestamp, skew: i64) -> Result<(), TokenError> {
    let now = now.seconds();
    let life_fits = exp.checked_sub(iat).is_some_and(|span| span > 0 && span <= life);
    let is_valid = life_fits && iat <= now.saturating_add(skew) && now.saturating_sub(skew) < exp;
    if is_valid { Ok(()) } else { Err(TokenError::Time) }
}
