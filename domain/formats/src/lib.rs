//! The formats that can't change after the first event: ids, times, canonical bytes, credentials, event bodies,
//! sealing, digests, signatures, snapshot statements and command ids.
//!
//! Everything here is pure: no I/O, no database, no ambient clock or randomness (they come in through [`Ambient`]).
//! Server and agent use the same code. Start reading at [`event`] for the log and at [`id`] for the names of things.
//! The rules are those of `docs/formats.md`; a change is a new version of a format, never a reinterpretation.

pub mod agent_wire;
pub mod ambient;
mod b64;
pub mod canonical;
pub mod command_id;
pub mod credential;
pub mod digest;
pub mod event;
pub mod grant;
pub mod hash;
pub mod id;
pub mod jws;
pub mod keyset;
pub mod leaf;
pub mod mac;
pub mod mail_link;
pub mod mfa;
pub mod seal;
pub mod statement;
pub mod timestamp;
pub mod token;
pub mod wrap;

pub use ambient::{Ambient, Clock, Entropy, ManualClock, SeededEntropy, SystemClock, SystemEntropy};
pub use canonical::{CanonicalError, canonical};
pub use credential::{Credential, CredentialError, CredentialKind};
pub use digest::DigestInput;
pub use event::{Actor, ActorKind, Address, EventBody, EventError, EventMeta, StreamRef};
pub use grant::GrantClaims;
pub use hash::{ActionDigest, BodyHash};
pub use id::*;
pub use jws::{JwsError, Purpose, SigningKey, Typ, VerifyingKey};
pub use keyset::{KeySet, PublishedKey};
pub use leaf::{leaf_hash, node_hash, root_of};
pub use mail_link::MailLink;
pub use mfa::MfaProof;
pub use seal::{PersonKey, SealContext, SealError, SealKey, Sealed};
pub use statement::Statement;
pub use timestamp::Timestamp;
