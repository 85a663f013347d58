//! The two halves of each ceremony: a challenge goes out, its answer is judged.

use formats::{PasskeyId, TenantId, UserId};
use model::user::{User, UserCommand};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::{Host, Url};
use webauthn_rs::prelude::{
    CredentialID, Passkey, PasskeyAuthentication, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Webauthn, WebauthnBuilder, WebauthnError,
};

use super::{CHALLENGE_LASTS, Purpose, store};
use crate::{App, Caller, Outcome, Refusal, auth::Channel};

/// The one answer to whatever is wrong with what an authenticator said.
pub(super) fn invalid() -> Refusal {
    Refusal::new("INVALID_PASSKEY", 401, "this passkey was not accepted; try again").on("passkey")
}

pub(super) fn hash_of(credential: &CredentialID) -> [u8; 32] {
    Sha256::digest(AsRef::<[u8]>::as_ref(credential)).into()
}

/// Under which name a passkey is wrapped.
pub(crate) fn passkey_name(user: UserId, id: PasskeyId) -> String {
    format!("passkey/{user}/{id}")
}

/// Under which name a challenge is wrapped, by its purpose's word.
pub(crate) fn challenge_name(user: UserId, purpose: &str) -> String {
    format!("passkey-challenge/{user}/{purpose}")
}

