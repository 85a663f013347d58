//! What each format refuses.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use formats::{
    Ambient, CanonicalError, Credential, CredentialError, CredentialKind, EventBody, EventError, GrantClaims, JwsError,
    KeySet, MailLink, MfaProof, PublishedKey, Purpose, SealContext, SealError, SigningKey, Statement, Typ,
    VerifyingKey, canonical,
    grant::{GrantError, GrantUse},
    jws,
    keyset::KeySetError,
    mac::MacKey,
    mfa::{MfaProofError, MfaUse},
    seal,
    statement::{Accepted, StatementError},
    token::{AccessClaims, AssertionClaims, RegistrationClaims, TokenError},
    wrap,
};
use policy_engine::ActionType;
use serde_json::{Value, json};
use std::time::Duration;

use crate::fixture::*;

#[test]
fn canonical_json_refuses_floats_and_large_integers() {
    assert!(matches!(canonical(&json!({"a": [1.5]})), Err(CanonicalError::Float)));
    assert!(matches!(canonical(&1.0f64), Err(CanonicalError::Float)));
    assert!(matches!(canonical(&Some(1e300)), Err(CanonicalError::Float)));
    assert!(matches!(canonical(&(1u64 << 53)), Err(CanonicalError::Integer)));
    assert!(matches!(canonical(&-(1i64 << 53)), Err(CanonicalError::Integer)));
    assert!(matches!(
        canonical(&json!({"a": {"b": u64::MAX}})),
        Err(CanonicalError::Integer)
    ));
    assert!(canonical(&i128::MAX).is_err());
}

