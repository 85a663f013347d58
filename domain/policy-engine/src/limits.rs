//! Every bound of the engine in one place, so that no document and no action can cost more than was planned.

/// Characters of a policy's or a collection's name.
pub const NAME_CHARS: usize = 200;
/// Characters of one pattern or one scope entry's value (`docs/domain.md § 2`).
pub const PATTERN_CHARS: usize = 1024;
/// Entries of one list of a policy.
pub const ENTRIES_PER_LIST: usize = 1_000;
/// Ranges of `dates` or of `times`.
pub const RANGES_PER_LIST: usize = 100;
/// Members of one collection.
pub const COLLECTION_MEMBERS: usize = 10_000;
/// Characters of the message shown to the user.
pub const MESSAGE_CHARS: usize = 4_096;
/// The longest access a policy may give, in minutes (one year).
pub const ACCESS_MINUTES: u32 = 525_600;
/// The highest risk.
pub const RISK_LEVEL: u32 = 100;
/// Policies of one snapshot.
pub const SNAPSHOT_POLICIES: usize = 20_000;
/// Collections of one snapshot.
pub const SNAPSHOT_COLLECTIONS: usize = 20_000;
/// Scope entries and collection members of one snapshot taken together.
pub const SNAPSHOT_ENTRIES: usize = 200_000;
/// Groups an account may report; an action with more is denied.
pub const GROUPS: usize = 10_000;
/// UTF-16 units of a path; a longer one is denied (`docs/domain.md § 2`).
pub const PATH_UNITS: usize = 32_767;
/// UTF-16 units of a command line, the longest single argument Linux takes; a longer one is denied.
pub const COMMAND_UNITS: usize = 131_072;
/// How much searching one decision may do, in bytes looked at. An action whose text makes the patterns cost more is
/// denied like a path that is too long, so that nobody can stall an endpoint with a name.
pub const SEARCH_WORK: u64 = 3_000_000;

/// Whether a text has more UTF-16 units than allowed; counts only where the byte length leaves a doubt.
pub(crate) fn exceeds_units(text: &str, limit: usize) -> bool {
    text.len() > limit && text.encode_utf16().count() > limit
}
