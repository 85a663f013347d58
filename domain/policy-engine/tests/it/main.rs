//! The engine from outside.

mod corpus;
mod laws;
mod naive;
mod world;