#[test]
fn canonical_json_sorts_names_by_utf_16_units() {
    // RFC 8785 § 3.2.3: the surrogates of the emoji come before U+FB33.
    let value = json!({"\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7});
    let text = String::from_utf8(canonical(&value).unwrap()).unwrap();
    assert_eq!(
        text,
        "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}"
    );
}

#[test]
fn an_event_in_another_spelling_is_refused() {
    let good = String::from_utf8(event().to_bytes().unwrap()).unwrap();
    let spellings = [
        good.replace(":1,", ": 1,"),
        good.replace('€', "\\u20ac"),
        good.replacen("\"largest\":9007199254740991,", "", 1).replacen(
            "\"zero\":0",
            "\"zero\":0,\"largest\":9007199254740991",
            1,
        ),
        good.replace("09:00:00.000Z", "10:00:00.000+01:00"),
        good.replace("\"traceparent\":null", "\"traceparent\" :null"),
        format!("{good} "),
        good.replace(&uuid(4).to_string(), &uuid(4).simple().to_string()),
        good.replace(",\"traceparent\":null}", "}"),
    ];
    for text in spellings {
        assert_ne!(text, good);
        assert!(
            matches!(EventBody::parse(text.as_bytes()), Err(EventError::NotCanonical)),
            "{text}"
        );
    }
}

#[test]
fn an_event_of_another_shape_is_refused() {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut value = serde_json::to_value(event()).unwrap();
        change(&mut value);
        EventBody::parse(&canonical(&value).unwrap())
    };
    assert!(with(&|_| {}).is_ok());
    assert!(matches!(with(&|v| v["v"] = json!(2)), Err(EventError::Version(2))));
    assert!(matches!(
        with(&|v| v["schema"] = json!(0)),
        Err(EventError::Zero("schema"))
    ));
    assert!(matches!(
        with(&|v| v["stream"]["version"] = json!(0)),
        Err(EventError::Zero("stream.version"))
    ));
    for bad in [
        with(&|v| v["extra"] = json!(1)),
        with(&|v| v["actor"]["kind"] = json!("robot")),
        with(&|v| v["data"] = json!([])),
        with(&|v| v["tenant"] = json!(uuid(1).to_string())),
        with(&|v| v["sealed"]["nonce"] = json!("AAAA")),
        with(&|v| v["sealed"]["extra"] = json!("AAAA")),
        with(&|v| drop(v.as_object_mut().unwrap().remove("actor"))),
    ] {
        assert!(matches!(bad, Err(EventError::Shape(_))), "{bad:?}");
    }
    let doubled = String::from_utf8(event().to_bytes().unwrap())
        .unwrap()
        .replacen("{", "{\"schema\":1,", 1);
    assert!(matches!(
        EventBody::parse(doubled.as_bytes()),
        Err(EventError::Shape(_))
    ));
}

#[test]
fn an_event_with_a_float_is_not_written() {
    let mut body = event();
    body.data.insert("share".into(), json!(0.5));
    assert!(matches!(body.to_bytes(), Err(CanonicalError::Float)));
}

#[test]
fn a_blob_moved_to_another_place_does_not_open() {
    let blob = sealed();
    let here = context();
    let elsewhere = [
        SealContext {
            tenant: uuid(77).into(),
            ..here
        },
        SealContext {
            stream_type: "requests",
            ..here
        },
        SealContext {
            stream_id: uuid(77),
            ..here
        },
        SealContext { version: 4, ..here },
        SealContext {
            purpose: seal::PURPOSE_ADDRESS,
            ..here
        },
    ];
    for place in elsewhere {
        assert_eq!(
            seal::open(&person_key(), &place, &blob),
            Err(SealError::WrongKey),
            "{place:?}"
        );
        // Even with the right k, the authenticated data names the place.
        let k = seal::derive_k(&person_key(), &here);
        assert_eq!(
            seal::open_with_k(&k, &place, &blob),
            Err(SealError::Altered),
            "{place:?}"
        );
    }
}

#[test]
fn an_altered_blob_does_not_open() {
    let open = |change: &dyn Fn(&mut formats::Sealed)| {
        let mut blob = sealed();
        change(&mut blob);
        seal::open(&person_key(), &context(), &blob)
    };
    assert_eq!(open(&|_| {}).unwrap(), PLAINTEXT.as_bytes());
    assert_eq!(open(&|b| b.ciphertext[0] ^= 1), Err(SealError::Altered));
    assert_eq!(open(&|b| b.ciphertext.truncate(10)), Err(SealError::Altered));
    assert_eq!(open(&|b| b.nonce[0] ^= 1), Err(SealError::Altered));
    assert_eq!(open(&|b| b.kv = 3), Err(SealError::Altered));
    assert_eq!(open(&|b| b.person = uuid(4).into()), Err(SealError::Altered));
    assert_eq!(open(&|b| b.commitment[0] ^= 1), Err(SealError::WrongKey));
    let stranger = formats::PersonKey::from_bytes(seq(1));
    assert_eq!(seal::open(&stranger, &context(), &sealed()), Err(SealError::WrongKey));
}

#[test]
fn a_wrapped_key_opens_only_under_its_own_name_and_length() {
    let wrapped = wrap::wrap(&seq(1), b"a", &seq::<32>(2), seq(3));
    assert!(wrap::unwrap(&seq(1), b"b", &wrapped).is_err());
    assert!(wrap::unwrap(&seq(2), b"a", &wrapped).is_err());
    assert!(wrap::unwrap(&seq(1), b"a", &wrapped[..12]).is_err());
    assert!(wrap::unwrap(&seq(1), b"a", &[]).is_err());
    let short = wrap::wrap(&seq(1), b"a", b"only a few", seq(3));
    assert!(wrap::unwrap(&seq(1), b"a", &short).is_ok());
    assert!(wrap::unwrap_key(&seq(1), b"a", &short).is_err());
}

#[test]
fn macs_of_different_uses_and_keys_never_meet() {
    let digest = digest_input().digest().unwrap();
    let other = MacKey::from_bytes(seq(1));
    let values = [
        mac_key().claim("a", "b"),
        mac_key().claim("ab", ""),
        mac_key().fingerprint("a", b"b"),
        mac_key().digest(&digest),
        other.claim("a", "b"),
        other.fingerprint("a", b"b"),
        other.digest(&digest),
    ];
    for (i, a) in values.iter().enumerate() {
        assert!(values[i + 1..].iter().all(|b| a != b));
    }
}

#[test]
fn every_fault_of_a_credential_is_the_same_error() {
    let credential = Credential::mint(CredentialKind::ApiKey, tenant(), uuid(10), &Ambient::system());
    let good = credential.expose().to_string();
    assert!(Credential::parse(&good).is_ok());
    let (head, secret) = good.rsplit_once('_').unwrap();
    let bad = [
        String::new(),
        "pct_".into(),
        good[4..].into(),
        good.replace("pct_key", "pct_kee"),
        good.replace("pct_key", "pct_plt"),
        good.replace("pct_key", "pct_link"),
        good.to_uppercase(),
        format!("{good}0"),
        format!("{good}_"),
        format!("{good}\n"),
        format!(" {good}"),
        good[..good.len() - 1].into(),
        // The four spare bits of the last character.
        format!("{head}_{}z", &secret[..51]),
        format!("{head}_{}é", &secret[..50]),
        head.into(),
    ];
    for text in bad {
        assert_eq!(Credential::parse(&text).unwrap_err(), CredentialError, "{text}");
    }
    assert!(Credential::parse_kind(CredentialKind::ApiKey, &good).is_ok());
    assert!(Credential::parse_kind(CredentialKind::Scim, &good).is_err());
}

#[test]
fn another_secret_does_not_match() {
    let ambient = Ambient::system();
    let credential = Credential::mint(CredentialKind::Session, tenant(), uuid(10), &ambient);
    let other = Credential::mint(CredentialKind::Session, tenant(), uuid(10), &ambient);
    assert!(credential.secret.matches(&credential.secret.hash()));
    assert!(!credential.secret.matches(&other.secret.hash()));
    assert!(!credential.secret.matches(&credential.secret.hash()[..31]));
    assert!(!credential.secret.matches(&[]));
}

#[test]
fn no_secret_is_ever_printed() {
    let secret = Credential::mint(CredentialKind::ApiKey, tenant(), uuid(10), &Ambient::system());
    let text = secret.expose();
    let tail = text.rsplit('_').next().unwrap();
    assert!(!format!("{secret:?}").contains(tail));
    let link = MailLink {
        tenant: tenant(),
        request: request(),
        approver: approver(),
    };
    let token = link.expose(&mac_key());
    let tail = token.rsplit('_').next().unwrap();
    assert!(!format!("{:?}", MailLink::parse(&token).unwrap()).contains(tail));
    assert_eq!(format!("{:?} {:?}", person_key(), mac_key()), "PersonKey(…) MacKey(…)");
    assert_eq!(format!("{:?}", key()), format!("SigningKey(public {})", key().public()));
}

#[test]
fn a_mail_link_of_another_key_request_approver_or_tenant_is_refused() {
    let link = MailLink {
        tenant: tenant(),
        request: request(),
        approver: approver(),
    };
    let good = link.expose(&mac_key()).to_string();
    let verify = |text: &str, key: &MacKey| MailLink::parse(text).and_then(|l| l.verify(key));
    assert_eq!(verify(&good, &mac_key()), Ok(link));
    assert!(verify(&good, &MacKey::from_bytes(seq(1))).is_err());
    for other in [
        MailLink {
            request: uuid(99).into(),
            ..link
        },
        MailLink {
            approver: uuid(99).into(),
            ..link
        },
        // What names one as the other.
        MailLink {
            request: approver().uuid().into(),
            approver: request().uuid().into(),
            ..link
        },
    ] {
        let (head, _) = other
            .expose(&mac_key())
            .rsplit_once('_')
            .map(|(h, t)| (h.to_owned(), t.to_owned()))
            .unwrap();
        let forged = format!("{head}_{}", good.rsplit('_').next().unwrap());
        assert!(verify(&forged, &mac_key()).is_err(), "{forged}");
    }
    for text in [
        good.replace("_link_", "_lynk_"),
        good[..140].into(),
        format!("{good}0"),
        String::new(),
    ] {
        assert!(MailLink::parse(&text).is_err(), "{text}");
    }
}

#[test]
fn a_digest_changes_with_every_field_and_with_case_and_white_space() {
    let good = digest_input().digest().unwrap();
    let with = |change: &dyn Fn(&mut formats::DigestInput)| {
        let mut input = digest_input();
        change(&mut input);
        input.digest().unwrap()
    };
    let app =
        |change: &dyn Fn(&mut formats::digest::DigestApplication)| with(&|i| change(i.application.as_mut().unwrap()));
    let changed = [
        with(&|i| i.tenant = uuid(50).into()),
        with(&|i| i.endpoint = uuid(50).into()),
        with(&|i| i.user = r"corp\alice".into()),
        with(&|i| i.action_type = ActionType::CommandLine),
        with(&|i| i.application = None),
        with(&|i| i.command_line = Some("Setup.exe /S".into())),
        with(&|i| i.command_line = None),
        with(&|i| i.file = Some(String::new())),
        with(&|i| i.cwd = None),
        app(&|a| a.path = a.path.to_lowercase()),
        app(&|a| a.sha256 = None),
        app(&|a| a.publisher = Some("CN=Contoso Ltd".into())),
        app(&|a| a.certificate = Some("ab".into())),
    ];
    for (i, a) in changed.iter().enumerate() {
        assert_ne!(*a, good, "change {i}");
        assert!(changed[i + 1..].iter().all(|b| a != b), "change {i}");
    }
}

// Signatures.

fn token_with_header(header: &Value, claims: &Value, signer: &SigningKey) -> String {
    let head = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    format!("{head}.{}", URL_SAFE_NO_PAD.encode(signer.sign_bytes(head.as_bytes())))
}

fn verify(token: &str) -> Result<Value, JwsError> {
    jws::verify(Typ::Grant, token, |kid| (kid == "k").then(|| key().public()))
}

#[test]
fn only_the_exact_header_is_taken() {
    let header = json!({"alg": "EdDSA", "kid": "k", "typ": "portcullis-grant+jws"});
    let with = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        verify(&token_with_header(&header, &json!({}), &key()))
    };
    assert!(verify(&token_with_header(&header, &json!({}), &key())).is_ok());
    for (name, value) in [
        ("crit", json!(["exp"])),
        (
            "jwk",
            json!({"kty": "OKP", "crv": "Ed25519", "x": key().public().to_string()}),
        ),
        ("jku", json!("https://attacker.example/keys")),
        ("x5u", json!("https://attacker.example/cert")),
        ("x5c", json!([])),
        ("b64", json!(false)),
        ("cty", json!("JWT")),
        ("kid", json!(7)),
    ] {
        assert!(matches!(with(name, value), Err(JwsError::Malformed)), "{name}");
    }
    for alg in ["none", "HS256", "eddsa", "ES256", "Ed25519", ""] {
        assert!(matches!(with("alg", json!(alg)), Err(JwsError::Algorithm)), "{alg}");
    }
    for typ in [
        "JWT",
        "portcullis-snapshot+jws",
        "PORTCULLIS-GRANT+JWS",
        "application/portcullis-grant+jws",
        "",
    ] {
        assert!(matches!(with("typ", json!(typ)), Err(JwsError::Type(_))), "{typ}");
    }
    assert!(matches!(with("kid", json!("../k")), Err(JwsError::UnknownKey)));
    let mut missing = header.clone();
    missing.as_object_mut().unwrap().remove("kid");
    assert!(matches!(
        verify(&token_with_header(&missing, &json!({}), &key())),
        Err(JwsError::Malformed)
    ));
}

