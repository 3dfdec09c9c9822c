//! Logical plans: what a checked question asks, for engines to answer.
//!
//! ```text
//!   Plan ── stored     the events and tables that it reads, and at which times
//!        ├─ derived    what rules make of them, in strata: each needs earlier ones, or itself
//!        └─ answer     the rows asked for: a rule, then having, order and limit
//!                        └─ trees: answers of their own, for each row
//! ```
//! Invariants: every variable of a head, of a filter and of an order is bound by the body; what is
//! negated or aggregated stands in an earlier stratum, but for aggregates that are lattices; types
//! agree, numbers of two types were made one by a call. Literals stand as they were written: in
//! which order they are joined is the engine's to say.
//!
//! **Meaning.** A rule has one result for each different binding of its variables
//! ([`Rule::variables`]); aggregates range over these bindings. Where an atom over stored rows
//! stands beside aggregates that count, the checker binds the row's identity (an event's id, a
//! row's key) to a variable without a name, so that two orders of one customer over one sum count
//! as two.

use std::sync::Arc;

use crate::data_type::Column;
use crate::function::{Aggregate, Function};
use crate::span::Span;
use crate::value::Value;

/// A question, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The stored relations that it reads, by [`Relation::Stored`].
    pub stored: Vec<Stored>,
    /// The relations that rules make, by [`Relation::Derived`].
    pub derived: Vec<Derived>,
    /// Which of these are made one after the other.
    pub strata: Vec<Stratum>,
    /// What is asked.
    pub answer: Answer,
}

/// A stored relation as a question sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Stored {
    /// Its name, for people.
    pub name: Arc<str>,
    /// Which rows.
    pub source: Source,
    /// The columns that are read; [`Term::column`] counts them from 0.
    pub columns: Vec<StoredColumn>,
}

/// A column of a stored relation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoredColumn {
    /// Its name and type.
    pub column: Column,
    /// Where its value stands.
    pub place: Place,
}

/// Which rows a stored relation has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// Every event.
    Events,
    /// The events of one root and type.
    EventsOf {
        /// The root's name.
        root: Arc<str>,
        /// The stored name of the type; the types' names, if a declared type was renamed.
        type_names: Vec<Arc<str>>,
        /// The number of the declared type.
        type_number: Option<u32>,
    },
    /// The rows of a table.
    Table {
        /// Its number in the schema.
        number: u32,
    },
}

/// Where the value of a column stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// The event's id.
    Id,
    /// The key of the stream, or of the row.
    Key,
    /// Valid time of the event.
    At,
    /// Transaction time of the event.
    Tx,
    /// When it arrived here.
    Arrived,
    /// The replica that recorded it, as 16 hexadecimal digits.
    Origin,
    /// Its place in its log.
    Seq,
    /// The id of the event that it followed from.
    Cause,
    /// Its root.
    Root,
    /// Its type.
    Type,
    /// The version of its type.
    Version,
    /// Its tags, as a set of texts.
    Tags,
    /// Its metadata, as a record of texts.
    Meta,
    /// Its payload: JSON or CBOR as a value, anything else as bytes.
    Payload,
    /// A field that the schema declares.
    Field {
        /// Its number.
        number: u32,
        /// Its name, for payloads that were written before it was declared.
        name: Arc<str>,
    },
    /// A field that no schema declares, by its name in JSON or CBOR.
    Member(Arc<str>),
    /// The valid times for which a row of a table is as it is.
    Validity,
    /// Of an operation on a table: until when it holds.
    Until,
    /// Of an operation on a table: the life of the row that it belongs to.
    Life,
    /// Of an operation on a table: the names of the columns that it says something of.
    Changed,
}

/// A relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Relation {
    /// One of [`Plan::stored`].
    Stored(usize),
    /// One of [`Plan::derived`].
    Derived(usize),
}

/// A relation that rules make. Its rows are a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// Its name, for people.
    pub name: Arc<str>,
    /// Its columns: those of every rule's head, in their order.
    pub columns: Vec<Column>,
    /// For each column, how rows that agree in all columns without one are made one row, if
    /// the relation is made by a recursion through an aggregate: min, max, union, every or some.
    pub lattice: Vec<Option<Aggregate>>,
    /// Its rules. The relation is what any of them says.
    pub rules: Vec<Rule>,
}

/// Relations that are made together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stratum {
    /// Which of [`Plan::derived`].
    pub relations: Vec<usize>,
    /// Whether any of them needs itself, also by way of others.
    pub is_recursive: bool,
}

/// A variable of a rule, by its place in [`Rule::variables`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariableId(pub usize);

