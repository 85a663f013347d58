//! One attempt on an endpoint, as a request and as a record of it show it.

use async_graphql::{Context, Object, SimpleObject};
use commands::{Refusal, moments::offset_minutes};
use formats::{EndpointId, Timestamp};

use super::{
    context::Ask,
    error::Answer,
    scalars::DateTime,
    words::{ActionType, Os},
};

#[derive(Debug, Clone)]
pub(crate) struct Action {
    pub(crate) action_type: policy_engine::ActionType,
    pub(crate) endpoint: EndpointId,
    /// When the server was told.
    pub(crate) told_at: Timestamp,
    /// The engine's input; none once the person was erased.
    pub(crate) known: Option<policy_engine::Action>,
    pub(crate) cwd: Option<String>,
}

impl Action {
    fn known(&self) -> Option<&policy_engine::Action> {
        self.known.as_ref()
    }
}

/// One attempt on an endpoint, whole: nothing in it is shortened. Empty once the person was erased.
#[Object]
impl Action {
    #[graphql(name = "type")]
    async fn action_type(&self) -> ActionType {
        self.action_type.into()
    }

    /// The account as the endpoint names it, with its domain.
    async fn user_name(&self) -> &str {
        self.known().map(|action| action.user.name.as_str()).unwrap_or_default()
    }

    async fn user_groups(&self) -> &[String] {
        self.known()
            .map(|action| action.user.groups.as_slice())
            .unwrap_or_default()
    }

    async fn machine_name(&self) -> &str {
        self.known()
            .map(|action| action.machine.name.as_str())
            .unwrap_or_default()
    }

    async fn os(&self, ctx: &Context<'_>) -> Answer<Os> {
        if let Some(action) = self.known() {
            return Ok(action.machine.os.into());
        }
        let endpoint = ctx.frame().load().load_one(self.endpoint).await?;
        let endpoint = endpoint.ok_or_else(|| Refusal::internal("an action's endpoint is missing"))?;
        Ok(endpoint.machine.os.into())
    }

    async fn application(&self) -> Application {
        let application = self.known().and_then(|action| action.application.clone());
        application.map_or_else(Application::default, |application| Application {
            path: application.path,
            sha256: application.sha256,
            publisher: application.publisher,
            certificate: application.certificate,
        })
    }

    async fn command_line(&self) -> Option<&str> {
        self.known()?.command_line.as_deref()
    }

    async fn file(&self) -> Option<&str> {
        self.known()?.file.as_deref()
    }

    /// The working directory, where the endpoint told one; it is part of the digest.
    async fn cwd(&self) -> Option<&str> {
        self.cwd.as_deref()
    }

    /// At the endpoint, in UTC.
    async fn at(&self) -> DateTime {
        let told = self
            .known()
            .and_then(|action| action.at.as_str().parse::<Timestamp>().ok());
        told.unwrap_or(self.told_at).into()
    }

    /// The endpoint's offset from UTC in minutes.
    async fn offset_minutes(&self) -> i32 {
        self.known().map_or(0, |action| offset_minutes(action.at.as_str()))
    }
}

#[derive(Debug, Clone, Default, SimpleObject)]
pub(crate) struct Application {
    path: String,
    sha256: Option<String>,
    publisher: Option<String>,
    certificate: Option<String>,
}