#[test]
fn every_other_signature_is_refused() {
    let header = json!({"alg": "EdDSA", "kid": "k", "typ": "portcullis-grant+jws"});
    let good = token_with_header(&header, &json!({"a": 1}), &key());
    assert!(verify(&good).is_ok());
    assert!(matches!(
        verify(&token_with_header(&header, &json!({"a": 1}), &other_key())),
        Err(JwsError::Signature)
    ));
    let (head, signature) = good.rsplit_once('.').unwrap();
    let other = token_with_header(&header, &json!({"a": 2}), &key());
    let moved = format!("{}.{signature}", other.rsplit_once('.').unwrap().0);
    assert!(matches!(verify(&moved), Err(JwsError::Signature)));
    // The same signature with its scalar raised by the group's order: valid under lax rules.
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let order = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0u16;
    for (byte, add) in bytes[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + add;
        *byte = (carry & 0xff) as u8;
        carry >>= 8;
    }
    let malleable = format!("{head}.{}", URL_SAFE_NO_PAD.encode(&bytes));
    assert!(matches!(verify(&malleable), Err(JwsError::Signature)));
    for text in [
        head.to_owned(),
        format!("{head}."),
        format!("{good}="),
        format!("{good}.x"),
        format!(" {good}"),
        good.replace('.', ".."),
        String::new(),
        "..".into(),
    ] {
        assert!(verify(&text).is_err(), "{text}");
    }
    assert!(matches!(verify(&"a".repeat(1_000_000)), Err(JwsError::TooLong)));
}

