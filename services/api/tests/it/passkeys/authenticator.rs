//! An authenticator in software, that can be told to do wrong.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

pub const URL: &str = "http://localhost:8080";

/// User present, user verified.
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// One passkey on one device, with the lies that it may tell.
pub struct Authenticator {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    pub origin: String,
    pub rp_id: String,
    pub counter: u32,
    pub verifies: bool,
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// CBOR of a byte string of fewer than 65,536 bytes.
fn cbor_bytes(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[0x59, length[0], length[1]], bytes].concat()
}

impl Authenticator {
    pub fn new() -> Self {
        let rng = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &rng).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
        let id = digest(&SHA256, key.public_key().as_ref()).as_ref().to_vec();
        Self {
            key,
            id,
            origin: URL.to_owned(),
            rp_id: "localhost".to_owned(),
            counter: 0,
            verifies: true,
        }
    }

    pub fn id(&self) -> String {
        encode(&self.id)
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let challenge = &options["publicKey"]["challenge"];
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false })
            .to_string()
            .into_bytes()
    }

    fn data(&self, more: u8) -> Vec<u8> {
        let verified = if self.verifies { VERIFIED } else { 0 };
        let hash = digest(&SHA256, self.rp_id.as_bytes());
        [hash.as_ref(), &[PRESENT | verified | more], &self.counter.to_be_bytes()].concat()
    }

    /// A new credential, as a browser's `toJSON` gives it.
    pub fn create(&self, options: &Value) -> Value {
        // COSE: EC2, ES256, P-256, x, y.
        let point = &self.key.public_key().as_ref()[1..];
        let cose = [
            &[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 32][..],
            &point[..32],
            &[0x22, 0x58, 32],
            &point[32..],
        ]
        .concat();
        let length = u16::try_from(self.id.len()).unwrap().to_be_bytes();
        let data = [&self.data(ATTESTED)[..], &[0; 16], &length, &self.id, &cose].concat();
        // {"fmt": "none", "attStmt": {}, "authData": …}
        let object = [
            &b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData"[..],
            &cbor_bytes(&data),
        ]
        .concat();
        json!({
            "id": self.id(), "rawId": self.id(), "type": "public-key", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(&self.client_data("webauthn.create", options)),
                "attestationObject": encode(&object), "transports": ["internal"],
            },
        })
    }

    /// A proof, as a browser's `toJSON` gives it. The counter goes up where there is one.
    pub fn get(&mut self, options: &Value) -> Value {
        if self.counter > 0 {
            self.counter += 1;
        }
        self.sign(options)
    }

    /// A proof with the counter as it is.
    pub fn sign(&self, options: &Value) -> Value {
        let (client, data) = (self.client_data("webauthn.get", options), self.data(0));
        let signed = [&data[..], digest(&SHA256, &client).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        json!({
            "id": self.id(), "rawId": self.id(), "type": "public-key", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(&client), "authenticatorData": encode(&data),
                "signature": encode(signature.as_ref()), "userHandle": null,
            },
        })
    }
}
