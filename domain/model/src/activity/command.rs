//! What can be asked of an endpoint's activity.

use super::{ActionRecorded, Activity};

/// The commands.
#[derive(Debug, Clone, PartialEq)]
pub enum ActivityCommand {
    /// Take a batch of records. Those whose number is known are passed over, except those that say whose number they
    /// reuse: whoever sends the command has looked that up for the state `known`, and it is refused in any other.
    RecordActions {
        known: Box<Activity>,
        records: Vec<ActionRecorded>,
    },
}
