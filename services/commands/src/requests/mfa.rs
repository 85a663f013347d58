//! A one-time code given at an agent, and the signed proof that it was good.

use std::{collections::HashSet, time::Duration};

use formats::{ActionDigest, MfaProof, Purpose, RequestId, TenantId, UserId, agent_wire::MfaVerified};
use model::user::{User, UserCommand};
use policy_engine::ActionType;
use projections::request_queue::QueuedRequest;
use serde_json::json;

use crate::{
    App, Caller, Outcome, Principal, Refusal,
    auth::{Channel, store},
};

/// How long a proof lasts, fixed.
const LASTS: Duration = Duration::from_secs(5 * 60);

/// What the agent sends.
#[derive(Clone)]
pub struct MfaInput {
    /// The tenant user whose code it is.
    pub email: String,
    /// The code.
    pub code: String,
    /// The type of the action.
    pub action_type: ActionType,
    /// The endpoint account that acts.
    pub endpoint_user: String,
    /// The action.
    pub digest: ActionDigest,
    /// The proof is for this action alone.
    pub always: bool,
}

impl std::fmt::Debug for MfaInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MfaInput")
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

pub(super) fn by_approver() -> Refusal {
    let message = "whoever approves a request can't give its one-time code";
    Refusal::new("MFA_BY_APPROVER", 403, message)
}

impl App {
    /// Who gave the one-time code of which of these requests' actions, or of others like it within five minutes: they
    /// can't approve it.
    pub(super) async fn code_givers(
        &self,
        tenant: TenantId,
        requests: &[QueuedRequest],
    ) -> Outcome<HashSet<(RequestId, UserId)>> {
        let keys = self.store.vault().tenant(tenant).await?;
        let wanted: Vec<_> = requests
            .iter()
            .filter(|request| request.mfa)
            .map(|request| {
                let details = request.details.as_ref();
                let account = details.map(|details| details.action.user.name.to_lowercase());
                store::CodeWanted {
                    request: request.id.uuid(),
                    endpoint: request.endpoint,
                    endpoint_user_mac: keys.mac().claim("mfa.endpoint_user", &account.unwrap_or_default()),
                    action_type: request.action_type.as_str(),
                }
            })
            .collect();
        if wanted.is_empty() {
            return Ok(HashSet::new());
        }
        let mut tx = self.reading(tenant).await?;
        let givers = store::code_givers(&mut tx, &wanted, self.now()).await?;
        Ok(givers
            .into_iter()
            .map(|(request, user)| (RequestId::from_uuid(request), UserId::from_uuid(user)))
            .collect())
    }

    /// Checks a code against the named user's secret.
    ///
    /// # Errors
    /// `INVALID_CODE` whatever is wrong with user or code, `LOCKED`, `MFA_BY_APPROVER`, `MFA_OTHER_USER` where the
    /// tenant binds codes to the requester.
    pub async fn mfa_verify(&self, caller: &Caller, input: MfaInput) -> Outcome<MfaVerified> {
        let Principal::Endpoint { endpoint, .. } = caller.principal else {
            return Err(Refusal::forbidden("this is for agents"));
        };
        let tenant = caller.tenant;
        let wrong = || {
            Refusal::new(
                "INVALID_CODE",
                401,
                "the code or the address is wrong, or the code was used before",
            )
            .on("code")
        };
        let mut tx = self.reading(tenant).await?;
        let row = projections::directory::user_by_email(&mut tx, &input.email).await?;
        drop(tx);
        let known = row.filter(|row| row.disabled_at.is_none()).map(|row| row.id);
        let identity = match known {
            Some(user) if self.has_totp(tenant, user).await? => user,
            _ => {
                let nobody = self.nobody(tenant, &input.email).await?;
                self.not_locked(tenant, nobody, Channel::Agent).await?;
                self.failed_nobody(tenant, nobody, Channel::Agent).await?;
                return Err(wrong());
            }
        };
        match self.check_code(caller, identity, Channel::Agent, &input.code).await {
            Err(refusal) if refusal.code == "NOT_ENROLLED" || refusal.code == "INVALID_CODE" => return Err(wrong()),
            result => result?,
        }

        let person = self.person_of(caller, &input.endpoint_user, endpoint).await?;
        let account: model::person::Person = self.state(tenant, person.uuid()).await?;
        let other_user = account.user() != Some(identity);
        if other_user && self.settings(tenant).await?.mfa_bound_to_requester {
            let message = "the tenant takes one-time codes from the requester's own account only";
            return Err(Refusal::new("MFA_OTHER_USER", 403, message));
        }
        let mac = self.digest_mac(tenant, &input.digest).await?;
        self.caught_up(tenant).await?;
        let mut tx = self.reading(tenant).await?;
        let request = projections::request_queue::find_live_by_digest(&mut tx, &mac).await?;
        drop(tx);
        let request = request.map(|row| row.id);
        let mut tx = self.reading(tenant).await?;
        let live = projections::request_queue::live_of_endpoint(&mut tx, endpoint).await?;
        drop(tx);
        for id in live.into_iter().map(|live| live.id) {
            // A proof holds for each action of its account and type, so it would hold for any grant that waits for one.
            let state = self.request(tenant, id).await?;
            let covered = Some(id) == request
                || (!input.always && state.person() == person && state.grant().is_some_and(|g| g.terms.mfa_pending));
            if covered && state.was_approved_by(identity) {
                return Err(by_approver());
            }
        }
        let now = self.ambient().now();
        let proof = MfaProof {
            tenant,
            id: self.ambient().uuid(),
            identity,
            endpoint,
            endpoint_user: input.endpoint_user.clone(),
            action_type: input.action_type,
            digest: input.always.then_some(input.digest),
            issued_at: now,
            expires_at: now + LASTS,
        };
        let keys = self.store.vault().tenant(tenant).await?;
        let (_, key) = keys
            .signing(Purpose::Mfa)
            .ok_or_else(|| Refusal::internal("no mfa key"))?;
        let token = proof.sign(key).map_err(Refusal::internal)?;
        let endpoint_user_mac = keys
            .mac()
            .claim("mfa.endpoint_user", &input.endpoint_user.to_lowercase());
        let mut tx = self.writing(tenant).await?;
        let kept = store::MfaSessionRow {
            id: proof.id,
            identity,
            endpoint,
            endpoint_user_mac: &endpoint_user_mac,
            action_type: input.action_type.as_str(),
            request: request.map(formats::RequestId::uuid),
            expires_at: proof.expires_at,
        };
        store::keep_mfa_session(&mut tx, &kept).await?;
        tx.commit().await?;
        let command = UserCommand::VerifyCode {
            endpoint,
            requester: person,
            request,
            other_user,
        };
        let content = json!({ "proof": proof.id });
        self.run::<User>(caller, "verifyCode", identity.uuid(), &content, command)
            .await?;
        Ok(MfaVerified {
            proof: token,
            identity,
            expires_at: proof.expires_at,
        })
    }
}
