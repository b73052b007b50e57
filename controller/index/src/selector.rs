//! Label selectors, parsed.

use std::collections::BTreeMap;

use crate::text::Rejected;

/// Selects what has all the labels and meets all the expressions, whose operators are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector(api::LabelSelector);

// === impl Selector ===

impl Selector {
    pub(crate) fn parse(field: &str, selector: &api::LabelSelector) -> Result<Self, Rejected> {
        let mut expressions = selector.match_expressions.iter();
        match expressions.find(|it| !it.has_known_operator()) {
            Some(other) => Err(Rejected {
                field: format!("{field}.matchExpressions.operator"),
                value: other.operator.clone(),
                cause: "write In, NotIn, Exists or DoesNotExist".to_owned(),
            }),
            None => Ok(Self(selector.clone())),
        }
    }

    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.selects(labels)
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
