//! Master keys: what wraps each tenant's data key and is itself never in the database.

use std::{fmt, future::Future, io, path::Path, pin::Pin};

use formats::{hash, wrap};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// An answer that may have to come over a network.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, MasterKeyError>> + Send + 'a>>;

/// What wraps data keys: a key of this process, or a key management service that never gives its key away.
pub trait MasterKey: Send + Sync + fmt::Debug {
    /// Names the key without telling anything of it. Stored beside what it wrapped, so that a foreign key is noticed.
    fn id(&self) -> &str;

    /// Wraps a secret under a name that has to be given again to unwrap it.
    fn wrap<'a>(&'a self, name: &'a [u8], secret: &'a [u8], nonce: [u8; 12]) -> Answer<'a, Vec<u8>>;

    /// Opens what [`MasterKey::wrap`] made.
    fn unwrap<'a>(&'a self, name: &'a [u8], wrapped: &'a [u8]) -> Answer<'a, Zeroizing<Vec<u8>>>;
}

/// Why a master key cannot be had or used. Never says anything of the key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// Not 64 hexadecimal digits.
    #[error("a master key is 32 bytes as 64 lower-case hexadecimal digits (`openssl rand -hex 32`)")]
    Format,
    /// The file cannot be read.
    #[error("the master key file cannot be read: {0}")]
    File(#[from] io::Error),
    /// Others than the file's owner may read it.
    #[error("the master key file may be read by others than its owner: `chmod 600` it")]
    Permissions,
    /// The environment has no such variable.
    #[error("the variable `{0}` with the master key is not set")]
    Variable(String),
    /// The secret does not open under this key and name.
    #[error("a wrapped key was altered, or belongs to another tenant")]
    Altered,
    /// The key management service refused or did not answer.
    #[error("the key management service failed: {0}")]
    Service(String),
}

/// A master key that this process holds itself. Wiped when dropped, never printed.
pub struct LocalMasterKey {
    key: Zeroizing<[u8; 32]>,
    id: String,
}

impl LocalMasterKey {
    /// From the 32 secret bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let check = Sha256::new_with_prefix(b"portcullis/master-key-id/1\n")
            .chain_update(bytes)
            .finalize();
        let id = format!("local:{}", hash::to_hex(&check[..8]));
        Self {
            key: Zeroizing::new(bytes),
            id,
        }
    }

    /// From 64 lower-case hexadecimal digits; white space around them is left out.
    ///
    /// # Errors
    /// [`MasterKeyError::Format`]
    pub fn from_text(text: &str) -> Result<Self, MasterKeyError> {
        hash::from_hex(text.trim())
            .map(Self::from_bytes)
            .map_err(|_| MasterKeyError::Format)
    }

    /// From a file with 64 hexadecimal digits that only its owner may read.
    ///
    /// # Errors
    /// [`MasterKeyError::File`], [`MasterKeyError::Permissions`], [`MasterKeyError::Format`]
    pub fn from_file(path: &Path) -> Result<Self, MasterKeyError> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            if std::fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
                return Err(MasterKeyError::Permissions);
            }
        }
        Self::from_text(&Zeroizing::new(std::fs::read_to_string(path)?))
    }

    /// From an environment variable with 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`MasterKeyError::Variable`], [`MasterKeyError::Format`]
    pub fn from_env(variable: &str) -> Result<Self, MasterKeyError> {
        let text = std::env::var(variable).map_err(|_| MasterKeyError::Variable(variable.to_owned()))?;
        Self::from_text(&Zeroizing::new(text))
    }

    /// Writes the key to a new file that only its owner may read, so that [`LocalMasterKey::from_file`] reads it.
    ///
    /// # Errors
    /// [`MasterKeyError::File`], also where the file exists.
    pub fn write_new(&self, path: &Path) -> Result<(), MasterKeyError> {
        use std::io::Write;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        let text = Zeroizing::new(hash::to_hex(&self.key[..]));
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        Ok(file.sync_all()?)
    }
}

impl fmt::Debug for LocalMasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalMasterKey").field(&self.id).finish()
    }
}

impl MasterKey for LocalMasterKey {
    fn id(&self) -> &str {
        &self.id
    }

    fn wrap<'a>(&'a self, name: &'a [u8], secret: &'a [u8], nonce: [u8; 12]) -> Answer<'a, Vec<u8>> {
        Box::pin(async move { Ok(wrap::wrap(&self.key, name, secret, nonce)) })
    }

    fn unwrap<'a>(&'a self, name: &'a [u8], wrapped: &'a [u8]) -> Answer<'a, Zeroizing<Vec<u8>>> {
        Box::pin(async move { wrap::unwrap(&self.key, name, wrapped).map_err(|_| MasterKeyError::Altered) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_key_file_is_private_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let key = LocalMasterKey::from_bytes([7; 32]);
        key.write_new(&path).unwrap();
        assert_eq!(LocalMasterKey::from_file(&path).unwrap().id(), key.id());
        assert!(
            matches!(key.write_new(&path), Err(MasterKeyError::File(_))),
            "never overwritten"
        );

        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
            assert!(matches!(
                LocalMasterKey::from_file(&path),
                Err(MasterKeyError::Permissions)
            ));
        }
    }

    #[test]
    fn a_master_key_of_the_wrong_length_is_refused_and_none_is_printed() {
        assert!(matches!(LocalMasterKey::from_text("abc"), Err(MasterKeyError::Format)));
        let key = LocalMasterKey::from_text(&"ab".repeat(32)).unwrap();
        assert!(!format!("{key:?}").contains("abab"));
    }
}
