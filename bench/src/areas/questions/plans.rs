//! The questions as plans, and the graph as a source.

use std::ops::ControlFlow;
use std::sync::Arc;

use laterbase_lang::plan::{
    Answer, Atom, Derived, Expression, HeadTerm, Literal, Operand, Place, Plan, Relation, Rule,
    Source, Stored, StoredColumn, Stratum, Term, Times, Variable, VariableId,
};
use laterbase_lang::{Column, DataType, Span, Value};
use laterbase_query::{Data, DataError, Scan, Scanned, ValueRef};

use super::{Edges, Question};

const EDGE: Relation = Relation::Stored(0);
const MADE: Relation = Relation::Derived(0);

/// Edges in memory.
pub(super) struct Graph<'e>(pub(super) &'e Edges);

impl Data for Graph<'_> {
    fn scan(
        &self,
        request: &Scan<'_>,
        take: &mut dyn FnMut(&[ValueRef<'_>]) -> ControlFlow<()>,
    ) -> Result<Scanned, DataError> {
        for (from, to) in self.0 {
            let cell = |column: Option<&usize>| {
                ValueRef::Int(if column == Some(&0) { *from } else { *to })
            };
            let mut columns = request.columns.iter();
            let cells = [cell(columns.next()), cell(columns.next())];
            if take(cells.get(..request.columns.len()).unwrap_or_default()).is_break() {
                break;
            }
        }
        Ok(Scanned { rows_read: self.0.len() as u64 })
    }

    fn estimate(&self, _: &Scan<'_>) -> Option<u64> {
        Some(self.0.len() as u64)
    }
}

fn column(name: &str) -> Column {
    Column { name: Arc::from(name), data_type: DataType::Int, is_optional: false }
}

fn variable(number: usize) -> Operand {
    Operand::Variable(VariableId(number))
}

fn atom(relation: Relation, operands: [Operand; 2]) -> Literal {
    let terms = operands.into_iter().enumerate();
    let terms = terms.map(|(column, operand)| Term { column, operand }).collect();
    Literal::Atom(Atom { relation, terms, times: Times::default(), span: Span::default() })
}

fn pair(relation: Relation, from: usize, to: usize) -> Literal {
    atom(relation, [variable(from), variable(to)])
}

fn rule(head: &[usize], body: Vec<Literal>) -> Rule {
    let variable = |at| Variable { column: column(&format!("v{at}")), span: Span::default() };
    let term = |at: &usize| HeadTerm::Value(Expression::Variable(VariableId(*at)));
    Rule {
        variables: (0..4).map(variable).collect(),
        head: head.iter().map(term).collect(),
        body,
        span: Span::default(),
    }
}

/// A question as a plan.
pub(super) fn plan(question: Question) -> Plan {
    let closure = || {
        vec![
            rule(&[0, 1], vec![pair(EDGE, 0, 1)]),
            rule(&[0, 2], vec![pair(EDGE, 0, 1), pair(MADE, 1, 2)]),
        ]
    };
    let same_generation = vec![
        rule(&[0, 1], vec![pair(EDGE, 2, 0), pair(EDGE, 2, 1)]),
        rule(&[0, 1], vec![pair(EDGE, 2, 0), pair(MADE, 2, 3), pair(EDGE, 3, 1)]),
    ];
    let whole = rule(&[0, 1], vec![pair(MADE, 0, 1)]);
    let from_one = rule(&[0], vec![atom(MADE, [Operand::Value(Value::Int(1)), variable(0)])]);
    let triangles = rule(&[0, 1, 2], vec![pair(EDGE, 0, 1), pair(EDGE, 1, 2), pair(EDGE, 2, 0)]);
    let (rules, asked) = match question {
        Question::Closure => (closure(), whole),
        Question::SameGeneration => (same_generation, whole),
        Question::Reach => (closure(), from_one),
        Question::Triangles => (closure(), triangles),
    };
    let places = ["a", "b"]
        .map(|name| StoredColumn { column: column(name), place: Place::Member(Arc::from(name)) });
    let stored = Stored { name: Arc::from("edge"), source: Source::Events, columns: places.into() };
    let derived = Derived {
        name: Arc::from("made"),
        columns: vec![column("a"), column("b")],
        lattice: vec![None, None],
        rules,
    };
    let columns = (0..asked.head.len()).map(|at| column(&format!("c{at}"))).collect();
    let answer =
        Answer { rule: asked, columns, having: None, order: Vec::new(), offset: 0, limit: None };
    let strata = vec![Stratum { relations: vec![0], is_recursive: true }];
    Plan { stored: vec![stored], derived: vec![derived], strata, answer }
}
