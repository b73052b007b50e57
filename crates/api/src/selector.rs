//! A selection of objects by their labels, as Kubernetes writes it.

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Selects what has all the labels and meets all the expressions; an empty one selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels and their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelExpression>,
}

/// One expression of a selector.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[schemars(extend("required" = ["key", "operator"]))]
pub struct LabelExpression {
    /// Name of the label.
    #[serde(default)]
    pub key: String,
    /// `In`, `NotIn`, `Exists` or `DoesNotExist`.
    #[serde(default)]
    #[schemars(extend("enum" = ["In", "NotIn", "Exists", "DoesNotExist"]))]
    pub operator: String,
    /// Values for `In` and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

// === impl LabelSelector ===

impl LabelSelector {
    /// Whether it selects what has these labels. One with an operator that Kubernetes does not know
    /// selects nothing.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let mut stated = self.match_labels.iter();
        stated.all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|it| it.is_met_by(labels))
    }
}

// === impl LabelExpression ===

impl LabelExpression {
    /// Whether Kubernetes knows the operator.
    pub fn has_known_operator(&self) -> bool {
        self.compare(None).is_some()
    }

    fn is_met_by(&self, labels: &BTreeMap<String, String>) -> bool {
        self.compare(labels.get(&self.key)).unwrap_or_default()
    }

    /// `None` for an operator that Kubernetes does not know. `NotIn` holds without a label, too.
    fn compare(&self, value: Option<&String>) -> Option<bool> {
        match self.operator.as_str() {
            "In" => Some(value.is_some_and(|value| self.values.contains(value))),
            "NotIn" => Some(value.is_none_or(|value| !self.values.contains(value))),
            "Exists" => Some(value.is_some()),
            "DoesNotExist" => Some(value.is_none()),
            _ => None,
        }
    }
}
