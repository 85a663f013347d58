//! Sign-in with identity providers: a real one (`tests/oidc-provider`), and a hostile one that says whatever it is told to.

mod admin;
mod attacks;
pub mod hostile;
mod people;
mod real;

use axum::http::Method;
use commands::auth::oidc::{ProviderInput, SecretInput};
use formats::IdentityProviderId;
use model::{
    Role,
    identity_provider::{ProviderDefinition, RoleMapping},
};
use url::Url;

use crate::world::{Reply, World, request};

/// A definition with nothing special in it.
pub(crate) fn definition(issuer: &str) -> ProviderDefinition {
    ProviderDefinition {
        name: "Contoso".to_owned(),
        issuer: issuer.to_owned(),
        client_id: "portcullis".to_owned(),
        scopes: vec!["email".to_owned(), "profile".to_owned(), "groups".to_owned()],
        groups_claim: "groups".to_owned(),
        account_claim: None,
        role_mapping: Vec::new(),
        provision: false,
        email_domains: Vec::new(),
        trusted_factors: Vec::new(),
    }
}

pub(crate) fn mapping(group: &str, role: Role) -> RoleMapping {
    RoleMapping {
        group: group.to_owned(),
        role,
    }
}

pub(crate) const SECRET: &str = "a secret of the client, 32 bytes+";

impl World {
    /// Configures a provider, as an owner would.
    pub(crate) async fn provider(&self, definition: ProviderDefinition) -> IdentityProviderId {
        let input = ProviderInput {
            definition,
            secret: SecretInput::Set(SECRET.to_owned().into()),
        };
        let made = self.app.create_identity_provider(&self.system(), input).await.unwrap();
        self.settle(self.tenant).await;
        made.id()
    }

    /// Leaves for a provider; where to, and the cookie that binds the browser.
    pub(crate) async fn leave(&self, provider: IdentityProviderId, return_to: &str) -> (Url, String) {
        let path = format!("/auth/oidc/acme/start?provider={provider}&returnTo={return_to}");
        let reply = self.send(request(Method::GET, &path).empty()).await.expect(303);
        assert!(
            !reply.header("location").contains("refused"),
            "{}",
            reply.header("location")
        );
        (reply.header("location").parse().unwrap(), reply.cookie())
    }

    /// Comes back with this query and cookie.
    pub(crate) async fn come_back(&self, query: &str, cookie: &str) -> Reply {
        let path = format!("/auth/oidc/acme/callback?{query}");
        self.send(request(Method::GET, &path).with("cookie", cookie).empty())
            .await
    }

    /// The events of a type, as the log has them, newest last.
    pub(crate) async fn events(&self, event_type: &str) -> Vec<formats::EventBody> {
        let all = self.app.store.read(self.tenant, 0, 10_000).await.unwrap();
        let bodies = all.into_iter().map(|event| event.body);
        bodies.filter(|body| body.event_type == event_type).collect()
    }
}

/// A parameter of an address.
pub(crate) fn param(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(n, _)| n == name).unwrap().1.into_owned()
}

impl Reply {
    /// The code with which the sign-in page is shown again.
    pub(crate) fn refused(&self) -> String {
        let at = format!("http://here{}", self.header("location"))
            .parse::<Url>()
            .unwrap();
        assert_eq!(at.path(), "/sign-in", "{at}");
        assert!(self.header("set-cookie").is_empty(), "nobody is let in");
        param(&at, "refused")
    }
}
