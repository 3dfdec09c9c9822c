//! Syntax: a text as statements, before anything is known of what they name.

use std::fmt;
use std::sync::Arc;

use crate::function::Function;
use crate::span::Span;
use crate::value::Value;

/// A name, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    /// Without backticks.
    pub text: Arc<str>,
    /// With them.
    pub span: Span,
}

/// A number in a schema.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// From 1.
    pub value: u32,
    /// Where it stands.
    pub span: Span,
}

/// A statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// What it says.
    pub kind: StatementKind,
    /// Without the semicolon.
    pub span: Span,
}

/// What a statement says.
#[derive(Debug, Clone, PartialEq)]
pub enum StatementKind {
    /// A declaration of a schema.
    Declaration(Declaration),
    /// `head{…} :- body`.
    Rule(RuleSyntax),
    /// `?{…} :- body …`.
    Query(QuerySyntax),
    /// `add`, `put` or `delete`.
    Mutation(Mutation),
    /// `transaction { … }`.
    Transaction(Transaction),
}

/// A declaration of a schema.
#[derive(Debug, Clone, PartialEq)]
pub enum Declaration {
    /// `root shipment { event 1 booked { … } … }`.
    Root(RootSyntax),
    /// `table 1 customer { … }`.
    Table(TableSyntax),
    /// `index shipment.departed{port}`.
    Index(IndexSyntax),
    /// `view 1 in_transit{shipment} :- …`.
    View(Box<ViewSyntax>),
}

/// A root and its events.
#[derive(Debug, Clone, PartialEq)]
pub struct RootSyntax {
    /// Its name.
    pub name: Name,
    /// Whether undeclared events and fields may be appended.
    pub is_lax: bool,
    /// Its events.
    pub events: Vec<EventSyntax>,
    /// Numbers of events that are not used any more.
    pub removed: Vec<Number>,
}

/// A type of event.
#[derive(Debug, Clone, PartialEq)]
pub struct EventSyntax {
    /// Its number.
    pub number: Number,
    /// Its name.
    pub name: Name,
    /// What it says.
    pub fields: FieldsSyntax,
}

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSyntax {
    /// Its number.
    pub number: Number,
    /// Its name.
    pub name: Name,
    /// Whether undeclared columns may be put.
    pub is_lax: bool,
    /// Its columns.
    pub fields: FieldsSyntax,
}

/// Fields of an event, or columns of a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FieldsSyntax {
    /// Fields.
    pub fields: Vec<FieldSyntax>,
    /// Numbers of fields that are not used any more.
    pub removed: Vec<Number>,
}

/// A field.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldSyntax {
    /// Its number.
    pub number: Number,
    /// Its name.
    pub name: Name,
    /// Its type.
    pub type_syntax: TypeSyntax,
    /// What it is where nothing was said.
    pub default: Option<ExpressionSyntax>,
}

/// A type as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct TypeSyntax {
    /// `text`, `list`, `ref`, …
    pub name: Name,
    /// What `list` and `set` are of.
    pub of: Option<Box<TypeSyntax>>,
    /// What `ref` names.
    pub target: Option<Name>,
    /// `?`, of the type as a whole.
    pub is_optional: bool,
    /// All of it.
    pub span: Span,
}

/// An index.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexSyntax {
    /// Of what.
    pub relation: Path,
    /// By which fields.
    pub fields: Vec<Name>,
}

/// A view.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewSyntax {
    /// Its number.
    pub number: Number,
    /// What it is.
    pub rule: RuleSyntax,
    /// What stands behind its name, without comments and layout.
    pub says: Arc<str>,
}

/// The name of a relation: `customer`, `shipment.departed`.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    /// Its parts.
    pub parts: Vec<Name>,
    /// All of it.
    pub span: Span,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.parts.iter().enumerate() {
            write!(f, "{}{}", if at == 0 { "" } else { "." }, part.text)?;
        }
        Ok(())
    }
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSyntax {
    /// What it makes rows of.
    pub name: Name,
    /// The columns.
    pub head: Head,
    /// What must hold.
    pub body: Body,
    /// As of when its atoms are read.
    pub times: TimesSyntax,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Its columns.
    pub fields: Vec<HeadField>,
    /// With the braces.
    pub span: Span,
}

