//! How an endpoint becomes known and proves who it is.

use policy_engine::Os;
use serde::{Deserialize, Serialize};

use crate::{DeploymentGroupId, EndpointId, TenantId, Timestamp, VerifyingKey};

/// A deployment package: the one file with which an agent is rolled out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeploymentPackage {
    /// Where the agent's installer is.
    #[serde(default)]
    pub installer: Option<String>,
    /// The server's public address.
    pub server: String,
    /// `pct_reg_…`, minted for this download.
    pub registration_token: String,
    /// The tenant's root key, which the agent pins.
    pub root_key: VerifyingKey,
}

impl std::fmt::Debug for DeploymentPackage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeploymentPackage")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// `POST /register`. The registration token is the only credential.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegisterRequest {
    /// `pct_reg_…`, from the deployment package.
    pub registration_token: String,
    /// The machine.
    pub machine: MachineInfo,
    /// The endpoint's new public key; its private half never leaves the machine.
    pub public_key: VerifyingKey,
    /// Proof that the sender holds the private half: a token of type [`crate::Typ::Registration`] by that key with
    /// [`crate::token::RegistrationClaims`].
    pub proof: String,
}

impl std::fmt::Debug for RegisterRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegisterRequest")
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}

/// A machine as its agent describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MachineInfo {
    /// The host name.
    pub name: String,
    /// The family of operating system.
    pub os: Os,
    /// The operating system's own version text.
    pub os_version: String,
    /// An id that stays when the machine is renamed (`/etc/machine-id`, `MachineGuid`, `IOPlatformUUID`).
    pub machine_id: String,
}

/// The answer to `POST /register`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegisterResponse {
    /// The new endpoint; a machine id that was known gets a new one too.
    pub endpoint_id: EndpointId,
    /// The tenant.
    pub tenant_id: TenantId,
    /// The group that the registration token belongs to.
    pub deployment_group_id: DeploymentGroupId,
    /// The tenant's key set, which must verify under the pinned root key ([`crate::KeySet`]).
    pub key_set: String,
    /// The root key, for an agent that was given none and has to trust its first contact.
    pub root_key: VerifyingKey,
    /// The server's clock, for the measured skew.
    pub server_time: Timestamp,
}

/// `POST /token`, in the manner of RFC 7523.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenRequest {
    /// A token of type [`crate::Typ::Assertion`] by the endpoint's key with [`crate::token::AssertionClaims`]; good once.
    pub assertion: String,
}

/// The answer to `POST /token`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenResponse {
    /// A token of type [`crate::Typ::AccessToken`] with [`crate::token::AccessClaims`]. The agent verifies it too: the
    /// signed `group` inside is how it learns that it was moved.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// How long it is good, in seconds.
    pub expires_in: u32,
    /// The server's clock.
    pub server_time: Timestamp,
}

/// The answer to `GET /keyset`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeySetResponse {
    /// The newest key set, signed by the root key.
    pub key_set: String,
}
