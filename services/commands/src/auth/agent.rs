//! Agents: registration with a token, then short access tokens for signed assertions (RFC 7523).

use std::time::Duration;

use formats::{
    Credential, CredentialKind, DeploymentGroupId, EndpointId, Purpose, RegistrationTokenId, Timestamp, VerifyingKey,
    agent_wire::{RegisterRequest, RegisterResponse},
    token::{ACCESS_LIFE, AUDIENCE_AGENT, AccessClaims, CLOCK_SKEW, RegistrationClaims},
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use model::{
    deployment::{DeploymentGroup, DeploymentGroupCommand},
    endpoint::{Endpoint, EndpointCommand, Machine},
};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{AccessToken, store};
use crate::{App, Caller, Origin, Outcome, Principal, Refusal};

/// The longest life of an assertion, with the skew of two clocks.
const ASSERTION_LIFE: u64 = 60;

/// A registered endpoint.
#[derive(Debug, Clone)]
pub struct Registered {
    /// The answer to the agent.
    pub response: RegisterResponse,
    /// The log's position.
    pub position: u64,
}

/// What an agent gets for an assertion.
#[derive(Debug, Clone)]
pub struct AgentAccess {
    /// The token.
    pub token: AccessToken,
    /// The endpoint.
    pub endpoint: EndpointId,
}

/// The claims of an assertion that count here; others are passed over, as RFC 7523 has it.
#[derive(Debug, Deserialize)]
struct Assertion {
    iss: EndpointId,
    sub: EndpointId,
    jti: String,
    exp: i64,
    #[serde(default)]
    iat: Option<i64>,
}

fn token_invalid() -> Refusal {
    Refusal::new("REGISTRATION_TOKEN_INVALID", 401, "the registration token is not valid").on("registrationToken")
}

impl App {
    /// Registers an endpoint into the group of its token.
    ///
    /// # Errors
    /// `REGISTRATION_TOKEN_INVALID` whatever is wrong with the token, `PROOF_INVALID`, `BAD_INPUT`, `TENANT_SUSPENDED`.
    pub async fn agent_register(&self, origin: &Origin, input: RegisterRequest) -> Outcome<Registered> {
        let credential = Credential::parse_kind(CredentialKind::Registration, &input.registration_token)
            .map_err(|_| token_invalid())?;
        let tenant = credential.tenant.ok_or_else(token_invalid)?;
        let now = self.ambient().now();
        let claims = RegistrationClaims::verify(
            &input.proof,
            &input.public_key,
            &self.config.public_url,
            now,
            CLOCK_SKEW,
        );
        if !claims.is_ok_and(|claims| claims.is_for(&input.machine.machine_id, &input.registration_token)) {
            let message =
                "proof has to be signed by publicKey for this server, machine and token within the last minute";
            return Err(Refusal::new("PROOF_INVALID", 422, message).on("proof"));
        }
        let token = RegistrationTokenId::from_uuid(credential.id);
        let mut tx = self.reading(tenant).await?;
        let live = store::credential(&mut tx, CredentialKind::Registration, credential.id, now).await?;
        let replaces = projections::fleet::by_machine_id(&mut tx, &input.machine.machine_id).await;
        drop(tx);
        let live = live
            .filter(|live| credential.secret.matches(&live.secret_hash))
            .ok_or_else(token_invalid)?;
        let replaces = replaces?;
        self.tenant_is_open(tenant).await?;
        let group = DeploymentGroupId::from_uuid(live.owner);
        let system = Caller {
            tenant,
            principal: Principal::System,
            origin: origin.clone(),
        };

        let public_key = serde_json::to_value(input.public_key).map_err(Refusal::internal)?;
        let public_key = public_key.as_str().unwrap_or_default().to_owned();
        let endpoint: EndpointId = self.ambient().id();
        let machine = Machine {
            name: input.machine.name,
            os: input.machine.os,
            os_version: input.machine.os_version,
            machine_id: input.machine.machine_id,
        };
        let command = EndpointCommand::RegisterEndpoint {
            endpoint,
            group,
            token,
            machine,
            public_key,
            replaces,
        };
        model::Noun::decide(&Endpoint::default(), command.clone()).map_err(|error| Refusal::of(&error))?;

        // The token's use is counted first: where it is spent, there is no endpoint.
        let counted = DeploymentGroupCommand::UseRegistrationToken {
            at: now,
            token,
            endpoint,
        };
        self.run::<DeploymentGroup>(
            &system,
            "useRegistrationToken",
            group.uuid(),
            &json!({ "endpoint": endpoint }),
            counted,
        )
        .await
        .map_err(|refusal| {
            if refusal.status == 404 {
                token_invalid()
            } else {
                refusal
            }
        })?;
        let mut tx = self.writing(tenant).await?;
        store::route_endpoint(&mut tx, endpoint).await?;
        store::touch_credential(&mut tx, CredentialKind::Registration, credential.id, now).await?;
        tx.commit().await?;
        let written = self
            .run::<Endpoint>(
                &system,
                "registerEndpoint",
                endpoint.uuid(),
                &json!({ "endpoint": endpoint }),
                command,
            )
            .await?;
        let keys = self.store.vault().tenant(tenant).await?;
        let response = RegisterResponse {
            endpoint_id: endpoint,
            tenant_id: tenant,
            deployment_group_id: group,
            key_set: keys.key_set_token().to_owned(),
            root_key: keys.root_public(),
            server_time: now,
        };
        Ok(Registered {
            response,
            position: written.position,
        })
    }

    /// An access token for an assertion that the endpoint signed: EdDSA, `iss` and `sub` the endpoint, `aud` this server
    /// or its token address, at most a minute long, each `jti` once.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` whatever is wrong; `CLOCK_SKEW` where only the clock is; `TENANT_SUSPENDED`.
    pub async fn agent_token(&self, assertion: &str) -> Outcome<AgentAccess> {
        let endpoint = peek_endpoint(assertion).ok_or_else(Refusal::unauthenticated)?;
        let tenant = store::tenant_of_endpoint(self.pool(), endpoint)
            .await?
            .ok_or_else(Refusal::unauthenticated)?;
        let state: Endpoint = self.state(tenant, endpoint.uuid()).await?;
        let group = state.group().ok_or_else(Refusal::unauthenticated)?;
        let now = self.ambient().now();
        let claims = self.verify_assertion(assertion, state.public_key(), now)?;
        if claims.iss != endpoint || claims.sub != endpoint {
            return Err(Refusal::unauthenticated());
        }
        self.tenant_is_open(tenant).await?;
        let jti = Uuid::new_v5(&endpoint.uuid(), claims.jti.as_bytes());
        let end =
            Timestamp::from_millis(claims.exp.saturating_mul(1000)) + Duration::from_secs(CLOCK_SKEW.unsigned_abs());
        let mut tx = self.writing(tenant).await?;
        let fresh = store::take_assertion(&mut tx, jti, end, now).await?;
        tx.commit().await?;
        if !fresh {
            return Err(Refusal::unauthenticated());
        }
        let keys = self.store.vault().tenant(tenant).await?;
        let (_, key) = keys
            .signing(Purpose::Token)
            .ok_or_else(|| Refusal::internal("no token key"))?;
        let iat = now.seconds();
        let access = AccessClaims {
            iss: self.config.public_url.clone(),
            aud: AUDIENCE_AGENT.to_owned(),
            sub: endpoint.to_string(),
            tenant,
            group: Some(group),
            sid: None,
            jti: self.ambient().uuid(),
            iat,
            exp: iat + ACCESS_LIFE,
            scope: String::new(),
        };
        let token = access.sign(key).map_err(Refusal::internal)?;
        let token = AccessToken {
            token,
            expires_in: u32::try_from(ACCESS_LIFE).unwrap_or(0),
        };
        Ok(AgentAccess { token, endpoint })
    }

    fn verify_assertion(&self, assertion: &str, public_key: &str, now: Timestamp) -> Outcome<Assertion> {
        let key: VerifyingKey =
            serde_json::from_value(json!(public_key)).map_err(|_| Refusal::internal("a stored public key is none"))?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[
            self.config.public_url.clone(),
            format!("{}/agent/v1/token", self.config.public_url),
        ]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        // Times are judged below, by the injected clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let key = DecodingKey::from_ed_der(&key.to_bytes());
        let token =
            jsonwebtoken::decode::<Assertion>(assertion, &key, &validation).map_err(|_| Refusal::unauthenticated())?;
        let claims = token.claims;
        let now = now.seconds();
        let begins = claims
            .iat
            .unwrap_or(claims.exp.saturating_sub(ASSERTION_LIFE.cast_signed()));
        let life = claims.exp.saturating_sub(begins);
        if life <= 0 || life > ASSERTION_LIFE.cast_signed() + CLOCK_SKEW {
            return Err(Refusal::unauthenticated());
        }
        if begins > now + CLOCK_SKEW || claims.exp <= now - CLOCK_SKEW {
            let message = format!(
                "the assertion is not valid now; the server's clock shows {}",
                self.ambient().now()
            );
            return Err(Refusal::new("CLOCK_SKEW", 401, message));
        }
        Ok(claims)
    }

    /// Whose access token it is. A verified one is remembered for a moment, so that long polls cost no signature.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` whatever is wrong; `TENANT_SUSPENDED`.
    pub async fn agent(&self, origin: &Origin, token: &str) -> Outcome<Caller> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        let now = self.ambient().now();
        if let Some((tenant, principal)) = self.guards.recall(&hash, now) {
            return Ok(Caller {
                tenant,
                principal,
                origin: origin.clone(),
            });
        }
        let claims = self.verify_access(token, AUDIENCE_AGENT).await?;
        self.tenant_is_open(claims.tenant).await?;
        let endpoint: EndpointId = claims.sub.parse().map_err(|_| Refusal::unauthenticated())?;
        let state: Endpoint = self.state(claims.tenant, endpoint.uuid()).await?;
        let group = state.group().ok_or_else(Refusal::unauthenticated)?;
        let principal = Principal::Endpoint { endpoint, group };
        let end = Timestamp::from_millis(claims.exp * 1000);
        self.guards.remember(hash, claims.tenant, principal.clone(), now, end);
        Ok(Caller {
            tenant: claims.tenant,
            principal,
            origin: origin.clone(),
        })
    }
}

/// The endpoint an assertion says it is of: its `iss`. Nothing is verified.
fn peek_endpoint(token: &str) -> Option<EndpointId> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    if token.len() > 4_096 {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    claims.get("iss")?.as_str()?.parse().ok()
}
