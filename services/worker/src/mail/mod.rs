//! Mails to approvers, requesters and administrators: addressed, composed and sent from the outbox, at least once under
//! one `Message-ID`.

mod compose;
mod desk;
mod notifier;

pub use notifier::{MailConfig, MailError, Notifier, run};
