//! The values that `golden.py` uses too.

use formats::{
    ActorKind, DeploymentGroupId, EndpointId, EventBody, GrantClaims, KeySet, MfaProof, PersonId, PersonKey,
    PublishedKey, Purpose, RequestId, SealContext, Sealed, SigningKey, Statement, StreamRef, TenantId, Timestamp,
    UserId,
    digest::{DigestApplication, DigestInput},
    event::{Actor, Address, EventMeta},
    grant::Step,
    hash::BodyHash,
    mac::MacKey,
    seal,
    token::{AccessClaims, AssertionClaims, RegistrationClaims},
};
use policy_engine::ActionType;
use uuid::Uuid;

pub fn seq<const N: usize>(start: u8) -> [u8; N] {
    std::array::from_fn(|i| start.wrapping_add(u8::try_from(i).unwrap()))
}

pub fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(0x0189_0000_0000_7000_8000_0000_0000_0000 + n)
}

pub fn tenant() -> TenantId {
    uuid(1).into()
}
pub fn person() -> PersonId {
    uuid(3).into()
}
pub fn request() -> RequestId {
    uuid(6).into()
}
pub fn approver() -> UserId {
    uuid(7).into()
}
pub fn endpoint() -> EndpointId {
    uuid(8).into()
}
pub fn group() -> DeploymentGroupId {
    uuid(9).into()
}
pub fn t0() -> Timestamp {
    "2026-03-02T09:00:00.000Z".parse().unwrap()
}
pub fn t1() -> Timestamp {
    "2026-03-02T10:00:00.000Z".parse().unwrap()
}

pub fn person_key() -> PersonKey {
    PersonKey::from_bytes(seq(0))
}
pub fn mac_key() -> MacKey {
    MacKey::from_bytes(seq(200))
}

pub fn context() -> SealContext<'static> {
    SealContext {
        tenant: tenant(),
        stream_type: "request",
        stream_id: uuid(2),
        version: 3,
        purpose: seal::PURPOSE_DATA,
    }
}

pub const PLAINTEXT: &str = r#"{"justification":"Zahlungslauf für März"}"#;

pub fn sealed() -> Sealed {
    seal::seal(&person_key(), 2, person(), &context(), PLAINTEXT.as_bytes(), seq(100))
}

pub fn event() -> EventBody {
    let serde_json::Value::Object(data) = serde_json::json!({
        "risk": 50, "é": "€\n", "zero": 0, "negative": -9_007_199_254_740_991i64, "largest": 9_007_199_254_740_991u64,
    }) else {
        unreachable!("an object was written")
    };
    EventBody {
        v: 1,
        tenant: tenant(),
        stream: StreamRef {
            stream_type: "request".into(),
            id: uuid(2),
            version: 3,
        },
        event_type: "RequestSubmitted".into(),
        schema: 1,
        command_id: uuid(4),
        occurred_at: t0(),
        recorded_at: t1(),
        actor: Actor {
            kind: ActorKind::Endpoint,
            id: Some(endpoint().to_string()),
            method: Some("agent_token".into()),
        },
        meta: EventMeta {
            correlation: uuid(5),
            causation: Some(41),
            traceparent: None,
            address: Some(Address::Clear("192.0.2.7".into())),
        },
        data,
        sealed: Some(sealed()),
    }
}

/// The key of RFC 8037, appendix A.1.
pub fn key() -> SigningKey {
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    SigningKey::from_seed(&formats::hash::from_hex(seed).unwrap())
}

pub fn other_key() -> SigningKey {
    SigningKey::from_seed(&seq(9))
}

/// One key for everything that tenant keys sign here; products have one key per purpose.
pub fn key_set() -> KeySet {
    KeySet {
        tenant: tenant(),
        version: 3,
        keys: vec![PublishedKey {
            not_after: Some(t1()),
            ..PublishedKey::new(Purpose::Snapshot, key().public())
        }],
    }
}

pub fn key_set_for(purpose: Purpose) -> KeySet {
    KeySet {
        tenant: tenant(),
        version: 1,
        keys: vec![PublishedKey::new(purpose, key().public())],
    }
}

pub fn statement() -> Statement {
    Statement {
        tenant: tenant(),
        group: group(),
        epoch: 1,
        version: 42,
        sha256: BodyHash::of(b"{}"),
        issued_at: t0(),
        expires_at: t1(),
    }
}

pub fn digest_input() -> DigestInput {
    DigestInput {
        tenant: tenant(),
        endpoint: endpoint(),
        user: r"CORP\alice".into(),
        action_type: ActionType::PrivilegeElevation,
        application: Some(DigestApplication {
            path: r"C:\Users\alice\Downloads\Setup.exe".into(),
            sha256: Some("9f".repeat(32)),
            publisher: Some("CN=Contoso".into()),
            certificate: None,
        }),
        command_line: Some("Setup.exe  /S".into()),
        file: None,
        cwd: Some(r"C:\Users\alice".into()),
    }
}

pub fn grant() -> GrantClaims {
    GrantClaims {
        tenant: tenant(),
        request: request(),
        digest: digest_input().digest().unwrap(),
        endpoint: endpoint(),
        user: r"CORP\alice".into(),
        person: person(),
        issued_at: t0(),
        not_after: t1(),
        uses: None,
        satisfies: vec![Step::Justification, Step::Approval],
        mfa_pending: false,
        narrowed: true,
    }
}

pub fn proof() -> MfaProof {
    MfaProof {
        tenant: tenant(),
        id: uuid(11),
        identity: approver(),
        endpoint: endpoint(),
        endpoint_user: r"CORP\alice".into(),
        action_type: ActionType::FileAccess,
        digest: None,
        issued_at: t0(),
        expires_at: t1(),
    }
}

pub const SERVER: &str = "https://pam.example.test";
pub const TOKEN_URL: &str = "https://pam.example.test/agent/v1/token";

pub fn access() -> AccessClaims {
    AccessClaims {
        iss: SERVER.into(),
        aud: formats::token::AUDIENCE_AGENT.into(),
        sub: endpoint().to_string(),
        tenant: tenant(),
        group: Some(group()),
        sid: None,
        jti: uuid(11),
        iat: t0().seconds(),
        exp: t0().seconds() + 600,
        scope: String::new(),
    }
}

pub fn assertion() -> AssertionClaims {
    AssertionClaims::new(endpoint(), TOKEN_URL.into(), uuid(11), t0())
}

pub fn registration() -> RegistrationClaims {
    RegistrationClaims::new(SERVER.into(), "8f1c".into(), "pct_reg_x", t0())
}
