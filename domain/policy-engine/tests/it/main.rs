//! The engine from outside.

mod bounds;
mod corpus;
mod explain;
mod laws;
mod naive;
mod world;
