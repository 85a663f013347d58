//! bridge while the engine grows
#![allow(missing_docs)]
pub use policy_engine::*;
use serde::{Deserialize, Serialize};
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Action(pub serde_json::Value);
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome { Allowed, Denied, Required, PassThrough, BlockedOffline }
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step { Justification, Approval, Mfa }
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem { pub field: String, pub code: String, pub message: String }
pub fn validate(_: &PolicyDocument, _: &std::collections::BTreeMap<String, Collection>) -> Vec<Problem> { Vec::new() }
pub fn validate_baseline(_: &Baseline) -> Vec<Problem> { Vec::new() }
pub fn validate_collection(_: &Collection) -> Vec<Problem> { Vec::new() }