/// A column of a head.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadField {
    /// Its name.
    pub name: Name,
    /// What it is; the variable of its name if nothing is said.
    pub value: Option<HeadValue>,
}

/// What a column is.
#[derive(Debug, Clone, PartialEq)]
pub enum HeadValue {
    /// An expression, in which aggregates may be called.
    Expression(ExpressionSyntax),
    /// `many {…} :- …` or `one {…} :- …`.
    Tree {
        /// All rows, or the first one.
        is_many: bool,
        /// Which rows.
        select: Box<Select>,
    },
}

/// Rows, and what becomes of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// What is answered.
    pub head: Head,
    /// What must hold.
    pub body: Body,
    /// Which groups stay.
    pub having: Option<ExpressionSyntax>,
    /// In which order.
    pub order: Vec<OrderSyntax>,
    /// Rows that are left out.
    pub offset: Option<ExpressionSyntax>,
    /// Rows at most.
    pub limit: Option<ExpressionSyntax>,
    /// As of when.
    pub times: TimesSyntax,
    /// All of it.
    pub span: Span,
}

/// What rows are sorted by.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderSyntax {
    /// By what.
    pub by: ExpressionSyntax,
    /// `desc`.
    pub is_descending: bool,
}

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub struct QuerySyntax {
    /// What is wanted of it.
    pub mode: QueryMode,
    /// What is asked.
    pub select: Select,
}

/// What is wanted of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueryMode {
    /// Its rows.
    Rows,
    /// How it is answered.
    Explain,
    /// The events behind its rows.
    Why,
    /// Its rows, then each change.
    Live,
}

/// What must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// All of these.
    pub literals: Vec<LiteralSyntax>,
    /// All of it.
    pub span: Span,
}

/// A part of a body.
#[derive(Debug, Clone, PartialEq)]
pub enum LiteralSyntax {
    /// A row.
    Atom(Box<AtomSyntax>),
    /// `not a{…}`, `not (a{…}, b{…})`.
    Not(Body),
    /// A condition. `x = …` and `x in …` bind `x` if nothing else does.
    Condition(ExpressionSyntax),
}

/// A row of a relation: `shipment.departed{port: "NLRTM"}`, or with times of its own
/// `(location{item, place} as of $t)`.
#[derive(Debug, Clone, PartialEq)]
pub struct AtomSyntax {
    /// Which relation.
    pub relation: Path,
    /// Its fields; those without a value bind a variable of their name.
    pub fields: Vec<PatternField>,
    /// As of when.
    pub times: TimesSyntax,
    /// All of it.
    pub span: Span,
}

/// A field of an atom, of a mutation.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternField {
    /// Its name.
    pub name: Name,
    /// What it must be, or is to be.
    pub value: Option<ExpressionSyntax>,
    /// `points: +5`, `tags: -"cold"`: what is added or taken away.
    pub change: Option<Change>,
}

/// Whether something is added or taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// `+`.
    Add,
    /// `-`.
    Remove,
}

/// As of when.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TimesSyntax {
    /// `as of …`.
    pub cut: Option<CutSyntax>,
    /// `valid …`.
    pub valid: Option<ValidSyntax>,
}

/// `as of …`.
#[derive(Debug, Clone, PartialEq)]
pub struct CutSyntax {
    /// Whether it is `as of recorded …`.
    pub is_recorded: bool,
    /// A time or a version vector; nothing for `as of latest`.
    pub at: Option<ExpressionSyntax>,
    /// All of it.
    pub span: Span,
}

