//! Why a question has no answer.
//!
//! Everything that a person wrote carries its span, so that it can be shown in its line.

use laterbase_lang::{Function, Span};
use thiserror::Error;

use crate::data::DataError;

/// Why a question has no answer.
#[derive(Debug, Error)]
pub enum QueryError {
    /// A value that cannot be computed: the question's mistake, or its data's.
    #[error("{0}")]
    Mistake(#[from] Mistake),
    /// More work than was allowed: ask for less, or allow more.
    #[error("{0}")]
    Exhausted(Box<Exhausted>),
    /// Somebody cancelled it, or its time is over.
    #[error("cancelled")]
    Cancelled,
    /// Stored rows cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The plan contradicts itself: a defect of what made it.
    #[error("the plan is not valid: {0}")]
    Plan(#[from] PlanError),
}

/// A value that cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("`{}`: {kind}", function.name())]
pub struct Mistake {
    /// What is wrong.
    pub kind: MistakeKind,
    /// Which function, or [`Function::Add`] for the aggregates that add.
    pub function: Function,
    /// Where it stands.
    pub span: Span,
}

/// What is wrong about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MistakeKind {
    /// A number, time or duration that its type cannot hold.
    #[error("the result is out of range")]
    OutOfRange,
    /// A division by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A regular expression that cannot be read.
    #[error("the pattern is no regular expression")]
    BadPattern,
    /// A regular expression that needs more memory than patterns may have.
    #[error("the pattern is too large")]
    PatternTooLarge,
    /// A period that ends where it begins, or before.
    #[error("a period ends after it begins")]
    EmptyPeriod,
    /// A unit that does not exist.
    #[error("the unit is year, month, week, day, weekday, hour, minute or second")]
    UnknownUnit,
    /// A date moved by a part of a day.
    #[error("a date moves by whole days")]
    PartOfDay,
    /// A text or list longer than values may be.
    #[error("the result is too long")]
    TooLong,
    /// A number of arguments that the function does not take.
    #[error("wrong number of arguments")]
    Arguments,
}

/// Which allowance is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// Rows made.
    Rows,
    /// Bytes held.
    Bytes,
    /// Steps taken.
    Steps,
}

/// More work than was allowed, and where it went.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{} more than {limit} {}: {culprit}; ask for less, or raise the limit",
    if *budget == Budget::Steps { "takes" } else { "makes" },
    match budget {
        Budget::Rows => "rows",
        Budget::Bytes => "bytes",
        Budget::Steps => "steps",
    }
)]
pub struct Exhausted {
    /// Which allowance.
    pub budget: Budget,
    /// How much was allowed.
    pub limit: u64,
    /// Who used most of it.
    pub culprit: Culprit,
    /// What was used until then.
    pub used: Usage,
}

/// The rule or atom at which an allowance ended.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name} made {rows} rows")]
pub struct Culprit {
    /// The relation's name, or what else it is, for people.
    pub name: String,
    /// Where it stands.
    pub span: Span,
    /// Rows that it had made or matched.
    pub rows: u64,
}

/// What answering took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Rows made, of relations and of the answer.
    pub rows: u64,
    /// Bytes held, at most.
    pub bytes: u64,
    /// Steps: matches looked at.
    pub steps: u64,
    /// Rows that the source answered.
    pub rows_read: u64,
}

/// How a plan contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PlanError {
    /// A relation, column or variable of a number that there is not.
    #[error("a number that names nothing")]
    UnknownNumber,
    /// A variable that nothing binds.
    #[error("a variable that nothing binds")]
    Unbound,
    /// A relation read before its stratum is done, where that is not allowed.
    #[error("a relation is needed before it is made")]
    Unstratified,
    /// An aggregate that cannot stand in a recursion.
    #[error("an aggregate that is no lattice stands in a recursion")]
    NoLattice,
    /// Rules of one relation, or heads and columns, that differ in length.
    #[error("heads and columns differ in number")]
    Arity,
    /// Expressions or trees nested deeper than is supported.
    #[error("nested too deeply")]
    TooDeep,
}
