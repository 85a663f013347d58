//! The state of an identity provider and its decisions.

use formats::IdentityProviderId;
use serde::{Deserialize, Serialize};

use super::{
    IdentityProviderChanged, IdentityProviderChecked, IdentityProviderCommand, IdentityProviderConfigured,
    IdentityProviderDisabled, IdentityProviderEnabled, IdentityProviderError as E, IdentityProviderEvent,
    IdentityProviderRemoved, ProviderDefinition, ProviderSignInRefused, SecretChange,
};
use crate::{Noun, Role, aggregate::aggregate};

/// An identity provider.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityProvider {
    id: Option<IdentityProviderId>,
    state: Option<Configured>,
    disabled: bool,
}

/// What is known of one that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configured {
    /// What the tenant says of it.
    pub definition: ProviderDefinition,
    /// Under which id the vault has the client secret.
    pub secret_id: Option<String>,
    /// Nobody above this role signs in with it.
    pub ceiling: Role,
}

aggregate!(
    IdentityProvider,
    "identity_provider",
    IdentityProviderCommand,
    IdentityProviderEvent,
    E
);

impl IdentityProvider {
    /// What is said of it; none where it does not exist.
    #[must_use]
    pub const fn configured(&self) -> Option<&Configured> {
        self.state.as_ref()
    }

    /// Whether nobody can sign in with it for now.
    #[must_use]
    pub const fn is_disabled(&self) -> bool {
        self.disabled
    }

    fn fold(&mut self, event: IdentityProviderEvent) {
        match event {
            IdentityProviderEvent::IdentityProviderConfigured(e) => {
                self.id = Some(e.provider);
                self.state = Some(Configured {
                    definition: *e.definition,
                    secret_id: e.secret_id,
                    ceiling: e.ceiling,
                });
            }
            IdentityProviderEvent::IdentityProviderChanged(e) => {
                self.state = Some(Configured {
                    definition: *e.definition,
                    secret_id: e.secret_id,
                    ceiling: e.ceiling,
                });
            }
            IdentityProviderEvent::IdentityProviderDisabled(_) => self.disabled = true,
            IdentityProviderEvent::IdentityProviderEnabled(_) => self.disabled = false,
            IdentityProviderEvent::IdentityProviderRemoved(_) => self.state = None,
            IdentityProviderEvent::IdentityProviderChecked(_) | IdentityProviderEvent::ProviderSignInRefused(_) => {}
        }
    }
}

/// The definition in its one form, if nothing in it is above the one who says so.
fn granted(definition: ProviderDefinition, own: Role) -> Result<Box<ProviderDefinition>, E> {
    let definition = definition.checked()?;
    let above = definition
        .role_mapping
        .iter()
        .enumerate()
        .find(|(_, mapping)| mapping.role > own);
    match above {
        Some((i, mapping)) => Err(E::AboveOwn {
            field: format!("roleMapping[{i}].role"),
            role: mapping.role,
        }),
        None => Ok(Box::new(definition)),
    }
}

impl Noun for IdentityProvider {
    fn decide(&self, command: IdentityProviderCommand) -> Result<Vec<IdentityProviderEvent>, E> {
        use IdentityProviderCommand as C;
        if let C::ConfigureIdentityProvider {
            provider,
            definition,
            secret_id,
            own,
        } = command
        {
            if self.id.is_some() {
                return Err(E::AlreadyExists);
            }
            return Ok(vec![
                IdentityProviderConfigured {
                    provider,
                    definition: granted(*definition, own)?,
                    secret_id,
                    ceiling: own,
                }
                .into(),
            ]);
        }
        let (Some(provider), Some(now)) = (self.id, &self.state) else {
            return Err(E::NotFound);
        };
        // Whoever may say what a provider is may become anybody who signs in with it.
        let not_above = |own: Role| {
            if now.ceiling > own {
                let field = "identityProviderId".to_owned();
                return Err(E::AboveOwn {
                    field,
                    role: now.ceiling,
                });
            }
            Ok(())
        };
        Ok(vec![match command {
            C::ConfigureIdentityProvider { .. } => return Err(E::AlreadyExists),
            C::ChangeIdentityProvider {
                definition,
                secret,
                own,
            } => {
                not_above(own)?;
                if definition.issuer != now.definition.issuer {
                    return Err(E::IssuerChanged);
                }
                IdentityProviderChanged {
                    provider,
                    definition: granted(*definition, own)?,
                    secret_id: match secret {
                        SecretChange::Keep => now.secret_id.clone(),
                        SecretChange::Replace(id) => Some(id),
                        SecretChange::Drop => None,
                    },
                    ceiling: own,
                }
                .into()
            }
            C::CheckIdentityProvider { problem } => IdentityProviderChecked { provider, problem }.into(),
            C::DisableIdentityProvider if self.disabled => return Err(E::Disabled),
            C::DisableIdentityProvider => IdentityProviderDisabled { provider }.into(),
            C::EnableIdentityProvider { .. } if !self.disabled => return Err(E::NotDisabled),
            C::EnableIdentityProvider { own } => {
                not_above(own)?;
                IdentityProviderEnabled { provider }.into()
            }
            C::RemoveIdentityProvider => IdentityProviderRemoved { provider }.into(),
            C::RefuseProviderSignIn { code, user } => ProviderSignInRefused { provider, code, user }.into(),
        }])
    }
}
