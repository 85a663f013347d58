//! given/when/then.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use formats::{ApiKeyId, ServiceAccountId, Timestamp};
use uuid::Uuid;

use super::*;
use crate::Scope;

fn key(n: u128) -> ApiKeyId {
    ApiKeyId::from_uuid(Uuid::from_u128(n))
}

fn given() -> AggregateTestExecutor<ServiceAccount> {
    let created = ServiceAccountCreated {
        account: ServiceAccountId::default(),
        name: "CI".into(),
        scopes: vec![Scope::PoliciesRead, Scope::AuditRead],
    };
    TestFramework::with(()).given(vec![created.into()])
}

fn issue(scopes: Vec<Scope>, expires_at: Option<i64>) -> ServiceAccountCommand {
    ServiceAccountCommand::IssueApiKey {
        at: Timestamp::from_millis(100),
        key: key(1),
        scopes,
        expires_at: expires_at.map(Timestamp::from_millis),
    }
}

#[test]
fn a_key_does_not_do_more_than_its_account() {
    given()
        .when(issue(vec![Scope::PeopleWrite], None))
        .then_expect_error(ServiceAccountError::ScopeBeyondAccount {
            scope: Scope::PeopleWrite,
        });
}

#[test]
fn a_key_without_scopes_or_with_an_end_in_the_past_is_refused() {
    given()
        .when(issue(vec![], None))
        .then_expect_error(ServiceAccountError::NoScopes);
    given()
        .when(issue(vec![Scope::AuditRead], Some(100)))
        .then_expect_error(ServiceAccountError::ExpiryInThePast);
}

#[test]
fn a_revoked_key_is_gone() {
    let issued = ApiKeyIssued {
        account: ServiceAccountId::default(),
        key: key(1),
        scopes: vec![Scope::AuditRead],
        expires_at: None,
    };
    let revoked = ApiKeyRevoked {
        account: ServiceAccountId::default(),
        key: key(1),
    };
    given()
        .and(vec![issued.into(), revoked.into()])
        .when(ServiceAccountCommand::RevokeApiKey { key: key(1) })
        .then_expect_error(ServiceAccountError::KeyNotFound);
}