/// What a variable is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name, type and whether it may be absent; one that nobody named has a name that starts
    /// with `_`.
    pub column: Column,
    /// Where it is first used.
    pub span: Span,
}

/// `head :- body`.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// The variables of head and body. Those that occur inside a negation alone are local to it.
    pub variables: Vec<Variable>,
    /// What is answered: an expression for each column. If any is an aggregate, the others group.
    pub head: Vec<HeadTerm>,
    /// What must hold.
    pub body: Vec<Literal>,
    /// Where it stands.
    pub span: Span,
}

/// A column of a head.
#[derive(Debug, Clone, PartialEq)]
pub enum HeadTerm {
    /// A value of each binding.
    Value(Expression),
    /// An aggregate over the bindings of a group.
    Aggregate {
        /// Which one.
        aggregate: Aggregate,
        /// Of what.
        arguments: Vec<Expression>,
        /// Where it stands.
        span: Span,
    },
    /// An answer of its own, for each row.
    Tree(Box<Tree>),
}

/// Rows within a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// All rows as a list of records, or the first one as a record or nothing.
    pub is_many: bool,
    /// The names of the answer's columns, as they stand in the record.
    pub answer: Answer,
    /// What it knows of the row: variables of the rule around it, and what they are inside.
    pub outer: Vec<(VariableId, VariableId)>,
}

/// What must hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// A row of a relation.
    Atom(Atom),
    /// No binding of these. Variables that occur outside too are bound there.
    Not(Vec<Literal>, Span),
    /// An expression that is true.
    Filter(Expression, Span),
    /// A variable that is the value of an expression. If it is bound elsewhere as well, both must
    /// be equal.
    Let(VariableId, Expression, Span),
    /// A variable that is each element of a list or a set in turn.
    Each(VariableId, Expression, Span),
}

/// A row of a relation.
#[derive(Debug, Clone, PartialEq)]
pub struct Atom {
    /// Which relation.
    pub relation: Relation,
    /// What its columns are bound to, or must be; columns that are not named may be anything.
    pub terms: Vec<Term>,
    /// As of when; of a derived relation, times stand in its rules.
    pub times: Times,
    /// Where it stands.
    pub span: Span,
}

/// A column of a row, and what it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// Which column of the relation.
    pub column: usize,
    /// What it is bound to. An absent value is bound like any other; where the variable is bound
    /// elsewhere as well, an absent value equals nothing, not even another one.
    pub operand: Operand,
}

/// A variable or a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A variable.
    Variable(VariableId),
    /// A value, which is not absent.
    Value(Value),
}

/// As of when.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Times {
    /// What was known.
    pub cut: Cut,
    /// What was so.
    pub valid: Valid,
}

/// Which events are taken into account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum Cut {
    /// All that are here.
    #[default]
    Latest,
    /// Those that had arrived here by a time, in microseconds since 1970.
    KnownAt(i64),
    /// Those that had been recorded by a time, wherever.
    RecordedBy(i64),
    /// Those that a version vector covers: its canonical bytes.
    Vector(Arc<[u8]>),
}

/// Which valid times.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Valid {
    /// Any. Rows of a table are answered for each period for which they stay as they are.
    #[default]
    Any,
    /// What had happened by a time, of events; what was so at a time, of rows of tables.
    At(Operand),
    /// What happened from a time on and before another one; rows of tables for each period for
    /// which they stay as they are and which overlaps these, cut to them.
    In {
        /// From; open if absent.
        from: Option<Operand>,
        /// Until; open if absent.
        until: Option<Operand>,
    },
}

/// A value of each binding.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// A value.
    Value(Value),
    /// A variable.
    Variable(VariableId),
    /// A function of others.
    Call(Function, Vec<Expression>, Span),
}

/// What is asked: a rule, and what becomes of its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Makes the rows.
    pub rule: Rule,
    /// The columns of its head.
    pub columns: Vec<Column>,
    /// Which rows stay: a [`VariableId`] is the column of that number.
    pub having: Option<Expression>,
    /// Before others: the smallest by the first of these, then by the next. Rows that are equal in
    /// all stand in the order of their columns.
    pub order: Vec<Sort>,
    /// Rows that are left out before the first one.
    pub offset: u64,
    /// Rows at most.
    pub limit: Option<u64>,
}

/// What rows are sorted by.
#[derive(Debug, Clone, PartialEq)]
pub struct Sort {
    /// Of which value: a [`VariableId`] is the column of that number. Absent ones come first.
    pub by: Expression,
    /// The greatest first; absent ones then come last.
    pub is_descending: bool,
}