#[test]
fn weak_and_impossible_public_keys_are_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let order_8 = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ];
    let mut not_a_point = [0; 32];
    not_a_point[0] = 2;
    // y = 2^255 − 18, which is 1 written above the field's prime.
    let mut unreduced = [0xff; 32];
    unreduced[0] = 0xee;
    unreduced[31] = 0x7f;
    for bytes in [[0; 32], identity, order_8, not_a_point, unreduced] {
        assert!(VerifyingKey::from_bytes(&bytes).is_err(), "{bytes:x?}");
    }
    assert!("short".parse::<VerifyingKey>().is_err());
    assert!(serde_json::from_value::<VerifyingKey>(json!(URL_SAFE_NO_PAD.encode(identity))).is_err());
}

#[test]
fn a_key_set_is_taken_from_the_pinned_root_only_and_only_upwards() {
    let token = key_set().sign(&key()).unwrap();
    let root = key().public();
    let verify = |root: &VerifyingKey, token: &str, known| KeySet::verify(root, token, Some(tenant()), known);
    assert!(verify(&root, &token, 0).is_ok());
    assert!(matches!(
        verify(&root, &token, 3),
        Err(KeySetError::NotNewer { known: 3, offered: 3 })
    ));
    assert!(matches!(
        verify(&root, &token, 9),
        Err(KeySetError::NotNewer { known: 9, offered: 3 })
    ));
    assert!(matches!(
        verify(&other_key().public(), &token, 0),
        Err(KeySetError::Token(JwsError::UnknownKey))
    ));
    assert!(matches!(
        KeySet::verify(&root, &token, Some(uuid(50).into()), 0),
        Err(KeySetError::Tenant)
    ));
    assert!(KeySet::verify(&root, &token, None, 0).is_ok());

    let mut doubled = key_set();
    doubled.keys.push(doubled.keys[0].clone());
    assert!(matches!(
        verify(&root, &doubled.sign(&key()).unwrap(), 0),
        Err(KeySetError::Key(_))
    ));
    let mut misnamed = key_set();
    misnamed.keys[0].kid = other_key().public().kid();
    assert!(matches!(
        verify(&root, &misnamed.sign(&key()).unwrap(), 0),
        Err(KeySetError::Key(_))
    ));
    // A snapshot statement signed by the root is no key set.
    assert!(matches!(
        verify(&root, &statement().sign(&key()).unwrap(), 0),
        Err(KeySetError::Token(JwsError::Type(_)))
    ));
}

