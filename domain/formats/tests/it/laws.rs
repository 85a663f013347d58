//! Laws over generated values.

use formats::{
    Credential, CredentialKind, EventBody, MailLink, SealContext, canonical, command_id, credential::Secret, leaf_hash,
    mac::hmac_sha256, node_hash, root_of, seal, wrap,
};
use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::fixture::{context, event, person, person_key};

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9_007_199_254_740_991i64..=9_007_199_254_740_991).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((any::<String>(), inner), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    vec(("[a-zA-Z]{1,8}", json()), 0..6).prop_map(|fields| fields.into_iter().collect())
}

/// The root by the recursive definition of RFC 6962 § 2.1.
fn defined_root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => root_of(&[]),
        [one] => *one,
        many => {
            let split = many.len().next_power_of_two() / 2;
            node_hash(&defined_root(&many[..split]), &defined_root(&many[split..]))
        }
    }
}

proptest! {
    #[test]
    fn canonical_bytes_read_back_and_are_stable(value in json()) {
        let bytes = canonical(&value).unwrap();
        let back: Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(&back, &value);
        prop_assert_eq!(canonical(&back).unwrap(), bytes);
    }

    #[test]
    fn an_event_reads_back_from_its_bytes(data in object(), version in 1u64..1 << 53, with_seal in any::<bool>()) {
        let mut body = event();
        body.data = data;
        body.stream.version = version;
        if !with_seal { body.sealed = None; }
        prop_assert_eq!(EventBody::parse(&body.to_bytes().unwrap()).unwrap(), body);
    }

    #[test]
    fn a_blob_opens_with_its_key_and_with_its_disclosed_key_only(
        plaintext in vec(any::<u8>(), 0..200), nonce in any::<[u8; 12]>(), version in 1u64..1000, other in any::<[u8; 32]>(),
    ) {
        let place = SealContext { version, ..context() };
        let blob = seal::seal(&person_key(), 1, person(), &place, &plaintext, nonce);
        prop_assert_eq!(seal::open(&person_key(), &place, &blob).unwrap(), plaintext.clone());
        let k = seal::derive_k(&person_key(), &place);
        prop_assert_eq!(seal::open_with_k(&k, &place, &blob).unwrap(), plaintext);
        prop_assume!(&other != k.expose());
        let other = seal::SealKey::from_bytes(other);
        prop_assert_eq!(seal::open_with_k(&other, &place, &blob), Err(seal::SealError::WrongKey));
    }

    #[test]
    fn a_wrapped_secret_opens_and_no_altered_one_does(
        secret in vec(any::<u8>(), 0..80), key in any::<[u8; 32]>(), nonce in any::<[u8; 12]>(), at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let mut wrapped = wrap::wrap(&key, b"name", &secret, nonce);
        prop_assert_eq!(&**wrap::unwrap(&key, b"name", &wrapped).unwrap(), &secret);
        let at = at.index(wrapped.len());
        wrapped[at] ^= 1 << bit;
        prop_assert!(wrap::unwrap(&key, b"name", &wrapped).is_err());
    }

    #[test]
    fn credentials_read_back(kind in prop::sample::select(&CredentialKind::ALL[..]), tenant in any::<u128>(), id in any::<u128>(), secret in any::<[u8; 32]>()) {
        let tenant = (kind != CredentialKind::Platform).then(|| Uuid::from_u128(tenant).into());
        let credential = Credential { kind, tenant, id: Uuid::from_u128(id), secret: Secret::from_bytes(secret) };
        let back = Credential::parse(&credential.expose()).unwrap();
        prop_assert_eq!((back.kind, back.tenant, back.id), (kind, tenant, credential.id));
        prop_assert!(back.secret.matches(&credential.secret.hash()));
        prop_assert!(!credential.expose().contains(|c: char| !matches!(c, 'a'..='z' | '0'..='9' | '_')));
    }

    #[test]
    fn no_text_makes_the_credential_readers_panic(text in "(pct_(key|link|plt|ses)_)?[0-9a-z_é]{0,160}") {
        let _ = Credential::parse(&text);
        let _ = MailLink::parse(&text);
    }

    #[test]
    fn the_root_is_the_one_of_the_definition(seeds in vec(any::<u64>(), 0..70)) {
        let leaves: Vec<_> = seeds.iter().map(|s| leaf_hash(&s.to_be_bytes())).collect();
        prop_assert_eq!(root_of(&leaves), defined_root(&leaves));
    }

    #[test]
    fn macs_tell_apart_how_bytes_are_split(a in vec(any::<u8>(), 1..20), b in vec(any::<u8>(), 0..20)) {
        let moved = [&a[..a.len() - 1], &[&a[a.len() - 1..], &b[..]].concat()];
        prop_assert_ne!(hmac_sha256(&[1; 32], &[&a, &b]), hmac_sha256(&[1; 32], &moved));
    }

    #[test]
    fn command_ids_differ_wherever_an_input_differs(op in "[a-z]{1,8}", key in "[a-z]{1,8}", field in 0u32..9) {
        let tenant = crate::fixture::tenant();
        let id = command_id::outside(tenant, "usr_x", &op, field, &key);
        prop_assert_eq!(id.get_version_num(), 5);
        prop_assert_ne!(id, command_id::outside(tenant, "usr_x", &op, field + 1, &key));
        prop_assert_ne!(id, command_id::outside(tenant, "usr_y", &op, field, &key));
        prop_assert_ne!(id, command_id::outside(tenant, "usr_x", &format!("{op}{}", &key[..1]), field, &key[1..]));
        prop_assert_ne!(id, command_id::outside(crate::fixture::uuid(99).into(), "usr_x", &op, field, &key));
        prop_assert_ne!(command_id::derived(&op, tenant, 7, field), command_id::derived(&op, tenant, 8, field));
        prop_assert_ne!(command_id::derived(&op, tenant, 7, field), command_id::derived(&op, tenant, 7, field + 1));
    }
}
