//! given/when/then.

use formats::IdentityProviderId;

use super::*;
use crate::{
    Coded, Noun, Role,
    aggregate::{ClaimChange, EventData},
};

fn definition() -> ProviderDefinition {
    ProviderDefinition {
        name: "Contoso".into(),
        issuer: "https://id.example.com".into(),
        client_id: "portcullis".into(),
        scopes: vec!["email".into(), "openid".into()],
        groups_claim: "groups".into(),
        account_claim: None,
        role_mapping: vec![RoleMapping {
            group: "Approvers".into(),
            role: Role::Approver,
        }],
        provision: false,
        email_domains: vec!["@Example.com".into()],
        trusted_factors: vec![],
    }
}

fn configure(definition: ProviderDefinition, own: Role) -> Result<Vec<IdentityProviderEvent>, IdentityProviderError> {
    IdentityProvider::default().decide(IdentityProviderCommand::ConfigureIdentityProvider {
        provider: IdentityProviderId::default(),
        definition: Box::new(definition),
        secret_id: Some("1".into()),
        own,
    })
}

fn given(own: Role) -> IdentityProvider {
    let mut provider = IdentityProvider::default();
    for event in configure(definition(), own).unwrap() {
        cqrs_es::Aggregate::apply(&mut provider, event);
    }
    provider
}

fn change(definition: ProviderDefinition, own: Role) -> IdentityProviderCommand {
    IdentityProviderCommand::ChangeIdentityProvider {
        definition: Box::new(definition),
        secret: SecretChange::Keep,
        own,
    }
}

#[test]
fn a_mapping_gives_no_role_above_its_authors() {
    let mut above = definition();
    above.role_mapping.push(RoleMapping {
        group: "Chiefs".into(),
        role: Role::Admin,
    });
    assert!(configure(above.clone(), Role::Admin).is_ok());
    let refused = configure(above.clone(), Role::Approver).unwrap_err();
    assert_eq!(
        (refused.code(), refused.field().as_deref()),
        ("ROLE_ABOVE_OWN", Some("roleMapping[1].role"))
    );
    let refused = given(Role::Approver).decide(change(above, Role::Approver)).unwrap_err();
    assert_eq!(refused.code(), "ROLE_ABOVE_OWN");
}

#[test]
fn what_an_owner_configured_an_admin_neither_changes_nor_opens_but_may_close() {
    use IdentityProviderCommand as C;
    let mut provider = given(Role::Owner);
    assert_eq!(
        provider.decide(change(definition(), Role::Admin)).unwrap_err().code(),
        "ROLE_ABOVE_OWN"
    );
    let disabled = provider.decide(C::DisableIdentityProvider).unwrap();
    for event in disabled {
        cqrs_es::Aggregate::apply(&mut provider, event);
    }
    let open = C::EnableIdentityProvider { own: Role::Admin };
    assert_eq!(provider.decide(open).unwrap_err().code(), "ROLE_ABOVE_OWN");
    assert!(provider.decide(C::EnableIdentityProvider { own: Role::Owner }).is_ok());
    assert!(provider.decide(C::RemoveIdentityProvider).is_ok());
}

#[test]
fn the_issuer_stays() {
    let mut other = definition();
    other.issuer = "https://other.example.com".into();
    let refused = given(Role::Owner).decide(change(other, Role::Owner)).unwrap_err();
    assert_eq!(refused, IdentityProviderError::IssuerChanged);
}

#[test]
fn a_name_is_unique_and_free_again_after_a_removal() {
    let take = ClaimChange::Take {
        space: PROVIDER_NAME,
        value: "contoso".into(),
    };
    assert_eq!(configure(definition(), Role::Admin).unwrap()[0].claims(), [take]);
    let removed = given(Role::Admin)
        .decide(IdentityProviderCommand::RemoveIdentityProvider)
        .unwrap();
    assert_eq!(removed[0].claims(), [ClaimChange::ReleaseAll { space: PROVIDER_NAME }]);
}

#[test]
fn what_is_not_fit_is_refused_by_its_field() {
    type Change = fn(&mut ProviderDefinition);
    let wrong: [(&str, Change); 11] = [
        ("name", |d| d.name = " ".into()),
        ("issuer", |d| d.issuer = "id.example.com".into()),
        ("issuer", |d| d.issuer = "https://id.example.com?x".into()),
        ("clientId", |d| d.client_id = String::new()),
        ("groupsClaim", |d| d.groups_claim = String::new()),
        ("accountClaim", |d| d.account_claim = Some("a\nb".into())),
        ("scopes[1]", |d| d.scopes = vec!["email".into(), "a b".into()]),
        ("roleMapping[0].role", |d| d.role_mapping[0].role = Role::Member),
        ("roleMapping[0].role", |d| d.role_mapping[0].role = Role::Owner),
        ("emailDomains[0]", |d| d.email_domains = vec!["a@b".into()]),
        ("trustedFactors", |d| d.trusted_factors = vec!["otp".into(); 201]),
    ];
    for (field, change) in wrong {
        let mut definition = definition();
        change(&mut definition);
        let error = configure(definition, Role::Owner).unwrap_err();
        assert_eq!(error.field().as_deref(), Some(field));
    }
}

#[test]
fn addresses_of_other_domains_are_not_believed() {
    let definition = definition().checked().unwrap();
    assert!(definition.believes("dana@example.COM"));
    for other in [
        "dana@evil.example",
        "dana@sub.example.com",
        "dana@example.com@evil.example",
        "dana",
    ] {
        assert!(!definition.believes(other), "{other}");
    }
}

#[test]
fn groups_give_the_roles_that_the_mapping_names() {
    let definition = definition();
    assert!(
        definition.roles_of(&["approvers".into()]).is_empty(),
        "groups are compared exactly"
    );
    assert_eq!(definition.roles_of(&["Approvers".into()]), definition.governed());
}
