//! What identity providers do by SCIM 2.0 (RFC 7643, RFC 7644): users and groups as they say. The protocol itself, its
//! filters and patches, is the door's; here is what it may do and what follows from it.

mod accounts;
mod groups;
mod tokens;
mod users;

pub use groups::GroupWanted;
pub use tokens::SCIM_OVERLAP_MAX;
pub use users::UserWanted;

use crate::{Caller, Outcome, Principal, Refusal};

/// The version that a caller expects (`If-Match`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Expected {
    /// Any.
    #[default]
    Any,
    /// One of these; none where what was said is no version of ours.
    OneOf(Vec<u64>),
}

impl Expected {
    fn check(&self, version: u64) -> Outcome<()> {
        match self {
            Self::Any => Ok(()),
            Self::OneOf(versions) if versions.contains(&version) => Ok(()),
            Self::OneOf(_) => Err(Refusal::new(
                "PRECONDITION_FAILED",
                412,
                "it was changed since that version; read it again",
            )),
        }
    }
}

/// How often a change is decided anew where somebody else was faster.
const ATTEMPTS: u32 = 8;

fn conflict() -> Refusal {
    let mut refusal = Refusal::new(
        "CONFLICT",
        409,
        "it was changed by somebody else meanwhile; load it again",
    );
    refusal.retry_after = Some(1);
    refusal
}

/// Refuses whoever is no identity provider: this door is for SCIM tokens alone.
fn demand_token(caller: &Caller) -> Outcome<()> {
    match caller.principal {
        Principal::Scim { .. } => Ok(()),
        _ => Err(Refusal::forbidden("this needs a SCIM token")),
    }
}
