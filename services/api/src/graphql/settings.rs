//! The tenant's settings.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use commands::Act;
use model::tenant::{Settings as Kept, Tenant};
use policy_engine::BaselineSetting;
use projections::directory::TenantView;

use super::{
    approval_rules::{Approvers, ApproversInput, RequestWindows, RequestWindowsInput},
    context::{Ask, For, written},
    error::Answer,
    scalars::Position,
    words::{ActionType, BaselineOutcome, Control},
};

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    tenant_name: String,
    public_url: String,
    kept: Kept,
}

impl Settings {
    fn of(tenant: &TenantView, public_url: &str) -> Self {
        Self {
            tenant_name: tenant.name.clone(),
            public_url: public_url.to_owned(),
            kept: tenant.settings.clone(),
        }
    }
}

#[Object]
impl Settings {
    async fn tenant_name(&self) -> &str {
        &self.tenant_name
    }

    /// The server's name for itself in links.
    async fn public_url(&self) -> &str {
        &self.public_url
    }

    async fn windows(&self) -> RequestWindows {
        self.kept.windows.into()
    }

    async fn minimum_justification(&self) -> u32 {
        self.kept.justification_min
    }

    async fn require_denial_comment(&self) -> bool {
        self.kept.denial_needs_comment
    }

    async fn allow_self_approval(&self) -> bool {
        self.kept.self_approval
    }

    #[graphql(guard = "For(Act::ReadSettings)")]
    async fn refuse_unlinked_requesters(&self) -> bool {
        self.kept.refuse_unlinked
    }

    /// Bind the one-time code to the requester's own user.
    #[graphql(guard = "For(Act::ReadSettings)")]
    async fn bind_mfa_to_requester(&self) -> bool {
        self.kept.mfa_bound_to_requester
    }

    /// Whoever decides has given a second factor within the last five minutes.
    async fn require_second_factor_to_decide(&self) -> bool {
        self.kept.deciding_needs_second_factor
    }

    #[graphql(guard = "For(Act::ReadSettings)")]
    async fn default_approvers(&self) -> Approvers {
        Approvers(self.kept.default_approvers.clone())
    }

    #[graphql(guard = "For(Act::ReadSettings)")]
    async fn baselines(&self) -> Vec<Baseline> {
        let all = policy_engine::ActionType::ALL;
        all.into_iter()
            .map(|action_type| Baseline::of(action_type, self.kept.baseline.get(action_type)))
            .collect()
    }
}

/// What happens to an action of a type where no enforced policy matches.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Baseline {
    action_type: ActionType,
    outcome: BaselineOutcome,
    /// Only with `REQUIRED`: `APPROVAL`, `MFA`, `JUSTIFICATION`.
    controls: Vec<Control>,
}

impl Baseline {
    fn of(action_type: policy_engine::ActionType, setting: &BaselineSetting) -> Self {
        let (outcome, controls) = match setting {
            BaselineSetting::PassThrough => (BaselineOutcome::PassThrough, Vec::new()),
            BaselineSetting::Deny => (BaselineOutcome::Deny, Vec::new()),
            BaselineSetting::Controls(controls) => (
                BaselineOutcome::Required,
                controls.iter().copied().map(Into::into).collect(),
            ),
        };
        Self {
            action_type: action_type.into(),
            outcome,
            controls,
        }
    }
}

#[derive(Default)]
pub(crate) struct SettingsQuery;

#[Object]
impl SettingsQuery {
    /// Approvers read them too, as far as a decision is about them.
    async fn settings(&self, ctx: &Context<'_>) -> Answer<Settings> {
        let frame = ctx.frame();
        if !frame.caller.may(Act::Decide) {
            frame.caller.demand(Act::ReadSettings)?;
        }
        let tenant = frame.tenant().await?;
        Ok(Settings::of(&tenant, &frame.app.config.public_url))
    }
}

/// Fields left out stay as they are.
#[derive(Debug, InputObject)]
pub(crate) struct ChangeSettingsInput {
    windows: Option<RequestWindowsInput>,
    minimum_justification: Option<u32>,
    require_denial_comment: Option<bool>,
    allow_self_approval: Option<bool>,
    refuse_unlinked_requesters: Option<bool>,
    bind_mfa_to_requester: Option<bool>,
    require_second_factor_to_decide: Option<bool>,
    default_approvers: Option<ApproversInput>,
    /// Types left out stay as they are.
    baselines: Option<Vec<BaselineInput>>,
}

