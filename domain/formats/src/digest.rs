//! The digest of a whole action: what an approval and a grant bind (`docs/formats.md § 5`).

use policy_engine::{Action, ActionType, normalise};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{ActionDigest, CanonicalError, EndpointId, TenantId, canonical};

/// What the digest begins with. Another layout gets another number.
const DOMAIN: &[u8] = b"portcullis/action/1\n";

/// What the digest covers. No time, no justification, no variables: the same action asked twice is the same digest.
///
/// Paths are normalised for the endpoint's operating system (dots, separators, prefixes), and not case-folded:
/// [`DigestInput::of`] does it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DigestInput {
    /// Whose endpoint.
    pub tenant: TenantId,
    /// Where.
    pub endpoint: EndpointId,
    /// The endpoint account that acts, as the agent reports it.
    pub user: String,
    /// The action's type.
    #[serde(rename = "type")]
    pub action_type: ActionType,
    /// The program.
    pub application: Option<DigestApplication>,
    /// The whole command line, its white space untouched.
    pub command_line: Option<String>,
    /// The file that is opened.
    pub file: Option<String>,
    /// The working directory.
    pub cwd: Option<String>,
}

/// The program of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DigestApplication {
    /// Its normalised path.
    pub path: String,
    /// SHA-256 of its content, lower-case hexadecimal digits.
    pub sha256: Option<String>,
    /// Who signed it.
    pub publisher: Option<String>,
    /// The thumbprint of the signer's certificate.
    pub certificate: Option<String>,
}

impl DigestInput {
    /// What the digest covers of this action.
    #[must_use]
    pub fn of(tenant: TenantId, endpoint: EndpointId, action: &Action, cwd: Option<&str>) -> Self {
        let path = |path: &str| normalise(action.machine.os, path);
        Self {
            tenant,
            endpoint,
            user: action.user.name.clone(),
            action_type: action.action_type,
            application: action.application.as_ref().map(|application| DigestApplication {
                path: path(&application.path),
                sha256: application.sha256.as_ref().map(|hash| hash.to_ascii_lowercase()),
                publisher: application.publisher.clone(),
                certificate: application.certificate.clone(),
            }),
            command_line: action.command_line.clone(),
            file: action.file.as_deref().map(path),
            cwd: cwd.map(path),
        }
    }

    /// The digest.
    ///
    /// # Errors
    /// [`CanonicalError`]; the input has no numbers, so it does not happen.
    pub fn digest(&self) -> Result<ActionDigest, CanonicalError> {
        let hash = Sha256::new_with_prefix(DOMAIN)
            .chain_update(canonical(self)?)
            .finalize();
        Ok(ActionDigest::from_bytes(hash.into()))
    }
}
