//! A sign-in from the browser's leaving to its return.
//!
//! A cookie holds 256 random bits; of them and the sign-in's id follow `state`, `nonce` and the PKCE verifier, so that the
//! database holds none of the three. A sign-in is taken once, from the browser that began it, within ten minutes.

use std::time::Duration;

use formats::{IdentityProviderId, TenantId, UserId, mac::hmac_sha256};
use model::{
    Coded, Noun,
    identity_provider::{IdentityProvider, IdentityProviderCommand},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    person::Arrival,
    protocol::{self, Bound},
    store::{self, FlowRow},
};
use crate::{
    App, Caller, Origin, Outcome, Principal, Refusal,
    auth::{Channel, SignedIn},
};

/// Minutes from leaving to return, and again for the code.
pub const FLOW_MINUTES: u64 = 10;
/// The longest path to return to.
const RETURN_MAX: usize = 1_024;

/// A sign-in that has begun.
pub struct Begun {
    /// Where the browser goes.
    pub url: String,
    /// The cookie's value.
    pub browser: String,
}

/// What a browser brings back.
pub struct Came {
    /// The slug in the address it came back to.
    pub tenant: String,
    /// As it was sent.
    pub state: String,
    /// The code, where the provider let the person in.
    pub code: Option<String>,
    /// What the provider says is wrong.
    pub error: Option<String>,
    /// Who it says it is.
    pub iss: Option<String>,
    /// The cookie.
    pub browser: Option<String>,
}

/// A sign-in that came back.
pub enum Finished {
    /// The person is in.
    In {
        /// The session.
        signed_in: Box<SignedIn>,
        /// The path to go to.
        return_to: String,
    },
    /// A one-time code is needed too; it comes with this ticket.
    CodeNeeded {
        /// Names the sign-in; worth nothing without the cookie.
        ticket: String,
        /// The path to go to.
        return_to: String,
    },
}

