//! The tenant's settings.

use model::tenant::{Settings, Tenant, TenantCommand};
use serde_json::json;

use crate::{Act, App, Caller, Outcome, Written};

impl App {
    /// Replaces the settings as a whole.
    ///
    /// # Errors
    /// `BAD_INPUT` with the field, `FORBIDDEN`.
    pub async fn change_settings(&self, caller: &Caller, settings: Settings) -> Outcome<Written> {
        caller.demand(Act::WriteSettings)?;
        let content = json!({ "settings": settings });
        let command = TenantCommand::ChangeSettings {
            settings: Box::new(settings),
        };
        self.run::<Tenant>(caller, "changeSettings", caller.tenant.uuid(), &content, command)
            .await
    }
}
