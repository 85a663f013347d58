//! One error for every door: a stable code, words for people, the field it is about.

use eventstore::{ExecuteError, StoreError};
use model::Coded;
use serde_json::{Value, json};

/// What a use case gives back.
pub type Outcome<T> = Result<T, Refusal>;

/// Why something was not done. The codes are catalogued in `api-schema/errors.md`.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// SCREAMING_SNAKE_CASE, never changed once shipped.
    pub code: &'static str,
    /// The HTTP status that says the same.
    pub status: u16,
    /// For people. Never holds a secret, nor anything of another tenant.
    pub message: String,
    /// The field of the input that is wrong, as the API names it.
    pub field: Option<String>,
    /// More than one wrong field: `[{field, code, message}]`; or what the code is about, such as who decided and when.
    pub details: Option<Value>,
    /// After how many seconds to try again.
    pub retry_after: Option<u32>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// A refusal of this code.
    #[must_use]
    pub fn new(code: &'static str, status: u16, message: impl Into<String>) -> Self {
        Self {
            code,
            status,
            message: message.into(),
            field: None,
            details: None,
            retry_after: None,
        }
    }

    /// There is no such thing, or it is another tenant's: the two look alike.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new("NOT_FOUND", 404, format!("there is no such {what}"))
    }

    /// The role or scope is too small.
    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new("FORBIDDEN", 403, message)
    }

    /// Nobody is signed in, or the credential is not good. Why exactly is not told.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new("UNAUTHENTICATED", 401, "sign in, or show a valid credential")
    }

    /// A value that is wrong.
    #[must_use]
    pub fn bad_input(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new("BAD_INPUT", 422, message).on(field)
    }

    /// A defect of ours. What it is stands in the log only.
    #[must_use]
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(
            "INTERNAL",
            500,
            "something went wrong here; it is logged under the request's id",
        )
    }

    /// The database or another part is away for the moment.
    #[must_use]
    pub fn unavailable(cause: impl std::fmt::Display) -> Self {
        tracing::warn!(%cause, "unavailable");
        let mut refusal = Self::new(
            "UNAVAILABLE",
            503,
            "the service is not available for the moment; nothing is lost",
        );
        refusal.retry_after = Some(2);
        refusal
    }

    /// Names the field.
    #[must_use]
    pub fn on(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds what the code is about.
    #[must_use]
    pub fn with(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// A rule of the domain was broken.
    #[must_use]
    pub fn of(error: &(impl Coded + ?Sized)) -> Self {
        let code = error.code();
        let status = match code {
            "NOT_FOUND" => 404,
            "FORBIDDEN" | "SELF_APPROVAL" | "NOT_ELIGIBLE" | "ROLE_ABOVE_OWN" => 403,
            "BAD_INPUT" | "POLICY_REFUSED" | "WIDENED" => 422,
            _ => 409,
        };
        let mut refusal = Self::new(code, status, error.to_string());
        refusal.field = error.field();
        refusal.details = error.at().map(|at| json!({ "at": at }));
        refusal
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => {
                let mut refusal = Self::new("BUSY", 503, "too many commands of this tenant are waiting");
                refusal.retry_after = Some(1);
                refusal
            }
            StoreError::Unavailable(cause) => Self::unavailable(cause),
            StoreError::UnknownTenant(_) => Self::not_found("tenant"),
            other => Self::internal(other),
        }
    }
}

impl From<projections::ReadError> for Refusal {
    fn from(error: projections::ReadError) -> Self {
        match error {
            projections::ReadError::Database(error) => error.into(),
            projections::ReadError::Cursor => Self::bad_input("after", "this cursor is not one of this list"),
            other => Self::internal(other),
        }
    }
}

impl From<eventstore::VaultError> for Refusal {
    fn from(error: eventstore::VaultError) -> Self {
        StoreError::Vault(error).into()
    }
}

/// What unique values are called in messages.
fn claimed(space: &str) -> (&'static str, &'static str) {
    match space {
        model::user::EMAIL => ("email", "another user has this e-mail address"),
        model::user::USER_NAME => ("userName", "another user has this userName"),
        model::user::IDENTITY => ("identity", "this identity belongs to another user"),
        model::person::ENDPOINT_ACCOUNT => ("account", "this endpoint account is known already"),
        model::request::OPEN_REQUEST => ("action", "the same action is waiting for an approval already"),
        _ => ("name", "this name is taken"),
    }
}

impl<E: Coded> From<ExecuteError<E>> for Refusal {
    fn from(error: ExecuteError<E>) -> Self {
        match error {
            ExecuteError::Refused(rule) => Self::of(&rule),
            ExecuteError::Conflict => Self::new(
                "CONFLICT",
                409,
                "it was changed by somebody else meanwhile; load it again",
            ),
            ExecuteError::KeyReused => Self::new(
                "IDEMPOTENCY_KEY_REUSED",
                422,
                "this Idempotency-Key was used for another command",
            )
            .on("Idempotency-Key"),
            ExecuteError::ClaimTaken { space, holder } => {
                let (field, message) = claimed(&space);
                Self::new("NAME_TAKEN", 409, message)
                    .on(field)
                    .with(json!({ "holder": holder.stream_id, "kind": holder.stream_type }))
            }
            ExecuteError::Store(error) => error.into(),
        }
    }
}