/// `valid …`.
#[derive(Debug, Clone, PartialEq)]
pub enum ValidSyntax {
    /// `valid any`.
    Any(Span),
    /// `valid 2026-03-01T12:00Z`.
    At(ExpressionSyntax),
    /// `valid in [2026-03-01, 2026-04-01) as p`. Ends that are `null` or left out are open.
    In {
        /// From.
        from: Option<ExpressionSyntax>,
        /// Until.
        until: Option<ExpressionSyntax>,
        /// The variable that is bound to the period.
        bind: Option<Name>,
        /// All of it.
        span: Span,
    },
}

/// A statement that writes.
#[derive(Debug, Clone, PartialEq)]
pub struct Mutation {
    /// What it does.
    pub kind: MutationKind,
    /// To what: an event's type, a table.
    pub relation: Path,
    /// What is written.
    pub fields: Vec<PatternField>,
    /// `valid T`, or `valid in [a, b)`.
    pub valid: Option<ValidSyntax>,
    /// For which bindings; once if there is no body.
    pub body: Option<Body>,
    /// As of when the body is read.
    pub times: TimesSyntax,
    /// All of it.
    pub span: Span,
}

/// What a mutation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MutationKind {
    /// Records an event.
    Add,
    /// Writes columns of a row.
    Put,
    /// Ends a row.
    Delete,
}

/// Statements that are carried out all, or none of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction {
    /// As of when its queries are read.
    pub times: TimesSyntax,
    /// What it holds.
    pub steps: Vec<Step>,
}

/// A part of a transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// What must be so.
    Expect(Expect),
    /// What is written.
    Mutation(Mutation),
    /// A rule, for the bodies.
    Rule(RuleSyntax),
}

/// What must be so.
#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    /// `expect shipment "4711" at 12`.
    Version {
        /// Which root.
        root: Name,
        /// Which key.
        key: ExpressionSyntax,
        /// Which version.
        version: VersionSyntax,
        /// All of it.
        span: Span,
    },
    /// `expect none :- …`, `expect some :- …`.
    Query {
        /// Whether there must be rows, or must be none.
        is_some: bool,
        /// What is asked.
        body: Body,
        /// As of when.
        times: TimesSyntax,
        /// All of it.
        span: Span,
    },
}

/// A version of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum VersionSyntax {
    /// No events.
    None,
    /// Any events.
    Exists,
    /// So many events.
    At(ExpressionSyntax),
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpressionSyntax {
    /// What it says.
    pub kind: ExpressionKind,
    /// Where it stands.
    pub span: Span,
}

/// What an expression says.
#[derive(Debug, Clone, PartialEq)]
pub enum ExpressionKind {
    /// A value.
    Value(Value),
    /// A variable.
    Variable(Arc<str>),
    /// `_`: anything.
    Anything,
    /// `$name`.
    Parameter(Arc<str>),
    /// `name(…)`: a function or an aggregate.
    Call(Name, Vec<ExpressionSyntax>),
    /// An operator.
    Operator(Function, Vec<ExpressionSyntax>),
    /// `[a, b]`.
    List(Vec<ExpressionSyntax>),
    /// `set [a, b]`.
    Set(Vec<ExpressionSyntax>),
    /// `{a: x}`.
    Record(Vec<(Name, ExpressionSyntax)>),
}

impl ExpressionSyntax {
    /// The value that it is, if it is a literal.
    #[must_use]
    pub fn as_value(&self) -> Option<&Value> {
        if let ExpressionKind::Value(value) = &self.kind { Some(value) } else { None }
    }

    /// The variable that it is, if it is nothing else.
    #[must_use]
    pub fn as_variable(&self) -> Option<&Arc<str>> {
        if let ExpressionKind::Variable(name) = &self.kind { Some(name) } else { None }
    }

    /// The function or aggregate that it calls by name, if it is such a call.
    #[must_use]
    pub fn as_call(&self) -> Option<(&Name, &[Self])> {
        if let ExpressionKind::Call(name, arguments) = &self.kind {
            Some((name, arguments))
        } else {
            None
        }
    }
}