#[test]
fn a_key_signs_only_its_purpose_and_only_in_its_time() {
    let mut set = key_set_for(Purpose::Snapshot);
    let kid = key().public().kid();
    assert!(set.find(Purpose::Snapshot, &kid, t0()).is_some());
    assert!(set.find(Purpose::Grant, &kid, t0()).is_none());
    assert!(set.find(Purpose::Snapshot, "other", t0()).is_none());
    set.keys[0].not_before = Some(t0());
    set.keys[0].not_after = Some(t1());
    let ms = Duration::from_millis(1);
    assert!(set.find(Purpose::Snapshot, &kid, t0() - ms).is_none());
    assert!(set.find(Purpose::Snapshot, &kid, t0()).is_some());
    assert!(set.find(Purpose::Snapshot, &kid, t1() - ms).is_some());
    assert!(set.find(Purpose::Snapshot, &kid, t1()).is_none());

    let grant = grant().sign(&key()).unwrap();
    assert!(GrantClaims::verify(&grant, &key_set_for(Purpose::Grant), t0()).is_ok());
    for purpose in Purpose::ALL.into_iter().filter(|p| *p != Purpose::Grant) {
        let refused = GrantClaims::verify(&grant, &key_set_for(purpose), t0());
        assert!(
            matches!(refused, Err(GrantError::Token(JwsError::UnknownKey))),
            "{purpose:?}"
        );
    }
    let rotated = KeySet {
        keys: vec![PublishedKey::new(Purpose::Grant, other_key().public())],
        ..set
    };
    assert!(matches!(
        GrantClaims::verify(&grant, &rotated, t0()),
        Err(GrantError::Token(JwsError::UnknownKey))
    ));
}

