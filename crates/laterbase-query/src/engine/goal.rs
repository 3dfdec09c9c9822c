//! The parts of a body as the planner sees them, and what may be asked of the source about them.

use std::ops::Bound;

use laterbase_lang::plan::{
    Atom, Expression, Literal, Operand, Place, Relation as RelationId, Stored, Term, Times,
    VariableId,
};
use laterbase_lang::{DataType, Function, Span, Value};

use super::relation::Part;
use crate::data::{Constraint, Restriction};
use crate::variables;

/// Where the rows of an atom are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// A relation of the run.
    Relation(usize),
    /// Rows of the source, not read yet.
    Stored(usize),
}

/// An atom.
#[derive(Debug, Clone)]
pub(crate) struct Goal<'p> {
    pub(crate) target: Target,
    pub(crate) part: Part,
    pub(crate) terms: Vec<Term>,
    pub(crate) times: &'p Times,
    pub(crate) name: &'p str,
    pub(crate) span: Span,
}

/// A part of a body.
#[derive(Debug, Clone)]
pub(crate) enum Item<'p> {
    Goal(Goal<'p>),
    Not(&'p [Literal]),
    Filter(&'p Expression),
    Let(usize, &'p Expression),
    Each(usize, &'p Expression),
}

/// The parts of a body; conjunctions of filters are parts of their own. `goal_of` makes goals.
pub(crate) fn items<'p>(
    body: &'p [Literal],
    goal_of: &mut dyn FnMut(&'p Atom) -> Goal<'p>,
) -> Vec<Item<'p>> {
    let mut items = Vec::with_capacity(body.len());
    for literal in body {
        match literal {
            Literal::Atom(atom) => items.push(Item::Goal(goal_of(atom))),
            Literal::Not(inner, _) => items.push(Item::Not(inner)),
            Literal::Filter(expression, _) => push_filters(expression, &mut items),
            Literal::Let(variable, expression, _) => items.push(Item::Let(variable.0, expression)),
            Literal::Each(variable, expression, _) => {
                items.push(Item::Each(variable.0, expression));
            }
        }
    }
    items
}

fn push_filters<'p>(expression: &'p Expression, items: &mut Vec<Item<'p>>) {
    match expression {
        Expression::Call(Function::And, both, _) if both.len() == 2 => {
            both.iter().for_each(|one| push_filters(one, items));
        }
        Expression::Value(_) | Expression::Variable(_) | Expression::Call(..) => {
            items.push(Item::Filter(expression));
        }
    }
}

impl Item<'_> {
    /// Calls `take` with each variable that it binds.
    pub(crate) fn bound_by(&self, take: &mut dyn FnMut(usize)) {
        match self {
            Item::Goal(goal) => goal.variables().for_each(take),
            Item::Let(slot, _) | Item::Each(slot, _) => take(*slot),
            Item::Not(..) | Item::Filter(_) => {}
        }
    }

    /// Calls `take` with each variable that must be bound before, if it can be.
    pub(crate) fn needed_by(&self, take: &mut dyn FnMut(usize)) {
        let mut take = |variable: VariableId| take(variable.0);
        match self {
            Item::Goal(goal) => crate::times::variables(&goal.times.valid).for_each(take),
            Item::Filter(expression) | Item::Let(_, expression) | Item::Each(_, expression) => {
                variables::of_expression(expression, &mut take);
            }
            Item::Not(literals) => {
                for literal in *literals {
                    variables::bound_by(literal, &mut take);
                    variables::needed_by(literal, &mut take);
                }
            }
        }
    }
}

impl Goal<'_> {
    /// The variables in its columns.
    pub(crate) fn variables(&self) -> impl Iterator<Item = usize> {
        self.terms.iter().filter_map(|term| match &term.operand {
            Operand::Variable(variable) => Some(variable.0),
            Operand::Value(_) => None,
        })
    }

    /// What its values and the filters on its variables say of a stored relation's columns.
    pub(crate) fn constraints(&self, stored: &Stored, items: &[Item<'_>]) -> Vec<Constraint> {
        let mut constraints = Vec::new();
        for term in &self.terms {
            let column = term.column;
            match &term.operand {
                Operand::Value(value) => {
                    let is = Restriction::OneOf(vec![value.clone()]);
                    constraints.push(Constraint { column, is });
                }
                Operand::Variable(variable) => {
                    let data_type =
                        stored.columns.get(column).map(|column| &column.column.data_type);
                    let filters = items.iter().filter_map(|item| match item {
                        Item::Filter(filter) => restriction(filter, *variable, data_type),
                        Item::Goal(_) | Item::Not(..) | Item::Let(..) | Item::Each(..) => None,
                    });
                    constraints.extend(filters.map(|is| Constraint { column, is }));
                }
            }
        }
        constraints
    }
}

/// What a filter says of a variable, in the source's words.
fn restriction(
    filter: &Expression,
    variable: VariableId,
    data_type: Option<&DataType>,
) -> Option<Restriction> {
    let Expression::Call(function, arguments, _) = filter else { return None };
    let [a, b] = arguments.as_slice() else { return None };
    let is_it = |expression: &Expression| *expression == Expression::Variable(variable);
    let (value, is_flipped) = match (a, b) {
        (a, Expression::Value(value)) if is_it(a) => (value.clone(), false),
        (Expression::Value(value), b) if is_it(b) => (value.clone(), true),
        _ => return None,
    };
    let is_collection = matches!(data_type, Some(DataType::Set(_) | DataType::List(_)));
    let range = |from, until| Some(Restriction::Range(from, until));
    use Bound::{Excluded, Included, Unbounded};
    match (function, is_flipped) {
        (Function::Less, false) | (Function::Greater, true) => range(Unbounded, Excluded(value)),
        (Function::LessOrEqual, false) | (Function::GreaterOrEqual, true) => {
            range(Unbounded, Included(value))
        }
        (Function::Greater, false) | (Function::Less, true) => range(Excluded(value), Unbounded),
        (Function::GreaterOrEqual, false) | (Function::LessOrEqual, true) => {
            range(Included(value), Unbounded)
        }
        // Numbers are equal by what they say, which the source need not know.
        (Function::Equal, _) if is_plain(&value) => Some(Restriction::OneOf(vec![value])),
        (Function::In, true) | (Function::Contains, false) if is_collection => {
            value.as_text().is_some().then_some(Restriction::Holds(value))
        }
        (Function::In, false) => {
            let (Value::List(values) | Value::Set(values)) = value else { return None };
            values.iter().all(is_plain).then(|| Restriction::OneOf(values.to_vec()))
        }
        _ => None,
    }
}

/// Whether a value is equal to none but those that are the same.
pub(crate) fn is_plain(value: &Value) -> bool {
    matches!(
        value,
        Value::Text(_) | Value::Bool(_) | Value::Id(_) | Value::Time(_) | Value::Date(_)
    )
}

/// How selective an equality on a place is thought to be: of `rows`, how many have one value.
pub(crate) fn rows_per_value(place: &Place, rows: f64) -> f64 {
    match place {
        Place::Id => 1.0,
        Place::Key | Place::Cause => rows.min(16.0),
        Place::At | Place::Tx | Place::Arrived | Place::Seq => rows.min(4.0),
        Place::Origin
        | Place::Root
        | Place::Type
        | Place::Version
        | Place::Tags
        | Place::Meta
        | Place::Payload
        | Place::Field { .. }
        | Place::Member(_)
        | Place::Validity
        | Place::Until
        | Place::Life
        | Place::Changed => rows.sqrt().max(1.0),
    }
}

/// The number of a derived relation.
pub(crate) fn derived_number(relation: RelationId) -> Option<usize> {
    match relation {
        RelationId::Derived(number) => Some(number),
        RelationId::Stored(_) => None,
    }
}
