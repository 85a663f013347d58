//! `/agent/v1`: what agents ask and tell (`docs/contracts.md § 4`). The bodies are those of `formats::agent_wire`, which
//! the agent uses too.

mod body;
mod endings;
mod enrol;
mod offers;
mod poll;
mod reports;
mod requests;
mod snapshot;
mod store;

use axum::{Router, middleware::from_fn_with_state};

pub use endings::Endings;
pub use offers::Offers;

use crate::{
    ApiState,
    layers::{BodyLimit, limit_body},
    openapi::{Door, Login, Op, Shape},
};

/// The longest body of a single action: paths and command lines of 32,767 UTF-16 units, and the values of variables.
const ACTION: BodyLimit = BodyLimit(1024 * 1024);
/// The longest batch of records or inventory as it is sent; [`body::UNPACKED`] holds for what is inside.
const BATCH: BodyLimit = BodyLimit(4 * 1024 * 1024);

fn limited(limit: BodyLimit) -> impl FnOnce(Router<ApiState>) -> Router<ApiState> {
    move |router| router.layer(from_fn_with_state(limit, limit_body))
}

/// Anyone may try to register; each token and each endpoint has a limit of its own, and failures count for the address.
pub(super) fn door() -> Door {
    enrolment().and(snapshots()).and(requests()).and(reports())
}

fn agent(name: &'static str, summary: &'static str) -> Op {
    Op::new(name, summary).by(Login::Agent)
}

fn enrolment() -> Door {
    Door::new()
        .post(
            "/agent/v1/register",
            enrol::register,
            Op::new(
                "agentRegister",
                "Register a machine with a registration token and the endpoint's new public key",
            )
            .takes(Shape::Json("RegisterRequest"))
            .answers(201, "The endpoint", Shape::Json("RegisterResponse"))
            .refuses(401, "REGISTRATION_TOKEN_INVALID")
            .refuses(403, "TENANT_SUSPENDED")
            .refuses(409, "TOKEN_EXPIRED, TOKEN_SPENT")
            .refuses(422, "PROOF_INVALID"),
        )
        .post(
            "/agent/v1/token",
            enrol::token,
            Op::new(
                "agentToken",
                "An access token for an assertion signed by the endpoint's key (RFC 7523)",
            )
            .takes(Shape::Json("TokenRequest"))
            .answers(200, "The token, good for ten minutes", Shape::Json("TokenResponse"))
            .refuses(401, "UNAUTHENTICATED, CLOCK_SKEW")
            .refuses(403, "TENANT_SUSPENDED"),
        )
        .get(
            "/agent/v1/keyset",
            enrol::key_set,
            agent("agentKeySet", "The tenant's newest key set, signed by its root key").answers(
                200,
                "The key set",
                Shape::Json("KeySetResponse"),
            ),
        )
}

fn snapshots() -> Door {
    Door::new()
        .get(
            "/agent/v1/snapshot",
            snapshot::snapshot,
            agent(
                "agentSnapshot",
                "What the endpoint's group enforces, with a signed statement about it",
            )
            .header("If-None-Match", "The ETag in hand: 304 until there is another body")
            .header("Prefer", "wait=SECONDS, at most 50: how long to wait for another body")
            .header("Accept-Encoding", "zstd, gzip or neither")
            .answers(
                200,
                "The body; headers ETag, Portcullis-Statement, Portcullis-Key-Set",
                Shape::Json("Snapshot"),
            )
            .answers(304, "No other body; the headers are those of 200", Shape::Empty)
            .refuses(403, "TENANT_SUSPENDED"),
        )
        .post(
            "/agent/v1/snapshot/ack",
            snapshot::ack,
            agent("agentSnapshotAck", "The endpoint enforces this snapshot")
                .takes(Shape::Json("SnapshotAck"))
                .answers(204, "Noted", Shape::Empty)
                .refuses(409, "NEVER_OFFERED"),
        )
}

fn requests() -> Door {
    Door::new()
        .post(
            "/agent/v1/requests",
            requests::submit,
            agent("agentSubmitRequest", "Ask for approval of an action")
                .takes(Shape::Json("SubmitRequest"))
                .answers(201, "The request", Shape::Json("RequestState"))
                .answers(
                    200,
                    "The same action is waiting already: that request",
                    Shape::Json("RequestState"),
                )
                .refuses(
                    409,
                    "DIGEST_MISMATCH, NOW_DENIED, APPROVAL_NOT_NEEDED, UNLINKED_REQUESTER",
                ),
        )
        .get(
            "/agent/v1/requests/{id}",
            requests::state,
            agent(
                "agentRequest",
                "Where a request of this endpoint stands, with the signed grant once approved",
            )
            .header(
                "Prefer",
                "wait=SECONDS, at most 50: how long to wait until it is decided",
            )
            .answers(200, "The request", Shape::Json("RequestState")),
        )
        .post(
            "/agent/v1/requests/{id}/cancel",
            requests::cancel,
            agent("agentCancelRequest", "Take a request back")
                .takes(Shape::Json("CancelRequest"))
                .answers(200, "The request", Shape::Json("RequestState"))
                .refuses(409, "ALREADY_DECIDED, EXPIRED"),
        )
        .with(limited(ACTION))
}

fn reports() -> Door {
    Door::new()
        .post(
            "/agent/v1/mfa/verify",
            reports::verify,
            agent(
                "agentMfaVerify",
                "Check a one-time code; the proof is good for five minutes",
            )
            .takes(Shape::Json("MfaVerify"))
            .answers(200, "The proof", Shape::Json("MfaVerified"))
            .refuses(401, "INVALID_CODE")
            .refuses(403, "MFA_BY_APPROVER, MFA_OTHER_USER")
            .refuses(429, "LOCKED"),
        )
        .post(
            "/agent/v1/grants",
            reports::grants,
            agent(
                "agentGrants",
                "Which of the grants that the agent holds have ended; changes nothing",
            )
            .header(
                "Prefer",
                "wait=SECONDS, at most 50: how long to wait until one of them ends",
            )
            .takes(Shape::Json("HeldGrants"))
            .answers(200, "Those that ended", Shape::Json("EndedGrants")),
        )
        .post(
            "/agent/v1/heartbeat",
            reports::heartbeat,
            agent("agentHeartbeat", "How the agent is, about once a minute")
                .takes(Shape::Json("Heartbeat"))
                .answers(200, "The clock, and which grants ended", Shape::Json("HeartbeatAnswer")),
        )
        .and(
            Door::new()
                .post(
                    "/agent/v1/activity",
                    reports::activity,
                    agent(
                        "agentActivity",
                        "Deliver records of actions, at most 500; may be sent again",
                    )
                    .header("Content-Encoding", "gzip or none")
                    .takes(Shape::Json("ActivityBatch"))
                    .answers(200, "The highest number stored", Shape::Json("ActivityStored")),
                )
                .post(
                    "/agent/v1/inventory",
                    reports::inventory,
                    agent(
                        "agentInventory",
                        "What is on the machine; replaces what was told before",
                    )
                    .header("Content-Encoding", "gzip or none")
                    .takes(Shape::Json("Inventory"))
                    .answers(204, "Stored", Shape::Empty),
                )
                .with(limited(BATCH)),
        )
}
