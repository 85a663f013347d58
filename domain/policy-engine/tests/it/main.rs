//! The engine from outside.

mod corpus;