#[test]
fn a_statement_is_judged_against_what_the_agent_holds() {
    let keys = key_set_for(Purpose::Snapshot);
    let known = statement();
    let judge = |offered: &Statement, known: Option<&Statement>, now| {
        Statement::accept(&offered.sign(&key()).unwrap(), &keys, group(), known, now).map(|(_, accepted)| accepted)
    };
    let minute = Duration::from_secs(60);
    let offer = |change: &dyn Fn(&mut Statement)| {
        let mut offered = statement();
        offered.issued_at = t0() + minute;
        change(&mut offered);
        judge(&offered, Some(&known), t0() + minute)
    };
    let other = formats::BodyHash::of(b"other");
    assert_eq!(judge(&known, None, t0()).unwrap(), Accepted::NewBody);
    assert_eq!(offer(&|_| {}).unwrap(), Accepted::Same);
    assert_eq!(
        offer(&|s| {
            s.version = 43;
            s.sha256 = other
        })
        .unwrap(),
        Accepted::NewBody
    );
    // A restored log: a lower version in a higher epoch.
    assert_eq!(
        offer(&|s| {
            s.epoch = 2;
            s.version = 7;
            s.sha256 = other
        })
        .unwrap(),
        Accepted::NewBody
    );

    assert!(matches!(
        offer(&|s| s.version = 41),
        Err(StatementError::Rollback {
            version: 41,
            known_version: 42,
            ..
        })
    ));
    assert!(matches!(
        offer(&|s| {
            s.epoch = 0;
            s.version = 99
        }),
        Err(StatementError::Rollback { epoch: 0, .. })
    ));
    assert!(matches!(
        offer(&|s| s.sha256 = other),
        Err(StatementError::Fork { epoch: 1, version: 42 })
    ));
    assert!(matches!(
        offer(&|s| s.tenant = uuid(50).into()),
        Err(StatementError::Tenant)
    ));
    assert!(matches!(
        offer(&|s| s.group = uuid(50).into()),
        Err(StatementError::Group)
    ));
    assert!(matches!(
        offer(&|s| s.issued_at = t0() - minute),
        Err(StatementError::Stale)
    ));
    assert!(matches!(
        offer(&|s| s.expires_at = s.issued_at),
        Err(StatementError::Times)
    ));
    assert!(matches!(judge(&known, None, t1()), Err(StatementError::Expired(_))));
    assert!(judge(&known, None, t1() - Duration::from_millis(1)).is_ok());
    let forged = statement().sign(&other_key()).unwrap();
    assert!(matches!(
        Statement::accept(&forged, &keys, group(), None, t0()),
        Err(StatementError::Token(JwsError::UnknownKey))
    ));
}

