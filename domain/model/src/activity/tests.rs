//! given/when/then.
