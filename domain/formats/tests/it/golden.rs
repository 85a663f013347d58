//! Known answers. `golden.json` was made by `golden.py`, which shares no code with the product; an answer that changes
//! is a broken format.

use formats::{
    Credential, CredentialKind, DigestInput, EventBody, KeySet, MailLink, Typ, credential::Secret, hash::to_hex,
    leaf_hash, root_of, seal, wrap,
};
use serde_json::Value;

use crate::fixture::*;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden.json")).unwrap()
}

#[track_caller]
fn assert_golden(name: &str, actual: &str) {
    assert_eq!(golden()[name].as_str().unwrap(), actual, "{name}");
}

#[test]
fn merkle_roots_are_those_of_rfc_6962() {
    let leaves = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    .map(|hex| {
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        leaf_hash(&bytes)
    });
    let roots: Vec<String> = (0..=8).map(|n| to_hex(&root_of(&leaves[..n]))).collect();
    assert_eq!(golden()["roots"], serde_json::json!(roots));
}

#[test]
fn an_event_has_its_known_bytes_and_leaf() {
    let (bytes, leaf) = event().to_leaf().unwrap();
    assert_golden("event", std::str::from_utf8(&bytes).unwrap());
    assert_golden("leaf", &to_hex(&leaf));
    assert_eq!(EventBody::parse(&bytes).unwrap(), event());
}

#[test]
fn a_sealed_blob_has_its_known_key_and_ciphertext() {
    assert_golden("sealKey", &to_hex(seal::derive_k(&person_key(), &context()).expose()));
    assert_golden(
        "sealed",
        &String::from_utf8(formats::canonical(&sealed()).unwrap()).unwrap(),
    );
}

#[test]
fn a_wrapped_key_has_its_known_bytes() {
    let wrapped = wrap::wrap(&seq(32), b"tenant data key", &seq::<32>(64), seq(100));
    assert_golden("wrapped", &to_hex(&wrapped));
    assert_eq!(
        *wrap::unwrap_key(&seq(32), b"tenant data key", &wrapped).unwrap(),
        seq::<32>(64)
    );
}

#[test]
fn macs_have_their_known_values() {
    assert_golden(
        "macClaim",
        &to_hex(&mac_key().claim("user.email", "alice@example.test")),
    );
    assert_golden("macFingerprint", &to_hex(&mac_key().fingerprint("approve", b"{}")));
    assert_golden(
        "macDigest",
        &to_hex(&mac_key().digest(&digest_input().digest().unwrap())),
    );
}

#[test]
fn credentials_have_their_known_text() {
    let secret = Secret::from_bytes(seq(7));
    let of = |kind, tenant| Credential {
        kind,
        tenant,
        id: uuid(10),
        secret: secret.clone(),
    };
    assert_golden("credential", &of(CredentialKind::ApiKey, Some(tenant())).expose());
    assert_golden("platformCredential", &of(CredentialKind::Platform, None).expose());
    assert_golden("credentialHash", &to_hex(&secret.hash()));
}

#[test]
fn a_mail_link_has_its_known_text_under_the_tenants_key() {
    let link = MailLink {
        tenant: tenant(),
        request: request(),
        approver: approver(),
    };
    assert_golden("mailLink", &link.expose(&mac_key()));
    assert_eq!(
        MailLink::parse(&link.expose(&mac_key())).unwrap().verify(&mac_key()),
        Ok(link)
    );
}

#[test]
fn an_actions_digest_is_known() {
    assert_golden("digest", &digest_input().digest().unwrap().to_string());
}

#[test]
fn an_actions_paths_are_normalised_before_they_are_digested() {
    let action = |path: &str, sha256: &str| {
        serde_json::from_value(serde_json::json!({
            "type": "privilege_elevation", "user": {"name": r"CORP\alice", "groups": ["Developers"]},
            "machine": {"name": "WS-001", "os": "windows"}, "commandLine": "Setup.exe  /S",
            "application": {"path": path, "sha256": sha256, "publisher": "CN=Contoso"},
            "at": "2026-03-02T10:00:00+01:00", "variables": {"temp": r"C:\Temp"}, "online": true,
        }))
        .unwrap()
    };
    let digest = |path, sha256: &str, cwd| {
        DigestInput::of(tenant(), endpoint(), &action(path, sha256), Some(cwd))
            .digest()
            .unwrap()
            .to_string()
    };
    let hash = "9f".repeat(32);
    assert_golden(
        "digest",
        &digest(r"C:\Users\alice\Downloads\Setup.exe", &hash, r"C:\Users\alice"),
    );
    let other = digest(
        r"\\?\C:\Users/alice\x\..\Downloads\\Setup.exe. ",
        &hash.to_uppercase(),
        r"C:\Users\alice\",
    );
    assert_golden("digest", &other);
    let folded = digest(r"C:\users\alice\Downloads\Setup.exe", &hash, r"C:\Users\alice");
    assert_ne!(golden()["digest"], folded);
}

#[test]
fn a_key_is_named_by_its_rfc_7638_thumbprint() {
    assert_golden("kid", &key().public().kid());
    assert_eq!(
        key().public().to_string(),
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    );
}

#[test]
fn signed_statements_have_their_known_text() {
    assert_golden("keySet", &key_set().sign(&key()).unwrap());
    assert_golden("statement", &statement().sign(&key()).unwrap());
    assert_golden("grant", &grant().sign(&key()).unwrap());
    assert_golden("mfaProof", &proof().sign(&key()).unwrap());
    assert_golden("accessToken", &access().sign(&key()).unwrap());
    assert_golden("assertion", &assertion().sign(tenant(), &key()).unwrap());
    assert_golden("registration", &registration().sign(&key()).unwrap());
}

#[test]
fn known_statements_verify() {
    let golden = golden();
    let token = |name: &str| golden[name].as_str().unwrap().to_owned();
    let set = KeySet::verify(&key().public(), &token("keySet"), Some(tenant()), 2).unwrap();
    assert_eq!(set, key_set());
    assert_eq!(
        set.verify_token::<formats::Statement>(Typ::Snapshot, &token("statement"), t0())
            .unwrap(),
        statement()
    );
}

#[test]
fn command_ids_are_known() {
    use formats::command_id::{derived, outside};
    assert_golden(
        "commandOutside",
        &outside(tenant(), "usr_x", "approve", 2, "key-1").to_string(),
    );
    assert_golden("commandDerived", &derived("escalate", tenant(), 77, 1).to_string());
}
