//! What a body becomes: steps in an order, each of which binds variables or tests them.
//!
//! ```text
//!   packed{item, box: m}, inside{item: m, box}, not lost{item}
//!     scan packed → item, m │ probe inside[0] = m → box │ not (probe lost[0] = item)
//! ```
//! Variables are slots of one array of codes; a slot is written by the step that binds it and read
//! by later ones alone.

use laterbase_lang::plan::{Cut, Expression, Valid};
use laterbase_lang::{Function, Span};

use super::relation::Part;
use crate::code::Code;

/// A variable's slot, or a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Slot(usize),
    Code(Code),
}

/// What becomes of a row that was found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Take {
    /// Columns that bind slots.
    pub(crate) binds: Vec<(usize, usize)>,
    /// Columns that must be equal to something, and not absent; looked at after binding.
    pub(crate) checks: Vec<(usize, Source)>,
}

/// One of several ways to bind a variable.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) relation: usize,
    /// The index over the columns that are bound already.
    pub(crate) by_bound: usize,
    pub(crate) key: Vec<Source>,
    /// The column of the variable.
    pub(crate) column: usize,
    /// The index over these columns and the variable's.
    pub(crate) by_all: usize,
    /// The key of that index; the variable's own place in it is its slot.
    pub(crate) all_key: Vec<Source>,
}

/// The same, of a relation that is complete: the lists of the variable's column, and their key.
#[derive(Debug, Clone)]
pub(crate) struct ListWay {
    pub(crate) relation: usize,
    pub(crate) lists: usize,
    pub(crate) key: Vec<Source>,
}

#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Every row of a relation.
    Scan { relation: usize, part: Part, take: Take },
    /// The rows that an index holds for a key.
    Probe { relation: usize, part: Part, index: usize, key: Vec<Source>, take: Take },
    /// Rows that the source is asked for by a key, with those of keys to come.
    Lookup { lookup: usize, key: Vec<Source>, valid: Valid, take: Take },
    /// A variable that several relations bind at once: the values of the one with fewest rows that
    /// stand in all others (generic join).
    Meet { slot: usize, ways: Vec<Way> },
    /// The same by sorted lists, of at most [`LISTS_MAX`](super::machine::LISTS_MAX) relations.
    MeetLists { slot: usize, ways: Vec<ListWay> },
    /// A comparison of two sources.
    Compare { function: Function, a: Source, b: Source, span: Span },
    /// An expression that is true.
    Filter { expression: Expression },
    /// A value of an expression, bound or, if it is bound, compared.
    Let { slot: usize, is_bound: bool, expression: Expression },
    /// The elements of a value.
    Each { slot: usize, is_bound: bool, expression: Expression },
    /// No way through some steps.
    Not(Box<Program>),
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) action: Action,
    /// Rows that are expected after this step, for one start.
    pub(crate) estimate: f64,
    /// What it is, for people.
    pub(crate) label: String,
}

/// What is emitted for each way through the steps.
#[derive(Debug, Clone)]
pub(crate) enum Emit {
    Slot(usize),
    Expression(Expression),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    pub(crate) steps: Vec<Step>,
    pub(crate) emits: Vec<Emit>,
    /// After a row was emitted, steps from this one on can bind nothing new of it.
    pub(crate) cut: usize,
    pub(crate) slot_count: usize,
}

/// Rows that the source is asked for by their keys.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LookupKey {
    pub(crate) stored: usize,
    pub(crate) cut: Cut,
    pub(crate) constraints: Vec<crate::data::Constraint>,
    /// Columns of the stored relation by which it is asked.
    pub(crate) key: Vec<usize>,
    /// Columns that are kept.
    pub(crate) columns: Vec<usize>,
}