#[test]
fn a_grant_permits_its_own_action_in_its_time_as_often_as_it_says() {
    let claims = GrantClaims {
        uses: Some(2),
        ..grant()
    };
    let good = GrantUse {
        endpoint: endpoint(),
        user: r"CORP\alice",
        digest: claims.digest,
        used: 0,
        now: t0(),
    };
    assert!(claims.permits(&good).is_ok());
    assert!(claims.permits(&GrantUse { used: 1, ..good }).is_ok());
    assert!(matches!(
        claims.permits(&GrantUse { used: 2, ..good }),
        Err(GrantError::Exhausted(2))
    ));
    assert!(
        GrantClaims {
            uses: None,
            ..claims.clone()
        }
        .permits(&GrantUse { used: u32::MAX, ..good })
        .is_ok()
    );
    assert!(matches!(
        claims.permits(&GrantUse {
            endpoint: uuid(50).into(),
            ..good
        }),
        Err(GrantError::Foreign)
    ));
    assert!(matches!(
        claims.permits(&GrantUse {
            user: r"CORP\bob",
            ..good
        }),
        Err(GrantError::Foreign)
    ));
    let other = formats::ActionDigest::from_bytes([0; 32]);
    assert!(matches!(
        claims.permits(&GrantUse { digest: other, ..good }),
        Err(GrantError::Digest)
    ));
    assert!(matches!(
        claims.permits(&GrantUse { now: t1(), ..good }),
        Err(GrantError::Expired(_))
    ));
    assert!(
        claims
            .permits(&GrantUse {
                now: t1() - Duration::from_millis(1),
                ..good
            })
            .is_ok()
    );
    let foreign = GrantClaims {
        tenant: uuid(50).into(),
        ..claims
    }
    .sign(&key())
    .unwrap();
    assert!(matches!(
        GrantClaims::verify(&foreign, &key_set_for(Purpose::Grant), t0()),
        Err(GrantError::Foreign)
    ));
}

#[test]
fn a_proof_covers_its_user_endpoint_type_and_time() {
    let proof = proof();
    let good = MfaUse {
        endpoint: endpoint(),
        endpoint_user: r"CORP\alice",
        action_type: ActionType::FileAccess,
        digest: digest_input().digest().unwrap(),
        always: false,
        now: t0(),
    };
    assert!(proof.covers(&good).is_ok());
    let foreign = |p: &MfaProof, u: &MfaUse<'_>| matches!(p.covers(u), Err(MfaProofError::Foreign));
    assert!(foreign(
        &proof,
        &MfaUse {
            endpoint: uuid(50).into(),
            ..good
        }
    ));
    assert!(foreign(
        &proof,
        &MfaUse {
            endpoint_user: r"CORP\bob",
            ..good
        }
    ));
    assert!(foreign(
        &proof,
        &MfaUse {
            action_type: ActionType::CommandLine,
            ..good
        }
    ));
    assert!(foreign(&proof, &MfaUse { always: true, ..good }));
    assert!(matches!(
        proof.covers(&MfaUse { now: t1(), ..good }),
        Err(MfaProofError::Expired(_))
    ));
    let bound = MfaProof {
        digest: Some(good.digest),
        ..proof
    };
    assert!(bound.covers(&MfaUse { always: true, ..good }).is_ok());
    let other = formats::ActionDigest::from_bytes([0; 32]);
    assert!(foreign(&bound, &MfaUse { digest: other, ..good }));
    let signed = bound.sign(&key()).unwrap();
    assert_eq!(
        MfaProof::verify(&signed, &key_set_for(Purpose::Mfa), t0()).unwrap(),
        bound
    );
    assert!(MfaProof::verify(&signed, &key_set_for(Purpose::Grant), t0()).is_err());
}

