//! Transactions and how they end.

use crate::{
    client::database::{Database, Version},
    data::Row,
    operation::{Condition, Operation, Until},
};
use uuid::Uuid;

/// Operations that happen together or not at all, with the number of rows that each must match.
///
/// A server counts the rows only for the answer: if a number is not as expected, the transaction
/// is [`Outcome::Rejected`] although its other operations have been committed. Where that must not
/// happen, put a [`Transaction::guard`] before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    steps: Vec<Step>,
    epoch: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) operation: Operation,
    /// How many rows must match, if it matters.
    pub(super) expected: Option<u64>,
}

impl Transaction {
    /// A transaction that does nothing.
    pub const fn new() -> Self {
        Self {
            steps: Vec::new(),
            epoch: None,
        }
    }

    /// Appends an operation; an update, mutate or delete must match exactly one row.
    pub fn push(&mut self, operation: Operation) {
        let expected = match operation {
            Operation::Update { .. } | Operation::Mutate { .. } | Operation::Delete { .. } => {
                Some(1)
            }
            Operation::Insert { .. }
            | Operation::Select { .. }
            | Operation::Wait { .. }
            | Operation::Comment(_) => None,
        };
        self.push_expecting(operation, expected);
    }

    /// Appends an operation that must match so many rows, or with `None` any number.
    pub fn push_expecting(&mut self, operation: Operation, expected: Option<u64>) {
        self.steps.push(Step {
            operation,
            expected,
        });
    }

    /// The transaction with one more operation, as [`Transaction::push`] appends it.
    pub fn with(mut self, operation: Operation) -> Self {
        self.push(operation);
        self
    }

    /// Appends the condition that a row's columns are as given: otherwise nothing happens, and the
    /// outcome is [`Outcome::Stale`]. With an empty `row`, the condition that the row exists.
    pub fn guard(&mut self, table: impl Into<String>, uuid: Uuid, row: Row) {
        self.push(Operation::Wait {
            table: table.into(),
            condition: Condition::uuid(uuid),
            columns: row.0.keys().cloned().collect(),
            until: Until::Equal,
            rows: vec![row],
            timeout_ms: Some(0),
        });
    }

    /// The transaction, bound to the replica that it was made from: if the connection is renewed
    /// before it goes out, nothing happens, and the outcome is [`Outcome::Stale`]. Otherwise it is
    /// bound to the replica at the time of [`Client::transact`](super::Client::transact).
    pub fn planned_on(mut self, version: Version) -> Self {
        self.epoch = Some(version.epoch);
        self
    }

    pub(super) fn epoch(&self) -> Option<u64> {
        self.epoch
    }

    /// Whether there is no operation.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The number of operations.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// The operations in order.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.steps.iter().map(|step| &step.operation)
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Whether all rows that it inserts under chosen identities are there.
    pub(super) fn is_inserted_in(&self, database: &Database) -> bool {
        let mut chosen = self.operations().filter_map(|operation| match operation {
            Operation::Insert {
                table,
                uuid: Some(uuid),
                ..
            } => Some((table, *uuid)),
            Operation::Insert { uuid: None, .. }
            | Operation::Update { .. }
            | Operation::Mutate { .. }
            | Operation::Delete { .. }
            | Operation::Select { .. }
            | Operation::Wait { .. }
            | Operation::Comment(_) => None,
        });
        chosen.all(|(table, uuid)| database.row(table, uuid).is_some())
    }
}

impl Extend<Operation> for Transaction {
    fn extend<I: IntoIterator<Item = Operation>>(&mut self, operations: I) {
        operations
            .into_iter()
            .for_each(|operation| self.push(operation));
    }
}

impl FromIterator<Operation> for Transaction {
    fn from_iter<I: IntoIterator<Item = Operation>>(operations: I) -> Self {
        let mut transaction = Self::new();
        transaction.extend(operations);
        transaction
    }
}

impl From<Vec<Operation>> for Transaction {
    fn from(operations: Vec<Operation>) -> Self {
        operations.into_iter().collect()
    }
}

/// How a transaction ended. After all but the first two: look at the replica and plan again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was nothing to do.
    Unchanged,
    /// It happened, and the replica shows it.
    Committed,
    /// Nothing happened: a `wait` did not hold, or the connection was renewed before the
    /// transaction went out.
    Stale,
    /// The connection ended before the answer came: it happened, or it did not.
    Lost,
    /// The server refused it, or a count was not as expected.
    Rejected(Rejection),
}

/// Why a transaction was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}: {details}")]
pub struct Rejection {
    /// The position of the operation at fault; `None` when the transaction as a whole is, as with
    /// a reference to no row.
    pub operation: Option<usize>,
    /// The server's short error, for example `constraint violation`, or [`Rejection::COUNT`].
    pub error: String,
    /// The error at length; may be empty.
    pub details: String,
}

impl Rejection {
    /// The error of an operation that matched more or fewer rows than expected. The other
    /// operations of the transaction have been committed.
    pub const COUNT: &str = "unexpected count";
}