impl App {
    /// Who we are to authenticators, by the public address; never by what a call says of its host.
    ///
    /// # Errors
    /// `PASSKEYS_UNAVAILABLE` where browsers allow none at this address: an IP address, or HTTP beyond `localhost`.
    fn relying_party(&self) -> Outcome<Webauthn> {
        let unavailable = || {
            let message = "passkeys need a public address with a host name, over HTTPS or on localhost";
            Refusal::new("PASSKEYS_UNAVAILABLE", 409, message)
        };
        let mut origin = Url::parse(&self.config.public_url).map_err(|_| unavailable())?;
        let loopback = match origin.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(_)) | None => false,
        };
        // Browsers take no address in digits; on this machine the same server has a name.
        if loopback && origin.scheme() == "http" {
            origin.set_host(Some("localhost")).map_err(|_| unavailable())?;
        }
        let host = origin.domain().ok_or_else(unavailable)?;
        if origin.scheme() != "https" && host != "localhost" {
            return Err(unavailable());
        }
        WebauthnBuilder::new(host, &origin)
            .and_then(|builder| builder.rp_name("Portcullis").timeout(CHALLENGE_LASTS).build())
            .map_err(|_| unavailable())
    }

    /// Whether passkeys work at the public address.
    #[must_use]
    pub fn passkeys_available(&self) -> bool {
        self.relying_party().is_ok()
    }

    /// A user's passkeys that count: known to the log and not flagged.
    async fn live_passkeys(&self, tenant: TenantId, user: UserId) -> Outcome<Vec<(store::PasskeyRow, Passkey)>> {
        let account: User = self.state(tenant, user.uuid()).await?;
        let mut tx = self.reading(tenant).await?;
        let rows = store::passkeys(&mut tx, user).await?;
        drop(tx);
        let mut live = Vec::with_capacity(rows.len());
        for row in rows {
            if !row.flagged && account.has_passkey(row.id) {
                let passkey = self.unwrap(tenant, &passkey_name(user, row.id), &row.wrapped).await?;
                live.push((row, passkey));
            }
        }
        Ok(live)
    }

    /// Asks for a new passkey. What comes back is what `navigator.credentials.create` takes, in JSON.
    pub(super) async fn ask_to_register(
        &self,
        tenant: TenantId,
        user: UserId,
        purpose: Purpose<'_>,
        email: &str,
        name: &str,
    ) -> Outcome<Value> {
        let known = self.live_passkeys(tenant, user).await?;
        let known = known.iter().map(|(_, passkey)| passkey.cred_id().clone()).collect();
        let (options, state) = self
            .relying_party()?
            .start_passkey_registration(user.uuid(), email, name, Some(known))
            .map_err(Refusal::internal)?;
        self.keep_challenge(tenant, user, purpose, &state).await?;
        serde_json::to_value(options).map_err(Refusal::internal)
    }

    /// The passkey that an authenticator made for a challenge of this purpose, wrapped under this id.
    pub(super) async fn made(
        &self,
        tenant: TenantId,
        user: UserId,
        purpose: Purpose<'_>,
        id: PasskeyId,
        credential: &Value,
    ) -> Outcome<([u8; 32], Vec<u8>)> {
        let party = self.relying_party()?;
        let state: PasskeyRegistration = self.take_challenge(tenant, user, purpose).await?.ok_or_else(invalid)?;
        let answer = RegisterPublicKeyCredential::deserialize_from(credential)?;
        let passkey = party.finish_passkey_registration(&answer, &state).map_err(|error| {
            tracing::info!(%error, "a passkey was not registered");
            invalid()
        })?;
        let wrapped = self.wrap(tenant, &passkey_name(user, id), &passkey).await?;
        Ok((hash_of(passkey.cred_id()), wrapped))
    }

    /// Asks for a proof with one of a user's passkeys: what `navigator.credentials.get` takes, in JSON. None where the
    /// user has none that counts.
    pub(in crate::auth) async fn ask_passkey(
        &self,
        tenant: TenantId,
        user: UserId,
        purpose: Purpose<'_>,
    ) -> Outcome<Option<Value>> {
        let party = self.relying_party()?;
        let live = self.live_passkeys(tenant, user).await?;
        if live.is_empty() {
            return Ok(None);
        }
        let passkeys: Vec<_> = live.into_iter().map(|(_, passkey)| passkey).collect();
        let (options, state) = party
            .start_passkey_authentication(&passkeys)
            .map_err(Refusal::internal)?;
        self.keep_challenge(tenant, user, purpose, &state).await?;
        serde_json::to_value(options).map(Some).map_err(Refusal::internal)
    }

    /// Checks a user's answer to a challenge of this purpose. Wrong ones count as wrong codes do.
    ///
    /// # Errors
    /// `INVALID_PASSKEY` whatever is wrong, `LOCKED`, `PASSKEYS_UNAVAILABLE`.
    pub(in crate::auth) async fn check_passkey(
        &self,
        caller: &Caller,
        user: UserId,
        channel: Channel,
        purpose: Purpose<'_>,
        credential: &Value,
    ) -> Outcome<()> {
        let tenant = caller.tenant;
        let party = self.relying_party()?;
        self.not_locked(tenant, user, channel).await?;
        if self.judge(caller, user, &party, purpose, credential).await? {
            return self.succeeded(tenant, user, channel).await;
        }
        self.failed(caller, user, channel).await?;
        Err(invalid())
    }

    async fn judge(
        &self,
        caller: &Caller,
        user: UserId,
        party: &Webauthn,
        purpose: Purpose<'_>,
        credential: &Value,
    ) -> Outcome<bool> {
        let tenant = caller.tenant;
        let state: Option<PasskeyAuthentication> = self.take_challenge(tenant, user, purpose).await?;
        let (Some(state), Ok(answer)) = (state, PublicKeyCredential::deserialize_from(credential)) else {
            return Ok(false);
        };
        // Removed or flagged since the challenge went out: it counts no more.
        let live = self.live_passkeys(tenant, user).await?;
        let given: [u8; 32] = Sha256::digest(AsRef::<[u8]>::as_ref(&answer.raw_id)).into();
        let Some((row, mut passkey)) = live.into_iter().find(|(row, _)| row.credential_hash == given) else {
            return Ok(false);
        };
        let result = match party.finish_passkey_authentication(&answer, &state) {
            Ok(result) => result,
            Err(WebauthnError::CredentialPossibleCompromise) => {
                self.flag(caller, user, row.id).await?;
                return Ok(false);
            }
            Err(error) => {
                tracing::info!(%error, "a passkey was not accepted");
                return Ok(false);
            }
        };
        if !result.user_verified() || hash_of(result.cred_id()) != given {
            return Ok(false);
        }
        passkey.update_credential(&result);
        let wrapped = self.wrap(tenant, &passkey_name(user, row.id), &passkey).await?;
        let mut tx = self.writing(tenant).await?;
        let now = self.ambient().now();
        let used = store::use_passkey(&mut tx, user, row.id, &wrapped, result.counter(), now).await?;
        tx.commit().await?;
        if !used {
            // Another answer with this count, or a higher one, was faster.
            self.flag(caller, user, row.id).await?;
        }
        Ok(used)
    }

    /// Flags a passkey whose counter went back, as an event and for good.
    async fn flag(&self, caller: &Caller, user: UserId, id: PasskeyId) -> Outcome<()> {
        let mut tx = self.writing(caller.tenant).await?;
        store::flag_passkey(&mut tx, user, id, self.ambient().now()).await?;
        tx.commit().await?;
        let system = Caller::system(caller.tenant, caller.origin.correlation);
        let content = json!({ "user": user, "passkey": id });
        let command = UserCommand::FlagPasskey { passkey: id };
        self.run::<User>(&system, "flagPasskey", user.uuid(), &content, command)
            .await
            .map(drop)
    }

    async fn keep_challenge(
        &self,
        tenant: TenantId,
        user: UserId,
        purpose: Purpose<'_>,
        state: &impl Serialize,
    ) -> Outcome<()> {
        let wrapped = self.wrap(tenant, &challenge_name(user, purpose.word()), state).await?;
        let now = self.ambient().now();
        let mut tx = self.writing(tenant).await?;
        let slot = store::Slot {
            user,
            purpose: purpose.word(),
            binding: &purpose.binding(),
        };
        store::keep_challenge(&mut tx, slot, &wrapped, now, now + CHALLENGE_LASTS).await?;
        Ok(tx.commit().await?)
    }

    /// Takes the challenge of a purpose, whatever its answer will be worth.
    async fn take_challenge<T: DeserializeOwned>(
        &self,
        tenant: TenantId,
        user: UserId,
        purpose: Purpose<'_>,
    ) -> Outcome<Option<T>> {
        let mut tx = self.writing(tenant).await?;
        let slot = store::Slot {
            user,
            purpose: purpose.word(),
            binding: &purpose.binding(),
        };
        let wrapped = store::take_challenge(&mut tx, slot, self.ambient().now()).await?;
        tx.commit().await?;
        match wrapped {
            Some(wrapped) => self
                .unwrap(tenant, &challenge_name(user, purpose.word()), &wrapped)
                .await
                .map(Some),
            None => Ok(None),
        }
    }

    async fn wrap(&self, tenant: TenantId, name: &str, value: &impl Serialize) -> Outcome<Vec<u8>> {
        let plain = serde_json::to_vec(value).map_err(Refusal::internal)?;
        let keys = self.store.vault().tenant(tenant).await?;
        Ok(keys.wrap_secret(name, &plain, self.ambient().bytes()))
    }

    async fn unwrap<T: DeserializeOwned>(&self, tenant: TenantId, name: &str, wrapped: &[u8]) -> Outcome<T> {
        let keys = self.store.vault().tenant(tenant).await?;
        let plain = keys.unwrap_secret(name, wrapped).map_err(Refusal::internal)?;
        serde_json::from_slice(&plain).map_err(Refusal::internal)
    }
}

/// Reads what a browser sends, which is not to be trusted in anything.
trait Answer: DeserializeOwned {
    fn deserialize_from(value: &Value) -> Outcome<Self> {
        serde_json::from_value(value.clone()).map_err(|_| invalid())
    }
}

impl Answer for PublicKeyCredential {}
impl Answer for RegisterPublicKeyCredential {}