#[test]
fn tokens_are_judged_by_audience_issuer_and_time() {
    let public = key().public();
    let second = Duration::from_secs(1);
    let access_token = access().sign(&key()).unwrap();
    let at = |iss: &str, aud: &str, now| AccessClaims::verify(&access_token, iss, aud, now, |_| Some(public));
    let agent = formats::token::AUDIENCE_AGENT;
    assert_eq!(at(SERVER, agent, t0()).unwrap(), access());
    assert!(at(SERVER, agent, t0() + second * 599).is_ok());
    assert!(matches!(at(SERVER, agent, t0() + second * 600), Err(TokenError::Time)));
    assert!(matches!(at(SERVER, agent, t0() - second), Err(TokenError::Time)));
    assert!(matches!(
        at(SERVER, formats::token::AUDIENCE_API, t0()),
        Err(TokenError::Audience)
    ));
    assert!(matches!(
        at("https://other.example.test", agent, t0()),
        Err(TokenError::Audience)
    ));
    let eternal = AccessClaims {
        exp: access().iat + 86_400,
        ..access()
    }
    .sign(&key())
    .unwrap();
    assert!(matches!(
        AccessClaims::verify(&eternal, SERVER, agent, t0(), |_| Some(public)),
        Err(TokenError::Time)
    ));

    let assert = |claims: &AssertionClaims, signer: &SigningKey, now| {
        AssertionClaims::verify(
            &claims.sign(tenant(), signer).unwrap(),
            tenant(),
            endpoint(),
            &public,
            TOKEN_URL,
            now,
        )
    };
    assert!(assert(&assertion(), &key(), t0()).is_ok());
    assert!(assert(&assertion(), &key(), t0() + second * 119).is_ok());
    assert!(matches!(
        assert(&assertion(), &key(), t0() + second * 120),
        Err(TokenError::Time)
    ));
    assert!(assert(&assertion(), &key(), t0() - second * 60).is_ok());
    assert!(matches!(
        assert(&assertion(), &key(), t0() - second * 61),
        Err(TokenError::Time)
    ));
    assert!(matches!(
        assert(&assertion(), &other_key(), t0()),
        Err(TokenError::Token(JwsError::Signature))
    ));
    let mut long = assertion();
    long.exp += 1;
    assert!(matches!(assert(&long, &key(), t0()), Err(TokenError::Time)));
    let mut extreme = assertion();
    extreme.iat = -(1 << 53) + 1;
    extreme.exp = (1 << 53) - 1;
    assert!(matches!(assert(&extreme, &key(), t0()), Err(TokenError::Time)));
    let other_subject = AssertionClaims {
        sub: uuid(50).into(),
        ..assertion()
    };
    assert!(matches!(
        assert(&other_subject, &key(), t0()),
        Err(TokenError::Audience)
    ));
    let token = assertion().sign(tenant(), &key()).unwrap();
    assert_eq!(AssertionClaims::peek(&token), Some((tenant(), endpoint())));
    assert_eq!(AssertionClaims::peek(&access_token), None);
    assert_eq!(AssertionClaims::peek("x"), None);
    assert_eq!(AccessClaims::peek_tenant(&access_token), Some(tenant()));
    assert_eq!(AccessClaims::peek_tenant("x.y.z"), None);
    assert_eq!(AccessClaims::peek_tenant(&token), None);
    let elsewhere = |tenant, aud| AssertionClaims::verify(&token, tenant, endpoint(), &public, aud, t0());
    assert!(elsewhere(tenant(), TOKEN_URL).is_ok());
    assert!(matches!(elsewhere(tenant(), SERVER), Err(TokenError::Audience)));
    assert!(matches!(
        elsewhere(uuid(50).into(), TOKEN_URL),
        Err(TokenError::Token(JwsError::UnknownKey))
    ));

    let token = registration().sign(&key()).unwrap();
    let register = |key: &VerifyingKey, aud: &str, now| RegistrationClaims::verify(&token, key, aud, now, 60);
    let claims = register(&public, SERVER, t0()).unwrap();
    assert!(
        claims.is_for("8f1c", "pct_reg_x") && !claims.is_for("8f1c", "pct_reg_y") && !claims.is_for("9", "pct_reg_x")
    );
    assert!(register(&other_key().public(), SERVER, t0()).is_err());
    assert!(matches!(register(&public, TOKEN_URL, t0()), Err(TokenError::Audience)));
    assert!(matches!(
        register(&public, SERVER, t0() + second * 120),
        Err(TokenError::Time)
    ));
}
