//! Label selectors, parsed.

use std::collections::{BTreeMap, BTreeSet};

use crate::text::Rejected;

/// Selects what has all the labels and meets all the expressions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    labels: BTreeMap<String, String>,
    expressions: Vec<Expression>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Expression {
    key: String,
    operator: Operator,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operator {
    In(BTreeSet<String>),
    /// Also selects what has no such label.
    NotIn(BTreeSet<String>),
    Exists,
    DoesNotExist,
}

// === impl Selector ===

impl Selector {
    pub(crate) fn parse(field: &str, selector: &api::LabelSelector) -> Result<Self, Rejected> {
        let expressions = selector.match_expressions.iter();
        let expressions: Result<_, _> =
            expressions.map(|it| Expression::parse(field, it)).collect();
        Ok(Self {
            labels: selector.match_labels.clone(),
            expressions: expressions?,
        })
    }

    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let mut stated = self.labels.iter();
        stated.all(|(key, value)| labels.get(key) == Some(value))
            && self.expressions.iter().all(|it| it.is_met_by(labels))
    }
}

// === impl Expression ===

impl Expression {
    fn parse(field: &str, expression: &api::LabelExpression) -> Result<Self, Rejected> {
        let values = || expression.values.iter().cloned().collect();
        let operator = match expression.operator.as_str() {
            "In" => Operator::In(values()),
            "NotIn" => Operator::NotIn(values()),
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            other => {
                return Err(Rejected {
                    field: format!("{field}.matchExpressions.operator"),
                    value: other.to_owned(),
                    cause: "write In, NotIn, Exists or DoesNotExist".to_owned(),
                });
            }
        };
        Ok(Self {
            key: expression.key.clone(),
            operator,
        })
    }

    fn is_met_by(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match &self.operator {
            Operator::In(values) => value.is_some_and(|value| values.contains(value)),
            Operator::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selects(operator: &str, values: &[&str], labels: &[(&str, &str)]) -> bool {
        let expression = api::LabelExpression {
            key: "team".to_owned(),
            operator: operator.to_owned(),
            values: values.iter().map(|it| (*it).to_owned()).collect(),
        };
        let selector = api::LabelSelector {
            match_labels: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
            match_expressions: vec![expression],
        };
        let labels = labels.iter();
        let labels = labels.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let selector = Selector::parse("spec.namespaceSelectors", &selector).unwrap();
        selector.selects(&labels.collect())
    }

    #[test]
    fn all_labels_and_all_expressions_must_hold() {
        let (red, blue) = (
            &[("zone", "a"), ("team", "red")],
            &[("zone", "a"), ("team", "blue")],
        );
        let without = &[("zone", "a")];
        assert!(selects("In", &["red"], red) && !selects("In", &["red"], blue));
        assert!(!selects("In", &["red"], &[("zone", "b"), ("team", "red")]));
        assert!(selects("NotIn", &["red"], blue) && !selects("NotIn", &["red"], red));
        assert!(selects("NotIn", &["red"], without));
        assert!(selects("Exists", &[], red) && !selects("Exists", &[], without));
        assert!(selects("DoesNotExist", &[], without) && !selects("DoesNotExist", &[], blue));
    }

    #[test]
    fn an_empty_selector_selects_everything() {
        assert!(Selector::default().selects(&BTreeMap::new()));
    }

    #[test]
    fn an_operator_that_kubernetes_does_not_know_is_refused_with_the_known_ones() {
        let expression = api::LabelExpression {
            operator: "Like".to_owned(),
            ..api::LabelExpression::default()
        };
        let selector = api::LabelSelector {
            match_expressions: vec![expression],
            ..api::LabelSelector::default()
        };
        let refused = Selector::parse("spec.namespaceSelectors", &selector).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "spec.namespaceSelectors.matchExpressions.operator is `Like`: write In, NotIn, Exists \
             or DoesNotExist"
        );
    }
}
