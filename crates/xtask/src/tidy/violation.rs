//! One place that breaks a rule.

use std::fmt;

/// Printed as `file:line: rule; remedy`, which editors and terminals make a link of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// Relative to the root of the workspace.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: usize,
    pub(crate) rule: String,
    pub(crate) remedy: String,
}

impl Violation {
    pub(crate) fn new(file: &str, line: usize, rule: impl Into<String>, remedy: &str) -> Self {
        Self {
            file: file.to_owned(),
            line,
            rule: rule.into(),
            remedy: remedy.to_owned(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            rule,
            remedy,
        } = self;
        write!(f, "{file}:{line}: {rule}; {remedy}")
    }
}
