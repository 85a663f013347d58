//! What is looked up before a request is decided or shown.

use formats::{ActionDigest, RequestId, TenantId, UserId};
use model::{
    person::Person,
    request::{DecisionFacts, Request, Status},
    tenant::{Settings, Tenant},
    user::User,
};
use policy_engine::Outcome as EngineOutcome;
use projections::request_queue::QueuedRequest;

use crate::{Act, App, Caller, Outcome, Principal, Refusal};

/// HMAC of a digest under the tenant's key, as the log has it.
pub(super) fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

impl App {
    /// The settings as the log has them now.
    pub(crate) async fn settings(&self, tenant: TenantId) -> Outcome<Settings> {
        let state: Tenant = self.state(tenant, tenant.uuid()).await?;
        Ok(state.settings().clone())
    }

    pub(super) async fn digest_mac(&self, tenant: TenantId, digest: &ActionDigest) -> Outcome<String> {
        Ok(hex(&self.store.vault().tenant(tenant).await?.mac().digest(digest)))
    }

    /// A request that the caller may see: administrators and auditors all, approvers what is routed to them, everyone
    /// their own. Whatever they may not see looks like what does not exist.
    ///
    /// # Errors
    /// `NOT_FOUND`
    pub async fn visible_request(&self, caller: &Caller, request: RequestId) -> Outcome<QueuedRequest> {
        let nothing = || Refusal::not_found("request");
        let mut tx = self.reading(caller.tenant).await?;
        let row = projections::request_queue::find(&mut tx, request)
            .await?
            .ok_or_else(nothing)?;
        drop(tx);
        if caller.may(Act::ReadAllRequests) {
            return Ok(row);
        }
        let Some(user) = caller.user() else {
            return Err(nothing());
        };
        if self.is_own(caller, row.person, row.user).await? {
            return Ok(row);
        }
        if Self::decides(caller) {
            let state: Request = self.state(caller.tenant, request.uuid()).await?;
            let named: Vec<_> = state
                .route()
                .primary
                .iter()
                .chain(&state.route().secondary)
                .copied()
                .collect();
            if self.is_among(caller.tenant, user, &named).await? {
                return Ok(row);
            }
        }
        Err(nothing())
    }

    /// Whether a request is the caller's own: by the user it was filed under, or by whom its endpoint account is linked
    /// to now. Both count, so that no link made or taken back in between opens a way to decide one's own request.
    pub(super) async fn is_own(
        &self,
        caller: &Caller,
        person: formats::PersonId,
        filed_by: Option<UserId>,
    ) -> Outcome<bool> {
        let Principal::User { user, person: own, .. } = &caller.principal else {
            return Ok(false);
        };
        if person == *own || filed_by == Some(*user) {
            return Ok(true);
        }
        let account: Person = self.state(caller.tenant, person.uuid()).await?;
        Ok(account.user() == Some(*user))
    }

    /// What an approver's decision needs to know. `denied_now`: whether the policies in force deny what is to be approved.
    pub(super) async fn decision_facts(
        &self,
        caller: &Caller,
        request: &Request,
        digest: &str,
        comment: Option<String>,
        denied_now: bool,
    ) -> Outcome<DecisionFacts> {
        let tenant = caller.tenant;
        let approver = caller
            .user()
            .ok_or_else(|| Refusal::forbidden("requests are decided by people"))?;
        let digest: ActionDigest = digest
            .parse()
            .map_err(|_| Refusal::bad_input("digest", "digest has to be 64 hexadecimal digits"))?;
        let settings = self.settings(tenant).await?;
        let route = request.route();
        let primary = caller.is_admin() || self.is_among(tenant, approver, &route.primary).await?;
        let secondary = !primary && self.is_among(tenant, approver, &route.secondary).await?;
        Ok(DecisionFacts {
            approver,
            eligible: Self::decides(caller) && (primary || secondary),
            secondary_only: secondary,
            own: self.is_own(caller, request.person(), request.user()).await?,
            self_approval: route.lets_own(&settings),
            secondary_can_decide: self.secondary_can_decide(tenant, request).await?,
            digest_mac: self.digest_mac(tenant, &digest).await?,
            denied_now,
            denial_needs_comment: settings.denial_needs_comment,
            comment,
        })
    }

    /// Whether the policies in force now deny a request's action; `row` is the request as the read models have it, which
    /// had caught up with the log.
    pub(super) async fn is_denied_now(
        &self,
        tenant: TenantId,
        request: &Request,
        row: Option<&QueuedRequest>,
    ) -> Outcome<bool> {
        let endpoint: model::endpoint::Endpoint = self.state(tenant, request.endpoint().uuid()).await?;
        let (Some(details), Some(group)) = (row.and_then(|row| row.details.as_ref()), endpoint.group()) else {
            // Erased, or its endpoint is gone: nothing that could still be permitted.
            return Ok(true);
        };
        let (decision, _) = self.evaluate(tenant, group, &details.action).await?;
        Ok(decision.outcome == EngineOutcome::Denied)
    }

    /// The state of a request that exists.
    pub(super) async fn request(&self, tenant: TenantId, id: RequestId) -> Outcome<Request> {
        let state: Request = self.state(tenant, id.uuid()).await?;
        if state.status() == Status::None {
            Err(Refusal::not_found("request"))
        } else {
            Ok(state)
        }
    }

    /// Whether a row says of its request what the log says: how it stands, and whether this approver agreed.
    ///
    /// # Errors
    /// `NOT_FOUND`, `UNAVAILABLE`
    pub async fn is_up_to_date(&self, tenant: TenantId, row: &QueuedRequest, approver: UserId) -> Outcome<bool> {
        let state = self.request(tenant, row.id).await?;
        let agreed = row
            .decisions
            .iter()
            .any(|said| said.approver == approver && said.approved);
        Ok(state.status() == row.status && state.was_approved_by(approver) == agreed)
    }

    /// A user's account, unless it does not exist or is closed.
    pub(super) async fn open_account(&self, tenant: TenantId, user: UserId) -> Outcome<Option<User>> {
        let account: User = self.state(tenant, user.uuid()).await?;
        Ok((account.person().is_some() && !account.is_disabled()).then_some(account))
    }
}
