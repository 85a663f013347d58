//! Who is it? Passwords, sessions, one-time codes, passkeys, keys, agents and mail links.
//!
//! Every answer to a wrong credential is the same, in words and in time. Secrets are stored hashed or wrapped
//! (`store`); none reaches the log, a trace or an error.

mod agent;
mod bearer;
mod guards;
mod invitation;
mod link;
mod lockout;
pub mod oidc;
mod passkey;
mod password;
mod session;
mod step_up;
pub(crate) mod store;
mod sweep;
mod totp;

pub use agent::{AgentAccess, Registered};
pub use bearer::AccessToken;
pub(crate) use guards::Guards;
pub use link::LinkVisit;
pub use lockout::Channel;
pub(crate) use oidc::client_secret_name;
pub use passkey::PasskeyInfo;
pub(crate) use passkey::{challenge_name, passkey_name};
pub use password::{PASSWORD_MAX, PASSWORD_MIN, check_password};
pub use session::{Session, SessionInfo, SignIn, SignedIn};
pub use step_up::{Proof, SecondFactor};
pub use sweep::SWEEP_ROWS;
pub use totp::TotpEnrolment;
pub(crate) use totp::name as totp_secret_name;
