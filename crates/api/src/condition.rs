//! What an object says about its own state.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One statement of a status; a status has one of each type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("required" = ["type"]))]
pub struct Condition {
    /// What it states: `Ready`, `Validated` or `Error`.
    #[serde(rename = "type", default)]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    #[serde(default)]
    pub status: String,
    /// One word for programs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// A sentence for people, with the remedy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it was last looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<Time>,
    /// When `status` last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
}

/// A condition that holds on one node; a status has one of each node and type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("required" = ["node", "type"]))]
pub struct NodeCondition {
    /// Name of the node.
    #[serde(default)]
    pub node: String,
    #[serde(flatten)]
    pub condition: Condition,
}

/// The object works.
pub const READY: &str = "Ready";
/// The object was found free of contradictions.
pub const VALIDATED: &str = "Validated";
/// Something the user must fix.
pub const ERROR: &str = "Error";
