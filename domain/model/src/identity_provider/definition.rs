//! What a tenant says of a provider, always as a whole.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::IdentityProviderError as E;
use crate::{Role, text};

/// The most entries of each list.
pub const ENTRIES_MAX: usize = 200;
/// The longest issuer, in bytes.
pub const ISSUER_MAX: usize = 1_024;

/// People in this group at the provider have this role here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleMapping {
    /// The group, exactly as the provider writes it.
    pub group: String,
    /// The role.
    pub role: Role,
}

/// What a tenant says of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderDefinition {
    /// What people read on the sign-in page behind "Sign in with".
    pub name: String,
    /// The issuer, exactly as the provider writes it in its tokens.
    pub issuer: String,
    /// Our name at the provider.
    pub client_id: String,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim with the person's groups.
    pub groups_claim: String,
    /// The claim with the person's endpoint account; none links no accounts.
    pub account_claim: Option<String>,
    /// Which groups give which roles. Empty leaves all roles to administrators.
    pub role_mapping: Vec<RoleMapping>,
    /// People who sign in for the first time and have no account get one.
    pub provision: bool,
    /// Domains of addresses that are believed; empty believes all that the provider verified.
    pub email_domains: Vec<String>,
    /// Values of `amr` or `acr` that count as a second factor; where none is among a token's, a one-time code is asked for
    /// as after a password.
    pub trusted_factors: Vec<String>,
}

impl ProviderDefinition {
    /// The roles that the mapping governs: it gives them, and takes them from whoever is in none of their groups.
    #[must_use]
    pub fn governed(&self) -> BTreeSet<Role> {
        self.role_mapping.iter().map(|mapping| mapping.role).collect()
    }

    /// The roles of somebody in these groups.
    #[must_use]
    pub fn roles_of(&self, groups: &[String]) -> BTreeSet<Role> {
        let given = self
            .role_mapping
            .iter()
            .filter(|mapping| groups.contains(&mapping.group));
        given.map(|mapping| mapping.role).collect()
    }

    /// Whether an address is in a domain that is believed.
    #[must_use]
    pub fn believes(&self, email: &str) -> bool {
        let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
        self.email_domains.is_empty()
            || self
                .email_domains
                .iter()
                .any(|known| known.eq_ignore_ascii_case(domain))
    }

    /// The definition in its one form, or what is wrong with it.
    ///
    /// # Errors
    /// [`E::Text`], [`E::TooMany`], [`E::NotMapped`], by field.
    pub fn checked(mut self) -> Result<Self, E> {
        self.name = named("name", &self.name)?;
        if self.issuer.len() > ISSUER_MAX || !self.issuer.contains("://") || self.issuer.contains(['?', '#', ' ']) {
            return Err(E::Issuer);
        }
        self.client_id = named("clientId", &self.client_id)?;
        self.groups_claim = named("groupsClaim", &self.groups_claim)?;
        self.account_claim = match self.account_claim {
            Some(claim) => Some(named("accountClaim", &claim)?),
            None => None,
        };
        let lists = [
            ("scopes", self.scopes.len()),
            ("roleMapping", self.role_mapping.len()),
            ("emailDomains", self.email_domains.len()),
            ("trustedFactors", self.trusted_factors.len()),
        ];
        if let Some((field, _)) = lists.into_iter().find(|(_, length)| *length > ENTRIES_MAX) {
            return Err(E::TooMany { field });
        }
        for (i, scope) in self.scopes.iter().enumerate() {
            if !(1..=100).contains(&scope.len()) || !scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"') {
                return Err(E::Scope {
                    field: format!("scopes[{i}]"),
                });
            }
        }
        self.scopes.retain(|scope| scope != "openid");
        for (i, mapping) in self.role_mapping.iter_mut().enumerate() {
            mapping.group = text::name(&mapping.group).map_err(|error| E::Text {
                field: format!("roleMapping[{i}].group"),
                error,
            })?;
            if matches!(mapping.role, Role::Member | Role::Owner) {
                return Err(E::NotMapped {
                    field: format!("roleMapping[{i}].role"),
                });
            }
        }
        for (i, domain) in self.email_domains.iter_mut().enumerate() {
            *domain = domain.trim().trim_start_matches('@').to_lowercase();
            text::email(&format!("a@{domain}")).map_err(|error| E::Text {
                field: format!("emailDomains[{i}]"),
                error,
            })?;
        }
        for (i, factor) in self.trusted_factors.iter_mut().enumerate() {
            *factor = text::name(factor).map_err(|error| E::Text {
                field: format!("trustedFactors[{i}]"),
                error,
            })?;
        }
        Ok(self)
    }
}

fn named(field: &str, value: &str) -> Result<String, E> {
    text::name(value).map_err(|error| E::Text {
        field: field.to_owned(),
        error,
    })
}
