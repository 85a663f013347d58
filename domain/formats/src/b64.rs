//! Base64 for URLs without padding, as serde helpers for byte fields.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serializer, de};

/// The text of these bytes.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of this text; only the one canonical spelling is taken.
pub fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Exactly `N` bytes.
pub fn decode_array<const N: usize>(text: impl AsRef<[u8]>) -> Option<[u8; N]> {
    decode(text)?.try_into().ok()
}

/// For `#[serde(with = "b64::array")]` on `[u8; N]`.
pub mod array {
    use super::{Deserialize, Deserializer, Serializer, de, decode_array, encode};

    pub fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(d: D) -> Result<[u8; N], D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        decode_array(text.as_bytes()).ok_or_else(|| de::Error::custom(format_args!("{N} bytes in base64url wanted")))
    }
}

/// For `#[serde(with = "b64::vec")]` on `Vec<u8>`.
pub mod vec {
    use super::{Deserialize, Deserializer, Serializer, de, decode, encode};

    pub fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        decode(text.as_bytes()).ok_or_else(|| de::Error::custom("bytes in base64url without padding wanted"))
    }
}
