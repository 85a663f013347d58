//! What can be asked of an endpoint's activity.

use super::ActionRecorded;

/// The commands.
#[derive(Debug, Clone, PartialEq)]
pub enum ActivityCommand {
    /// Take a batch of records; those that are there already are passed over. All are about one person.
    RecordActions { records: Vec<ActionRecorded> },
}
