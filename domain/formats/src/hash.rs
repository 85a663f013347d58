//! SHA-256 values with a name, written as 64 lower-case hexadecimal digits.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A string that is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("64 lower-case hexadecimal digits are wanted here")]
pub struct HashError;

/// Lower-case hexadecimal digits of any bytes.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}

/// Reads 64 lower-case hexadecimal digits.
///
/// # Errors
/// [`HashError`] for any other length or character.
pub fn from_hex(text: &str) -> Result<[u8; 32], HashError> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Ok(b - b'0'),
        b'a'..=b'f' => Ok(b - b'a' + 10),
        _ => Err(HashError),
    };
    let text: &[u8; 64] = text.as_bytes().try_into().map_err(|_| HashError)?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(bytes)
}

macro_rules! named_hashes {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From the 32 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self { Self(bytes) }
            /// The 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] { &self.0 }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&to_hex(&self.0)) }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = HashError;
            fn from_str(text: &str) -> Result<Self, HashError> { from_hex(text).map(Self) }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.collect_str(self) }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

named_hashes! {
    /// What an approval binds: the digest of a whole action (`docs/formats.md § 5`).
    ActionDigest;
    /// SHA-256 of a snapshot's canonical body, before any compression (`docs/formats.md § 7`).
    BodyHash;
}

impl BodyHash {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        use sha2::{Digest, Sha256};
        Self(Sha256::digest(body).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_reads_back_what_it_prints() {
        let hash = BodyHash::of(b"abc");
        assert_eq!(
            hash.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(
            serde_json::from_str::<BodyHash>(&serde_json::to_string(&hash).unwrap()).unwrap(),
            hash
        );
    }

    #[test]
    fn upper_case_short_and_foreign_characters_are_refused() {
        let good = BodyHash::of(b"abc").to_string();
        for bad in [
            good.to_uppercase(),
            good[1..].to_owned(),
            format!("{good}0"),
            good.replace('b', "g"),
            String::new(),
        ] {
            assert_eq!(bad.parse::<BodyHash>(), Err(HashError), "{bad}");
        }
    }
}
