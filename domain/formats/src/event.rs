//! The body of an event: what is hashed into the log, byte for byte (`docs/formats.md § 3`).
//!
//! Every column of the event table beside the body is a copy of something in here. The position is not inside: it is
//! the leaf index plus one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{CanonicalError, Sealed, TenantId, Timestamp, canonical, leaf_hash};

/// The version of this layout.
pub const BODY_VERSION: u8 = 1;

/// One event as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventBody {
    /// The version of the layout: [`BODY_VERSION`].
    pub v: u8,
    /// Whose log it is in.
    pub tenant: TenantId,
    /// Which stream it belongs to and where in it.
    pub stream: StreamRef,
    /// What happened, such as `RequestSubmitted`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The schema version of `data`, from 1.
    pub schema: u32,
    /// The command that caused it.
    pub command_id: Uuid,
    /// When it happened: the writer's clock unless the event says otherwise (an endpoint's clock, a timer's due time).
    pub occurred_at: Timestamp,
    /// When it was written, by the writer's clock.
    pub recorded_at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// In which surroundings.
    pub meta: EventMeta,
    /// What happened, without personal data.
    pub data: Map<String, Value>,
    /// The personal data of the event, if it has any.
    pub sealed: Option<Sealed>,
}

/// A place in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StreamRef {
    /// The kind of aggregate, such as `request`.
    #[serde(rename = "type")]
    pub stream_type: String,
    /// The aggregate.
    pub id: Uuid,
    /// The event's number in the stream, from 1.
    pub version: u64,
}

/// Who did something, and how they had proved who they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Actor {
    /// What kind of principal.
    pub kind: ActorKind,
    /// The principal's id (`usr_…`, `svc_…`, `end_…`, an operator's name); none for the system itself.
    pub id: Option<String>,
    /// How they authenticated, such as `password+totp`, `api_key`, `mail_link`.
    pub method: Option<String>,
}

impl Actor {
    /// The product itself: timers, reactors, first set-up.
    #[must_use]
    pub const fn system() -> Self {
        Self {
            kind: ActorKind::System,
            id: None,
            method: None,
        }
    }
}

/// What kind of principal acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person with an account.
    User,
    /// An integrator's program.
    ServiceAccount,
    /// An identity provider with a SCIM token.
    ScimToken,
    /// An agent.
    Endpoint,
    /// A platform operator.
    Operator,
    /// A timer or reactor of the product.
    System,
}

/// The surroundings of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventMeta {
    /// The request or run that the command belongs to; the same for everything that follows from it.
    pub correlation: Uuid,
    /// The position of the event that caused the command, where a timer or reactor sent it.
    pub causation: Option<u64>,
    /// The W3C trace context of the command.
    pub traceparent: Option<String>,
    /// Where the command came from.
    pub address: Option<Address>,
}

/// A network address: in clear for machines, sealed under the acting person's key for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Address {
    /// The address of a machine.
    Clear(String),
    /// The address of a person, sealed with [`crate::seal::PURPOSE_ADDRESS`].
    Sealed(Sealed),
}

/// Why bytes are not an event's body.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Not JSON, a field missing, unknown, doubled or of the wrong type.
    #[error("not an event body: {0}")]
    Shape(#[from] serde_json::Error),
    /// A layout this program does not know.
    #[error("event body version {0} is not known here")]
    Version(u8),
    /// A number that has to be at least 1 is 0.
    #[error("`{0}` starts at 1")]
    Zero(&'static str),
    /// The same content, but not in its one canonical spelling.
    #[error("the event body is not in canonical form")]
    NotCanonical,
    /// The content has no canonical form.
    #[error(transparent)]
    Canonical(#[from] CanonicalError),
}

impl EventBody {
    /// The canonical bytes, which are stored and hashed.
    ///
    /// # Errors
    /// [`CanonicalError`] where `data` holds a float or an integer beyond ±(2^53 − 1).
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonicalError> {
        canonical(self)
    }

    /// Reads a body and refuses every spelling but the canonical one. For verification and import.
    ///
    /// # Errors
    /// [`EventError`]
    pub fn parse(bytes: &[u8]) -> Result<Self, EventError> {
        let body = Self::read(bytes)?;
        if body.to_bytes()? == bytes {
            Ok(body)
        } else {
            Err(EventError::NotCanonical)
        }
    }

    /// Reads a body that this product stored, without spelling it again. For replays, where the leaf covers the bytes.
    ///
    /// # Errors
    /// [`EventError`], except [`EventError::NotCanonical`].
    pub fn read(bytes: &[u8]) -> Result<Self, EventError> {
        let body: Self = serde_json::from_slice(bytes)?;
        if body.v != BODY_VERSION {
            return Err(EventError::Version(body.v));
        }
        if body.schema == 0 {
            return Err(EventError::Zero("schema"));
        }
        if body.stream.version == 0 {
            return Err(EventError::Zero("stream.version"));
        }
        Ok(body)
    }

    /// The bytes and the leaf hash over them.
    ///
    /// # Errors
    /// As [`EventBody::to_bytes`].
    pub fn to_leaf(&self) -> Result<(Vec<u8>, [u8; 32]), CanonicalError> {
        let bytes = self.to_bytes()?;
        let leaf = leaf_hash(&bytes);
        Ok((bytes, leaf))
    }
}
