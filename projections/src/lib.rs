//! The read side: tables built from the log alone, and the typed queries on them.
//!
//! One folder per read model, each with a reducer (a pure fold into a delta, one set-based flush) and a reader. The
//! [`runner`] feeds them, keeps their cursors, parks what fails and builds them anew. Nothing here decides, sends or
//! signs; nothing here knows HTTP. Start reading at [`projection::Projection`].

pub mod page;
pub mod projection;
pub mod runner;
pub mod status;
pub mod wait;
pub mod work;

mod checkpoint;
mod columns;
mod rebuild;
mod terms;
mod touched;

pub mod activity;
pub mod approval_rules;
pub mod audit_trail;
pub mod collections;
pub mod directory;
pub mod escalation_schedule;
pub mod fleet;
pub mod identity_providers;
pub mod mail_outbox;
pub mod policies;
pub mod policy_snapshot;
pub mod request_queue;
pub mod scim;
pub mod statistics;

pub use checkpoint::shown;
pub use page::{Cursor, Edge, Page, Paged, ReadError};
pub use projection::{Build, Delta, Envelope, FlushError, FoldError, Projection};
pub use runner::{Options, RunError, Runner};
pub use status::{Parked, ProjectionStatus, retry, status};
pub use wait::{Behind, WaitError, Waiter};

/// Every read model of the product. The order is that in which one transaction writes them.
#[must_use]
pub fn all() -> Vec<Box<dyn Projection>> {
    vec![
        Box::new(directory::Directory),
        Box::new(scim::Scim),
        Box::new(identity_providers::IdentityProviders),
        Box::new(fleet::Fleet),
        Box::new(collections::Collections),
        Box::new(policies::Policies),
        Box::new(approval_rules::ApprovalRules),
        Box::new(policy_snapshot::PolicySnapshot),
        Box::new(request_queue::RequestQueue),
        Box::new(escalation_schedule::EscalationSchedule),
        Box::new(activity::Activity),
        Box::new(statistics::Statistics),
        Box::new(audit_trail::AuditTrail),
        Box::new(mail_outbox::MailOutbox),
    ]
}