fn lost() -> Refusal {
    let message = "this sign-in was begun in another browser, took too long, or was finished already; begin anew";
    Refusal::new("OIDC_STATE", 401, message)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The secret of a browser, as its cookie has it.
struct Browser([u8; 32]);

impl Browser {
    fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(i * 2..i * 2 + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    fn derive(&self, id: Uuid, what: &str) -> String {
        hex(&hmac_sha256(
            &self.0,
            &[b"portcullis/oidc/1", what.as_bytes(), id.as_bytes()],
        ))
    }

    fn bound(&self, tenant: TenantId, id: Uuid, redirect: String) -> Bound {
        let mac = self.derive(id, "state");
        Bound {
            state: format!("{}.{}.{mac}", tenant.uuid().simple(), id.simple()),
            nonce: self.derive(id, "nonce"),
            verifier: self.derive(id, "verifier"),
            redirect,
        }
    }
}

/// Tenant and sign-in of a state or ticket. Whether it is ours is judged by the whole of it.
fn parts(text: &str) -> Option<(TenantId, Uuid)> {
    let mut parts = text.split('.');
    let tenant = Uuid::try_parse(parts.next()?).ok()?;
    Some((TenantId::from_uuid(tenant), Uuid::try_parse(parts.next()?).ok()?))
}

/// A path of this server and nothing else; whatever might lead elsewhere becomes the first page.
fn safe_path(path: Option<&str>) -> String {
    let good = |path: &&str| {
        path.len() <= RETURN_MAX
            && path.starts_with('/')
            && !path.starts_with("//")
            && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
    };
    path.filter(good).unwrap_or("/").to_owned()
}

impl App {
    fn redirect_uri(&self, slug: &str) -> String {
        format!("{}/auth/oidc/{slug}/callback", self.config.public_url)
    }

    /// Begins a sign-in; where to send the browser.
    ///
    /// # Errors
    /// `NOT_FOUND`, `PROVIDER_DISABLED`, `PROVIDER_UNAVAILABLE`, `TENANT_SUSPENDED`.
    pub async fn oidc_begin(
        &self,
        slug: &str,
        provider: IdentityProviderId,
        return_to: Option<&str>,
        browser: Option<&str>,
    ) -> Outcome<Begun> {
        let no_such = || Refusal::not_found("identity provider");
        let tenant = self.store.find_tenant(slug).await?.ok_or_else(no_such)?;
        self.tenant_is_open(tenant).await?;
        let (configured, disabled) = self.provider(tenant, provider).await?;
        if disabled {
            return Err(Refusal::new(
                "PROVIDER_DISABLED",
                403,
                "this identity provider is disabled",
            ));
        }
        let metadata = protocol::discover(&self.outbound, &configured.definition).await?;
        let browser = match browser.and_then(Browser::parse) {
            Some(browser) => browser,
            None => Browser(self.ambient().bytes()),
        };
        let now = self.ambient().now();
        let row = FlowRow {
            id: self.ambient().uuid(),
            provider,
            return_to: safe_path(return_to),
            user: None,
            expires_at: now + Duration::from_secs(FLOW_MINUTES * 60),
        };
        let bound = browser.bound(tenant, row.id, self.redirect_uri(slug));
        let url = protocol::authorize(metadata, &configured.definition, &bound)?;
        let mut tx = self.writing(tenant).await?;
        store::begin(&mut tx, &row, &browser.hash(), now).await?;
        tx.commit().await?;
        Ok(Begun {
            url,
            browser: hex(&browser.0),
        })
    }

    /// Takes a sign-in that came back.
    ///
    /// # Errors
    /// `OIDC_STATE`, `OIDC_REFUSED`, `OIDC_ISSUER`, `OIDC_TOKEN`, `PROVIDER_UNAVAILABLE`, `PROVIDER_DISABLED`,
    /// `EMAIL_UNVERIFIED`, `NO_ACCOUNT`, `IDENTITY_LINKED`, `ACCOUNT_CLOSED`, `ROLE_ABOVE_PROVIDER`,
    /// `CLAIMS_INCOMPLETE`, `TENANT_SUSPENDED`.
    pub async fn oidc_finish(&self, origin: &Origin, came: Came) -> Outcome<Finished> {
        let browser = came.browser.as_deref().and_then(Browser::parse).ok_or_else(lost)?;
        let (tenant, id) = parts(&came.state).ok_or_else(lost)?;
        let bound = browser.bound(tenant, id, self.redirect_uri(&came.tenant));
        let ours = aws_lc_rs::constant_time::verify_slices_are_equal(bound.state.as_bytes(), came.state.as_bytes());
        if ours.is_err() || self.store.find_tenant(&came.tenant).await? != Some(tenant) {
            return Err(lost());
        }
        self.tenant_is_open(tenant).await?;
        let mut tx = self.writing(tenant).await?;
        let flow = store::take(&mut tx, id, &browser.hash(), self.ambient().now()).await?;
        tx.commit().await?;
        let flow = flow.ok_or_else(lost)?;
        let result = self.oidc_arrive(origin, tenant, &flow, &came, bound).await;
        let (user, method, code_needed) = match result {
            Ok(arrived) => arrived,
            Err((refusal, user)) => {
                self.log_refusal(origin, tenant, flow.provider, &refusal, user).await?;
                return Err(refusal);
            }
        };
        if code_needed {
            let waiting = FlowRow {
                id: self.ambient().uuid(),
                user: Some(user),
                expires_at: self.ambient().now() + Duration::from_secs(FLOW_MINUTES * 60),
                ..flow
            };
            let mut tx = self.writing(tenant).await?;
            store::begin(&mut tx, &waiting, &browser.hash(), self.ambient().now()).await?;
            tx.commit().await?;
            let ticket = format!("{}.{}", tenant.uuid().simple(), waiting.id.simple());
            let return_to = waiting.return_to;
            return Ok(Finished::CodeNeeded { ticket, return_to });
        }
        let signed_in = Box::new(self.begin_session(origin, tenant, user, method, None).await?);
        let return_to = flow.return_to;
        Ok(Finished::In { signed_in, return_to })
    }

    async fn oidc_arrive(
        &self,
        origin: &Origin,
        tenant: TenantId,
        flow: &FlowRow,
        came: &Came,
        bound: Bound,
    ) -> Result<(UserId, &'static str, bool), (Refusal, Option<UserId>)> {
        let alone = |refusal: Refusal| (refusal, None);
        let (configured, disabled) = self.provider(tenant, flow.provider).await.map_err(alone)?;
        if disabled {
            let message = "this identity provider is disabled";
            return Err(alone(Refusal::new("PROVIDER_DISABLED", 403, message)));
        }
        let definition = &configured.definition;
        let metadata = protocol::discover(&self.outbound, definition).await.map_err(alone)?;
        protocol::same_issuer(&metadata, definition, came.iss.as_deref()).map_err(alone)?;
        let code = match (&came.code, &came.error) {
            (Some(code), None) => code.clone(),
            _ => {
                let message = "the identity provider did not let you in";
                return Err(alone(Refusal::new("OIDC_REFUSED", 401, message)));
            }
        };
        let secret = self
            .client_secret(tenant, flow.provider, &configured)
            .await
            .map_err(alone)?;
        let secret = secret.as_ref().map(|secret| secret.as_str());
        let now = self.ambient().now().seconds();
        let claims = protocol::redeem(&self.outbound, metadata, definition, secret, bound, code, now)
            .await
            .map_err(alone)?;
        let arrival = Arrival {
            origin,
            tenant,
            provider: flow.provider,
            configured: &configured,
            claims: &claims,
        };
        let user = self.arrive(&arrival).await?;
        if arrival.second_factor() {
            return Ok((user, "oidc+mfa", false));
        }
        let enrolled = self.has_totp(tenant, user).await.map_err(alone)?;
        Ok((user, "oidc", enrolled))
    }

    /// Ends a sign-in for which only the one-time code was missing.
    ///
    /// # Errors
    /// `OIDC_STATE`, `INVALID_CODE`, `LOCKED`, `TENANT_SUSPENDED`.
    pub async fn oidc_code(
        &self,
        origin: &Origin,
        ticket: &str,
        code: &str,
        browser: Option<&str>,
    ) -> Outcome<SignedIn> {
        let browser = browser.and_then(Browser::parse).ok_or_else(lost)?;
        let (tenant, id) = parts(ticket).ok_or_else(lost)?;
        self.tenant_is_open(tenant).await.map_err(|_| lost())?;
        let mut tx = self.reading(tenant).await?;
        let flow = store::waiting(&mut tx, id, &browser.hash(), self.ambient().now()).await?;
        drop(tx);
        let user = flow.and_then(|flow| flow.user).ok_or_else(lost)?;
        let system = Caller {
            tenant,
            principal: Principal::System,
            origin: origin.clone(),
        };
        self.check_code(&system, user, Channel::SignIn, code).await?;
        let mut tx = self.writing(tenant).await?;
        let first = store::end(&mut tx, id).await?;
        tx.commit().await?;
        if !first {
            return Err(lost());
        }
        self.begin_session(origin, tenant, user, "oidc+totp", None).await
    }

    /// Notes that somebody was not let in.
    async fn log_refusal(
        &self,
        origin: &Origin,
        tenant: TenantId,
        provider: IdentityProviderId,
        refusal: &Refusal,
        user: Option<UserId>,
    ) -> Outcome<()> {
        let caller = Caller {
            tenant,
            principal: Principal::System,
            origin: origin.clone(),
        };
        let command = IdentityProviderCommand::RefuseProviderSignIn {
            code: refusal.code.to_owned(),
            user,
        };
        let logged = self
            .run_as_provider::<IdentityProvider>(&caller, "refuseProviderSignIn", provider.uuid(), command)
            .await;
        // A provider that was removed meanwhile has no log to write to.
        match logged {
            Err(refusal) if refusal.code != "NOT_FOUND" => Err(refusal),
            _ => Ok(()),
        }
    }

    /// Runs a command at a provider's word: by the product itself, with the method `oidc`.
    pub(super) async fn run_as_provider<A: Noun>(
        &self,
        caller: &Caller,
        operation: &str,
        stream: Uuid,
        command: A::Command,
    ) -> Outcome<()>
    where
        A::Error: Coded,
    {
        let mut caller = caller.clone();
        caller.origin.idempotency_key = None;
        let mut envelope = self.envelope(&caller, operation, &json!({ "n": self.ambient().uuid() }))?;
        envelope.actor.method = Some("oidc".to_owned());
        self.run_in::<A>(caller.tenant, stream, &envelope, command).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_this_server_is_returned_to() {
        for good in ["/", "/requests/req_1?tab=a#b", "/a//b"] {
            assert_eq!(safe_path(Some(good)), good);
        }
        for bad in [
            "",
            "requests",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "/a\r\nset-cookie: x",
            "\\\\evil.example",
            "/ä",
            &"/".repeat(1_025),
        ] {
            assert_eq!(safe_path(Some(bad)), "/", "{bad:?}");
        }
        assert_eq!(safe_path(None), "/");
    }

    #[test]
    fn another_browser_derives_other_secrets() {
        let (tenant, id) = (TenantId::default(), Uuid::from_u128(7));
        let bound = |byte| Browser([byte; 32]).bound(tenant, id, String::new());
        let (one, other) = (bound(1), bound(2));
        assert!(one.state != other.state && one.nonce != other.nonce && one.verifier != other.verifier);
        assert!(one.nonce != one.verifier);
        assert_eq!(parts(&one.state), Some((tenant, id)));
        assert!((43..=128).contains(&one.verifier.len()), "RFC 7636 § 4.1");
    }
}