#[derive(Debug, InputObject)]
pub(crate) struct BaselineInput {
    action_type: ActionType,
    outcome: BaselineOutcome,
    #[graphql(default)]
    controls: Vec<Control>,
}

impl ChangeSettingsInput {
    fn over(self, mut kept: Kept) -> Answer<Kept> {
        if let Some(windows) = &self.windows {
            kept.windows = windows.over(kept.windows);
        }
        if let Some(approvers) = &self.default_approvers {
            kept.default_approvers = approvers.read("defaultApprovers")?;
        }
        for baseline in self.baselines.unwrap_or_default() {
            let setting = match baseline.outcome {
                BaselineOutcome::PassThrough => BaselineSetting::PassThrough,
                BaselineOutcome::Deny => BaselineSetting::Deny,
                BaselineOutcome::Required => {
                    BaselineSetting::Controls(baseline.controls.into_iter().map(Into::into).collect())
                }
            };
            kept.baseline.0.insert(baseline.action_type.into(), setting);
        }
        kept.justification_min = self.minimum_justification.unwrap_or(kept.justification_min);
        kept.denial_needs_comment = self.require_denial_comment.unwrap_or(kept.denial_needs_comment);
        kept.self_approval = self.allow_self_approval.unwrap_or(kept.self_approval);
        kept.refuse_unlinked = self.refuse_unlinked_requesters.unwrap_or(kept.refuse_unlinked);
        kept.mfa_bound_to_requester = self.bind_mfa_to_requester.unwrap_or(kept.mfa_bound_to_requester);
        kept.deciding_needs_second_factor = self
            .require_second_factor_to_decide
            .unwrap_or(kept.deciding_needs_second_factor);
        Ok(kept)
    }
}

#[derive(Debug, SimpleObject)]
pub(crate) struct SettingsPayload {
    settings: Settings,
    position: Position,
}

#[derive(Default)]
pub(crate) struct SettingsMutation;

#[Object]
impl SettingsMutation {
    async fn change_settings(&self, ctx: &Context<'_>, input: ChangeSettingsInput) -> Answer<SettingsPayload> {
        let (frame, caller) = ctx.command()?;
        caller.demand(Act::WriteSettings)?;
        // What is left out stays as the log has it now, not as the read models may still show it.
        let (tenant, _) = frame
            .app
            .store
            .load::<Tenant>(caller.tenant, caller.tenant.uuid())
            .await?;
        let settings = input.over(tenant.settings().clone())?;
        let done = frame.app.change_settings(&caller, settings).await?;
        let frame = written(ctx, done.position).await;
        let tenant = frame.tenant().await?;
        let settings = Settings::of(&tenant, &frame.app.config.public_url);
        Ok(SettingsPayload {
            settings,
            position: Position(done.position),
        })
    }
}

#[cfg(test)]
mod tests {
    use policy_engine::ActionType as Type;

    use super::*;

    fn input() -> ChangeSettingsInput {
        ChangeSettingsInput {
            windows: None,
            minimum_justification: None,
            require_denial_comment: None,
            allow_self_approval: None,
            refuse_unlinked_requesters: None,
            bind_mfa_to_requester: None,
            require_second_factor_to_decide: None,
            default_approvers: None,
            baselines: None,
        }
    }

    #[test]
    fn what_is_left_out_stays_as_it_was() {
        let kept = Kept {
            justification_min: 12,
            self_approval: true,
            ..Kept::default()
        };
        assert_eq!(input().over(kept.clone()).unwrap(), kept);
        let one = BaselineInput {
            action_type: ActionType::CommandLine,
            outcome: BaselineOutcome::Required,
            controls: vec![Control::Mfa],
        };
        let changed = ChangeSettingsInput {
            baselines: Some(vec![one]),
            ..input()
        }
        .over(kept)
        .unwrap();
        let mfa = BaselineSetting::Controls(vec![policy_engine::Control::Mfa]);
        assert_eq!(changed.baseline.get(Type::CommandLine), &mfa);
        assert_eq!(changed.baseline.get(Type::FileAccess), &BaselineSetting::PassThrough);
        assert!(changed.self_approval);
    }
}
