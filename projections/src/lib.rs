//! The read side: tables built from the log alone, and the typed queries on them.
//!
//! One folder per read model, each with a reducer (a pure fold into a delta, one set-based flush) and a reader. The
//! [`runner`] feeds them, keeps their cursors, parks what fails and builds them anew. Nothing here decides, sends or
//! signs; nothing here knows HTTP. Start reading at [`projection::Projection`].

pub mod page;
pub mod projection;

pub use page::{Cursor, Edge, Page, Paged, ReadError};
pub use projection::{Build, Delta, Envelope, FlushError, FoldError, Projection};
