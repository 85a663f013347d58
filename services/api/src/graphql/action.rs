//! One attempt on an endpoint, as a request and as a record of it show it.

use async_graphql::{Context, Object, SimpleObject};
use commands::Refusal;
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

/// The offset at the end of an RFC 3339 text.
fn offset_minutes(text: &str) -> i32 {
    let Some(offset) = text.len().checked_sub(6).and_then(|from| text.get(from..)) else {
        return 0;
    };
    let sign = match offset.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return 0,
    };
    let Some((hours, minutes)) = offset.get(1..).and_then(|offset| offset.split_once(':')) else {
        return 0;
    };
    sign * (hours.parse::<i32>().unwrap_or(0) * 60 + minutes.parse::<i32>().unwrap_or(0))
}

#[derive(Debug, Clone, Default, SimpleObject)]
pub(crate) struct Application {
    path: String,
    sha256: Option<String>,
    publisher: Option<String>,
    certificate: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoints_offset_is_read_from_the_end_of_its_clock() {
        assert_eq!(offset_minutes("2026-03-02T10:00:00+01:00"), 60);
        assert_eq!(offset_minutes("2026-03-02T10:00:00.5-03:30"), -210);
        assert_eq!(offset_minutes("2026-03-02T10:00:00Z"), 0);
        assert_eq!(offset_minutes(""), 0);
    }
}
