//! Provenance: which stored events and rows an answer was made of.
//!
//! The plan is made to carry it: every stored atom binds its event's id (of a table, its row's
//! key), every relation has one column more, which lists those of the first derivation that was
//! found, and by which no rows differ. A derivation is of rows that were there before it, so it
//! never stands on itself. What is aggregated was made of all rows of its group.
//!
//! Left out: what is negated (nothing is there to be named), and what trees hold. Lists are as long
//! as derivations: of a closure over a long chain they take more than its rows.

use std::sync::Arc;

use laterbase_lang::plan::{
    Atom, Derived, Expression, HeadTerm, Literal, Operand, Place, Plan, Relation, Rule, Source,
    Stored, StoredColumn, Term, Variable, VariableId,
};
use laterbase_lang::{Aggregate, Column, DataType, Function, Span, Value};

/// The name of the column, which no variable of a question has.
pub(crate) const WHY: &str = "_why";

fn column() -> Column {
    let data_type = DataType::List(Arc::new(DataType::Json));
    Column { name: Arc::from(WHY), data_type, is_optional: false }
}

/// Whether a column is the one that says why.
pub(crate) fn is_why(column: &Column) -> bool {
    column.name.as_ref() == WHY
}

/// The plan, with one column more that says of what each row was made.
pub(crate) fn explained(plan: &Plan) -> Plan {
    let stored = plan.stored.iter().map(|stored| {
        let place = match stored.source {
            Source::Events | Source::EventsOf { .. } => Place::Id,
            Source::Table { .. } => Place::Key,
        };
        let mut columns = stored.columns.clone();
        columns.push(StoredColumn { column: column(), place });
        Stored { columns, ..stored.clone() }
    });
    let derived = plan.derived.iter().map(|derived| {
        let mut made = Derived { rules: Vec::new(), ..derived.clone() };
        made.columns.push(column());
        made.lattice.push(None);
        let is_lattice = derived.lattice.iter().any(Option::is_some);
        made.rules = derived.rules.iter().map(|each| rule(plan, each, !is_lattice)).collect();
        made
    });
    let mut answer = plan.answer.clone();
    answer.rule = rule(plan, &answer.rule, true);
    answer.columns.push(column());
    let (stored, derived) = (stored.collect(), derived.collect());
    Plan { stored, derived, strata: plan.strata.clone(), answer }
}

fn rule(plan: &Plan, rule: &Rule, can_group: bool) -> Rule {
    let mut made = rule.clone();
    let mut parts = Vec::new();
    for literal in &mut made.body {
        if let Literal::Atom(atom) = literal {
            parts.push(reason(plan, atom, &mut made.variables));
        }
    }
    let empty = Expression::Value(Value::List([].into()));
    let concatenate = |a, b| Expression::Call(Function::Concatenate, vec![a, b], rule.span);
    let all = parts.into_iter().reduce(concatenate).unwrap_or(empty);
    let groups = made.head.iter().any(|term| matches!(term, HeadTerm::Aggregate { .. }));
    made.head.push(if groups && can_group {
        let (aggregate, arguments, span) = (Aggregate::Union, vec![all], rule.span);
        HeadTerm::Aggregate { aggregate, arguments, span }
    } else {
        HeadTerm::Value(all)
    });
    made
}

/// What an atom's row was made of; binds it.
fn reason(plan: &Plan, atom: &mut Atom, variables: &mut Vec<Variable>) -> Expression {
    let variable = VariableId(variables.len());
    variables.push(Variable { column: column(), span: atom.span });
    let (width, is_stored) = match atom.relation {
        Relation::Stored(number) => {
            (plan.stored.get(number).map_or(0, |stored| stored.columns.len()), true)
        }
        Relation::Derived(number) => {
            (plan.derived.get(number).map_or(0, |derived| derived.columns.len()), false)
        }
    };
    atom.terms.push(Term { column: width, operand: Operand::Variable(variable) });
    let bound = Expression::Variable(variable);
    if is_stored { Expression::Call(Function::List, vec![bound], Span::default()) } else { bound }
}
